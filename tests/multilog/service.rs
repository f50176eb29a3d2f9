//! multilog as the log of a service, under our svscan.

use super::{BATCH, STAMP, text};
use crate::harness::{Scratch, Suite, wait_until};

/// Writes numbered lines as fast as it can, until it is told to stop.
const WRITES: &str = "exec 2>&1; i=0; while ! test -e ../stop; do i=$((i + 1)); \
                      echo \"line $i of the service\"; done; echo $i >../last; exec sleep 1000";

fn svc(scratch: &Scratch, arguments: &[&str]) {
    let output = scratch.run(Suite::Ours, "svc", arguments);
    assert_eq!((output.code, output.errors().as_str()), (0, ""));
}

#[test]
fn a_log_that_is_restarted_killed_stopped_and_started_under_load_loses_nothing() {
    let scratch = Scratch::new();
    scratch.service("a", WRITES);
    scratch.service("a/log", "exec multilog t s20000 n1000000 ./main");
    let _svscan = scratch.svscan();
    scratch.link("a");
    let log = "service/a/log";
    let main = "a/log/main";
    let size = || text(&scratch, main).len();
    let goes_on = || {
        let before = size();
        wait_until("it logs", || size() > before);
    };
    let other = |old: u32| {
        wait_until("there is another multilog", || {
            scratch.pid(log).is_some_and(|pid| pid != old)
        });
    };
    goes_on();
    let mut kills = 0;
    for _ in 0..3 {
        let pid = scratch.wait_up(log);
        svc(&scratch, &["-k", log]);
        kills += 1;
        other(pid);
        goes_on();
        let pid = scratch.wait_up(log);
        svc(&scratch, &["-t", log]);
        other(pid);
        goes_on();
        svc(&scratch, &["-d", log]);
        scratch.wait_down(log);
        svc(&scratch, &["-u", log]);
        goes_on();
        svc(&scratch, &["-a", log]);
        svc(&scratch, &["-p", log]);
        svc(&scratch, &["-c", log]);
        goes_on();
        // The supervise, too; svscan keeps the pipe.
        let pid = scratch.wait_up(log);
        svc(&scratch, &["-dx", log]);
        other(pid);
        svc(&scratch, &["-u", log]);
        goes_on();
    }
    scratch.write("stop", "");
    let mut last = String::new();
    wait_until("the service stops", || {
        last = scratch.read("last");
        last.ends_with('\n')
    });
    let last = format!("line {} of the service", last.trim());
    wait_until("the last line is logged", || {
        text(&scratch, main).trim_end().ends_with(&last)
    });
    svc(&scratch, &["-d", log]);
    scratch.wait_down(log);
    let all = text(&scratch, main);
    let (mut next, mut times, mut twice) = (1, 0, 0);
    for whole in all.lines() {
        let line = &whole[STAMP..];
        let number = line.strip_prefix("line ");
        let number = number.and_then(|number| number.strip_suffix(" of the service"));
        let number = number.and_then(|number| number.parse().ok());
        let number: usize = number.unwrap_or_else(|| panic!("behind {next}: {whole}"));
        if number < next {
            times += 1;
            twice += (next - number) * line.len();
        } else {
            assert_eq!(number, next);
        }
        next = number + 1;
    }
    assert!(times <= kills && twice <= kills * BATCH, "{times}, {twice}");
    assert_eq!(all.lines().last().unwrap()[STAMP..], last);
}

#[test]
fn a_log_that_is_down_keeps_the_service_waiting_and_then_gets_all() {
    let scratch = Scratch::new();
    // More than a pipe holds.
    let writes = "seq -f 'line %.0f of the service' 1 50000; echo >../last; exec sleep 1000";
    scratch.service("a", writes);
    scratch.service("a/log", "exec multilog n1000000 ./main");
    scratch.write("a/log/down", "");
    let _svscan = scratch.svscan();
    scratch.link("a");
    let pid = scratch.wait_up("service/a");
    scratch.wait_down("service/a/log");
    svc(&scratch, &["-u", "service/a/log"]);
    wait_until("all is written", || scratch.at("last").exists());
    let lines = (1..=50_000).map(|number| format!("line {number} of the service\n"));
    let expected: String = lines.collect();
    wait_until("all is logged", || {
        text(&scratch, "a/log/main").len() >= expected.len()
    });
    assert!(text(&scratch, "a/log/main") == expected);
    assert_eq!(scratch.pid("service/a"), Some(pid), "it was never ended");
}
