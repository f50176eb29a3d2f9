//! Process groups: what a service sends to its own reaches nobody else, and everything
//! that ends a tree goes on to do so.

use crate::harness::{
    Daemon, Scratch, Suite, WAITS, children, has, is_alive, programs, shell, signal, stat, status,
    svc, wait_until,
};
use std::fs;
use std::io::Write;
use std::process::Stdio;

/// The signals of which supervise does not die if its own service sends them.
const SIGNALS: [&str; 8] = ["HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "ALRM", "TERM"];

fn parent(pid: u32) -> u32 {
    stat(pid)[1].parse().unwrap()
}

fn group(pid: u32) -> u32 {
    stat(pid)[2].parse().unwrap()
}

fn session(pid: u32) -> u32 {
    stat(pid)[3].parse().unwrap()
}

/// The supervise of the service `name`, which is up.
fn supervise_of(scratch: &Scratch, name: &str) -> u32 {
    parent(scratch.wait_up(name))
}

/// How often the service `name` has said that it was started.
fn starts(scratch: &Scratch, name: &str) -> usize {
    scratch.read(format!("{name}/starts")).lines().count()
}

/// A svscan on `scan` with these words before that, without a terminal.
fn svscan(scratch: &Scratch, words: &str) -> Daemon {
    let mut command = scratch.command(Suite::Ours, "setsid");
    command.arg("programs/svscan");
    command.args(words.split_ascii_whitespace()).arg("scan");
    scratch.start(command, "svscan")
}

/// Beside the services that signal their group: one that must not notice it, and one
/// with a log.
fn neighbours(scratch: &Scratch) {
    for name in ["good", "pair", "pair/log"] {
        scratch.service(format!("scan/{name}"), WAITS);
    }
}

/// What must stay: svscan itself, the neighbours and their supervises.
fn to_stay(scratch: &Scratch, svscan: &Daemon) -> Vec<u32> {
    let services =
        ["good", "pair", "pair/log"].map(|name| scratch.wait_up(&format!("scan/{name}")));
    let supervises = services.map(parent);
    [services, supervises, [svscan.pid(); 3]].concat()
}

#[test]
fn a_service_that_signals_its_group_ends_nobody_else() {
    for is_same_file in [true, false] {
        let scratch = Scratch::new();
        programs(&scratch, is_same_file);
        neighbours(&scratch);
        let names = SIGNALS.map(|signal| format!("scan/{signal}"));
        for (name, signal) in names.iter().zip(SIGNALS) {
            let body = format!("echo >>starts; read go <go; kill -{signal} 0; exec sleep 1000");
            scratch.service(name, &body);
            shell(&scratch, &format!("mkfifo {name}/go"));
        }
        let svscan = svscan(&scratch, "");
        let stay = to_stay(&scratch, &svscan);
        let supervises = names.each_ref().map(|name| supervise_of(&scratch, name));
        for (name, supervise) in names.iter().zip(supervises) {
            let groups = [supervise, scratch.wait_up(name)].map(group);
            assert_eq!(groups, [supervise; 2]);
        }
        for count in 1..4 {
            for name in &names {
                wait_until("it was started", || starts(&scratch, name) == count);
                scratch.write(format!("{name}/go"), "go\n");
            }
        }
        for (name, supervise) in names.iter().zip(supervises) {
            wait_until("it was started", || starts(&scratch, name) == 4);
            assert_eq!(supervise_of(&scratch, name), supervise, "{name}");
        }
        assert!(stay.iter().all(|pid| is_alive(*pid)));
        assert_eq!(to_stay(&scratch, &svscan), stay);
    }
}

#[test]
fn a_daemon_that_takes_its_group_along_when_it_is_told_to_end_leaves_its_supervise() {
    if !has("a daemon that signals its group", &["perl"]) {
        return;
    }
    let scratch = Scratch::new();
    programs(&scratch, true);
    neighbours(&scratch);
    scratch.mkdir("scan/master");
    scratch.executable(
        "scan/master/run",
        "#!/usr/bin/perl\n\
         $SIG{TERM} = sub { $SIG{TERM} = 'IGNORE'; kill 'TERM', -getpgrp(); exit 0 };\n\
         open F, '>ready'; close F; sleep 100 while 1;\n",
    );
    // One that lives on, while a worker signals the group and is gone at once, or not.
    scratch.mkdir("scan/worker");
    scratch.executable(
        "scan/worker/run",
        "#!/usr/bin/perl\n\
         $SIG{USR1} = 'IGNORE'; $SIG{ALRM} = sub {};\n\
         unless (fork) { kill 'USR1', 0; open F, '>sent'; close F; sleep 1000; }\n\
         sleep 100 while 1;\n",
    );
    let svscan = svscan(&scratch, "");
    let stay = to_stay(&scratch, &svscan);
    let worker = supervise_of(&scratch, "scan/worker");
    let master = supervise_of(&scratch, "scan/master");
    for file in ["scan/master/ready", "scan/worker/sent"] {
        wait_until(file, || scratch.at(file).exists());
    }
    svc(&scratch, "-d", "scan/master");
    scratch.wait_down("scan/master");
    // Each answers, so each has got its signals.
    svc(&scratch, "-u", "scan/master");
    svc(&scratch, "-k", "scan/worker");
    assert_eq!(supervise_of(&scratch, "scan/master"), master);
    wait_until("the worker's service was killed", || {
        scratch
            .pid("scan/worker")
            .is_some_and(|pid| parent(pid) == worker)
    });
    assert_eq!(to_stay(&scratch, &svscan), stay);
}

#[test]
fn a_service_that_stops_its_group_can_be_continued() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    scratch.service("scan/a", "kill -TSTP 0; echo >continued; exec sleep 1000");
    let _svscan = svscan(&scratch, "");
    let service = scratch.wait_up("scan/a");
    wait_until("it has stopped", || stat(service)[0] == "T");
    svc(&scratch, "-c", "scan/a");
    wait_until("it goes on", || scratch.at("scan/a/continued").exists());
    assert_eq!(scratch.pid("scan/a"), Some(service));
}

#[test]
fn a_service_that_kills_its_group_is_started_again_with_its_supervise() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    neighbours(&scratch);
    scratch.service(
        "scan/bad",
        "echo >>starts; test -e ../../killed || { echo >../../killed; kill -KILL 0; }; exec sleep 1000",
    );
    let svscan = svscan(&scratch, "");
    let stay = to_stay(&scratch, &svscan);
    wait_until("it was started twice", || starts(&scratch, "scan/bad") == 2);
    assert_eq!(parent(supervise_of(&scratch, "scan/bad")), svscan.pid());
    assert_eq!(to_stay(&scratch, &svscan), stay);
}

#[test]
fn another_suites_supervise_beside_svscan_leads_a_group_too() {
    if !has("0.76's supervise below svscan", &["supervise"]) {
        return;
    }
    let scratch = Scratch::new();
    programs(&scratch, true);
    let theirs = fs::read(Suite::Reference.program("supervise")).unwrap();
    fs::remove_file(scratch.at("programs/supervise")).unwrap();
    scratch.executable("programs/supervise", theirs);
    neighbours(&scratch);
    scratch.service(
        "scan/bad",
        "echo >>starts; test -e ../../sent || { echo >../../sent; kill -TERM 0; }; exec sleep 1000",
    );
    let svscan = svscan(&scratch, "");
    let stay = to_stay(&scratch, &svscan);
    wait_until("it was started twice", || starts(&scratch, "scan/bad") == 2);
    let service = scratch.wait_up("scan/bad");
    assert_eq!(
        [group(service), group(parent(service))],
        [parent(service); 2]
    );
    assert_eq!(to_stay(&scratch, &svscan), stay);
}

#[test]
fn a_service_can_lead_a_session_of_its_own() {
    for tool in ["setsid", "pgrphack"] {
        let scratch = Scratch::new();
        programs(&scratch, true);
        scratch.service("scan/a", &format!("echo >>starts; exec {tool} sleep 1000"));
        let _svscan = svscan(&scratch, "");
        let service = scratch.wait_up("scan/a");
        wait_until("it leads its session", || session(service) == service);
        wait_until("it is sleep", || {
            scratch.read(format!("/proc/{service}/comm")) == "sleep\n"
        });
        assert_eq!(scratch.pid("scan/a"), Some(service));
        assert_eq!(starts(&scratch, "scan/a"), 1);
    }
}

/// Our supervise on `a`, alone, as the leader of its group and session.
fn leading_supervise(scratch: &Scratch) -> Daemon {
    let mut command = scratch.command(Suite::Ours, "setsid");
    command.args(["supervise", "a"]);
    scratch.start(command, "supervise")
}

#[test]
fn a_signal_of_somebody_else_ends_a_supervise_as_ever() {
    let numbers = [1, 2, 3, 6, 10, 12, 14, 15];
    for (name, number) in SIGNALS.into_iter().zip(numbers) {
        let scratch = Scratch::new();
        scratch.service("a", "echo >>starts; exec sleep 1000");
        let mut supervise = leading_supervise(&scratch);
        let service = scratch.wait_up("a");
        // By a process that is gone at once, and by one that stays.
        if number == 15 {
            send_term(supervise.pid());
        } else {
            signal(supervise.pid(), name);
        }
        assert_eq!(supervise.wait(), 1000 + number, "{name}");
        assert!(is_alive(service));
    }
}

/// TERM by this process itself.
fn send_term(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
}

#[test]
fn a_supervise_that_was_started_to_ignore_a_signal_ignores_it_and_a_stop_stops_it() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let mut command = scratch.command(Suite::Ours, "setsid");
    command.args(["sh", "-c", "trap '' HUP; exec supervise a"]);
    let mut supervise = scratch.start(command, "supervise");
    scratch.wait_up("a");
    signal(supervise.pid(), "HUP");
    svc(&scratch, "-d", "a");
    scratch.wait_down("a");
    assert!(supervise.runs());
    signal(supervise.pid(), "STOP");
    wait_until("it stops", || stat(supervise.pid())[0] == "T");
    signal(supervise.pid(), "CONT");
    svc(&scratch, "-x", "a");
    assert_eq!(supervise.wait(), 0);
}

#[test]
fn a_supervise_in_the_group_of_others_is_ended_by_its_service_as_in_0_76() {
    let scratch = Scratch::new();
    scratch.service("a", "read go <go; kill -TERM 0; exec sleep 1000");
    shell(&scratch, "mkfifo a/go");
    let mut command = scratch.command(Suite::Ours, "setsid");
    command.args(["sh", "-c", "supervise a; echo $? >ended"]);
    let mut group_leader = scratch.start(command, "leader");
    let supervise = supervise_of(&scratch, "a");
    assert_eq!(group(supervise), group_leader.pid());
    scratch.write("a/go", "go\n");
    assert_eq!(group_leader.wait(), 1015);
    wait_until("supervise has ended", || !is_alive(supervise));
}

#[test]
fn with_a_shared_group_all_is_as_in_0_76() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    neighbours(&scratch);
    let mut svscan = svscan(&scratch, "--shared-group");
    let stay = to_stay(&scratch, &svscan);
    for pid in &stay {
        assert_eq!(group(*pid), svscan.pid());
    }
    let mut command = scratch.command(Suite::Ours, "/bin/kill");
    command.args(["-s", "TERM", "--", &format!("-{}", svscan.pid())]);
    assert!(command.status().unwrap().success());
    assert_eq!(svscan.wait(), 1015);
    wait_until("all have ended", || !stay.iter().any(|pid| is_alive(*pid)));
}

#[test]
fn with_a_controlling_terminal_all_is_as_in_0_76_and_ctrl_c_ends_it() {
    if !has("a terminal", &["script"]) {
        return;
    }
    let scratch = Scratch::new();
    programs(&scratch, true);
    neighbours(&scratch);
    let mut command = scratch.command(Suite::Ours, "script");
    command.args(["-qec", "exec programs/svscan scan", "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut script = command.spawn().unwrap();
    let services =
        ["good", "pair", "pair/log"].map(|name| scratch.wait_up(&format!("scan/{name}")));
    let supervises = services.map(parent);
    let svscan = parent(supervises[0]);
    for pid in services.iter().chain(&supervises) {
        assert_eq!(group(*pid), svscan);
    }
    // Those of its sleeps that do not ignore it, too.
    script.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    wait_until("all have ended", || {
        let mut all = supervises.iter().chain(&services);
        !is_alive(svscan) && !all.any(|pid| is_alive(*pid))
    });
    script.wait().unwrap();
}

#[test]
fn below_svscanboot_each_supervise_leads_a_group_unless_it_is_told_otherwise() {
    for (words, shared) in [("", false), ("--shared-group --timeline drawn", true)] {
        let scratch = Scratch::new();
        neighbours(&scratch);
        let mut command = scratch.command(Suite::Ours, "svscanboot");
        command.args(words.split_ascii_whitespace()).arg("scan");
        let mut boot = scratch.start(command, "svscanboot");
        for name in ["good", "pair", "pair/log"] {
            let service = scratch.wait_up(&format!("scan/{name}"));
            let supervise = parent(service);
            let leader = if shared { parent(supervise) } else { supervise };
            assert_eq!(
                [group(service), group(supervise)],
                [leader; 2],
                "{words} {name}"
            );
        }
        assert_eq!(scratch.at("drawn").exists(), shared);
        boot.signal("TERM");
        assert_eq!(boot.wait(), 0);
    }
}

#[test]
fn a_paused_service_whose_supervise_is_killed_stays_paused() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    scratch.service(
        "scan/a",
        "trap 'echo $$ >>../../got' HUP; echo >ready; while :; do sleep 1000 & wait; done",
    );
    let svscan = svscan(&scratch, "");
    let service = scratch.wait_up("scan/a");
    wait_until("it is ready", || scratch.at("scan/a/ready").exists());
    svc(&scratch, "-p", "scan/a");
    wait_until("it has stopped", || stat(service)[0] == "T");
    let supervise = parent(service);
    signal(supervise, "KILL");
    wait_until("the next supervise has adopted it, which is paused", || {
        let adopted = scratch.state("scan/a", "supervise");
        adopted.is_some_and(|pid| pid != supervise.to_string())
            && scratch.pid("scan/a") == Some(service)
            && status(&scratch, "scan/a").paused
    });
    // Its group has a parent in the session: the kernel does not hang it up.
    assert_eq!(parent(service), svscan.pid());
    assert_eq!(
        (stat(service)[0].as_str(), scratch.read("got")),
        ("T", String::new())
    );
    svc(&scratch, "-c", "scan/a");
    wait_until("it goes on", || stat(service)[0] == "S");
}

#[test]
fn a_supervise_outlives_svscan_while_its_service_is_paused() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    scratch.service(
        "scan/a",
        "trap 'echo >>got' HUP; echo >ready; while :; do sleep 1000 & wait; done",
    );
    let mut svscan = svscan(&scratch, "");
    let service = scratch.wait_up("scan/a");
    let supervise = parent(service);
    wait_until("it is ready", || scratch.at("scan/a/ready").exists());
    svc(&scratch, "-p", "scan/a");
    wait_until("it has stopped", || stat(service)[0] == "T");
    svscan.signal("KILL");
    svscan.wait();
    // The kernel's, to a group that nobody of its session looks after any more.
    wait_until("it was hung up", || !scratch.read("scan/a/got").is_empty());
    svc(&scratch, "-ck", "scan/a");
    wait_until("it was started again", || {
        scratch
            .pid("scan/a")
            .is_some_and(|pid| pid != service && parent(pid) == supervise)
    });
    assert!(children(supervise).contains(&scratch.pid("scan/a").unwrap()));
}
