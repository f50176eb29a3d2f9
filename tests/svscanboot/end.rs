//! How svscanboot ends: everything, in order.

use super::{World, children, fifo};
use crate::harness::{Scratch, Suite, signal, wait_until};
use std::fs;
use std::path::Path;

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
        children(world.first, "svscan").is_empty()
    });
    fs::write(&slow, "go\n").unwrap();
    assert_eq!(world.end("TERM"), 0);
    assert_eq!(scratch.read("one/told"), "ready\nTERM\nended\n");
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
    let supervise = children(world.scanner(), "supervise");
    wait_until("it is in the background", || {
        let sleeps = supervise.iter().flat_map(|pid| children(*pid, "sleep"));
        sleeps.count() == 1
            && fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                line == b"sleep\x002147483646\0"
            })
    });
    assert_eq!(world.end("TERM"), 0);
}
