const STAYS: &str = "exec sleep 1000";

use crate::harness::{Scratch, Suite, is_alive, wait_until};

#[test]
fn a_running_service_gets_a_new_process() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    let old = scratch.wait_up("a");
    let output = scratch.run(
        Suite::Ours,
        "svcrestart",
        &["--settle", "10ms", "service/a"],
    );
    assert_eq!(output.code, 0, "{output:?}");
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("Stopping service/a .") && lines[0].ends_with("OK"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("Starting service/a .") && lines[1].ends_with("OK"),
        "{text}"
    );
    assert!(!is_alive(old));
    assert_ne!(scratch.wait_up("a"), old);
}

#[test]
fn a_service_that_is_down_is_said_to_be_and_left_so() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.write("a/down", "");
    scratch.link("a");
    scratch.wait_supervised("a");
    let before = std::fs::read(scratch.at("a/supervise/status")).unwrap();
    let output = scratch.run(Suite::Ours, "svcrestart", &["service/a"]);
    assert_eq!(output.code, 0);
    assert_eq!(output.text(), "service/a is down: not restarted\n");
    let output = scratch.run(Suite::Ours, "svcrestart", &["-q", "service/a"]);
    assert_eq!((output.code, output.text().as_str()), (0, ""));
    assert_eq!(
        std::fs::read(scratch.at("a/supervise/status")).unwrap(),
        before
    );
}

#[test]
fn a_service_between_two_starts_runs() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", "if [ -e mended ]; then exec sleep 1000; fi; exit 1");
    scratch.link("a");
    wait_until("it is between two starts", || {
        scratch.svstat("a").contains("want up")
    });
    scratch.write("a/mended", "");
    let output = scratch.run(
        Suite::Ours,
        "svcrestart",
        &["--settle", "10ms", "service/a"],
    );
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.text().contains("Starting service/a"));
}

#[test]
fn what_does_not_stop_is_not_started() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/stop", "exit 1");
    scratch.link("a");
    let pid = scratch.wait_up("a");
    let output = scratch.run(Suite::Ours, "svcrestart", &["service/a"]);
    assert_eq!(output.code, 1);
    assert_eq!(output.text(), "Stopping service/a .FAILED\n");
    assert_eq!(scratch.pid("a"), Some(pid));
}
