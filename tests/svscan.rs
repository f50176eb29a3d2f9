//! svscan with real supervises.

mod deleted;
mod killed;
mod late;
mod links;
mod unpacking;

use crate::harness::{
    Daemon, Scratch, Stranger, Suite, WAITS, children, cpu, descriptors, is_alive, let_time_pass,
    shell, signal, sleeps, svc, wait_until,
};
use daemontools_rs::service::{Supervised, is_supervised};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Our svscan on the directory `scan`, which is made if need be.
fn svscan(scratch: &Scratch) -> Daemon {
    scratch.mkdir("scan");
    let svscan = scratch.daemon(Suite::Ours, "svscan", &["scan"], "svscan");
    wait_until("svscan watches", || {
        fs::read_dir(format!("/proc/{}/fd", svscan.pid()))
            .is_ok_and(|fds| fds.flatten().any(|fd| is_inotify(&fd.path())))
    });
    svscan
}

fn is_inotify(fd: &Path) -> bool {
    fs::read_link(fd).is_ok_and(|to| to.to_string_lossy().contains("inotify"))
}

/// Renames `from` to `to`, both in the scratch directory.
fn rename(scratch: &Scratch, from: &str, to: &str) {
    fs::rename(scratch.at(from), scratch.at(to)).unwrap();
}

/// The words a process was started with.
fn words(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    line.split_terminator('\0').map(str::to_owned).collect()
}

/// The supervises that svscan has started with the operand `name`.
fn supervises(svscan: &Daemon, name: &str) -> Vec<u32> {
    let mut pids = children(svscan.pid());
    pids.retain(|pid| words(*pid) == ["supervise", name]);
    pids
}

/// Waits until there is just one, and gives it.
fn wait_supervise(svscan: &Daemon, name: &str) -> u32 {
    wait_until(&format!("there is one supervise {name}"), || {
        supervises(svscan, name).len() == 1
    });
    supervises(svscan, name)[0]
}

/// Waits until there is just one that is not `old`, and gives it.
fn wait_another(svscan: &Daemon, name: &str, old: u32) -> u32 {
    wait_until(&format!("there is another supervise {name}"), || {
        let now = supervises(svscan, name);
        now.len() == 1 && now[0] != old
    });
    supervises(svscan, name)[0]
}

/// How many pipes svscan holds: those of which it has both ends, which none
/// of the descriptors it was given is.
fn pipes(svscan: &Daemon) -> usize {
    let targets: Vec<PathBuf> = descriptors(svscan.pid())
        .into_iter()
        .filter_map(|fd| fs::read_link(format!("/proc/{}/fd/{fd}", svscan.pid())).ok())
        .filter(|to| to.to_string_lossy().starts_with("pipe:"))
        .collect();
    let different: BTreeSet<&PathBuf> = targets.iter().collect();
    targets.len() - different.len()
}

/// Makes a pair whose main half says a line and whose log keeps what it hears in `got`.
fn pair(scratch: &Scratch, name: &str) {
    scratch.service(name, "echo hello; exec sleep 1000");
    scratch.service(format!("{name}/log"), "exec cat >> got");
}

fn wait_hello(scratch: &Scratch, name: &str) {
    wait_until(&format!("the log of {name} hears it"), || {
        scratch
            .read(format!("{name}/log/got"))
            .starts_with("hello\n")
    });
}

#[test]
fn what_is_there_at_the_start_is_taken_up_but_files_and_dot_names_are_not() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.service("scan/.hidden", WAITS);
    scratch.mkdir("scan");
    scratch.write("scan/file", "");
    pair(&scratch, "scan/b");
    let svscan = svscan(&scratch);
    scratch.wait_up("scan/a");
    wait_hello(&scratch, "scan/b");
    wait_until("three supervises run", || children(svscan.pid()).len() == 3);
    assert!(!scratch.at("scan/.hidden/supervise").exists());
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_directory_that_is_renamed_in_is_taken_up() {
    let scratch = Scratch::new();
    let _svscan = svscan(&scratch);
    scratch.service("new", WAITS);
    rename(&scratch, "new", "scan/a");
    scratch.wait_up("scan/a");
    // From a dot name, which is how it is done in one directory.
    scratch.service("scan/.b", WAITS);
    rename(&scratch, "scan/.b", "scan/b");
    scratch.wait_up("scan/b");
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_directory_that_is_linked_in_is_taken_up() {
    let scratch = Scratch::new();
    let svscan = svscan(&scratch);
    pair(&scratch, "store/a");
    symlink("../store/a", scratch.at("scan/a")).unwrap();
    wait_hello(&scratch, "scan/a");
    symlink("../store/a", scratch.at("scan/b")).unwrap();
    let_time_pass(&scratch);
    assert_eq!(
        supervises(&svscan, "b"),
        [0; 0],
        "a second link is nothing new"
    );
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_directory_that_is_made_in_place_is_taken_up_when_it_is_whole() {
    let scratch = Scratch::new();
    let svscan = svscan(&scratch);
    shell(&scratch, "mkdir scan/a");
    // Time for more than one look at what has no run.
    shell(&scratch, "mkdir scan/a/log");
    scratch.script("scan/a/log/run", "exec cat >> got");
    scratch.script("scan/a/run", "echo hello; exec sleep 1000");
    wait_hello(&scratch, "scan/a");
    wait_supervise(&svscan, "log");
    assert_eq!(scratch.read("scan/a/log/got"), "hello\n");
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_copied_directory_with_a_log_becomes_a_pair() {
    let scratch = Scratch::new();
    let svscan = svscan(&scratch);
    pair(&scratch, "template");
    shell(&scratch, "cp -r template scan/a");
    wait_hello(&scratch, "scan/a");
    wait_supervise(&svscan, "a");
    wait_supervise(&svscan, "log");
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_directory_made_in_place_without_a_run_is_supervised_in_the_end() {
    let scratch = Scratch::new();
    let _svscan = svscan(&scratch);
    shell(&scratch, "mkdir scan/a");
    scratch.wait_supervised("scan/a");
    scratch.script("scan/a/run", WAITS);
    scratch.wait_up("scan/a");
    let line = "supervise: fatal: unable to start a/run: file does not exist\n";
    assert!(scratch.read("svscan.err").starts_with(line));
}

#[test]
fn a_directory_made_in_place_of_a_removed_one_gets_a_supervise_of_its_own() {
    let scratch = Scratch::new();
    // It ends only when the test says so.
    let run = "trap : TERM; sleep 1000 & echo $! > sleeper; wait; read line < ../../gate";
    scratch.service("store/a", run);
    shell(&scratch, "mkfifo gate; mkdir scan; mv store/a scan/a");
    let svscan = svscan(&scratch);
    scratch.wait_up("scan/a");
    wait_until("the service can be ended", || {
        !scratch.read("scan/a/sleeper").is_empty()
    });
    let old = wait_supervise(&svscan, "a");
    let_time_pass(&scratch);
    svc(&scratch, "-dx", "scan/a");
    // Both changes are told as one, as on a busy machine.
    svscan.signal("STOP");
    shell(&scratch, "rm -r scan/a; mkdir scan/a");
    svscan.signal("CONT");
    scratch.write("gate", "go on\n");
    wait_until("the old supervise is gone", || !is_alive(old));
    shell(&scratch, "mkdir scan/a/log");
    scratch.script("scan/a/log/run", "exec cat >> got");
    scratch.script("scan/a/run", "echo hello; exec sleep 1000");
    wait_hello(&scratch, "scan/a");
    wait_supervise(&svscan, "a");
    assert!(!scratch.read("svscan.err").contains("acquire"));
}

#[test]
fn a_directory_made_in_place_of_one_whose_supervise_has_just_ended_is_a_new_one() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.service("template", WAITS);
    scratch.service("template/log", "exec cat >> got");
    scratch.write("template/down", "");
    let svscan = svscan(&scratch);
    scratch.wait_up("scan/a");
    // The end and the changes are told as one. Most file systems give the new directory the
    // inode number of the old one.
    svscan.signal("STOP");
    svc(&scratch, "-dx", "scan/a");
    wait_until("supervise has ended", || {
        scratch.svstat("scan/a") == "supervise not running"
    });
    shell(&scratch, "rm -r scan/a; cp -r template scan/a");
    svscan.signal("CONT");
    scratch.wait_supervised("scan/a/log");
    assert_eq!(scratch.pid("scan/a"), None);
}

#[test]
fn a_supervise_that_is_killed_or_told_to_exit_is_back() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.write("scan/a/down", "");
    let svscan = svscan(&scratch);
    let first = wait_supervise(&svscan, "a");
    scratch.wait_supervised("scan/a");
    signal(first, "KILL");
    let second = wait_another(&svscan, "a", first);
    scratch.wait_supervised("scan/a");
    svc(&scratch, "-x", "scan/a");
    let third = wait_another(&svscan, "a", second);
    scratch.wait_supervised("scan/a");
    svc(&scratch, "-u", "scan/a");
    let service = scratch.wait_up("scan/a");
    svc(&scratch, "-dx", "scan/a");
    wait_another(&svscan, "a", third);
    assert!(!is_alive(service));
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_supervise_that_was_told_to_exit_is_replaced_four_seconds_later_or_when_alrm_asks_for_it() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let mut svscan = svscan(&scratch);
    let mut supervise = wait_supervise(&svscan, "a");
    let mut exit = |svscan: &Daemon, is_asked: bool| {
        scratch.wait_supervised("scan/a");
        svc(&scratch, "-dx", "scan/a");
        let told = Instant::now();
        wait_until("it has ended", || !is_alive(supervise));
        if is_asked {
            svscan.signal("ALRM");
        }
        // Something else that changes changes nothing.
        scratch.mkdir("scan/.hidden");
        scratch.write("scan/file", "");
        supervise = wait_another(svscan, "a", supervise);
        told.elapsed()
    };
    assert!(exit(&svscan, false) >= Duration::from_secs(4));
    // A busy machine may take that long, too, but not always.
    let is_early = |_| exit(&svscan, true) < Duration::from_secs(4);
    assert!((0..10).any(is_early));
    assert!(svscan.runs());
    scratch.wait_up("scan/a");
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn alrm_takes_up_what_nobody_has_told_of() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    scratch.mkdir("scan");
    let Some(command) = scratch.without_inotify("ALRM without inotify", "exec svscan scan") else {
        return;
    };
    let svscan = scratch.start(command, "svscan");
    scratch.service("scan/first", WAITS);
    scratch.wait_up("scan/first");
    let is_early = |number: i32| {
        let name = format!("scan/{number}");
        scratch.service("new", WAITS);
        rename(&scratch, "new", &name);
        let begun = Instant::now();
        svscan.signal("ALRM");
        scratch.wait_up(&name);
        begun.elapsed() < Duration::from_secs(2)
    };
    // A scan every five seconds is not that early five times in a row.
    assert!((0..10).filter(|number| is_early(*number)).count() >= 5);
}

#[test]
fn a_renamed_service_goes_on_and_is_started_under_its_new_name() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let svscan = svscan(&scratch);
    let service = scratch.wait_up("scan/a");
    let old = wait_supervise(&svscan, "a");
    rename(&scratch, "scan/a", "scan/b");
    let_time_pass(&scratch);
    assert_eq!(children(svscan.pid()), [old]);
    assert_eq!(scratch.pid("scan/b"), Some(service));
    svc(&scratch, "-dx", "scan/b");
    wait_supervise(&svscan, "b");
    scratch.wait_up("scan/b");
    assert_eq!(children(svscan.pid()).len(), 1);
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_removed_service_that_is_told_to_exit_is_forgotten_with_its_pipe() {
    let scratch = Scratch::new();
    pair(&scratch, "scan/a");
    let svscan = svscan(&scratch);
    wait_hello(&scratch, "scan/a");
    wait_until("the pipe is there", || pipes(&svscan) == 1);
    for round in 0..3 {
        rename(&scratch, "scan/a", "scan/.a");
        for half in ["scan/.a", "scan/.a/log"] {
            scratch.wait_supervised(half);
            svc(&scratch, "-dx", half);
        }
        wait_until("it is forgotten", || {
            children(svscan.pid()).is_empty() && pipes(&svscan) == 0
        });
        let heard = scratch.read("scan/.a/log/got");
        assert_eq!(heard, "hello\n".repeat(round + 1));
        rename(&scratch, "scan/.a", "scan/a");
        wait_until("it is taken up again", || {
            scratch.read("scan/a/log/got").len() > heard.len()
        });
    }
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_replaced_service_runs_beside_the_new_one_until_it_is_told_to_exit() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let svscan = svscan(&scratch);
    let old = scratch.wait_up("scan/a");
    scratch.service("new", WAITS);
    shell(&scratch, "mv scan/a old; mv new scan/a");
    let new = scratch.wait_up("scan/a");
    assert_ne!(old, new);
    assert!(is_alive(old));
    assert_eq!(supervises(&svscan, "a").len(), 2);
    svc(&scratch, "-dx", "old");
    wait_until("the old one is forgotten", || {
        children(svscan.pid()).len() == 1
    });
    assert!(!is_alive(old));
    assert_eq!(scratch.pid("scan/a"), Some(new));
    assert_eq!(scratch.read("svscan.err"), "");
}

/// Sends a signal and waits until it has ended the process: one that waits to
/// read would still take what comes before it is gone, and lose it.
fn end(pid: u32, name: &str) {
    signal(pid, name);
    wait_until("the process is gone", || !is_alive(pid));
}

#[test]
fn no_line_on_the_way_to_the_log_is_lost_whoever_dies() {
    let scratch = Scratch::new();
    // The shell reads byte by byte, so nothing is lost with it, either.
    scratch.service(
        "scan/a",
        "while read line; do echo $line; echo $line >> said; done < ../../feed",
    );
    scratch.service("scan/a/log", "exec cat >> got");
    shell(&scratch, "mkfifo feed");
    let mut feed = OpenOptions::new()
        .read(true)
        .write(true)
        .open(scratch.at("feed"))
        .unwrap();
    let svscan = svscan(&scratch);
    scratch.wait_up("scan/a");
    scratch.wait_up("scan/a/log");
    let mut lines = String::new();
    let mut say = |feed: &mut File| {
        let more: String = (0..10).map(|n| format!("{}-{n}\n", lines.len())).collect();
        feed.write_all(more.as_bytes()).unwrap();
        lines.push_str(&more);
        lines.clone()
    };
    let arrive = |file: &str, lines: &str| {
        wait_until(&format!("all lines are in {file}"), || {
            scratch.read(file) == lines
        });
    };
    let (said, got) = ("scan/a/said", "scan/a/log/got");
    arrive(got, &say(&mut feed));

    // The log is down: the pipe keeps the lines, even if their writer ends.
    svc(&scratch, "-d", "scan/a/log");
    scratch.wait_down("scan/a/log");
    arrive(said, &say(&mut feed));
    let service = scratch.wait_up("scan/a");
    let main = wait_supervise(&svscan, "a");
    end(main, "KILL");
    end(service, "KILL");
    arrive(said, &say(&mut feed));
    let main = wait_another(&svscan, "a", main);
    let service = scratch.wait_up("scan/a");
    svc(&scratch, "-dx", "scan/a");
    wait_until("both are gone", || !is_alive(main) && !is_alive(service));
    arrive(said, &say(&mut feed));
    // And the log's supervise goes, too: its successor knows that the log is to be down.
    let log = wait_supervise(&svscan, "log");
    end(log, "KILL");
    let lines = say(&mut feed);
    arrive(said, &lines);
    let log = wait_another(&svscan, "log", log);
    scratch.wait_supervised("scan/a/log");
    svc(&scratch, "-u", "scan/a/log");
    arrive(got, &lines);

    // The log and its supervise are killed while it has nothing in hand.
    let reader = scratch.wait_up("scan/a/log");
    end(log, "KILL");
    end(reader, "KILL");
    let lines = say(&mut feed);
    arrive(said, &lines);
    arrive(got, &lines);
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_link_whose_target_is_replaced_elsewhere_is_noticed() {
    let scratch = Scratch::new();
    scratch.service("store/a", WAITS);
    scratch.mkdir("scan");
    symlink("../store/a", scratch.at("scan/a")).unwrap();
    let svscan = svscan(&scratch);
    let old = scratch.wait_up("scan/a");
    scratch.service("store/new", WAITS);
    shell(&scratch, "mv store/a store/old; mv store/new store/a");
    let new = scratch.wait_up("store/a");
    assert!(old != new && is_alive(old));
    assert_eq!(supervises(&svscan, "a").len(), 2);
}

#[test]
fn a_link_to_nothing_is_told_and_tried_again() {
    let scratch = Scratch::new();
    scratch.service("new", WAITS);
    scratch.mkdir("store");
    scratch.mkdir("scan");
    symlink("../store/a", scratch.at("scan/a")).unwrap();
    let _svscan = svscan(&scratch);
    wait_until("the trouble is told", || {
        scratch.read("svscan.err") == "svscan: warning: unable to stat a: file does not exist\n"
    });
    rename(&scratch, "new", "store/a");
    scratch.wait_up("scan/a");
}

/// Has svscan try once more whatever has failed, some times.
fn try_again(scratch: &Scratch, svscan: &Daemon) {
    for _ in 0..3 {
        svscan.signal("ALRM");
        let_time_pass(scratch);
    }
}

#[test]
fn what_fails_again_and_again_is_told_once_until_it_changes() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    symlink("../nothing", scratch.at("scan/b")).unwrap();
    // No supervise has the lock, which would be watched.
    shell(&scratch, "mkdir scan/a/supervise");
    let lock = ["scan/a/supervise/lock", "sleep", "1000"];
    let mut other = scratch.daemon(Suite::Ours, "setlock", &lock, "other");
    wait_until("the lock is held", || {
        fs::read(format!("/proc/{}/comm", other.pid())).unwrap() == b"sleep\n"
    });
    let svscan = svscan(&scratch);
    let count = |text: &str| scratch.read("svscan.err").matches(text).count();
    let locked = "supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n";
    let dangling = "svscan: warning: unable to stat b: file does not exist\n";
    wait_until("both are told", || count(locked) > 0 && count(dangling) > 0);
    try_again(&scratch, &svscan);
    assert_eq!((count(locked), count(dangling)), (1, 1));
    // A new link to nothing is something else.
    shell(&scratch, "rm scan/b");
    let_time_pass(&scratch);
    symlink("../nothing", scratch.at("scan/b")).unwrap();
    wait_until("it is told again", || count(dangling) == 2);
    // So is a lock that cannot be opened.
    shell(
        &scratch,
        "mv scan/a/supervise elsewhere; touch scan/a/supervise",
    );
    wait_until("another reason is told", || {
        svscan.signal("ALRM");
        count("unable to acquire a/supervise/lock: not a directory\n") > 0
    });
    shell(
        &scratch,
        "rm scan/a/supervise; mv elsewhere scan/a/supervise",
    );
    other.signal("KILL");
    other.wait();
    svscan.signal("ALRM");
    scratch.wait_up("scan/a");
    assert_eq!(supervises(&svscan, "a").len(), 1);
}

#[test]
fn more_than_a_thousand_services_are_kept() {
    let scratch = Scratch::new();
    let count = 1100;
    for number in 0..count {
        scratch.mkdir(format!("scan/{number}"));
        scratch.write(format!("scan/{number}/down"), "");
    }
    let svscan = svscan(&scratch);
    let supervised = |number: &u32| {
        let place = scratch.at(format!("scan/{number}"));
        matches!(is_supervised(&place), Supervised::Yes)
    };
    let mut left: Vec<u32> = (0..count).collect();
    wait_until("all are supervised", || {
        left.retain(|number| !supervised(number));
        left.is_empty()
    });
    assert_eq!(children(svscan.pid()).len(), count as usize);
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn pairs_may_need_more_descriptors_than_the_limit_and_children_keep_it() {
    let scratch = Scratch::new();
    let count = 110;
    for number in 0..count {
        for half in ["", "/log"] {
            scratch.mkdir(format!("scan/{number}{half}"));
            scratch.write(format!("scan/{number}{half}/down"), "");
        }
    }
    scratch.service(
        "scan/limit",
        "ulimit -Sn > soft; ulimit -Hn > hard; exec sleep 1000",
    );
    let mut command = scratch.command(Suite::Ours, "sh");
    let script = "ulimit -Hn > hard; ulimit -Sn 200; exec svscan scan";
    command.args(["-c", script]);
    let svscan = scratch.start(command, "svscan");
    wait_until("all are supervised", || {
        children(svscan.pid()).len() == 2 * count + 1
    });
    assert_eq!(pipes(&svscan), count);
    wait_until("the limits are told", || {
        !scratch.read("scan/limit/hard").is_empty()
    });
    assert_eq!(scratch.read("scan/limit/soft"), "200\n");
    assert_eq!(scratch.read("scan/limit/hard"), scratch.read("hard"));
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn an_idle_svscan_never_wakes_up() {
    let scratch = Scratch::new();
    for number in 0..20 {
        scratch.service(format!("scan/{number}"), WAITS);
    }
    let svscan = svscan(&scratch);
    for number in 0..20 {
        scratch.wait_up(&format!("scan/{number}"));
    }
    let pids = || {
        let mut pids = children(svscan.pid());
        pids.push(svscan.pid());
        pids
    };
    wait_until("all sleep", || {
        pids().iter().all(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.contains(") S ")
        })
    });
    let before: Vec<u64> = pids().into_iter().map(sleeps).collect();
    let_time_pass(&scratch);
    let after: Vec<u64> = pids().into_iter().map(sleeps).collect();
    assert_eq!(before, after);
}

#[test]
fn without_inotify_new_directories_are_found_all_the_same() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let Some(command) = scratch.without_inotify("svscan without inotify", "exec svscan scan")
    else {
        return;
    };
    let svscan = scratch.start(command, "svscan");
    scratch.wait_up("scan/a");
    let fds = format!("/proc/{}/fd", svscan.pid());
    assert!(
        !fs::read_dir(fds)
            .unwrap()
            .flatten()
            .any(|fd| is_inotify(&fd.path()))
    );
    scratch.service("new", WAITS);
    rename(&scratch, "new", "scan/b");
    scratch.wait_up("scan/b");
    pair(&scratch, "template");
    shell(&scratch, "mv template scan/c");
    wait_hello(&scratch, "scan/c");
    let before = cpu(svscan.pid());
    let_time_pass(&scratch);
    assert!(cpu(svscan.pid()) < before + 20, "it looks around too often");
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn the_supervise_beside_svscan_comes_before_that_in_path() {
    let scratch = Scratch::new();
    scratch.mkdir("beside");
    scratch.mkdir("path");
    let says = |name: &str| format!("echo {name} \"$@\" >> ../said; exec sleep 1000");
    scratch.script("path/supervise", &says("path"));
    let svscan = fs::read(Suite::Ours.program("svscan")).unwrap();
    scratch.executable("beside/svscan", svscan);
    for with_one_beside in [true, false] {
        if with_one_beside {
            scratch.script("beside/supervise", &says("beside"));
        } else {
            fs::remove_file(scratch.at("beside/supervise")).unwrap();
        }
        let _ = fs::remove_dir_all(scratch.at("scan"));
        let _ = fs::remove_file(scratch.at("said"));
        scratch.mkdir("scan/a");
        let mut command = scratch.command(Suite::Ours, scratch.at("beside/svscan"));
        let path = format!("{}:/usr/bin:/bin", scratch.at("path").display());
        command.arg("scan").env("PATH", path);
        let _svscan = scratch.start(command, "svscan");
        wait_until("a supervise was started", || {
            !scratch.read("said").is_empty()
        });
        let expected = if with_one_beside {
            "beside a\n"
        } else {
            "path a\n"
        };
        assert_eq!(scratch.read("said"), expected);
    }
}

#[test]
fn a_supervise_that_cannot_be_started_is_told() {
    let scratch = Scratch::new();
    scratch.mkdir("beside");
    let svscan = fs::read(Suite::Ours.program("svscan")).unwrap();
    scratch.executable("beside/svscan", svscan);
    scratch.mkdir("scan/a/log");
    let mut command = scratch.command(Suite::Ours, scratch.at("beside/svscan"));
    command.arg("scan").env("PATH", "/nonexistent");
    let mut svscan = scratch.start(command, "svscan");
    wait_until("both failures are told", || {
        let said = scratch.read("svscan.err");
        ["a", "a/log"].iter().all(|name| {
            said.contains(&format!(
                "svscan: warning: unable to start supervise {name}: file does not exist\n"
            ))
        })
    });
    assert!(svscan.runs());
}

#[test]
fn svscan_goes_on_when_its_directory_is_removed() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let mut svscan = svscan(&scratch);
    let service = scratch.wait_up("scan/a");
    wait_until("the service is sleep", || {
        fs::read(format!("/proc/{service}/comm")).unwrap_or_default() == b"sleep\n"
    });
    fs::remove_dir_all(scratch.at("scan")).unwrap();
    let_time_pass(&scratch);
    assert!(svscan.runs() && is_alive(service));
    assert!(cpu(svscan.pid()) < 50);
    assert!(!scratch.read("svscan.err").contains("panicked"));
}

#[test]
fn an_ordinary_user_may_run_svscan() {
    let scratch = Scratch::new();
    let Some(stranger) = Stranger::new("svscan of an ordinary user", &scratch) else {
        return;
    };
    pair(&scratch, "scan/a");
    stranger.owns(&scratch, "scan");
    let mut command = stranger.command(&scratch, "svscan");
    command.arg("scan");
    let _svscan = scratch.start(command, "svscan");
    wait_hello(&scratch, "scan/a");
}

#[test]
fn a_link_through_another_link_follows_when_that_is_switched() {
    let scratch = Scratch::new();
    scratch.service("rel/v1/app", WAITS);
    scratch.service("rel/v2/app", WAITS);
    shell(
        &scratch,
        "ln -s v1 rel/current; mkdir scan; ln -s ../rel/current/app scan/app",
    );
    let _svscan = svscan(&scratch);
    scratch.wait_up("rel/v1/app");
    shell(&scratch, "ln -sfn v2 rel/current");
    scratch.wait_up("rel/v2/app");
}

#[test]
fn a_link_whose_way_is_renamed_is_followed() {
    let scratch = Scratch::new();
    scratch.service("old/store/app", WAITS);
    scratch.service("new/store/app", WAITS);
    shell(&scratch, "mkdir scan; ln -s ../old/store/app scan/app");
    let _svscan = svscan(&scratch);
    scratch.wait_up("old/store/app");
    shell(&scratch, "mv old away; mv new old");
    scratch.wait_up("old/store/app");
    assert!(scratch.at("away/store/app").exists());
}

#[test]
fn what_is_mounted_over_a_service_directory_is_taken_up() {
    let test = "svscan and mounts";
    if !crate::harness::is_root(test) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/m", WAITS);
    let mut command = scratch.command(Suite::Ours, "unshare");
    // A mount namespace of its own: nothing is left mounted after it.
    let script = "mount -t tmpfs none other && cp scan/m/run other/run && svscan scan & \
                  read line <gate; mount --bind other scan/m; wait";
    shell(&scratch, "mkdir other; mkfifo gate");
    command.args(["-m", "sh", "-c", script]);
    let unshare = scratch.start(command, "unshare");
    scratch.wait_up("scan/m");
    scratch.write("gate", "go on\n");
    wait_until("the mounted one is up", || {
        let status = format!(
            "/proc/{}/root{}",
            unshare.pid(),
            scratch.at("scan/m/supervise/status").display()
        );
        fs::read(status).is_ok_and(|bytes| bytes[12..16] != [0; 4]) && {
            let inside = format!(
                "/proc/{}/root{}",
                unshare.pid(),
                scratch.at("other/supervise/ok").display()
            );
            std::path::Path::new(&inside).exists()
        }
    });
}
