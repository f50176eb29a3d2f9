const STAYS: &str = "exec sleep 1000";

use crate::harness::{Output, Scratch, Stranger, Suite, has, is_alive, shell, wait_until};

/// A service that does not listen to TERM.
const STUBBORN: &str = "trap '' TERM; : > ready; while :; do sleep 1000; done";

fn svcstop(scratch: &Scratch, arguments: &[&str]) -> Output {
    scratch.run(Suite::Ours, "svcstop", arguments)
}

fn reason(output: &Output, service: &str) -> String {
    output.failure("svcstop", service)
}

#[test]
fn a_stopped_service_is_really_gone_and_its_log_is_left_running() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.service("a/log", "exec cat > out");
    scratch.link("a");
    let pid = scratch.wait_up("a");
    let log = scratch.wait_up("a/log");
    let output = svcstop(&scratch, &["service/a/"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output.text().starts_with("Stopping service/a/ ."),
        "{output:?}"
    );
    assert!(output.text().ends_with("OK\n"), "{output:?}");
    assert!(!is_alive(pid));
    assert!(is_alive(log));
    assert!(scratch.svstat("a").starts_with("down"));
}

#[test]
fn a_service_that_is_down_is_ok() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.write("a/down", "");
    scratch.link("a");
    assert_eq!(
        svcstop(&scratch, &["service/a"]).text(),
        "Stopping service/a .OK\n"
    );
}

/// Waits until `a`, which is [`STUBBORN`], ignores TERM; its pid.
fn wait_stubborn(scratch: &Scratch) -> u32 {
    let pid = scratch.wait_up("a");
    wait_until("it ignores TERM", || scratch.at("a/ready").exists());
    pid
}

#[test]
fn a_service_that_does_not_stop_fails_and_kill_ends_it() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STUBBORN);
    scratch.link("a");
    let pid = wait_stubborn(&scratch);
    let output = svcstop(&scratch, &["--timeout", "100ms", "service/a"]);
    assert_eq!(output.code, 1);
    assert!(output.text().ends_with("FAILED\n"));
    let why = reason(&output, "service/a");
    assert!(
        why.starts_with(&format!("it still runs (pid {pid}) 100ms after TERM;")),
        "{why}"
    );
    let output = svcstop(&scratch, &["--timeout", "100ms", "--kill", "service/a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!is_alive(pid));
}

#[test]
fn a_paused_service_stops() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    scratch.wait_up("a");
    scratch.run(Suite::Ours, "svc", &["-p", "a"]);
    wait_until("it is paused", || scratch.svstat("a").contains(", paused"));
    assert_eq!(svcstop(&scratch, &["service/a"]).code, 0);
}

#[test]
fn a_crashing_service_stops_crashing() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", "echo x >> starts; exit 1");
    scratch.link("a");
    wait_until("it crashes", || scratch.at("a/starts").exists());
    assert_eq!(svcstop(&scratch, &["service/a"]).code, 0);
    assert_eq!(scratch.svstat("a").split(' ').next(), Some("down"));
    assert!(!scratch.svstat("a").contains("want up"));
}

#[test]
fn a_stop_script_stops_it_and_is_not_believed_without_proof() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("honest", STAYS);
    scratch.script("honest/stop", "echo stopping; svc -d .");
    scratch.service("liar", STAYS);
    scratch.script("liar/stop", "exit 0");
    scratch.service("refuses", STAYS);
    scratch.script("refuses/stop", "exit 7");
    for name in ["honest", "liar", "refuses"] {
        scratch.link(name);
        scratch.wait_up(name);
    }
    let output = svcstop(&scratch, &["service/honest"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(
        output.text(),
        "Stopping service/honest .\nstopping\nStopping service/honest .OK\n"
    );
    let output = svcstop(&scratch, &["service/liar"]);
    assert_eq!(output.code, 1);
    assert!(
        reason(&output, "service/liar").starts_with("./stop exited 0, but the service still runs")
    );
    let output = svcstop(&scratch, &["--kill", "service/liar"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(scratch.svstat("liar").starts_with("down"));
    scratch.service("loop", "echo x >> starts; exit 1");
    scratch.script(
        "loop/stop",
        "until svstat . | grep -q 'want up'; do sleep 0.01; done",
    );
    scratch.link("loop");
    // Then its supervise has not come just now, in the place of another.
    wait_until("it crashes again", || {
        scratch.read("loop/starts").starts_with("x\nx\n")
    });
    let output = svcstop(&scratch, &["service/loop"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(reason(&output, "service/loop").starts_with("./stop exited 0, but the service "));
    let output = svcstop(&scratch, &["service/refuses"]);
    assert_eq!(output.code, 1);
    assert!(reason(&output, "service/refuses").starts_with("./stop exited 7;"));
    let output = svcstop(&scratch, &["--kill", "service/refuses"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(scratch.svstat("refuses").starts_with("down"));
}

#[test]
fn a_service_that_ignores_what_its_stop_script_sends_is_no_lie_and_can_be_killed() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STUBBORN);
    scratch.script("a/stop", "svc -d .");
    scratch.link("a");
    let pid = wait_stubborn(&scratch);
    let output = svcstop(&scratch, &["--timeout", "300ms", "service/a"]);
    assert_eq!(output.code, 1, "{output:?}");
    let why = reason(&output, "service/a");
    let expected = format!("it still runs (pid {pid}) 300ms after TERM; see why, or use --kill");
    assert_eq!(why, expected);
    let output = svcstop(&scratch, &["--timeout", "300ms", "--kill", "service/a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!is_alive(pid));
}

#[test]
fn a_stop_script_that_cannot_be_run_or_dies_or_hangs_fails() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let cases = [
        ("a", "#!/bin/sh\n", "644", "./stop is not executable;"),
        (
            "b",
            "#!/no/such\n",
            "755",
            "./stop needs /no/such, which does not exist;",
        ),
        (
            "c",
            "#!/bin/sh\nkill -KILL $$\n",
            "755",
            "./stop was killed by SIGKILL;",
        ),
        (
            "d",
            "#!/bin/sh\necho $$ > script; exec sleep 1000\n",
            "755",
            "./stop has not ended within 300ms",
        ),
    ];
    for (name, script, mode, why) in cases {
        scratch.service(name, STAYS);
        scratch.executable(format!("{name}/stop"), script);
        shell(&scratch, &format!("chmod {mode} {name}/stop"));
        scratch.link(name);
        let pid = scratch.wait_up(name);
        let service = format!("service/{name}");
        let output = svcstop(&scratch, &["--timeout", "300ms", &service]);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.text().ends_with(".FAILED\n"), "{output:?}");
        assert!(reason(&output, &service).starts_with(why), "{output:?}");
        assert!(is_alive(pid), "{name}: nothing has stopped it");
    }
    assert!(!is_alive(scratch.read("d/script").trim().parse().unwrap()));
}

#[test]
fn a_wish_to_go_up_meanwhile_is_told() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STUBBORN);
    scratch.link("a");
    wait_stubborn(&scratch);
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| svcstop(&scratch, &["service/a"]));
        wait_until("svcstop has sent its command", || {
            scratch.svstat("a").contains("want down")
        });
        scratch.run(Suite::Ours, "svc", &["-u", "a"]);
        output.join().unwrap()
    });
    assert_eq!(output.code, 1);
    assert!(reason(&output, "service/a").starts_with("somebody told it to go up"));
}

#[test]
fn a_service_told_to_leave_meanwhile_is_down_all_the_same() {
    let scratch = Scratch::new();
    scratch.service("a", STUBBORN);
    let mut supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "supervise");
    let pid = wait_stubborn(&scratch);
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| svcstop(&scratch, &["a"]));
        wait_until("svcstop has sent its command", || {
            scratch.svstat("a").contains("want down")
        });
        scratch.run(Suite::Ours, "svc", &["-xk", "a"]);
        output.join().unwrap()
    });
    assert_eq!(supervise.wait(), 0);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!is_alive(pid));
}

#[test]
fn a_service_whose_supervise_leaves_and_is_replaced_is_down_for_good() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    // Its own script may be the one that lets it leave.
    let stop = "#!/bin/sh\nsvc -dx .\n";
    for (name, script) in [("a", None), ("b", Some(stop))] {
        scratch.service(name, STAYS);
        if let Some(script) = script {
            scratch.script(format!("{name}/stop"), script);
        }
        scratch.link(name);
        scratch.wait_up(name);
        // By the name that svscan knows, and by another: it is replaced in any case.
        for service in [format!("service/{name}"), name.to_owned()] {
            scratch.run(Suite::Ours, "svc", &["-u", &service]);
            scratch.wait_up(name);
            if script.is_none() {
                scratch.run(Suite::Ours, "svc", &["-x", &service]);
            }
            let output = svcstop(&scratch, &[&service]);
            assert_eq!(output.code, 0, "{output:?}");
            // Of a supervise that stays.
            let line = scratch.svstat(&service);
            assert!(line.starts_with("down "), "{line}");
            let answer = scratch.run(Suite::Ours, "svok", &[&service]);
            assert_eq!(answer.code, 0, "{answer:?}");
        }
        let service = format!("service/{name}");
        scratch.run(Suite::Ours, "svc", &["-u", &service]);
        scratch.wait_up(name);
        if script.is_none() {
            scratch.run(Suite::Ours, "svc", &["-x", &service]);
        }
        let output = scratch.run(Suite::Ours, "svcrestart", &["--settle", "10ms", &service]);
        assert_eq!(output.code, 0, "{output:?}");
        let line = scratch.svstat(&service);
        assert!(line.starts_with("up "), "{name}: {line}, {output:?}");
    }
}

/// The record is written before the status; a script may ask svstat at once.
#[test]
fn ok_is_not_said_before_svstat_says_it() {
    if !has("a status that is written late", &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    scratch.write("a/down", "");
    let mut strace = scratch.command(Suite::Ours, "strace");
    strace.args(["-o", "trace", "-e", "trace=rename,renameat,renameat2"]);
    strace.args(["-e", "inject=rename,renameat,renameat2:delay_enter=300000"]);
    strace.arg(Suite::Ours.program("supervise")).arg("a");
    let mut supervise = scratch.start(strace, "strace");
    scratch.wait_supervised("a");
    let start = ["--settle", "1ms", "a"];
    for (command, arguments, state) in [
        ("svcstart", &start[..], "up "),
        ("svcstop", &["a"], "down "),
        ("svcrestart", &start, "down "),
        ("svcstart", &start, "up "),
        ("svcrestart", &start, "up "),
    ] {
        let output = scratch.run(Suite::Ours, command, arguments);
        assert_eq!(output.code, 0, "{output:?}");
        let line = scratch.svstat("a");
        assert!(line.starts_with(state), "{command}: {line}");
    }
    scratch.run(Suite::Ours, "svc", &["-dx", "a"]);
    assert_eq!(supervise.wait(), 0);
}

/// What `svcstop` of `typed`, called in `directory`, says with an `x` pending for the
/// service or log `path`; the service is stopped by it, and stays so.
fn stop_with_exit_pending(scratch: &Scratch, path: &str, directory: &str, typed: &str) -> Output {
    let pid = scratch.wait_up(path).to_string();
    scratch.run(Suite::Ours, "svc", &["-x", path]);
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svcstop"));
    command.current_dir(scratch.at(directory)).arg(typed);
    let output = crate::harness::finish(command);
    assert_eq!(output.code, 0, "{directory}, {typed}: {output:?}");
    let line = scratch.svstat(path);
    assert!(!line.starts_with("up"), "{directory}, {typed}: {line}");
    assert_ne!(scratch.pid(path).map(|pid| pid.to_string()), Some(pid));
    output
}

#[test]
fn whatever_path_was_typed_a_log_that_is_a_link_is_stopped_with_an_exit_pending() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.service("logs/a", "exec cat");
    std::os::unix::fs::symlink("../logs/a", scratch.at("a/log")).unwrap();
    scratch.link("a");
    for (directory, typed) in [
        (".", "logs/a"),
        ("logs/a", "."),
        ("service/a/log", "."),
        ("logs", "a"),
        (".", "service/a/log"),
    ] {
        stop_with_exit_pending(&scratch, "a/log", directory, typed);
        // Of a supervise that stays.
        let answer = scratch.run(Suite::Ours, "svok", &["a/log"]);
        assert_eq!(answer.code, 0, "{directory}, {typed}");
        scratch.run(Suite::Ours, "svc", &["-u", "a/log"]);
    }
}

#[test]
fn an_svscan_that_came_later_is_known_to_replace_a_supervise() {
    let scratch = Scratch::new();
    let first = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    scratch.wait_up("a");
    assert_eq!(scratch.state("a", "svscan"), Some(first.pid().to_string()));
    first.signal("KILL");
    drop(first);
    let second = scratch.daemon(Suite::Ours, "svscan", &["service"], "second");
    let noted = || scratch.read("a/supervise/svscan");
    wait_until("it has tried to start one", || {
        noted().contains(&format!("\nsvscan {}\n", second.pid()))
    });
    stop_with_exit_pending(&scratch, "a", ".", "a");
    let answer = scratch.run(Suite::Ours, "svok", &["a"]);
    assert_eq!(answer.code, 0);
    // Its supervise is the second's own now.
    let svscan = Some(second.pid().to_string());
    assert_eq!(scratch.state("a", "svscan"), svscan);
    // Where no svscan is any more, nobody replaces it.
    scratch.run(Suite::Ours, "svc", &["-u", "a"]);
    scratch.wait_up("a");
    drop(second);
    stop_with_exit_pending(&scratch, "a", ".", "a");
    assert_eq!(scratch.svstat("a"), "supervise not running");
}

#[test]
fn a_service_whose_supervise_has_left_and_whose_entry_is_gone_is_down() {
    let scratch = Scratch::new();
    let svscan = scratch.svscan();
    scratch.service("a", STUBBORN);
    scratch.link("a");
    let pid = wait_stubborn(&scratch);
    let supervise: u32 = scratch.state("a", "supervise").unwrap().parse().unwrap();
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| svcstop(&scratch, &["a"]));
        wait_until("svcstop has sent its command", || {
            scratch.svstat("a").contains("want down")
        });
        std::fs::remove_file(scratch.at("service/a")).unwrap();
        scratch.run(Suite::Ours, "svc", &["-xk", "a"]);
        output.join().unwrap()
    });
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!is_alive(pid));
    // Only what the service has left behind.
    let children = crate::harness::children(svscan.pid());
    assert!(!children.contains(&supervise), "{children:?}");
    let is_supervise = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name == "supervise\n")
    };
    assert!(!children.iter().any(is_supervise), "{children:?}");
}

#[test]
fn persist_creates_the_down_file_once_the_service_is_down_and_not_before() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for (name, run) in [("a", STAYS), ("b", STUBBORN)] {
        scratch.service(name, run);
        scratch.link(name);
        scratch.wait_up(name);
    }
    wait_until("it ignores TERM", || scratch.at("b/ready").exists());
    for (name, options, code) in [
        ("a", &["--persist"] as &[&str], 0),
        ("b", &["--persist", "--timeout", "100ms"], 1),
        ("b", &["--persist", "--timeout", "100ms", "--kill"], 0),
    ] {
        let service = format!("service/{name}");
        let output = svcstop(&scratch, &[options, &[&service]].concat());
        assert_eq!(output.code, code, "{output:?}");
        assert_eq!(scratch.at(name).join("down").exists(), code == 0);
    }
}

#[test]
fn a_down_file_that_cannot_be_made_is_told() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    std::os::unix::fs::symlink("no/where", scratch.at("a/down")).unwrap();
    scratch.link("a");
    scratch.wait_up("a");
    let output = svcstop(&scratch, &["--persist", "service/a"]);
    assert_eq!(output.code, 1);
    let why = reason(&output, "service/a");
    assert!(
        why.contains("unable to create down: file already exists"),
        "{why}"
    );
}

#[test]
fn without_the_right_to_ask_supervise_it_says_so() {
    let scratch = Scratch::new();
    let test = "svcstop without the right to ask supervise";
    let Some(stranger) = Stranger::new(test, &scratch) else {
        return;
    };
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    scratch.wait_up("a");
    let mut command = stranger.command(&scratch, "svcstop");
    command.arg("service/a");
    let output = crate::harness::finish(command);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.errors().contains("access denied"), "{output:?}");
}
