//! supervise with real processes: what the machine's own tests cannot see.

use crate::harness::{
    self, Daemon, NOTES_AND_ENDS, Scratch, Stranger, Suite, WAITS, children, descriptors, finish,
    let_time_pass, shell, sleeps, stat, status, supervise, svc, wait_until,
};
use daemontools_rs::formats::status::{Status, Want};
use daemontools_rs::formats::tai64n::Tai64n;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

/// Waits until the status of `name` is such.
fn wait_status(scratch: &Scratch, name: &str, is_so: impl Fn(Status) -> bool) -> Status {
    wait_until("the status is as it should be", || {
        is_so(status(scratch, name))
    });
    status(scratch, name)
}

/// Starts our supervise on `name` under strace, which writes to the file `trace`.
fn traced(scratch: &Scratch, name: &str) -> Daemon {
    let mut command = scratch.command(Suite::Ours, "strace");
    command.args(["-o", "trace"]);
    command.arg(Suite::Ours.program("supervise")).arg(name);
    let daemon = scratch.start(command, "strace");
    scratch.wait_supervised(name);
    daemon
}

/// The calls in the trace, without those of a mere start of a program.
fn calls(scratch: &Scratch) -> Vec<String> {
    scratch.read("trace").lines().map(str::to_owned).collect()
}

fn is_fork(call: &str) -> bool {
    ["fork(", "vfork(", "clone(", "clone3("]
        .iter()
        .any(|name| call.starts_with(name))
}

/// Everything that may hold up a process that is not to be held up.
fn is_wait(call: &str) -> bool {
    [
        "ppoll",
        "poll(",
        "nanosleep",
        "clock_nanosleep",
        "select",
        "pselect",
        "epoll",
    ]
    .iter()
    .any(|name| call.starts_with(name))
}

#[test]
fn a_service_that_ends_at_once_is_started_once_a_second() {
    let scratch = Scratch::new();
    scratch.service("a", NOTES_AND_ENDS);
    let _supervise = supervise(&scratch, "a");
    let starts = || -> Vec<u64> {
        let noted = scratch.read("a/starts");
        let whole = noted.rsplit_once('\n').unwrap_or_default().0;
        whole.lines().map(|line| line.parse().unwrap()).collect()
    };
    wait_until("it was started four times", || starts().len() >= 4);
    for pair in starts().windows(2) {
        assert!(pair[1] - pair[0] >= 100, "{:?}", starts());
    }
}

#[test]
fn a_service_that_ended_in_the_second_after_its_start_is_a_zombie_until_a_command_comes() {
    let scratch = Scratch::new();
    scratch.service("a", "echo >> starts");
    let _supervise = supervise(&scratch, "a");
    // Each second there is another chance to be in time.
    wait_until("a command shows within the second that it is down", || {
        svc(&scratch, "-u", "a");
        wait_until("it is a zombie", || {
            let pid = status(&scratch, "a").pid;
            pid.is_some_and(|pid| stat(pid.get()).first().is_some_and(|state| state == "Z"))
        });
        let up = status(&scratch, "a").since;
        svc(&scratch, "-d", "a");
        let down = wait_status(&scratch, "a", |s| s.pid.is_none() && s.want == Want::Down);
        let moment =
            |at: Tai64n| u128::from(at.seconds) * 1_000_000_000 + u128::from(at.nanoseconds);
        moment(down.since) < moment(up) + 1_000_000_000
    });
}

#[test]
fn a_service_that_ran_a_second_is_started_again_without_waiting() {
    if !harness::has("restart at once", &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", "echo >> starts; exec sleep 1.1");
    let mut strace = traced(&scratch, "a");
    wait_until("it was started twice", || {
        scratch.read("a/starts").lines().count() >= 2
    });
    svc(&scratch, "-dx", "a");
    assert_eq!(strace.wait(), 0);
    let calls = calls(&scratch);
    let forks: Vec<usize> = (0..calls.len()).filter(|at| is_fork(&calls[*at])).collect();
    let death = calls[forks[0]..]
        .iter()
        .position(|call| call.starts_with("wait4(") && call.contains("WIFEXITED"))
        .unwrap();
    let between = &calls[forks[0] + death..forks[1]];
    assert!(
        !between.iter().any(|call| is_wait(call)),
        "{between:#?}\nwait between the end and the next start"
    );
    // First the service, then both statuses.
    let renames = |calls: &[String]| calls.iter().filter(|c| c.starts_with("rename")).count();
    assert_eq!(renames(between), 0, "{between:#?}");
    let after = &calls[forks[1]..];
    let idle = after.iter().position(|call| is_wait(call)).unwrap();
    assert_eq!(renames(&after[..idle]), 2, "{after:#?}");
    // And nothing was to be waited for while it ran.
    let waits: Vec<&String> = calls[forks[0]..forks[1]]
        .iter()
        .filter(|call| is_wait(call))
        .collect();
    assert!(
        waits.iter().all(|call| call.contains(", NULL, NULL")),
        "{waits:#?}"
    );
}

#[test]
fn commands_are_heard_during_the_first_second() {
    if !harness::has("commands in the first second", &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let mut strace = traced(&scratch, "a");
    scratch.wait_up("a");
    svc(&scratch, "-d", "a");
    scratch.wait_down("a");
    svc(&scratch, "-x", "a");
    assert_eq!(strace.wait(), 0);
    let calls = calls(&scratch);
    let fork = calls.iter().position(|call| is_fork(call)).unwrap();
    let term = calls.iter().position(|call| call.contains("SIGTERM) "));
    for call in &calls[fork..term.unwrap()] {
        // Both the children and the control FIFO, at any time.
        let listens = call.contains("{fd=") && call.matches("fd=").count() >= 2;
        assert!(!is_wait(call) || listens, "{call}");
    }
    let heard = calls
        .iter()
        .position(|call| call.contains("\"d\""))
        .unwrap();
    let between = &calls[heard..term.unwrap()];
    assert!(!between.iter().any(|call| is_wait(call)), "{between:#?}");
    assert!(calls[term.unwrap() + 1].contains("SIGCONT"), "{calls:#?}");
}

#[test]
fn a_service_that_waits_for_its_next_start_can_be_kept_down() {
    let scratch = Scratch::new();
    scratch.service("a", "echo >> starts");
    let _supervise = supervise(&scratch, "a");
    wait_until("it was started", || !scratch.read("a/starts").is_empty());
    svc(&scratch, "-d", "a");
    wait_status(&scratch, "a", |s| s.pid.is_none() && s.want == Want::Down);
    let starts = scratch.read("a/starts");
    let_time_pass(&scratch);
    assert_eq!(scratch.read("a/starts"), starts);
    svc(&scratch, "-o", "a");
    wait_until("it was started once", || {
        scratch.read("a/starts").len() == starts.len() + 1
    });
}

/// A service that notes every signal it gets. It has said `ready` when it can.
const NOTES_SIGNALS: &str = "
    for name in HUP INT QUIT USR1 USR2 ALRM TERM WINCH; do
        trap \"echo $name >> got\" $name
    done
    sleep 1000 &
    echo >> ready
    while :; do wait; done";

fn noting_signals(scratch: &Scratch, name: &str) -> Daemon {
    scratch.service(name, NOTES_SIGNALS);
    let daemon = supervise(scratch, name);
    wait_until("the service is ready", || {
        !scratch.read(format!("{name}/ready")).is_empty()
    });
    daemon
}

#[test]
fn every_signal_arrives() {
    let scratch = Scratch::new();
    let _supervise = noting_signals(&scratch, "a");
    let mut expected = String::new();
    for (option, name) in [
        ("-h", "HUP"),
        ("-a", "ALRM"),
        ("-i", "INT"),
        ("-t", "TERM"),
        ("-1", "USR1"),
        ("-2", "USR2"),
        ("-q", "QUIT"),
        ("-w", "WINCH"),
        ("-d", "TERM"),
    ] {
        svc(&scratch, option, "a");
        expected.push_str(name);
        expected.push('\n');
        wait_until(name, || scratch.read("a/got") == expected);
    }
    let pid = scratch.pid("a").unwrap();
    svc(&scratch, "-uk", "a");
    wait_status(&scratch, "a", |s| s.pid.is_some_and(|new| new.get() != pid));
}

#[test]
fn a_service_that_a_real_time_signal_kills_is_reaped_and_started_again() {
    let scratch = Scratch::new();
    scratch.service("a", "echo >> starts; kill -35 $$");
    let _supervise = supervise(&scratch, "a");
    wait_until("it was started three times", || {
        scratch.read("a/starts").lines().count() >= 3
    });
    assert_eq!(scratch.state("a", "ended-signal").as_deref(), Some("35"));
}

#[test]
fn children_that_are_not_the_service_are_reaped() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    shell(&scratch, "mkfifo gate");
    let mut command = scratch.command(Suite::Ours, "sh");
    let script = "true & (read line < gate) & exec supervise a";
    command.args(["-c", script]);
    let supervise = scratch.start(command, "supervise");
    let pid = scratch.wait_up("a");
    assert!(children(supervise.pid()).len() >= 2);
    scratch.write("gate", "go on\n");
    wait_until("only the service is left", || {
        children(supervise.pid()) == [pid]
    });
    assert_eq!(scratch.pid("a"), Some(pid));
}

#[test]
fn each_change_of_state_replaces_the_status_file() {
    let scratch = Scratch::new();
    let _supervise = noting_signals(&scratch, "a");
    let path = scratch.at("a/supervise/status");
    for option in ["-u", "-p", "-c", "-o", "-x"] {
        let old = File::open(&path).unwrap();
        assert_eq!(old.metadata().unwrap().nlink(), 1);
        svc(&scratch, option, "a");
        wait_until(&format!("the status is replaced for {option}"), || {
            old.metadata().unwrap().nlink() == 0
        });
        assert_eq!(old.metadata().unwrap().len(), 18, "as it was");
    }
    let old = File::open(&path).unwrap();
    for (count, option) in ["-t", "-h", "-a", "-i", "-h"].iter().enumerate() {
        svc(&scratch, option, "a");
        wait_until("the signal comes", || {
            scratch.read("a/got").lines().count() == count + 1
        });
    }
    assert_eq!(old.metadata().unwrap().nlink(), 1);
    svc(&scratch, "-d", "a");
    wait_until("the status is replaced for -d", || {
        old.metadata().unwrap().nlink() == 0
    });
}

#[test]
fn without_a_child_signals_do_nothing_and_states_are_published_still() {
    if !harness::has("signals without a child", &["strace"]) {
        return;
    }
    let renames = |commands: &str| {
        let scratch = Scratch::new();
        scratch.service("a", WAITS);
        scratch.write("a/down", "");
        let mut strace = traced(&scratch, "a");
        svc(&scratch, &format!("-{commands}x"), "a");
        assert_eq!(strace.wait(), 0);
        let calls = calls(&scratch);
        assert!(!calls.iter().any(|call| call.starts_with("kill(")));
        assert!(!calls.iter().any(|call| is_fork(call)));
        calls.iter().filter(|c| c.starts_with("rename")).count()
    };
    let bare = renames("");
    assert_eq!(renames("thaik12qw"), bare);
    assert_eq!(renames("d"), bare + 1);
    assert_eq!(renames("p"), bare + 1);
    // Nothing is paused: see below.
    assert_eq!(renames("pc"), bare + 1);
}

#[test]
fn a_continue_where_nothing_is_paused_renews_the_time_of_the_status_or_a_damaged_status() {
    let scratch = Scratch::new();
    let _supervise = noting_signals(&scratch, "a");
    let path = scratch.at("a/supervise/status");
    let metadata = || fs::symlink_metadata(&path);
    let id = |metadata: &fs::Metadata| (metadata.ino(), metadata.len());
    let before = metadata().unwrap();
    let content = fs::read(&path).unwrap();
    // Ends by a signal that the service notes: all before it is done then.
    let mut signals = 0;
    let mut play = |commands: &str| {
        svc(&scratch, commands, "a");
        signals += 1;
        wait_until("the signal comes", || {
            scratch.read("a/got").lines().count() == signals
        });
    };
    // Nobody else lets it be later again.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    play("-ch");
    let after = metadata().unwrap();
    assert_eq!(id(&after), id(&before));
    assert!(after.modified().unwrap() > SystemTime::UNIX_EPOCH);
    assert_eq!(fs::read(&path).unwrap(), content);
    // It is replaced where something changes.
    let old = File::open(&path).unwrap();
    play("-pch");
    assert_eq!(old.metadata().unwrap().nlink(), 0);
    // One that was removed or damaged is written again.
    fs::remove_file(&path).unwrap();
    play("-ch");
    assert_eq!(fs::read(&path).unwrap(), content);
    File::create(&path).unwrap();
    play("-ch");
    assert_eq!(fs::read(&path).unwrap(), content);
    scratch.write("other", "123456789012345678");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(scratch.at("other"), &path).unwrap();
    play("-ch");
    assert!(metadata().unwrap().is_file());
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(scratch.read("other"), "123456789012345678");
}

#[test]
fn a_rush_of_commands_is_obeyed_in_order_and_answered_by_few_statuses() {
    if !harness::has("a rush of commands", &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", "trap '' TERM ALRM; echo >ready; exec sleep 1000");
    let mut strace = traced(&scratch, "a");
    wait_until("it is ready", || scratch.at("a/ready").exists());
    let before = calls(&scratch).len();
    shell(
        &scratch,
        "{ head -c 1000000 /dev/zero | tr '\\0' u; head -c 5000 /dev/zero | tr '\\0' t
        printf 'uuuuuuuuuuuuuuuuuuuuptcoa'; } >a/supervise/control",
    );
    wait_status(&scratch, "a", |s| s.want == Want::Once);
    svc(&scratch, "-kx", "a");
    assert_eq!(strace.wait(), 0);
    let calls = calls(&scratch).split_off(before);
    let count = |start: &str| calls.iter().filter(|c| c.starts_with(start)).count();
    // At least a page comes at a time.
    assert!(count("rename") < 500, "{}", count("rename"));
    let sent: Vec<&str> = calls
        .iter()
        .filter(|call| call.starts_with("kill("))
        .filter_map(|call| call.split([' ', ')']).nth(1))
        .collect();
    let last = ["SIGSTOP", "SIGTERM", "SIGCONT", "SIGALRM", "SIGKILL"];
    let (rush, rest) = sent.split_at(5000);
    assert!(rush.iter().all(|signal| *signal == "SIGTERM"));
    assert_eq!(rest, last);
}

#[test]
fn the_status_tells_each_state() {
    let scratch = Scratch::new();
    scratch.service("a", "trap '' TERM; while :; do sleep 1000; done");
    scratch.write("a/down", "");
    let mut supervise = supervise(&scratch, "a");
    let facts = |s: Status| (s.pid.is_some(), s.paused, s.want);

    let first = wait_status(&scratch, "a", |_| true);
    assert_eq!(facts(first), (false, false, Want::Down));

    svc(&scratch, "-u", "a");
    let up = wait_status(&scratch, "a", |s| s.pid.is_some());
    assert_eq!(facts(up), (true, false, Want::Up));
    assert_ne!(up.since, first.since);
    assert!(harness::is_alive(up.pid.unwrap().get()));

    for (option, paused, want) in [
        ("-p", true, Want::Up),
        ("-c", false, Want::Up),
        ("-o", false, Want::Once),
        ("-p", true, Want::Once),
        ("-d", false, Want::Down),
        ("-p", true, Want::Down),
    ] {
        svc(&scratch, option, "a");
        let now = wait_status(&scratch, "a", |s| facts(s) == (true, paused, want));
        assert_eq!((now.pid, now.since), (up.pid, up.since), "{option}");
    }

    svc(&scratch, "-k", "a");
    let down = wait_status(&scratch, "a", |s| s.pid.is_none());
    assert_eq!(facts(down), (false, false, Want::Down));
    assert_ne!(down.since, up.since);

    svc(&scratch, "-p", "a");
    svc(&scratch, "-u", "a");
    let again = wait_status(&scratch, "a", |s| s.pid.is_some());
    assert_eq!(facts(again), (true, false, Want::Up));
    svc(&scratch, "-x", "a");
    svc(&scratch, "-k", "a");
    assert_eq!(supervise.wait(), 0);
    let last = status(&scratch, "a");
    assert_eq!(facts(last), (false, false, Want::Up), "want stays");
    let output = scratch.run(Suite::Ours, "svok", &["a"]);
    assert_eq!(output.code, 100);
}

#[test]
fn the_record_says_at_once_what_the_service_does_and_how_it_ended() {
    let scratch = Scratch::new();
    scratch.service("a", "test -e end && exit 7; exec sleep 1000");
    let mut supervise = supervise(&scratch, "a");
    scratch.wait_supervised("a");
    let is = |key: &str, value: &str| {
        wait_until(&format!("{key} is {value}"), || {
            scratch.state("a", key).as_deref() == Some(value)
        });
    };
    let value = |key| scratch.state("a", key);
    // Before `ok` is there.
    assert_eq!(value("phase").as_deref(), Some("up"));
    assert_eq!(value("ended-pid"), None);
    let first = scratch.wait_up("a").to_string();
    is("pid", &first);
    is("want", "up");
    is("supervise", &supervise.pid().to_string());
    let stat = std::fs::read_to_string(format!("/proc/{first}/stat")).unwrap();
    let start = stat.rsplit(')').next().unwrap().split_whitespace().nth(19);
    assert_eq!(value("start").as_deref(), start);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    is("boot", &boot.trim_end().replace('-', ""));
    let size = std::fs::metadata(scratch.at("a/supervise/state")).unwrap();
    assert_eq!(size.len(), 1024);

    svc(&scratch, "-p", "a");
    is("paused", "yes");
    svc(&scratch, "-c", "a");
    is("paused", "no");
    svc(&scratch, "-k", "a");
    is("ended-pid", &first);
    is("ended-signal", "9");
    is("starts", "2");
    is("phase", "up");
    scratch.write("a/end", "");
    svc(&scratch, "-dk", "a");
    is("phase", "down");
    is("want", "down");
    assert_eq!(value("pid").as_deref(), Some("0"));
    // Each byte counts, also one that is no command.
    scratch.write("a/supervise/control", "?o");
    is("ended-exit", "7");
    is("want", "once");
    is("commands", "7");
    assert_eq!(value("leaving").as_deref(), Some("no"));
    svc(&scratch, "-x", "a");
    assert_eq!(supervise.wait(), 0);
    is("leaving", "yes");
}

#[test]
fn a_file_ended_that_somebody_has_made_is_left_alone() {
    let scratch = Scratch::new();
    scratch.service("a", "echo >> starts; exit 3");
    scratch.mkdir("a/supervise");
    scratch.write("a/supervise/ended", "mine");
    let _supervise = supervise(&scratch, "a");
    scratch.wait_supervised("a");
    let output = scratch.run(Suite::Ours, "svcstart", &["a"]);
    let why = output.failure("svcstart", "a");
    assert!(why.starts_with("it started and then exited 3;"), "{why}");
    assert_eq!(scratch.read("a/supervise/ended"), "mine");
}

#[test]
fn a_record_that_cannot_be_written_is_told_once_and_written_later() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    scratch.mkdir("a/supervise/state");
    let supervise = supervise(&scratch, "a");
    scratch.wait_supervised("a");
    for _ in 0..3 {
        svc(&scratch, "-d", "a");
        wait_status(&scratch, "a", |s| s.want == Want::Down && s.pid.is_none());
        svc(&scratch, "-u", "a");
        wait_status(&scratch, "a", |s| s.pid.is_some());
    }
    let said = "supervise: warning: unable to write a/supervise/state: is a directory\n";
    assert_eq!(scratch.read("supervise.err"), said);
    // Without it, svcstart goes by the 18 bytes.
    let output = scratch.run(Suite::Ours, "svcrestart", &["--settle", "10ms", "a"]);
    assert_eq!(output.code, 0, "{output:?}");
    std::fs::remove_dir(scratch.at("a/supervise/state")).unwrap();
    svc(&scratch, "-u", "a");
    wait_until("the record is there", || {
        scratch.state("a", "supervise") == Some(supervise.pid().to_string())
    });
}

#[test]
fn an_idle_supervise_never_wakes_up() {
    let scratch = Scratch::new();
    scratch.service("up", WAITS);
    scratch.service("down", WAITS);
    scratch.write("down/down", "");
    let up = scratch.daemon(Suite::Ours, "supervise", &["up"], "up");
    let down = scratch.daemon(Suite::Ours, "supervise", &["down"], "down");
    scratch.wait_up("up");
    scratch.wait_supervised("down");
    let asleep = |pid: u32| stat(pid)[0] == "S";
    wait_until("both sleep", || asleep(up.pid()) && asleep(down.pid()));
    // The last second of a start has nothing to wait for, either.
    let before = (sleeps(up.pid()), sleeps(down.pid()));
    let_time_pass(&scratch);
    assert_eq!((sleeps(up.pid()), sleeps(down.pid())), before);
}

#[test]
fn the_service_has_exactly_the_descriptors_supervise_was_given() {
    for (redirections, closed) in [
        ("", 0),
        ("7</dev/null 9>/dev/null", 0),
        ("<&- >&- 2>&-", 3),
        (">&- 8>/dev/null", 1),
    ] {
        let scratch = Scratch::new();
        scratch.service("a", WAITS);
        let start = |program: &str| {
            let mut command = scratch.command(Suite::Ours, "sh");
            command.args(["-c", &format!("exec {program} {redirections}")]);
            scratch.start(command, program)
        };
        // Once it sleeps, its loader is done, too.
        let is_sleep = |pid: u32| {
            wait_until("the process is sleep, and sleeps", || {
                let comm = fs::read(format!("/proc/{pid}/comm")).unwrap();
                comm == b"sleep\n" && stat(pid)[0] == "S"
            });
        };
        // What the tests themselves were given, and the redirections.
        let like_supervise = start("sleep 1000");
        is_sleep(like_supervise.pid());
        let given = descriptors(like_supervise.pid());
        let supervise = start("supervise a");
        let pid = scratch.wait_up("a");
        is_sleep(pid);
        assert_eq!(descriptors(pid), given, "{redirections}");
        let own = descriptors(supervise.pid());
        let own: BTreeSet<u32> = own.difference(&given).copied().collect();
        // Signals, lock, control twice, state, ok; and /dev/null for those that were closed.
        assert_eq!(own.len(), 6 + closed, "{redirections}: {own:?}");
    }
}

#[test]
fn the_service_has_an_empty_mask_and_what_was_ignored() {
    let scratch = Scratch::new();
    scratch.service(
        "a",
        "grep '^Sig[BI]' /proc/self/status > mask; exec sleep 1000",
    );
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", "trap '' HUP; exec supervise a"]);
    let _supervise = scratch.start(command, "supervise");
    wait_until("the mask is noted", || {
        scratch.read("a/mask").lines().count() == 2
    });
    let mask = scratch.read("a/mask");
    assert!(mask.contains("SigBlk:\t0000000000000000"), "{mask}");
    let ignored = mask.split("SigIgn:\t").nth(1).unwrap().trim();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    // HUP is 1, CHLD 17, PIPE 13 (which Rust's runtime ignores).
    assert_eq!(ignored & (1 | 1 << 16 | 1 << 12), 1, "{mask}");
}

/// A service whose supervise has something to say at each change of state.
fn complaining(scratch: &Scratch) {
    scratch.service("a", "echo $$ > pid; echo >> starts; exec sleep 1000");
    scratch.mkdir("a/supervise/status");
}

/// Our supervise on `a` with this stderr.
fn with_stderr(scratch: &Scratch, stderr: std::io::PipeWriter) -> Daemon {
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", "exec supervise a 2>&0 </dev/null"]);
    command.stdin(stderr);
    scratch.start(command, "supervise")
}

/// What both tests of a bad stderr go on with: all commands are obeyed.
fn obeys(scratch: &Scratch, mut supervise: Daemon) {
    let starts = |count: usize| {
        wait_until("it was started", || {
            scratch.read("a/starts").lines().count() == count
        });
    };
    starts(1);
    svc(scratch, "-t", "a");
    starts(2);
    svc(scratch, "-pcd", "a");
    svc(scratch, "-x", "a");
    assert_eq!(supervise.wait(), 0);
}

#[test]
fn a_full_stderr_does_not_hold_supervise_up() {
    let scratch = Scratch::new();
    complaining(&scratch);
    let (_reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let supervise = with_stderr(&scratch, writer);
    scratch.wait_supervised("a");
    obeys(&scratch, supervise);
}

#[test]
fn a_stderr_that_nobody_reads_does_not_end_supervise() {
    let scratch = Scratch::new();
    complaining(&scratch);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let supervise = with_stderr(&scratch, writer);
    scratch.wait_supervised("a");
    obeys(&scratch, supervise);
}

/// Runs our supervise on the service `a` under strace with this fault.
fn faulty(scratch: &Scratch, fault: &str) -> Daemon {
    let mut command = scratch.command(Suite::Ours, "strace");
    command.args(["-qq", "-o", "trace", "-e", &format!("inject={fault}")]);
    command.arg(Suite::Ours.program("supervise")).arg("a");
    scratch.start(command, "supervise")
}

#[test]
fn without_a_pipe_to_hold_it_the_service_is_started_nevertheless() {
    if !harness::has("no pipe", &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let mut supervise = faulty(&scratch, "pipe2:error=ENFILE");
    scratch.wait_up("a");
    assert_eq!(scratch.read("supervise.err"), "");
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.wait(), 0);
}

#[test]
fn killed_at_any_call_of_its_start_it_leaves_no_service_that_is_not_announced() {
    if !harness::has("KILL at the start", &["strace"]) {
        return;
    }
    // Says its pid, and that of the status.
    let says = "test -p supervise/ok || echo no ok >>ran; \
        echo $$ $(od -An -tu4 -j12 -N4 supervise/status) >>ran";
    let service = |scratch: &Scratch| scratch.service("a", says);
    let scratch = Scratch::new();
    service(&scratch);
    let mut strace = traced(&scratch, "a");
    svc(&scratch, "-dx", "a");
    assert_eq!(strace.wait(), 0);
    let (mut number, mut plan) = (HashMap::new(), Vec::new());
    let calls = calls(&scratch);
    let names = calls
        .iter()
        .filter_map(|call| Some(call.split_once('(')?.0));
    for name in names {
        let number = number.entry(name).or_insert(0);
        *number += 1;
        plan.push(format!("{name}:signal=KILL:when={number}"));
    }
    let from = calls.iter().position(|call| call.starts_with("mkdir("));
    let to = calls.iter().position(|call| call.starts_with("ppoll("));
    let mut ran = 0;
    for fault in &plan[from.unwrap()..=to.unwrap()] {
        let scratch = Scratch::new();
        service(&scratch);
        assert_eq!(faulty(&scratch, fault).wait(), 1009, "{fault}");
        wait_until("nobody is left", || {
            let all = fs::read_dir("/proc").unwrap().flatten();
            let directory = scratch.at("a");
            !all.map(|entry| fs::read_link(entry.path().join("cwd")))
                .any(|cwd| cwd.is_ok_and(|cwd| cwd == directory))
        });
        let said = scratch.read("a/ran");
        let words: Vec<&str> = said.split_ascii_whitespace().collect();
        match words[..] {
            [] => {}
            [own, pid] if own == pid => ran += 1,
            _ => panic!("{fault}: {said}"),
        }
    }
    assert!(ran > 0);
}

#[test]
fn a_failed_fork_is_told_and_commands_are_heard_meanwhile() {
    let scratch = Scratch::new();
    let Some(stranger) = Stranger::new("fork failure", &scratch) else {
        return;
    };
    scratch.service("a", WAITS);
    stranger.owns(&scratch, "a");
    let inner = stranger.command(&scratch, "supervise");
    let mut command = scratch.command(Suite::Ours, "prlimit");
    command.arg("--nproc=1:100").arg(inner.get_program());
    command.args(inner.get_args()).arg("a");
    let mut supervise = scratch.start(command, "supervise");
    // The waits that it has told.
    let waits = || -> Vec<u32> {
        let said = scratch.read("supervise.err");
        let lines = said.lines().map(|line| {
            let rest = line.strip_prefix("supervise: warning: unable to fork for a, sleeping ");
            let wait = rest.and_then(|rest| rest.strip_suffix(" seconds: temporary failure"));
            wait.unwrap_or_else(|| panic!("{line}")).parse().unwrap()
        });
        lines.collect()
    };
    wait_until("a second fork fails", || waits().len() >= 2);
    assert_eq!(waits()[..2], [1, 2]);
    scratch.wait_supervised("a");
    assert_eq!(status(&scratch, "a").pid, None);
    assert_eq!(status(&scratch, "a").want, Want::Up);

    svc(&scratch, "-d", "a");
    wait_status(&scratch, "a", |s| s.want == Want::Down);
    let before = waits().len();
    svc(&scratch, "-u", "a");
    wait_until("a fork fails again", || waits().len() > before);
    assert_eq!(waits()[before], 1);

    let mut raise = stranger.command(&scratch, "/usr/bin/prlimit");
    raise.args(["--nproc=100:100", "--pid", &supervise.pid().to_string()]);
    assert_eq!(finish(raise).code, 0);
    // By itself.
    scratch.wait_up("a");
    svc(&scratch, "-dx", "a");
    assert_eq!(supervise.wait(), 0);
}
