//! A `down` or a `log` that appears after an incomplete directory was picked up, and a `log`
//! that is a program.

use super::unpacking::{TOO_LONG, retry_if_slow};
use super::{pair, pipes, svscan, wait_hello, wait_supervise};
use crate::harness::{Scratch, WAITS, children, is_alive, let_time_pass, shell, svc, wait_until};
use std::fs;
use std::time::Instant;

/// Makes `scan/a` with this `run`, and changes something in it until it is picked up all
/// the same. Tells whether the machine was fast enough for that.
fn pick_up_incomplete(scratch: &Scratch, run: &str) -> bool {
    scratch.script("scan/a/run", run);
    let file = scratch.at("scan/a/file");
    let mut last = Instant::now();
    let mut is_fast_enough = true;
    wait_until("it is picked up", || {
        fs::write(&file, "").unwrap();
        fs::remove_file(&file).unwrap();
        is_fast_enough &= last.elapsed() < TOO_LONG;
        last = Instant::now();
        !is_fast_enough || scratch.at("scan/a/supervise/ok").exists()
    });
    is_fast_enough
}

#[test]
fn a_down_that_appears_late_is_obeyed_and_told() {
    retry_if_slow("a late down", |scratch| {
        let _svscan = svscan(scratch);
        shell(scratch, "mkdir scan/a");
        if !pick_up_incomplete(scratch, WAITS) {
            return false;
        }
        scratch.wait_up("scan/a");
        scratch.write("scan/a/down", "");
        scratch.wait_down("scan/a");
        let line = "svscan: warning: a: down appeared after the service was started: stopping it\n";
        assert_eq!(scratch.read("svscan.err"), line);
        // Whoever starts it then is not contradicted.
        svc(scratch, "-u", "scan/a");
        let service = scratch.wait_up("scan/a");
        let_time_pass(scratch);
        assert!(is_alive(service));
        assert_eq!(scratch.read("svscan.err"), line);
        true
    });
}

#[test]
fn a_down_that_appears_late_does_not_contradict_a_command() {
    retry_if_slow("a late down and a command", |scratch| {
        let _svscan = svscan(scratch);
        shell(scratch, "mkdir scan/a");
        if !pick_up_incomplete(scratch, WAITS) {
            return false;
        }
        let service = scratch.wait_up("scan/a");
        scratch.wait_supervised("scan/a");
        svc(scratch, "-u", "scan/a");
        scratch.write("scan/a/down", "");
        let_time_pass(scratch);
        assert!(is_alive(service));
        assert_eq!(scratch.read("svscan.err"), "");
        true
    });
}

#[test]
fn a_down_in_a_directory_that_was_complete_does_not_stop_a_service() {
    let scratch = Scratch::new();
    let _svscan = svscan(&scratch);
    shell(&scratch, "mkdir scan/a");
    scratch.script("scan/a/run", WAITS);
    let service = scratch.wait_up("scan/a");
    scratch.write("scan/a/down", "");
    let_time_pass(&scratch);
    assert!(is_alive(service));
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_service_whose_log_appears_late_is_restarted_as_a_pair_and_that_is_told() {
    retry_if_slow("a late log", |scratch| {
        let svscan = svscan(scratch);
        shell(scratch, "mkdir scan/a");
        if !pick_up_incomplete(scratch, "echo hello; exec sleep 1000") {
            return false;
        }
        let old = scratch.wait_up("scan/a");
        scratch.service("log", "exec cat >> got");
        shell(scratch, "mv log scan/a/log");
        wait_hello(scratch, "scan/a");
        assert!(!is_alive(old));
        wait_supervise(&svscan, "a");
        wait_supervise(&svscan, "log");
        assert_eq!(pipes(&svscan), 1);
        let line = "svscan: warning: a: log appeared after the service was started: \
                    restarting it with log\n";
        assert_eq!(scratch.read("svscan.err"), line);
        // Its supervise is replaced as any other.
        assert_eq!(children(svscan.pid()).len(), 2);
        assert_eq!(scratch.read("scan/a/log/got"), "hello\n");
        true
    });
}

#[test]
fn a_log_that_is_a_program_is_told_once_and_can_be_mended() {
    let scratch = Scratch::new();
    pair(&scratch, "scan/a");
    shell(
        &scratch,
        "mv scan/a/log/run new; rmdir scan/a/log; mv new scan/a/log",
    );
    let svscan = svscan(&scratch);
    let line =
        "svscan: warning: a: log is a program, but must be a directory: move it to log/run\n";
    scratch.wait_up("scan/a");
    wait_until("it is told", || scratch.read("svscan.err").contains(line));
    let_time_pass(&scratch);
    shell(
        &scratch,
        "mkdir new; mv scan/a/log new/run; mv new scan/a/log",
    );
    wait_hello(&scratch, "scan/a");
    wait_supervise(&svscan, "log");
    assert_eq!(scratch.read("svscan.err").matches(line).count(), 1);
}
