//! Scripts that call svcstart: for their own service, for what they need, in a circle.

use super::{STAYS, svcstart};
use crate::harness::{Output, Scratch, Suite, children, wait_until};
use std::os::unix::fs::MetadataExt;

/// The service `name`, not started by itself, with this script `start`.
fn service(scratch: &Scratch, name: &str, start: &str) {
    scratch.service(name, STAYS);
    scratch.write(format!("{name}/down"), "");
    scratch.script(format!("{name}/start"), start);
    scratch.link(name);
    scratch.wait_supervised(name);
}

/// A script that goes on when `file` is there.
fn until(file: &str) -> String {
    format!("while [ ! -e {file} ]; do sleep 0.01; done")
}

#[test]
fn what_a_script_needs_may_take_its_time_to_be_started_by_another() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let waits = until("../go");
    service(&scratch, "db", &format!("svc -u .; touch begun; {waits}"));
    service(&scratch, "web", "svcstart ../db || exit 1; svc -u .");
    std::thread::scope(|scope| {
        let db = scope.spawn(|| svcstart(&scratch, &["service/db"]));
        wait_until("db is being started", || scratch.at("db/begun").exists());
        let mut web = scratch.daemon(Suite::Ours, "svcstart", &["service/web"], "web");
        // A dot a second: it once gave up after twenty.
        let dots = || scratch.read("web.out").matches('.').count();
        wait_until("web waits", || dots() > 26);
        assert!(web.runs());
        scratch.write("go", "");
        assert_eq!(db.join().unwrap().code, 0);
        assert_eq!(web.wait(), 0, "{}", scratch.read("web.err"));
    });
}

/// Starts each of these services at the same time, each by somebody of his own; the script
/// of each calls for the next, the last one's for the first, when all have begun.
fn in_a_circle(names: &[&str]) -> Vec<Output> {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for (index, name) in names.iter().enumerate() {
        let next = names[(index + 1) % names.len()];
        let begun: Vec<String> = names
            .iter()
            .map(|name| until(&format!("../{name}/begun")))
            .collect();
        let script = format!(
            "touch begun; {}; svcstart --settle 10ms ../{next} || exit 1; svc -u .",
            begun.join("; ")
        );
        service(&scratch, name, &script);
    }
    std::thread::scope(|scope| {
        let starts: Vec<_> = names
            .iter()
            .map(|name| {
                // For ever, if nothing were found.
                let words = ["--timeout=1h", "--settle=10ms"];
                let service = format!("service/{name}");
                let scratch = &scratch;
                scope.spawn(move || svcstart(scratch, &[words[0], words[1], &service]))
            })
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    })
}

#[test]
fn of_two_that_call_for_each_other_one_fails_and_the_other_goes_on() {
    let outputs = in_a_circle(&["a", "b"]);
    let mut codes: Vec<i32> = outputs.iter().map(|output| output.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 1], "{outputs:?}");
    let failed = outputs.iter().find(|output| output.code == 1).unwrap();
    let said = failed.errors();
    assert!(said.contains("services wait for each other: "), "{said}");
    let names = ["/a waits for ", "/b waits for "];
    assert!(names.iter().any(|name| said.contains(name)), "{said}");
    assert!(said.contains(", which waits for "), "{said}");
}

#[test]
fn of_three_that_call_for_each_other_one_at_least_goes_on() {
    let outputs = in_a_circle(&["a", "b", "c"]);
    assert!(outputs.iter().any(|output| output.code == 0), "{outputs:?}");
    assert!(outputs.iter().all(|output| output.code < 2), "{outputs:?}");
    let is_whole = |line: &str| {
        let names = ["/a", "/b", "/c"];
        let told = line.split_once("services wait for each other: ");
        told.is_some_and(|(_, told)| names.iter().all(|name| told.contains(name)))
    };
    let found = outputs
        .iter()
        .any(|output| output.errors().lines().any(is_whole));
    assert!(found, "{outputs:?}");
}

#[test]
fn who_had_to_wait_for_its_lock_is_known_to_its_script_too() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let waits = until("../go");
    let start = format!("echo here >> log; {waits}; svcstart --settle 10ms . && echo probed");
    service(&scratch, "a", &start);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| svcstart(&scratch, &["service/a"]));
        wait_until("the script runs", || scratch.read("a/log") == "here\n");
        let mut second = scratch.daemon(Suite::Ours, "svcstart", &["service/a"], "second");
        wait_until("the second waits", || !children(second.pid()).is_empty());
        scratch.write("go", "");
        assert_eq!(first.join().unwrap().code, 0);
        assert_eq!(second.wait(), 0, "{}", scratch.read("second.err"));
        assert!(scratch.read("second.out").contains("probed\n"));
        assert_eq!(scratch.read("a/log"), "here\nhere\n");
    });
}

#[test]
fn no_variable_makes_a_command_one_that_a_script_has_called() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let waits = until("../go");
    let start = format!("echo here >> log; svc -u .; {waits}");
    service(&scratch, "a", &start);
    let control = scratch.at("a/supervise/control").metadata().unwrap();
    let own = std::process::id();
    let held = [1, own].map(|pid| format!("{}:{}:{pid}", control.dev(), control.ino()));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| svcstart(&scratch, &["service/a"]));
        wait_until("the script runs", || scratch.read("a/log") == "here\n");
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svcstart"));
        command.arg("service/a").env("SVC_HELD", held.join(" "));
        let mut second = scratch.start(command, "second");
        wait_until("it waits", || !children(second.pid()).is_empty());
        scratch.write("go", "");
        assert_eq!(first.join().unwrap().code, 0);
        assert_eq!(second.wait(), 0, "{}", scratch.read("second.err"));
        assert_eq!(scratch.read("a/log"), "here\nhere\n", "its script ran");
    });
}
