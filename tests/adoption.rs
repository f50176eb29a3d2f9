//! A supervise that was killed: what the next one does with its service.

use crate::harness::numbers::Numbers;
use crate::harness::{
    Daemon, Scratch, Suite, has, is_alive, is_root, signal, stat, status, supervise, svc,
    wait_until,
};
use daemontools_rs::formats::status::Want;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Tells of each start, and of a second copy of itself.
const ALONE: &str = r#"
exec 9>>alone
flock -n 9 || echo $$ >>doubles
echo $$ >>starts
exec sleep 1000
"#;

fn starts(scratch: &Scratch, name: &str) -> usize {
    scratch.read(format!("{name}/starts")).lines().count()
}

/// Kills the supervise and starts the next.
fn replace(scratch: &Scratch, name: &str, mut old: Daemon) -> Daemon {
    old.signal("KILL");
    old.wait();
    supervise(scratch, name)
}

/// Waits until the service has been started so often and the status tells of that, and
/// gives its pid.
fn wait_starts(scratch: &Scratch, name: &str, count: usize) -> u32 {
    let mut pid = 0;
    wait_until(&format!("{name} is started {count} times"), || {
        let starts = scratch.read(format!("{name}/starts"));
        pid = starts.lines().last().map_or(0, |pid| pid.parse().unwrap());
        starts.lines().count() >= count && scratch.pid(name) == Some(pid)
    });
    pid
}

/// Starts the service for the first time, kills its supervise, and gives the service's pid.
fn orphan(scratch: &Scratch, name: &str) -> u32 {
    let mut first = supervise(scratch, name);
    let pid = wait_starts(scratch, name, 1);
    first.signal("KILL");
    first.wait();
    pid
}

#[test]
fn the_service_of_a_killed_supervise_is_adopted_and_obeys() {
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let first = supervise(&scratch, "a");
    let pid = wait_starts(&scratch, "a", 1);
    let before = status(&scratch, "a");
    let mode = |name| fs::metadata(scratch.at(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("a/supervise/state"), mode("a/supervise/status"));
    let mut supervise = replace(&scratch, "a", first);
    assert_eq!(status(&scratch, "a"), before);
    assert_eq!(scratch.state("a", "pid"), Some(pid.to_string()));
    svc(&scratch, "-p", "a");
    wait_until("it is paused", || {
        status(&scratch, "a").paused && stat(pid)[0] == "T"
    });
    supervise = replace(&scratch, "a", supervise);
    assert!(status(&scratch, "a").paused && is_alive(pid));
    // It is ended, and started again.
    svc(&scratch, "-ct", "a");
    assert_ne!(wait_starts(&scratch, "a", 2), pid);
    assert_eq!(scratch.state("a", "ended-pid"), Some(pid.to_string()));
    let signal = scratch.state("a", "ended-signal");
    assert!(
        signal.is_none() || signal == Some("15".to_owned()),
        "{signal:?}"
    );
    assert_eq!(scratch.state("a", "ended-exit"), None);
    supervise = replace(&scratch, "a", supervise);
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.wait(), 0);
    assert_eq!(
        (starts(&scratch, "a"), scratch.read("a/doubles")),
        (2, String::new())
    );
}

#[test]
fn a_service_that_has_ended_unseen_is_started_again_and_its_end_is_unknown() {
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let pid = orphan(&scratch, "a");
    signal(pid, "TERM");
    wait_until("it has ended", || !is_alive(pid));
    let _next = supervise(&scratch, "a");
    wait_starts(&scratch, "a", 2);
    assert_eq!(scratch.state("a", "ended-pid"), Some(pid.to_string()));
    let how = ["ended-exit", "ended-signal"].map(|key| scratch.state("a", key));
    assert_eq!(how, [None, None]);
}

#[test]
fn an_adopted_service_that_is_ended_while_nobody_looks_is_noticed_by_the_next_adopter() {
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let first = supervise(&scratch, "a");
    let pid = wait_starts(&scratch, "a", 1);
    let mut second = replace(&scratch, "a", first);
    second.signal("KILL");
    second.wait();
    signal(pid, "KILL");
    let _third = supervise(&scratch, "a");
    wait_starts(&scratch, "a", 2);
    assert_eq!(scratch.read("a/doubles"), "");
}

#[test]
fn a_copy_of_a_service_directory_adopts_nothing() {
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let pid = orphan(&scratch, "a");
    let copied = std::process::Command::new("cp")
        .args(["-a", "a", "b"])
        .current_dir(scratch.path())
        .status();
    assert!(copied.unwrap().success());
    let mut other = supervise(&scratch, "b");
    let its = wait_starts(&scratch, "b", 2);
    assert_ne!(its, pid);
    svc(&scratch, "-dx", "b");
    other.wait();
    assert!(is_alive(pid));
    let _next = supervise(&scratch, "a");
    assert_eq!(scratch.wait_up("a"), pid);
    assert_eq!(starts(&scratch, "a"), 1);
}

#[test]
fn where_the_record_is_damaged_nothing_is_started_but_by_u() {
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let mut first = supervise(&scratch, "a");
    wait_starts(&scratch, "a", 1);
    svc(&scratch, "-t", "a");
    let pid = wait_starts(&scratch, "a", 2);
    first.signal("KILL");
    first.wait();
    let mut record = fs::read(scratch.at("a/supervise/state")).unwrap();
    let sum = record.len() - 3;
    record[sum] ^= 1;
    fs::write(scratch.at("a/supervise/state"), &record).unwrap();
    let next = supervise(&scratch, "a");
    let errors = scratch.read("supervise.err");
    let expected = format!(
        "supervise: warning: a: not started, because process {pid} may be its ./run under an \
         earlier supervise; svc -u starts it\n"
    );
    assert_eq!(errors, expected);
    assert_eq!(status(&scratch, "a").want, Want::Down);
    // Nor by the one after that.
    let _next = replace(&scratch, "a", next);
    assert_eq!((scratch.pid("a"), starts(&scratch, "a")), (None, 2));
    signal(pid, "KILL");
    wait_until("it has ended", || !is_alive(pid));
    svc(&scratch, "-u", "a");
    let pid = wait_starts(&scratch, "a", 3);
    assert_eq!(scratch.state("a", "pid"), Some(pid.to_string()));
    let child = scratch.state("a", "child").unwrap();
    assert!(child.starts_with(&format!("{pid} ")), "{child}");
}

#[test]
fn what_is_wanted_outlives_a_supervise_in_its_tree_and_no_longer() {
    let scratch = Scratch::new();
    for name in ["a", "b", "c"] {
        scratch.service(format!("service/{name}"), ALONE);
    }
    let mut svscan = scratch.svscan();
    for name in ["a", "b", "c"] {
        wait_starts(&scratch, &format!("service/{name}"), 1);
    }
    // `once` is remembered like `down`; `x` is not.
    svc(&scratch, "-d", "service/a");
    svc(&scratch, "-ot", "service/b");
    for name in ["a", "b"] {
        scratch.wait_down(&format!("service/{name}"));
    }
    let supervises = |scratch: &Scratch| -> Vec<String> {
        ["a", "b", "c"]
            .map(|name| {
                scratch
                    .state(&format!("service/{name}"), "supervise")
                    .unwrap()
            })
            .to_vec()
    };
    let old = supervises(&scratch);
    for pid in &old {
        signal(pid.parse().unwrap(), "KILL");
    }
    wait_until("there are others", || {
        let new = supervises(&scratch);
        new.iter().zip(&old).all(|(new, old)| new != old)
    });
    for name in ["a", "b", "c"] {
        scratch.wait_supervised(&format!("service/{name}"));
    }
    let want = |name: &str| status(&scratch, &format!("service/{name}")).want;
    assert_eq!(
        [want("a"), want("b"), want("c")],
        [Want::Down, Want::Once, Want::Up]
    );
    let count = |name: &str| starts(&scratch, &format!("service/{name}"));
    assert_eq!([count("a"), count("b"), count("c")], [1, 1, 1]);
    // The tree ends, and is started anew.
    svscan.signal("KILL");
    svscan.wait();
    let old = supervises(&scratch);
    for pid in &old {
        signal(pid.parse().unwrap(), "KILL");
    }
    let _svscan = scratch.svscan();
    for name in ["a", "b"] {
        wait_starts(&scratch, &format!("service/{name}"), 2);
    }
    wait_until("c is adopted", || {
        scratch.state("service/c", "supervise").as_ref() != old.last()
    });
    assert_eq!(count("c"), 1);
    for name in ["a", "b", "c"] {
        assert_eq!(scratch.read(format!("service/{name}/doubles")), "");
    }
}

#[test]
fn killed_at_any_moment_of_a_start_there_is_never_a_second_copy() {
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let rounds: usize =
        std::env::var("ADOPTION_ROUNDS").map_or(60, |rounds| rounds.parse().unwrap());
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    for _ in 0..rounds {
        let mut supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "supervise");
        // From before the fork to long after the exec.
        let longest = 1 << numbers.below(13);
        let pause = numbers.below(longest) as u64;
        let end = std::time::Instant::now() + std::time::Duration::from_micros(pause);
        while std::time::Instant::now() < end {}
        supervise.signal("KILL");
        supervise.wait();
        if numbers.one_in(2)
            && let Some(pid) = scratch.state("a", "pid").and_then(|pid| pid.parse().ok())
            && pid != 0
            // Not the flock in between, which would hold the lock a moment longer.
            && scratch.read(format!("/proc/{pid}/comm")) == "sleep\n"
        {
            signal(pid, "KILL");
        }
    }
    let mut last = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    assert_eq!(scratch.read("a/doubles"), "");
    svc(&scratch, "-dx", "a");
    assert_eq!(last.wait(), 0);
    assert!(!is_alive(pid));
    let left: Vec<u32> = scratch.processes();
    assert_eq!(left, []);
}

#[test]
fn where_proc_is_that_of_another_pid_namespace_the_record_identifies_no_process() {
    let test = "a /proc of another pid namespace";
    if !is_root(test) || !has(test, &["unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", ALONE);
    let mut command = scratch.command(Suite::Ours, "unshare");
    command.args(["--pid", "--fork", "--kill-child", "supervise", "a"]);
    let _unshare = scratch.start(command, "unshare");
    wait_until("there is a record", || {
        scratch.state("a", "phase") == Some("up".to_owned())
    });
    let namespace = scratch.state("a", "namespace");
    assert_eq!(namespace, Some("0".to_owned()));
}
