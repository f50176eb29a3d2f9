//! What the kernel may end when memory runs out: a service as before, and never its
//! supervise, svscan or svscanboot, where these may say so.

use crate::harness::{Daemon, Scratch, Suite, children, has, programs, shell, stat, wait_until};
use std::fs;

/// Tells its own value.
const TELLS: &str = "cat /proc/self/oom_score_adj >told; exec sleep 1000";

/// The same, and ends with its input.
const LOG_TELLS: &str = "cat /proc/self/oom_score_adj >told; exec cat >/dev/null";

fn value(pid: u32) -> String {
    let value = fs::read_to_string(format!("/proc/{pid}/oom_score_adj"));
    value.unwrap().trim_end().to_owned()
}

/// Whether this process may have the kernel spare a process: CAP_SYS_RESOURCE.
fn may_spare() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let word = status.split("CapEff:").nth(1).unwrap();
    let word = word.split_ascii_whitespace().next().unwrap();
    u64::from_str_radix(word, 16).unwrap() & (1 << 24) != 0
}

/// Starts `line` in a shell where the value is 77, which anybody may have.
fn start(scratch: &Scratch, line: &str) -> Daemon {
    let mut command = scratch.command(Suite::Ours, "sh");
    let line = format!("echo 77 >/proc/self/oom_score_adj; exec {line}");
    command.args(["-c", &line]);
    scratch.start(command, "tree")
}

/// Two services, one with a log.
fn services(scratch: &Scratch) {
    scratch.service("scan/alone", TELLS);
    scratch.service("scan/pair", TELLS);
    scratch.service("scan/pair/log", LOG_TELLS);
}

#[test]
fn services_logs_and_readproctitle_inherit_what_svscanboot_did_and_the_rest_is_spared() {
    for is_same_file in [true, false] {
        let scratch = Scratch::new();
        programs(&scratch, is_same_file);
        for name in ["svscanboot", "readproctitle"] {
            let program = fs::read(Suite::Ours.program(name)).unwrap();
            scratch.executable(format!("programs/{name}"), program);
        }
        services(&scratch);
        let mut boot = start(&scratch, "programs/svscanboot scan");
        let spared = if may_spare() { "-1000" } else { "77" };
        for name in ["scan/alone", "scan/pair", "scan/pair/log"] {
            let service = scratch.wait_up(name);
            wait_until("it has told", || {
                scratch.read(format!("{name}/told")) == "77\n"
            });
            let supervise: u32 = stat(service)[1].parse().unwrap();
            assert_eq!([value(service), value(supervise)], ["77", spared]);
        }
        for pid in children(boot.pid()) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
            let expected = if name == "svscan\n" { spared } else { "77" };
            assert_eq!(value(pid), expected, "{name}");
        }
        assert_eq!(value(boot.pid()), spared);
        boot.signal("TERM");
        assert_eq!(boot.wait(), 0);
    }
}

/// The values that each process of `trace` sets, by the name of the program that it
/// executed last, sorted.
fn set_values(trace: &str) -> Vec<String> {
    let mut values = Vec::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else {
            continue;
        };
        if let Some((_, rest)) = call.split_once("oom_score_adj>, \"") {
            let executed = |line: &&str| line.starts_with(pid) && line.contains("execve(\"");
            let before = trace.split(line).next().unwrap();
            let program = before.lines().rfind(executed).map_or("forked", |line| {
                let path = line.split('"').nth(1).unwrap();
                path.rsplit('/').next().unwrap()
            });
            let value = rest.split(['"', '\\']).next().unwrap();
            values.push(format!("{program} {value}"));
        }
    }
    values.sort();
    values
}

/// As far as a test can go that may not have a process spared: strace lets the programs
/// think that they may.
#[test]
fn each_process_spares_itself_and_gives_back_what_it_inherited_before_the_next_program() {
    if !has("what is spared", &["strace"]) {
        return;
    }
    for is_same_file in [true, false] {
        let scratch = Scratch::new();
        programs(&scratch, is_same_file);
        services(&scratch);
        let strace =
            "strace -f -y -qq -o trace -e trace=pwrite64,execve -e inject=pwrite64:retval=5";
        let mut svscan = start(&scratch, &format!("{strace} programs/svscan scan"));
        for name in ["alone", "pair", "pair/log"] {
            wait_until("it has told", || {
                scratch.read(format!("scan/{name}/told")) == "77\n"
            });
        }
        let executed = if is_same_file { 0 } else { 3 };
        let expected: Vec<&str> = [
            // To be a service, or a supervise first.
            vec!["forked 77"; 3 + executed],
            vec!["supervise -1000"; executed],
            vec!["svscan -1000"],
        ]
        .concat();
        wait_until("all have set their values", || {
            set_values(&scratch.read("trace")) == expected
        });
        shell(&scratch, "svc -dx scan/* scan/pair/log");
        svscan.signal("KILL");
        svscan.wait();
    }
}
