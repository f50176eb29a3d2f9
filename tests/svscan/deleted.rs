//! Service directories that are deleted while their services run.

use super::{children, pair, supervises, svscan, wait_another, wait_hello, wait_supervise, words};
use crate::harness::{
    Scratch, Suite, WAITS, cpu, is_alive, let_time_pass, shell, signal, sleeps, svc, wait_until,
};

/// Replaces the service `name` by a copy of `template`, as an installer does.
fn replace(scratch: &Scratch, name: &str) {
    let script = format!("rm -rf {name} && cp -r template {name}");
    shell(scratch, &script);
}

/// Waits until the service `name` is up and its `run`, which may be deleted then, executed.
fn wait_executed(scratch: &Scratch, name: &str) -> u32 {
    let pid = scratch.wait_up(name);
    wait_until("it is executed", || words(pid) == ["sleep", "1000"]);
    pid
}

#[test]
fn the_successor_of_a_deleted_directory_waits_for_the_end_of_the_service_in_it() {
    let scratch = Scratch::new();
    scratch.service("template", WAITS);
    scratch.service("scan/a", WAITS);
    let svscan = svscan(&scratch);
    let old_service = wait_executed(&scratch, "scan/a");
    let old = wait_supervise(&svscan, "a");
    replace(&scratch, "scan/a");
    scratch.wait_supervised("scan/a");
    let new = supervises(&svscan, "a");
    assert_eq!(new.len(), 2);
    let_time_pass(&scratch);
    assert!(is_alive(old_service) && is_alive(old));
    assert_eq!(scratch.pid("scan/a"), None, "two copies would run");
    let line = scratch.svstat("scan/a");
    assert!(
        line.starts_with("down ") && line.contains("want up"),
        "{line}"
    );
    // And once more: the one that waits has nothing to wait for.
    replace(&scratch, "scan/a");
    scratch.wait_supervised("scan/a");
    wait_until("the one in between has ended", || {
        supervises(&svscan, "a").len() == 2
    });
    assert_eq!(scratch.pid("scan/a"), None);
    signal(old_service, "TERM");
    scratch.wait_up("scan/a");
    wait_until("only the new supervise is left", || {
        !is_alive(old) && children(svscan.pid()).len() == 1
    });
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_command_starts_the_successor_or_keeps_it_down() {
    let scratch = Scratch::new();
    scratch.service("template", WAITS);
    for name in ["scan/up", "scan/down"] {
        scratch.service(name, WAITS);
    }
    let svscan = svscan(&scratch);
    let services = ["scan/up", "scan/down"].map(|name| wait_executed(&scratch, name));
    for name in ["scan/up", "scan/down"] {
        replace(&scratch, name);
        scratch.wait_supervised(name);
    }
    svc(&scratch, "-u", "scan/up");
    scratch.wait_up("scan/up");
    assert!(is_alive(services[0]));
    svc(&scratch, "-d", "scan/down");
    for pid in services {
        signal(pid, "TERM");
    }
    wait_until("both old supervises have ended", || {
        children(svscan.pid()).len() == 2
    });
    let_time_pass(&scratch);
    assert_eq!(scratch.pid("scan/down"), None);
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn the_log_of_a_deleted_pair_ends_with_its_service_and_the_new_pair_starts() {
    let scratch = Scratch::new();
    scratch.service("template", "echo new; exec sleep 1000");
    scratch.service("template/log", "exec cat >>got");
    pair(&scratch, "scan/a");
    // Where its lines are still seen when the directory is deleted.
    scratch.script("scan/a/log/run", "exec cat >>../../../old");
    let svscan = svscan(&scratch);
    let service = scratch.wait_up("scan/a");
    let log = scratch.wait_up("scan/a/log");
    wait_until("the log hears it", || scratch.read("old") == "hello\n");
    replace(&scratch, "scan/a");
    scratch.wait_supervised("scan/a");
    scratch.wait_supervised("scan/a/log");
    assert!(is_alive(service) && is_alive(log));
    signal(service, "TERM");
    wait_until("the old log has ended", || !is_alive(log));
    wait_until("the new log hears the new service", || {
        scratch.read("scan/a/log/got") == "new\n"
    });
    wait_until("the old supervises have ended", || {
        children(svscan.pid()).len() == 2
    });
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_supervise_with_nothing_to_do_ends_when_its_directory_is_deleted() {
    let scratch = Scratch::new();
    pair(&scratch, "scan/a");
    for half in ["scan/a", "scan/a/log"] {
        scratch.write(format!("{half}/down"), "");
    }
    let svscan = svscan(&scratch);
    for half in ["scan/a", "scan/a/log"] {
        scratch.wait_supervised(half);
    }
    shell(&scratch, "rm -rf scan/a");
    wait_until("both have ended", || children(svscan.pid()).is_empty());
    assert_eq!(scratch.read("svscan.err"), "");
    // svscan knows nothing of it any more.
    pair(&scratch, "new");
    shell(&scratch, "mv new scan/a");
    wait_hello(&scratch, "scan/a");
}

#[test]
fn a_directory_that_is_deleted_after_its_entry_is_noticed_with_the_next_change() {
    let scratch = Scratch::new();
    pair(&scratch, "store/a");
    shell(&scratch, "mkdir scan; ln -s ../store/a scan");
    let svscan = svscan(&scratch);
    wait_hello(&scratch, "store/a");
    // An uninstaller that neither says `x` nor thinks of the log.
    shell(&scratch, "rm scan/a");
    svc(&scratch, "-d", "store/a");
    wait_until("it is down", || scratch.pid("store/a").is_none());
    shell(&scratch, "rm -rf store/a");
    shell(&scratch, "touch scan/file");
    wait_until("both have ended", || children(svscan.pid()).is_empty());
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_supervise_without_svscan_ends_with_the_service_of_a_deleted_directory() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let mut supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "supervise");
    let service = wait_executed(&scratch, "a");
    shell(&scratch, "rm -rf a");
    let_time_pass(&scratch);
    assert!(supervise.runs() && is_alive(service));
    signal(service, "TERM");
    assert_eq!(supervise.wait(), 0);
    assert_eq!(scratch.read("supervise.err"), "");
}

#[test]
fn a_supervise_whose_files_are_removed_goes_on_and_sleeps() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let svscan = svscan(&scratch);
    let old = scratch.wait_up("scan/a");
    let supervise = wait_supervise(&svscan, "a");
    shell(&scratch, "rm -rf scan/a/supervise");
    signal(old, "TERM");
    wait_until("the service is started again", || {
        let now = children(supervise);
        now.len() == 1 && now[0] != old
    });
    let_time_pass(&scratch);
    let before = sleeps(supervise);
    let_time_pass(&scratch);
    let_time_pass(&scratch);
    assert_eq!(sleeps(supervise), before, "it wakes for what is gone");
    assert!(cpu(supervise) < 20);
    assert!(!scratch.at("scan/a/supervise").exists());
    // The next one makes them anew.
    signal(supervise, "KILL");
    wait_another(&svscan, "a", supervise);
    scratch.wait_up("scan/a");
}
