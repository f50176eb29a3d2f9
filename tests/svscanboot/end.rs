//! How svscanboot ends: everything, in order.

use super::fifo;
use crate::harness::{Scratch, Suite, World, children_called, signal, wait_child, wait_until};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Something that stays until TERM, and then says `last words` on stdout.
const TALKER: &str = "trap 'kill $!; i=0
while [ $i -lt 2000 ]; do echo \"line $i\"; i=$((i + 1)); done
echo \"service ended\" >>order; echo \"last words\"; exit' TERM
sleep 2147483647 & echo ready; wait";

fn last_words() -> String {
    let lines: String = (0..2000).map(|i| format!("line {i}\n")).collect();
    format!("ready\n{lines}last words\n")
}

#[test]
fn process_1_ends_all_in_order_and_no_line_is_lost() {
    for name in ["TERM", "INT"] {
        let scratch = Scratch::new();
        scratch.service("service/slow", TALKER);
        // A log that takes its time, and is told to stop only if it does not end.
        scratch.service(
            "service/slow/log",
            "while read -r line; do echo \"$line\"; done >>all; echo 'log ended' >>../order",
        );
        scratch.service("service/fast", TALKER);
        let multilog = Suite::Ours.program("multilog");
        scratch.service(
            "service/fast/log",
            &format!("exec {} s1000000 ./main", multilog.display()),
        );
        scratch.service("service/unlogged", "exec sleep 2147483647");
        let Some(mut world) = World::svscanboot("process_1_ends", &scratch) else {
            return;
        };
        for log in ["slow/log/all", "fast/log/main/current"] {
            let log = Path::new("service").join(log);
            wait_until("it is ready", || scratch.read(&log) == "ready\n");
        }
        scratch.wait_up("service/unlogged");
        assert_eq!(world.end(name), 0);
        assert_eq!(scratch.read("service/slow/log/all"), last_words());
        assert_eq!(scratch.read("service/fast/log/main/current"), last_words());
        let mode = fs::metadata(scratch.at("service/fast/log/main/current")).unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(mode.permissions().mode() & 0o777, 0o744, "finished");
        let order = scratch.read("service/slow/order");
        let mut lines: Vec<&str> = order.lines().collect();
        lines.dedup();
        // A log whose pipe ends before its `x` came is started again, and reads nothing.
        assert_eq!(lines, ["service ended", "log ended"]);
    }
}

#[test]
fn a_service_whose_entry_is_gone_ends_in_order_too() {
    let scratch = Scratch::new();
    scratch.mkdir("service");
    scratch.service("pair", TALKER);
    scratch.service("pair/log", "cat >>all; echo 'log ended' >>../order");
    scratch.link("pair");
    scratch.service("service/renamed", "exec sleep 2147483647");
    let Some(mut world) = World::svscanboot("a_service_whose_entry_is_gone", &scratch) else {
        return;
    };
    wait_until("it is ready", || scratch.read("pair/log/all") == "ready\n");
    scratch.wait_up("service/renamed");
    fs::remove_file(scratch.at("service/pair")).unwrap();
    fs::rename(
        scratch.at("service/renamed"),
        scratch.at("service/.renamed"),
    )
    .unwrap();
    assert_eq!(world.end("TERM"), 0);
    assert_eq!(scratch.read("pair/log/all"), last_words());
    assert!(
        scratch
            .read("pair/order")
            .starts_with("service ended\nlog ended\n")
    );
    for name in ["pair", "pair/log", "service/.renamed"] {
        assert_eq!(scratch.svstat(name), "supervise not running");
    }
}

#[test]
fn a_service_whose_directory_was_deleted_is_left_running_and_that_is_told() {
    let scratch = Scratch::new();
    scratch.service("service/gone", "exec sleep 2147483647");
    let Some(mut world) = World::svscanboot("a_service_whose_directory", &scratch) else {
        return;
    };
    scratch.wait_up("service/gone");
    // Not before, when its supervise could still give up.
    scratch.wait_supervised("service/gone");
    fs::remove_dir_all(scratch.at("service/gone")).unwrap();
    assert_eq!(world.end("TERM"), 111);
}

#[test]
fn a_service_with_two_names_gets_term_once() {
    let scratch = Scratch::new();
    scratch.mkdir("service");
    // The second TERM would end it before it has written the last line.
    let once = "trap 'echo TERM >>told; trap - TERM; kill $!; exec 3<>slow; read -r line <&3' TERM
sleep 2147483647 & echo ready >told; wait; echo ended >>told";
    scratch.service("one", once);
    let slow = fifo(&scratch, "one/slow");
    scratch.link("one");
    std::os::unix::fs::symlink("../one", scratch.at("service/two")).unwrap();
    let Some(mut world) = World::svscanboot("a_service_with_two_names", &scratch) else {
        return;
    };
    wait_until("it is ready", || scratch.read("one/told") == "ready\n");
    signal(world.first, "TERM");
    wait_until("it is told", || scratch.read("one/told") == "ready\nTERM\n");
    wait_until("svscan is gone", || {
        children_called(world.first, "svscan").is_empty()
    });
    fs::write(&slow, "go\n").unwrap();
    assert_eq!(world.end("TERM"), 0);
    assert_eq!(scratch.read("one/told"), "ready\nTERM\nended\n");
}

#[test]
fn told_to_end_while_it_clears_the_way_it_starts_nothing_and_ends() {
    let scratch = Scratch::new();
    // It ends when the test says so.
    let waits = "trap 'echo >told' TERM; echo >ready; while [ ! -e go ]; do sleep 0.01; done";
    scratch.service("service/old", waits);
    scratch.service("service/new", "exec sleep 2147483647");
    let mut supervise = scratch.daemon(Suite::Ours, "supervise", &["service/old"], "supervise");
    wait_until("it has begun", || scratch.at("service/old/ready").exists());
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svscanboot"));
    command.arg("service");
    let mut boot = scratch.start(command, "svscanboot");
    wait_until("the way is being cleared", || {
        scratch.at("service/old/told").exists()
    });
    boot.signal("TERM");
    scratch.write("service/old/go", "");
    assert_eq!(boot.wait(), 0);
    assert_eq!(supervise.wait(), 0);
    assert!(!scratch.at("service/new/supervise").exists());
}

#[test]
fn told_to_end_while_it_starts_it_leaves_nothing_and_says_so() {
    // What it is told at, by the number of the round: it has begun; its programs have;
    // each of its supervises is about to begin.
    for round in 0..24 {
        let scratch = Scratch::new();
        let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        for name in &names {
            scratch.service(format!("service/{name}"), "exec sleep 2147483647");
            scratch.service(format!("service/{name}/log"), "exec cat");
        }
        let Some(mut world) = World::svscanboot("told_to_end_while", &scratch) else {
            return;
        };
        let blocks_term = || {
            let status = fs::read_to_string(format!("/proc/{}/status", world.first));
            let status = status.unwrap_or_default();
            let blocked = status.split("SigBlk:\t").nth(1).unwrap_or_default();
            let blocked = blocked.split('\n').next().unwrap_or_default();
            u64::from_str_radix(blocked, 16).is_ok_and(|set| set & (1 << (libc::SIGTERM - 1)) != 0)
        };
        wait_until("it hears signals", || {
            blocks_term()
                && match round {
                    0 => true,
                    1 => !children_called(world.first, "readproctitle").is_empty(),
                    2 => !children_called(world.first, "svscan").is_empty(),
                    3 => children_called(world.first, "svscan")
                        .iter()
                        .any(|scanner| !children_called(*scanner, "supervise").is_empty()),
                    _ => {
                        let name = format!("service/{}/supervise/lock", round - 4);
                        scratch.at(name).exists()
                    }
                }
        });
        let signal_name = ["TERM", "INT"][round % 2];
        if round % 3 == 0 {
            signal(world.first, signal_name);
        }
        assert_eq!(world.end(signal_name), 0, "round {round}");
        for name in &names {
            for name in [format!("service/{name}"), format!("service/{name}/log")] {
                // Killed with process 1, its status would still say up.
                assert_eq!(scratch.pid(&name), None, "{name}, round {round}");
            }
        }
    }
}

#[test]
fn a_supervise_on_its_way_out_is_waited_for() {
    let scratch = Scratch::new();
    scratch.service("service/a", "exec sleep 2147483647");
    scratch.mkdir("bin");
    for program in ["svscanboot", "svscan", "readproctitle"] {
        let mut copy = Command::new("cp");
        copy.arg(Suite::Ours.program(program))
            .arg(scratch.at("bin"));
        assert!(copy.status().unwrap().success());
    }
    let gate = fifo(&scratch, "gate");
    let mut gate = fs::File::options()
        .read(true)
        .write(true)
        .open(gate)
        .unwrap();
    // It has closed all that it had open, and takes its time.
    scratch.script(
        "bin/supervise",
        "exec >/dev/null 2>&1; read -r line <../gate",
    );
    let program = scratch.at("bin/svscanboot");
    let test = "a_supervise_on_its_way_out";
    let Some(mut world) = World::start(test, &scratch, &program, &["service"], &[]) else {
        return;
    };
    let supervise = wait_child(world.scanner(), "supervise");
    wait_until("it has closed its stderr", || {
        let open = fs::read_link(format!("/proc/{supervise}/fd/2"));
        open.is_ok_and(|file| file == Path::new("/dev/null"))
    });
    signal(world.first, "TERM");
    wait_until("the title has ended", || {
        children_called(world.first, "readproctitle").is_empty()
    });
    gate.write_all(b"go\n").unwrap();
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn what_hangs_on_to_the_pipe_of_a_log_does_not_hold_up_the_end_for_ever() {
    let scratch = Scratch::new();
    scratch.service(
        "service/runaway",
        "sleep 2147483646 & exec sleep 2147483647",
    );
    scratch.service("service/runaway/log", "exec cat >>all");
    let Some(mut world) = World::svscanboot("what_hangs_on", &scratch) else {
        return;
    };
    scratch.wait_up("service/runaway");
    scratch.wait_up("service/runaway/log");
    let supervise = children_called(world.scanner(), "supervise");
    wait_until("it is in the background", || {
        let sleeps = supervise
            .iter()
            .flat_map(|pid| children_called(*pid, "sleep"));
        sleeps.count() == 1
            && fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                line == b"sleep\x002147483646\0"
            })
    });
    assert_eq!(world.end("TERM"), 0);
}
