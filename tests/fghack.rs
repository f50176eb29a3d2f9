//! fghack: daemons that go into the background, with and without `-f`.

use crate::harness::{
    Daemon, Output, Scratch, Suite, finish, has, is_alive, is_root, shell, signal, wait_until,
};

/// A daemon as they used to be written: forks twice, leads a session, closes all
/// descriptors; then notes its pid and the signals it gets, and ends on TERM with
/// 7. Its launcher ends with 3.
const DAEMON: &str = r#"#!/usr/bin/perl
use POSIX ();
if (fork) { exit 3 }
POSIX::setsid();
if (fork) { POSIX::_exit(4) }
POSIX::close($_) for 0 .. 60;
for my $name (qw(HUP INT QUIT USR1 USR2 ALRM WINCH CONT)) {
    $SIG{$name} = sub { open F, ">", "got.$name"; close F };
}
$SIG{TERM} = sub { exit 7 };
open F, ">", "daemon.new"; print F $$; close F;
rename "daemon.new", "daemon";
while (1) { sleep 1000 }
"#;

fn scratch(test: &str) -> Option<Scratch> {
    if !has(test, &["perl"]) {
        return None;
    }
    let scratch = Scratch::new();
    scratch.executable("go", DAEMON);
    Some(scratch)
}

/// Starts `fghack -f` with this program.
fn follow(scratch: &Scratch, program: &[&str]) -> Daemon {
    let arguments = [&["-f"], program].concat();
    scratch.daemon(Suite::Ours, "fghack", &arguments, "fghack")
}

/// The pid that stands in the file `name`, once it is there.
fn pid(scratch: &Scratch, name: &str) -> u32 {
    wait_until("it runs", || scratch.at(name).exists());
    scratch.read(name).trim().parse().unwrap()
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// The pid of the daemon that `fghack` follows, once its launchers have ended: the
/// last end is the daemon's then.
fn alone(scratch: &Scratch, fghack: &Daemon) -> u32 {
    let daemon = pid(scratch, "daemon");
    wait_until("the launchers are gone", || {
        let guard = children(fghack.pid());
        guard.len() == 1 && children(guard[0]) == [daemon]
    });
    daemon
}

#[test]
fn one_that_closes_all_descriptors_gets_away_from_0_76s_way() {
    let Some(scratch) = scratch("a daemon that gets away") else {
        return;
    };
    let output = scratch.run(Suite::Ours, "fghack", &["./go"]);
    assert_eq!(output.code, 3);
    let daemon = pid(&scratch, "daemon");
    assert!(is_alive(daemon));
    signal(daemon, "KILL");
}

#[test]
fn followed_its_end_is_noticed_and_told() {
    let Some(scratch) = scratch("a daemon that is followed") else {
        return;
    };
    let mut fghack = follow(&scratch, &["./go"]);
    let daemon = alone(&scratch, &fghack);
    assert!(fghack.runs());
    signal(daemon, "TERM");
    assert_eq!(fghack.wait(), 7);
}

#[test]
fn followed_it_gets_every_signal_that_fghack_gets() {
    let Some(scratch) = scratch("signals to a daemon that is followed") else {
        return;
    };
    let mut fghack = follow(&scratch, &["./go"]);
    let daemon = alone(&scratch, &fghack);
    for name in ["HUP", "USR1", "USR2", "ALRM", "WINCH", "CONT"] {
        fghack.signal(name);
        let noted = format!("got.{name}");
        wait_until(&noted, || scratch.at(&noted).exists());
        assert!(is_alive(daemon));
    }
    fghack.signal("TERM");
    assert_eq!(fghack.wait(), 7);
    assert!(!is_alive(daemon));
}

#[test]
fn a_daemon_that_a_signal_kills_ends_fghack_the_same_way() {
    let Some(scratch) = scratch("a daemon that is killed") else {
        return;
    };
    let mut fghack = follow(&scratch, &["./go"]);
    signal(alone(&scratch, &fghack), "KILL");
    assert_eq!(fghack.wait(), 1009);
}

#[test]
fn whatever_signal_kills_it_ends_fghack_the_same_way() {
    let Some(scratch) = scratch("signals that have no name in POSIX") else {
        return;
    };
    let numbers = [libc::SIGSTKFLT, libc::SIGPWR, libc::SIGIO, libc::SIGRTMAX()];
    for number in numbers {
        let kill = format!("kill {number}, $$; sleep 1000");
        let mut fghack = follow(&scratch, &["perl", "-e", &kill]);
        assert_eq!(fghack.wait(), 1000 + number);
    }
}

/// Runs `script` in namespaces of its own.
fn in_namespaces(scratch: &Scratch, namespace: &[&str], script: &str) -> Output {
    let mut command = scratch.command(Suite::Ours, "unshare");
    command.args(namespace).args(["sh", "-c", script]);
    finish(command)
}

#[test]
fn without_proc_the_program_itself_still_gets_signals() {
    let test = "fghack -f without /proc";
    if !is_root(test) || !has(test, &["unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    let script = "mount -t tmpfs none /proc; mkfifo up
        fghack -f sh -c 'echo > up; exec sleep 1000' & read up < up; kill $!; wait $!; echo $?";
    let output = in_namespaces(&scratch, &["--mount"], script);
    assert_eq!(output.text(), "143\n", "{output:?}");
    let warning = "fghack: warning: unable to read /proc: file does not exist\n";
    assert!(output.errors().contains(warning), "{output:?}");
}

#[test]
fn a_daemon_that_proc_hides_gets_signals_too() {
    let test = "fghack -f where /proc hides processes";
    if !is_root(test) || !has(test, &["unshare", "setpriv"]) {
        return;
    }
    let scratch = Scratch::new();
    // Hidden is what one may execute and not read.
    let script = "mount -o remount,hidepid=2 /proc || exit
        install -m 755 $(command -v fghack) . && install -m 711 /bin/sleep hidden && chmod 755 .
        setpriv --reuid 64123 --regid 64123 --clear-groups \
            ./fghack -f sh -c './hidden 1000 & exit 3' & fghack=$!
        child() { tr -d ' ' </proc/$1/task/$1/children; }
        for try in $(seq 2000); do
            sleep .01
            test \"$(cat /proc/$(child $(child $fghack))/comm)\" = hidden && break
        done 2>/dev/null
        kill $fghack; wait $fghack; echo $?";
    let namespaces = ["--mount", "--pid", "--fork", "--mount-proc"];
    let output = in_namespaces(&scratch, &namespaces, script);
    assert_eq!(output.text(), "143\n", "{output:?}");
}

#[test]
fn numbers_of_another_pid_namespace_hit_nobody() {
    let test = "fghack -f and the /proc of another pid namespace";
    if !is_root(test) || !has(test, &["unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    // There 2 is the kernel's, and the numbers of its children are the others' here.
    let script = "fghack -f sh -c 'echo > up; exec sleep 1000' & fghack=$!
        for n in 1 2 3 4 5 6 7 8; do sleep 1000 & others=\"$others $!\"; done
        read up < up; test $fghack = 2 || echo $fghack; kill $fghack; wait $fghack; echo $?
        kill -0 $others && echo others live; kill -9 $others";
    shell(&scratch, "mkfifo up");
    let output = in_namespaces(&scratch, &["--pid", "--fork"], script);
    assert_eq!(output.text(), "143\nothers live\n", "{output:?}");
    let warning = "fghack: warning: unable to read /proc: no such process\n";
    assert!(output.errors().contains(warning), "{output:?}");
}

#[test]
fn a_kill_of_fghack_kills_the_daemon_too() {
    let Some(scratch) = scratch("fghack killed") else {
        return;
    };
    // Others that fghack does not pass on end it no less.
    for name in ["KILL", "RTMIN", "XCPU"] {
        let fghack = follow(&scratch, &["./go"]);
        let daemon = pid(&scratch, "daemon");
        fghack.signal(name);
        wait_until("the daemon is gone", || !is_alive(daemon));
        std::fs::remove_file(scratch.at("daemon")).unwrap();
    }
}

#[test]
fn a_kill_of_its_guard_leaves_the_daemon_in_sight() {
    let Some(scratch) = scratch("the guard killed") else {
        return;
    };
    let mut fghack = follow(&scratch, &["./go"]);
    let daemon = alone(&scratch, &fghack);
    let guard = children(fghack.pid());
    signal(guard[0], "KILL");
    wait_until("it is fghack's own child", || {
        children(fghack.pid()) == [daemon]
    });
    fghack.signal("TERM");
    assert_eq!(fghack.wait(), 7);
}

#[test]
fn a_term_at_the_wrong_moment_still_ends_all_of_them() {
    // The one that is there dies of TERM and leaves one that was not there then.
    let scratch = Scratch::new();
    let script = "sh -c 'echo $$ > deep; exec sleep 1000' & wait";
    let mut fghack = follow(&scratch, &["sh", "-c", script]);
    wait_until("both run", || scratch.read("deep").ends_with('\n'));
    let deep = pid(&scratch, "deep");
    fghack.signal("TERM");
    assert_eq!(fghack.wait(), 1015);
    assert!(!is_alive(deep));
}

#[test]
fn a_program_that_cannot_be_run_is_told_once() {
    let scratch = Scratch::new();
    let output = scratch.run(Suite::Ours, "fghack", &["-f", "nosuch"]);
    assert_eq!(
        output.errors(),
        "fghack: fatal: unable to run nosuch: file does not exist\n"
    );
    assert_eq!(output.code, 111);
    let output = scratch.run(Suite::Ours, "fghack", &["-f"]);
    assert_eq!(output.errors(), "fghack: usage: fghack child\n");
    assert_eq!(output.code, 100);
}

#[test]
fn one_that_stays_in_the_foreground_is_run_as_without_fghack() {
    let scratch = Scratch::new();
    scratch.write("in", "text\n");
    let script = "cat; ls /proc/self/fd; grep ^Sig.l[gk] /proc/self/status; exit 5";
    let run = |before: &[&str]| {
        let mut command = scratch.command(Suite::Ours, "sh");
        let line = format!("exec {} sh -c '{script}' < in", before.join(" "));
        command.args(["-c", &line]);
        finish(command)
    };
    let (plain, followed) = (run(&[]), run(&["fghack", "-f"]));
    assert_eq!(plain, followed);
    assert_eq!(followed.code, 5);
}

#[test]
fn children_from_before_are_not_followed() {
    // As a run script has them that sends its output through another program: that
    // one ends when nobody has the pipe open any more, fghack included.
    let scratch = Scratch::new();
    let daemon = "trap 'echo bye; exit 6' HUP; echo up; kill -STOP $$; exit 7";
    scratch.script("daemon", daemon);
    let script = "mkfifo p; cat p > log & echo $! > cat; exec > p
        exec fghack -f sh -c './daemon & exit 3'";
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", script]);
    let mut fghack = scratch.start(command, "fghack");
    wait_until("it is up", || scratch.read("log") == "up\n");
    let cat = pid(&scratch, "cat");
    let guard = || children(fghack.pid()).into_iter().find(|pid| *pid != cat);
    let is_stopped = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains(" T ")
    };
    wait_until("the daemon waits alone", || {
        let left = guard().map(children).unwrap_or_default();
        left.len() == 1 && is_stopped(left[0])
    });
    // Nor do they get signals.
    fghack.signal("HUP");
    fghack.signal("CONT");
    assert_eq!(fghack.wait(), 6);
    wait_until("the reader ends by itself", || !is_alive(cat));
    assert_eq!(scratch.read("log"), "up\nbye\n");
}

#[test]
fn an_ignored_sigchld_does_no_harm_and_is_handed_on() {
    let scratch = Scratch::new();
    for option in ["", "-f"] {
        // A shell cannot ignore SIGCHLD for what it starts; perl can.
        let perl = format!(
            "$SIG{{CHLD}} = 'IGNORE'; exec qw(fghack {option} grep SigIgn /proc/self/status)"
        );
        let mut command = scratch.command(Suite::Ours, "perl");
        command.args(["-e", &perl]);
        let output = finish(command);
        assert_eq!(output.code, 0, "{output:?}");
        let mask = u64::from_str_radix(output.text().split_ascii_whitespace().nth(1).unwrap(), 16);
        assert_ne!(mask.unwrap() & (1 << (libc::SIGCHLD - 1)), 0, "{output:?}");
    }
}

#[test]
fn under_supervise_a_followed_daemon_is_stopped_and_restarted() {
    let Some(scratch) = scratch("fghack -f under supervise") else {
        return;
    };
    let _svscan = scratch.svscan();
    scratch.service("old", "exec fghack -f ../go");
    scratch.link("old");
    scratch.wait_supervised("old");
    let first = pid(&scratch, "old/daemon");
    std::fs::remove_file(scratch.at("old/daemon")).unwrap();
    let stop = scratch.run(Suite::Ours, "svcstop", &["service/old"]);
    assert_eq!(stop.code, 0, "{stop:?}");
    assert!(!is_alive(first), "it is down, and its daemon is not");
    let start = scratch.run(
        Suite::Ours,
        "svcstart",
        &["--settle", "10ms", "service/old"],
    );
    assert_eq!(start.code, 0, "{start:?}");
    let second = pid(&scratch, "old/daemon");
    std::fs::remove_file(scratch.at("old/daemon")).unwrap();
    // Killed hard, it takes its daemon with it before the next one starts.
    scratch.run(Suite::Ours, "svc", &["-k", "service/old"]);
    let third = pid(&scratch, "old/daemon");
    wait_until("the second is gone", || !is_alive(second));
    assert!(is_alive(third));
}
