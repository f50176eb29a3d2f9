/// Scripts that call these commands.
mod nested;
/// Whose supervise it is, and whose script then.
mod owner;

use crate::harness::{
    Output, Scratch, Suite, children, finish, is_alive, shell, signal, wait_until,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A service that stays.
const STAYS: &str = "exec sleep 1000";

fn svcstart(scratch: &Scratch, arguments: &[&str]) -> Output {
    scratch.run(Suite::Ours, "svcstart", arguments)
}

fn reason(output: &Output, service: &str) -> String {
    output.failure("svcstart", service)
}

#[test]
fn a_service_that_stays_up_is_ok_and_named_as_it_was_typed() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("mldonkey", STAYS);
    scratch.link("mldonkey");
    let output = svcstart(&scratch, &["--settle", "1s", "service/mldonkey/"]);
    assert_eq!(output.code, 0, "{output:?}");
    let text = output.text();
    let dots = text
        .strip_prefix("Starting service/mldonkey/ ")
        .and_then(|rest| rest.strip_suffix("OK\n"))
        .unwrap_or_else(|| panic!("{output:?}"));
    assert!(
        !dots.is_empty() && dots.bytes().all(|byte| byte == b'.'),
        "{output:?}"
    );
    assert_eq!(output.errors(), "");
    assert!(scratch.pid("mldonkey").is_some());
}

#[test]
fn a_service_that_has_long_been_up_is_ok_at_once_and_left_alone() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    assert_eq!(
        svcstart(&scratch, &["--settle", "500ms", "service/a"]).code,
        0
    );
    let pid = scratch.pid("a");
    let output = svcstart(&scratch, &["--settle", "500ms", "service/a"]);
    assert_eq!(output.text(), "Starting service/a .OK\n");
    assert_eq!(scratch.pid("a"), pid);
}

#[test]
fn a_crash_fails_and_says_how_it_ended() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for (name, run, how) in [
        ("exits", "exit 3", "it started and then exited 3;"),
        (
            "dies",
            "kill -SEGV $$",
            "it started and then was killed by SIGSEGV;",
        ),
        (
            "absent",
            "exec ./nothing",
            "it started and then exited 127;",
        ),
    ] {
        scratch.service(name, run);
        scratch.link(name);
        let service = format!("service/{name}");
        let output = svcstart(&scratch, &[&service]);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.text().ends_with("FAILED\n"), "{output:?}");
        assert!(reason(&output, &service).starts_with(how), "{output:?}");
        assert!(!scratch.at(name).join("supervise/ended").exists());
    }
}

#[test]
fn a_run_that_cannot_be_executed_is_explained() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let cases: [(&str, &str, &str); 7] = [
        ("a", "true", "there is no ./run;"),
        (
            "h",
            "echo '#! ../dead -x' >run; chmod +x run; : >../dead",
            "./run needs ../dead, which is not executable;",
        ),
        ("b", "touch run", "./run is not executable; chmod +x it"),
        ("c", "mkdir run", "./run is not a file;"),
        ("d", "echo exit >run; chmod +x run", "./run has no #! line;"),
        (
            "e",
            "echo '#!/no/such' >run; chmod +x run",
            "./run needs /no/such, which does not exist;",
        ),
        (
            "f",
            "ln -s nothing run",
            "./run is a dangling symbolic link;",
        ),
    ];
    for (name, make, why) in cases {
        scratch.mkdir(name);
        let mut command = scratch.command(Suite::Ours, "/bin/sh");
        command.args(["-c", make]).current_dir(scratch.at(name));
        assert_eq!(finish(command).code, 0);
        scratch.link(name);
        let service = format!("service/{name}");
        let output = svcstart(&scratch, &[&service]);
        assert_eq!(output.code, 1);
        assert!(reason(&output, &service).starts_with(why), "{output:?}");
    }
    scratch.service("g", "exit 111");
    scratch.link("g");
    let output = svcstart(&scratch, &["service/g"]);
    assert!(
        reason(&output, "service/g").contains("exited 111;"),
        "{output:?}"
    );
}

#[test]
fn a_full_stderr_makes_no_service_of_a_run_that_is_not_there() {
    let scratch = Scratch::new();
    scratch.mkdir("a");
    let mut command = scratch.command(Suite::Ours, "/bin/sh");
    // Nobody reads the FIFO, and it is full when supervise starts.
    let script = "mkfifo pipe; exec 3<>pipe 2>pipe; \
                  dd if=/dev/zero of=pipe bs=65536 count=1 oflag=nonblock 2>/dev/null; \
                  exec supervise a 3<&-";
    command.args(["-c", script]);
    let mut child = command.spawn().unwrap();
    scratch.wait_supervised("a");
    let output = svcstart(&scratch, &["a"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        reason(&output, "a").starts_with("there is no ./run;"),
        "{output:?}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_crash_within_the_settling_time_fails_even_if_it_was_up_at_first() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.mkdir("a");
    // It lives until the test has seen it up.
    scratch.script("a/run", "while [ ! -e die ]; do sleep 0.01; done; exit 4");
    scratch.write("a/down", "");
    scratch.link("a");
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| svcstart(&scratch, &["--settle", "1h", "service/a"]));
        scratch.wait_up("a");
        scratch.write("a/die", "");
        output.join().unwrap()
    });
    assert_eq!(output.code, 1);
    assert!(
        reason(&output, "service/a").contains("exited 4;"),
        "{output:?}"
    );
}

#[test]
fn a_paused_service_is_continued() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    scratch.wait_up("a");
    scratch.run(Suite::Ours, "svc", &["-p", "a"]);
    wait_until("it is paused", || scratch.svstat("a").contains(", paused"));
    assert_eq!(
        svcstart(&scratch, &["--settle", "10ms", "service/a"]).code,
        0
    );
    assert!(!scratch.svstat("a").contains("paused"));
}

#[test]
fn a_wish_to_go_down_meanwhile_is_told() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| svcstart(&scratch, &["--settle", "1h", "service/a"]));
        scratch.wait_at_work("a");
        wait_until("svcstart has heard of svc -d", || {
            scratch.run(Suite::Ours, "svc", &["-d", "a"]);
            output.is_finished()
        });
        output.join().unwrap()
    });
    assert_eq!(output.code, 1);
    assert!(reason(&output, "service/a").starts_with("somebody told it to go down"));
}

#[test]
fn the_start_script_gives_the_verdict_and_its_output_stays_readable() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.write("a/down", "");
    scratch.script(
        "a/start",
        "svc -u . && echo \"in ${PWD##*/}\" && printf 'half a line' && echo help >&2",
    );
    scratch.link("a");
    let output = svcstart(&scratch, &["service/a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(
        output.text(),
        "Starting service/a .\nin a\nhalf a line\nStarting service/a .OK\n"
    );
    assert_eq!(output.errors(), "help\n");
    scratch.wait_up("a");
}

#[test]
fn a_start_script_that_refuses_fails_with_its_code() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/start", "svc -d .; exit 1");
    scratch.link("a");
    let output = svcstart(&scratch, &["service/a"]);
    assert_eq!(output.code, 1);
    assert_eq!(output.text(), "Starting service/a .FAILED\n");
    assert!(reason(&output, "service/a").starts_with("./start exited 1;"));
    scratch.wait_down("a");
}

#[test]
fn a_start_script_that_cannot_be_run_is_explained() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let cases: [(&str, &str, u32, &str); 5] = [
        ("a", "#!/bin/sh\n", 0o644, "./start is not executable;"),
        (
            "b",
            "#!/no/such\n",
            0o755,
            "./start needs /no/such, which does not exist;",
        ),
        (
            "c",
            "#!/bin/sh\r\nexit 0\r\n",
            0o755,
            "./start needs /bin/sh followed by a carriage return",
        ),
        ("d", "exit 0\n", 0o755, "./start has no #! line;"),
        (
            "e",
            "#!/bin/sh\nkill -KILL $$\n",
            0o755,
            "./start was killed by SIGKILL;",
        ),
    ];
    for (name, script, mode, why) in cases {
        scratch.service(name, STAYS);
        let path = scratch.at(name).join("start");
        scratch.executable(&path, script);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        scratch.link(name);
        let service = format!("service/{name}");
        let output = svcstart(&scratch, &[&service]);
        assert_eq!(output.code, 1);
        assert!(reason(&output, &service).starts_with(why), "{output:?}");
    }
    scratch.service("f", STAYS);
    scratch.mkdir("f/start");
    scratch.link("f");
    let output = svcstart(&scratch, &["service/f"]);
    assert!(reason(&output, "service/f").starts_with("./start is not a file;"));
    scratch.service("g", STAYS);
    std::os::unix::fs::symlink("nothing", scratch.at("g/start")).unwrap();
    scratch.link("g");
    let output = svcstart(&scratch, &["service/g"]);
    assert!(reason(&output, "service/g").starts_with("./start is a dangling symbolic link;"));
}

#[test]
fn a_start_script_that_hangs_is_ended_with_all_it_started() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    // One that does not listen to TERM, with a child that does not either.
    scratch.script(
        "a/start",
        "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > script; wait; wait; sleep 1000",
    );
    scratch.link("a");
    let output = svcstart(&scratch, &["--timeout", "300ms", "service/a"]);
    assert_eq!(output.code, 1);
    let why = reason(&output, "service/a");
    assert!(
        why.starts_with("./start has not ended within 300ms"),
        "{why}"
    );
    assert!(why.contains("the service is up (pid "), "{why}");
    for file in ["a/child", "a/script"] {
        let pid = scratch.read(file).trim().parse().unwrap();
        wait_until("all of the script is gone", || !is_alive(pid));
    }
}

#[test]
fn what_a_start_script_leaves_in_the_background_holds_nobody_up() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/start", "sleep 1000 & echo $! > child; exit 0");
    scratch.link("a");
    assert_eq!(svcstart(&scratch, &["service/a"]).code, 0);
    assert!(is_alive(scratch.read("a/child").trim().parse().unwrap()));
}

#[test]
fn a_start_script_may_call_svcstart_for_its_own_service() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.write("a/down", "");
    scratch.script("a/start", "svcstart --settle 10ms . && echo probed");
    scratch.link("a");
    let output = svcstart(&scratch, &["service/a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(
        output.text(),
        "Starting service/a .\nStarting . .OK\nprobed\nStarting service/a .OK\n"
    );
}

#[test]
fn an_interrupted_svcstart_ends_its_script_and_dies_of_the_signal() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/start", "echo $$ > script; exec sleep 1000");
    scratch.link("a");
    let mut start = scratch.daemon(Suite::Ours, "svcstart", &["service/a"], "svcstart");
    wait_until("the script runs", || {
        !scratch.read("a/script").trim().is_empty()
    });
    start.signal("INT");
    assert_eq!(start.wait(), 1002);
    let pid = scratch.read("a/script").trim().parse().unwrap();
    wait_until("the script is gone", || !is_alive(pid));
}

#[test]
fn a_link_just_made_is_waited_for_a_thousand_times_of_a_thousand() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for round in 0..1000 {
        let name = format!("s{round}");
        scratch.service(&name, STAYS);
        scratch.link(&name);
        let service = format!("service/{name}");
        let output = svcstart(&scratch, &["--settle", "0s", &service]);
        assert_eq!(output.code, 0, "round {round}: {output:?}");
        fs::remove_file(scratch.at(&service)).unwrap();
        scratch.run(Suite::Ours, "svc", &["-dx", &name]);
        scratch.run(Suite::Ours, "svc", &["-k", &name]);
    }
}

#[test]
fn a_directory_that_nobody_takes_up_fails_and_says_why() {
    let scratch = Scratch::new();
    scratch.service("lonely", STAYS);
    let _svscan = scratch.svscan();
    scratch.service("service/.hidden", STAYS);
    std::thread::scope(|scope| {
        let lonely = scope.spawn(|| svcstart(&scratch, &["lonely"]));
        let hidden = svcstart(&scratch, &["service/.hidden"]);
        assert_eq!(hidden.code, 1);
        assert!(reason(&hidden, "service/.hidden").contains("names that begin with a dot;"));
        let lonely = lonely.join().unwrap();
        assert_eq!(lonely.code, 1);
        assert!(reason(&lonely, "lonely").starts_with(
            "no supervise runs for it, and svscan does not run on the directory it is in, but on "
        ));
    });
}

#[test]
fn where_no_svscan_runs_at_all_that_is_said() {
    let test = "svcstart where no svscan runs";
    if !crate::harness::is_root(test) || !crate::harness::has(test, &["unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("lonely", STAYS);
    // With processes of its own: those of other tests are not seen.
    let mut command = scratch.command(Suite::Ours, "unshare");
    command.args(["-pf", "--mount-proc", "--kill-child"]);
    command.arg(Suite::Ours.program("svcstart")).arg("lonely");
    let output = finish(command);
    assert_eq!(output.code, 1, "{output:?}");
    let why = "no supervise runs for it, and no svscan runs at all; start svscanboot";
    assert!(reason(&output, "lonely").starts_with(why), "{output:?}");
}

#[test]
fn what_is_no_service_directory_fails_at_once() {
    let scratch = Scratch::new();
    scratch.write("file", "");
    let output = svcstart(&scratch, &["nosuch"]);
    assert_eq!(output.text(), "Starting nosuch .FAILED\n");
    assert!(reason(&output, "nosuch").starts_with(
        "no such service directory: file does not exist here or in /service or in /etc/service;"
    ));
    let output = svcstart(&scratch, &["file"]);
    assert!(reason(&output, "file").starts_with("no such service directory: not a directory;"));
}

#[test]
fn several_services_are_worked_at_in_order_and_one_failure_counts() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for name in ["a", "b", "c"] {
        scratch.service(name, STAYS);
        scratch.link(name);
    }
    scratch.script("b/start", "exit 1");
    let arguments = ["--settle", "10ms", "service/a", "service/b", "service/c"];
    let output = svcstart(&scratch, &arguments);
    assert_eq!(output.code, 1);
    let text = output.text();
    let verdicts: Vec<(&str, bool)> = text
        .lines()
        .map(|line| (line.split(' ').nth(1).unwrap(), line.ends_with(".OK")))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("service/a", true),
            ("service/b", false),
            ("service/c", true)
        ]
    );
}

#[test]
fn in_parallel_the_waits_overlap_and_every_line_is_whole() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    // Each start script ends only when the others run, too.
    for name in ["a", "b", "c"] {
        scratch.service(name, STAYS);
        scratch.script(
            format!("{name}/start"),
            "echo here; : > up; while [ ! -e ../a/up ] || [ ! -e ../b/up ] || [ ! -e ../c/up ]; do sleep 0.01; done",
        );
        scratch.link(name);
    }
    let output = svcstart(
        &scratch,
        &["--parallel", "service/a", "service/b", "service/c"],
    );
    assert_eq!(output.code, 0, "{output:?}");
    let text = output.text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        &lines[3..],
        ["service/a: here", "service/b: here", "service/c: here"]
    );
    for (line, name) in lines.iter().zip(["a", "b", "c"]) {
        assert!(
            line.starts_with(&format!("Starting service/{name} .")),
            "{line}"
        );
        assert!(line.ends_with(".OK"), "{line}");
    }
}

#[test]
fn in_parallel_one_failure_counts_and_an_interrupt_reaches_all() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.service("b", STAYS);
    scratch.script("b/start", "exit 1");
    for name in ["a", "b"] {
        scratch.link(name);
    }
    let arguments = ["--parallel", "--settle", "10ms", "service/a", "service/b"];
    assert_eq!(svcstart(&scratch, &arguments).code, 1);
    let arguments = ["--parallel", "--settle", "1h", "service/a", "a"];
    let mut start = scratch.daemon(Suite::Ours, "svcstart", &arguments, "start");
    scratch.wait_at_work("a");
    start.signal("TERM");
    assert_eq!(start.wait(), 1015);
}

#[test]
fn two_people_wait_for_each_other() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.write("a/down", "");
    scratch.script(
        "a/start",
        "echo start begins >> ../log; svc -u .; while [ ! -e ../go ]; do sleep 0.01; done; echo start ends >> ../log",
    );
    scratch.script("a/stop", "echo stop begins >> ../log; svc -d .");
    scratch.link("a");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| svcstart(&scratch, &["service/a"]));
        wait_until("the start script runs", || {
            scratch.read("log").contains("start begins")
        });
        let stop = scope.spawn(|| scratch.run(Suite::Ours, "svcstop", &["service/a"]));
        // It has its helper, so it waits for the lock.
        wait_until("svcstop waits", || {
            let programs = scratch.processes().into_iter();
            let comm = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            programs.filter(|pid| comm(*pid) == "svcstop\n").count() == 2
        });
        assert!(!scratch.read("log").contains("stop begins"));
        scratch.write("go", "");
        assert_eq!(start.join().unwrap().code, 0);
        let stop = stop.join().unwrap();
        assert_eq!(stop.code, 0, "{stop:?}");
    });
    assert_eq!(
        scratch.read("log"),
        "start begins\nstart ends\nstop begins\n"
    );
    assert!(scratch.svstat("a").starts_with("down"));
}

#[test]
fn many_people_at_once_leave_the_service_as_the_last_one_wanted_it() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    scratch.wait_supervised("a");
    std::thread::scope(|scope| {
        let people: Vec<_> = (0..12)
            .map(|person| {
                let scratch = &scratch;
                scope.spawn(move || match person % 2 {
                    0 => svcstart(scratch, &["--settle", "20ms", "service/a"]),
                    _ => scratch.run(Suite::Ours, "svcstop", &["service/a"]),
                })
            })
            .collect();
        for person in people {
            let output = person.join().unwrap();
            assert_eq!(output.code, 0, "{output:?}");
        }
    });
    assert_eq!(scratch.run(Suite::Ours, "svcstop", &["service/a"]).code, 0);
    assert!(scratch.svstat("a").starts_with("down"));
}

#[test]
fn persist_removes_the_down_file_once_the_service_is_up_and_not_before() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for (name, code, left) in [("a", 0, false), ("b", 1, true)] {
        scratch.service(name, STAYS);
        if code != 0 {
            scratch.script(format!("{name}/start"), "exit 1");
        }
        scratch.write(format!("{name}/down"), "");
        scratch.link(name);
        let service = format!("service/{name}");
        let output = svcstart(&scratch, &["--persist", "--settle", "10ms", &service]);
        assert_eq!(output.code, code, "{output:?}");
        assert_eq!(scratch.at(name).join("down").exists(), left);
    }
}

#[test]
fn quiet_prints_errors_only() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for name in ["a", "b"] {
        scratch.service(name, STAYS);
        scratch.link(name);
    }
    scratch.script("b/start", "exit 1");
    scratch.script("a/start", "echo hello; svc -u .");
    let output = svcstart(
        &scratch,
        &["-q", "--settle", "10ms", "service/a", "service/b"],
    );
    assert_eq!(output.code, 1);
    assert_eq!(output.text(), "");
    assert!(reason(&output, "service/b").contains("exited 1;"));
}

#[test]
fn a_bare_name_is_looked_up_in_svdir() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("elsewhere", STAYS);
    std::os::unix::fs::symlink("../elsewhere", scratch.at("service/squid")).unwrap();
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svcstart"));
    command
        .args(["--settle", "10ms", "squid"])
        .env("SVDIR", scratch.at("service"));
    let output = finish(command);
    assert_eq!(output.text(), "Starting squid .OK\n");
    assert_eq!(output.code, 0);
    // So is its log, which came too late for svscan.
    for (name, why) in [
        (
            "squid/log",
            "a supervise runs for the service, but none for its log came within 10s; ",
        ),
        (
            "octopus/log",
            "no such service directory: file does not exist here or in ",
        ),
    ] {
        scratch.mkdir("elsewhere/log");
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svcstart"));
        command.arg(name).env("SVDIR", scratch.at("service"));
        let output = finish(command);
        assert!(reason(&output, name).starts_with(why), "{output:?}");
    }
}

#[test]
fn a_name_that_is_here_is_not_looked_up_whatever_it_is() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("elsewhere", STAYS);
    scratch.write("file", "");
    std::os::unix::fs::symlink("gone", scratch.at("dangling")).unwrap();
    for (name, why) in [
        ("file", "not a directory"),
        ("dangling", "file does not exist"),
    ] {
        let service = format!("service/{name}");
        std::os::unix::fs::symlink("../elsewhere", scratch.at(&service)).unwrap();
        for program in ["svcstart", "svcstop", "svcreset", "svcrestart"] {
            let mut command = scratch.command(Suite::Ours, Suite::Ours.program(program));
            command.arg(name).env("SVDIR", scratch.at("service"));
            let output = finish(command);
            let said = output.failure(program, name);
            let expected = format!("no such service directory: {why};");
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_100_and_one_line() {
    let scratch = Scratch::new();
    for arguments in [
        vec![],
        vec!["-x", "a"],
        vec!["--timeout", "3", "a"],
        vec!["--kill", "a"],
    ] {
        let output = svcstart(&scratch, &arguments);
        assert_eq!(output.code, 100, "{output:?}");
        let errors = output.errors();
        assert!(errors.starts_with("svcstart: fatal: "), "{errors}");
        assert_eq!(errors.matches('\n').count(), 1, "{errors}");
        assert_eq!(output.text(), "");
    }
}

#[test]
fn a_duration_beyond_all_clocks_is_a_long_one() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    let arguments = ["--timeout", "5000000000y", "--settle", "10ms", "service/a"];
    let output = svcstart(&scratch, &arguments);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn a_supervise_that_dies_meanwhile_is_told() {
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    let supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "supervise");
    scratch.wait_supervised("a");
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| svcstart(&scratch, &["--settle", "1h", "a"]));
        scratch.wait_at_work("a");
        signal(supervise.pid(), "KILL");
        drop(supervise);
        output.join().unwrap()
    });
    assert_eq!(output.code, 1);
    assert!(
        reason(&output, "a").starts_with("its supervise exited meanwhile;"),
        "{output:?}"
    );
}

#[test]
fn a_supervise_that_was_told_to_exit_is_waited_for_and_its_successor_told() {
    // It ends when the test says so.
    const ENDS_LATE: &str = "trap : TERM; sleep 1000 & echo $! >sleeper; wait; read line <gate; \
                             kill $(cat sleeper)";
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let script = "#!/bin/sh\nsvc -u . && exec svstat . >seen\n";
    for (name, has_down, is_late, start) in [
        ("a", false, false, None),
        ("b", false, true, None),
        ("c", true, true, None),
        ("d", true, false, Some(script)),
    ] {
        scratch.service(name, ENDS_LATE);
        if has_down {
            scratch.write(format!("{name}/down"), "");
        }
        if let Some(script) = start {
            scratch.script(format!("{name}/start"), script);
        }
        crate::harness::shell(&scratch, &format!("mkfifo {name}/gate"));
        scratch.link(name);
        scratch.wait_supervised(name);
        scratch.run(Suite::Ours, "svc", &["-u", name]);
        let old = scratch.wait_up(name);
        wait_until("the service can be ended", || {
            !scratch.read(format!("{name}/sleeper")).is_empty()
        });
        scratch.run(Suite::Ours, "svc", &["-dx", name]);
        let let_it_end = || scratch.write(format!("{name}/gate"), "go on\n");
        if !is_late {
            let_it_end();
            wait_until("supervise has ended", || {
                scratch.svstat(name) == "supervise not running"
            });
        }
        let service = format!("service/{name}");
        let output = std::thread::scope(|scope| {
            let output = scope.spawn(|| svcstart(&scratch, &[&service]));
            if is_late {
                wait_until("svcstart has sent its command", || {
                    !scratch.svstat(name).contains("want down")
                });
                let_it_end();
            }
            output.join().unwrap()
        });
        assert_eq!(output.code, 0, "{name}: {output:?}");
        let new = scratch.wait_up(name);
        assert!(new != old && is_alive(new));
    }
}

/// A script that fails because its supervise has left says nothing about the service.
#[test]
fn a_script_whose_supervise_leaves_is_no_verdict_and_the_successor_is_told() {
    const LEAVES: &str = "[ -e left ] && exec svc $1 .
        >left; svc -dx .; while svok .; do sleep 0.1; done; exit 1";
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/start", &LEAVES.replace("$1", "-u"));
    scratch.script("a/stop", &LEAVES.replace("$1", "-d"));
    scratch.link("a");
    scratch.wait_up("a");
    for (program, state) in [("svcstart", "up"), ("svcstop", "down")] {
        shell(&scratch, "rm -f a/left");
        let output = scratch.run(Suite::Ours, program, &["service/a"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.out.ends_with(b"OK\n"), "{output:?}");
        assert!(scratch.svstat("a").starts_with(state));
    }
}

/// It leaves between two looks of svcstart: at `ok`, at `control`, at its lock.
#[test]
fn a_supervise_that_is_just_leaving_is_not_taken_for_one_that_cannot_be_known() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let names: Vec<String> = (0..12).map(|number| format!("s{number}")).collect();
    for name in &names {
        scratch.service(name, STAYS);
        scratch.script(format!("{name}/start"), "exec svc -u .");
        scratch.script(format!("{name}/stop"), "exec svc -d .");
        scratch.link(name);
        scratch.wait_up(name);
    }
    std::thread::scope(|scope| {
        for (number, name) in names.iter().enumerate() {
            let scratch = &scratch;
            scope.spawn(move || {
                scratch.run(Suite::Ours, "svc", &["-dx", name]);
                let program = ["svcstart", "svcstop"][number % 2];
                let output = scratch.run(Suite::Ours, program, &[&format!("service/{name}")]);
                assert_eq!(output.code, 0, "{output:?}");
            });
        }
    });
}

#[test]
fn it_works_without_inotify_too() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.service("b", "exit 1");
    for name in ["a", "b"] {
        scratch.link(name);
        scratch.wait_supervised(name);
    }
    let script = "svcstart --settle 10ms service/a && svcrestart --settle 10ms service/a && \
                  svcstop service/a && ! svcstart service/b && svcstop service/b";
    let Some(command) = scratch.without_inotify("svcstart without inotify", script) else {
        return;
    };
    let output = finish(command);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(scratch.svstat("a").starts_with("down"));
}

#[test]
fn it_works_on_the_original_supervise_too() {
    if !crate::harness::has("svcstart on the original supervise", &["svscan"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    let _supervise = scratch.daemon(Suite::Reference, "supervise", &["a"], "supervise");
    let output = svcstart(&scratch, &["--settle", "10ms", "a"]);
    assert_eq!(output.code, 0, "{output:?}");
    let output = scratch.run(Suite::Ours, "svcstop", &["a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(scratch.svstat("a").starts_with("down"));
}

#[test]
fn what_a_supervise_of_ours_has_left_is_not_believed_under_the_original_one() {
    let test = "svcstart on the original supervise in the place of ours";
    if !crate::harness::has(test, &["svscan"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    let supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "ours");
    let orphan = scratch.wait_up("a");
    wait_until("it is recorded", || {
        scratch.state("a", "pid") == Some(orphan.to_string())
    });
    signal(supervise.pid(), "KILL");
    drop(supervise);
    signal(orphan, "KILL");
    scratch.service("a", "exit 1");
    let _supervise = scratch.daemon(Suite::Reference, "supervise", &["a"], "original");
    scratch.wait_supervised("a");
    // The record says that it is up.
    assert_eq!(scratch.state("a", "phase").as_deref(), Some("up"));
    let output = svcstart(&scratch, &["a"]);
    assert_eq!(output.code, 1, "{output:?}");
    let output = scratch.run(Suite::Ours, "svcstop", &["a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(scratch.svstat("a").starts_with("down"));
    assert_eq!(scratch.state("a", "phase").as_deref(), Some("up"));
}

#[test]
fn an_older_wish_that_is_obeyed_only_now_is_nobodys_fault() {
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    let supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "supervise");
    scratch.wait_up("a");
    scratch.wait_supervised("a");
    supervise.signal("STOP");
    scratch.run(Suite::Ours, "svc", &["-d", "a"]);
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| svcstart(&scratch, &["--settle", "10ms", "a"]));
        scratch.wait_at_work("a");
        supervise.signal("CONT");
        output.join().unwrap()
    });
    assert_eq!(output.code, 0, "{output:?}");
    // It may take longer than so short a settling time to die of the older `d`.
    scratch.wait_up("a");
}

#[test]
fn a_hung_script_that_hangs_in_another_services_script_is_ended_whole() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("inner", STAYS);
    scratch.script(
        "inner/start",
        "trap '' TERM; echo $$ > script; sleep 1000; sleep 1000",
    );
    scratch.service("outer", STAYS);
    scratch.script("outer/start", "svcstart ../inner; exit 0");
    for name in ["inner", "outer"] {
        scratch.link(name);
        scratch.wait_supervised(name);
    }
    let output = svcstart(&scratch, &["--timeout", "500ms", "service/outer"]);
    assert_eq!(output.code, 1, "{output:?}");
    let script = scratch.read("inner/script").trim().parse().unwrap();
    wait_until("the inner script is gone", || !is_alive(script));
}

#[test]
fn a_hung_script_that_has_left_its_process_group_is_ended_too() {
    let test = "a script that leaves its process group";
    if !crate::harness::has(test, &["perl"]) {
        return;
    }
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for name in ["a", "b"] {
        scratch.service(name, STAYS);
    }
    scratch.executable(
        "a/start",
        "#!/usr/bin/perl\nsetpgrp(0, getpgrp(getppid)) or die;\n$SIG{TERM} = 'IGNORE';\n\
         open F, '>', 'script'; print F $$; close F; sleep 1000;\n",
    );
    // Asked while svcstart still runs: at its end, none of its scripts is left anyway.
    scratch.script("b/start", "! kill -0 $(cat ../a/script) 2>/dev/null");
    for name in ["a", "b"] {
        scratch.link(name);
        scratch.wait_supervised(name);
    }
    let output = svcstart(&scratch, &["--timeout", "2s", "service/a", "service/b"]);
    assert!(
        reason(&output, "service/a").contains("has not ended within 2s"),
        "{output:?}"
    );
    assert!(output.text().ends_with("OK\n"), "{output:?}");
}

#[test]
fn a_script_ends_with_the_svcstart_that_runs_it() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/start", "echo $$ > script; while :; do sleep 1000; done");
    scratch.link("a");
    let start = scratch.daemon(Suite::Ours, "svcstart", &["service/a"], "svcstart");
    wait_until("the script runs", || {
        !scratch.read("a/script").trim().is_empty()
    });
    start.signal("KILL");
    let script = scratch.read("a/script").trim().parse().unwrap();
    wait_until("the script is gone", || !is_alive(script));
}

#[test]
fn a_killed_svcstart_leaves_no_helper_and_no_worker_behind() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/start", "echo $$ > script; while :; do sleep 1000; done");
    scratch.link("a");
    let arguments = ["--parallel", "service/a", "a"];
    let start = scratch.daemon(Suite::Ours, "svcstart", &arguments, "svcstart");
    // Two workers: one runs the script, one has a helper that waits for the lock.
    let mut left = Vec::new();
    wait_until("one is at work, one waits", || {
        let workers = children(start.pid());
        let helpers: Vec<u32> = workers.iter().flat_map(|pid| children(*pid)).collect();
        left = [workers, helpers].concat();
        left.len() == 4 && !scratch.read("a/script").trim().is_empty()
    });
    start.signal("KILL");
    for pid in left {
        wait_until("what it started is gone", || !is_alive(pid));
    }
}

#[test]
fn what_a_script_leaves_behind_does_not_have_its_lock() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script(
        "a/start",
        "[ -e ../left ] && { echo again; exit 0; }; : > ../left; \
         (read line < ../gate; svcstart . > ../late) & svc -u .",
    );
    scratch.link("a");
    let mut fifo = scratch.command(Suite::Ours, "mkfifo");
    fifo.arg("gate");
    assert_eq!(finish(fifo).code, 0);
    assert_eq!(svcstart(&scratch, &["service/a"]).code, 0);
    scratch.write("gate", "go on\n");
    // Had it the lock, it would not run the script.
    wait_until("it runs the script as anybody else", || {
        scratch.read("late").contains("\nagain\n")
    });
}

#[test]
fn in_parallel_a_fork_that_fails_holds_nobody_up() {
    let scratch = Scratch::new();
    let test = "svcstart --parallel without processes";
    let Some(stranger) = crate::harness::Stranger::new(test, &scratch) else {
        return;
    };
    for name in ["x", "y", "z"] {
        scratch.service(format!("scan/{name}"), STAYS);
    }
    stranger.owns(&scratch, "scan");
    let mut command = stranger.command(&scratch, "svscan");
    command.arg("scan");
    let _svscan = scratch.start(command, "svscan");
    for name in ["scan/x", "scan/y", "scan/z"] {
        scratch.wait_up(name);
    }
    // svscan, three supervises, three services; svcstart, and one worker.
    let mut command = stranger.command(&scratch, "/usr/bin/prlimit");
    command
        .arg("--nproc=9")
        .arg(scratch.at("bin/svcstart"))
        .args([
            "--parallel",
            "--settle",
            "300ms",
            "scan/x",
            "scan/y",
            "scan/z",
        ]);
    let output = finish(command);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(output.text().matches("OK\n").count(), 3, "{output:?}");
}

/// As daemontools-encore's supervise: it writes its status in place. Its `run` goes on
/// until it is told to go down.
const IN_PLACE: &str = r#"#!/usr/bin/perl
use strict; use Fcntl; use POSIX qw(:sys_wait_h mkfifo);
mkdir 'supervise';
mkfifo("supervise/$_", 0600) for qw(control ok);
sysopen(my $control, 'supervise/control', O_RDWR) or die;
sysopen(my $status, 'supervise/status', O_RDWR | O_CREAT) or die;
my ($pid, $want, $since) = (0, 'd', time);
sub announce {
    sysseek($status, 0, 0);
    syswrite($status, pack('Q>NVCa', 4611686018427387914 + $since, 0, $pid, 0, $want));
}
announce();
sysopen(my $ok, 'supervise/ok', O_RDWR) or die;
$SIG{CHLD} = sub { $pid = 0 if waitpid(-1, WNOHANG) == $pid; $since = time; announce() };
while (1) {
    sysread($control, my $byte, 1) or next;
    $want = $byte;
    kill 'TERM', $pid if $byte eq 'd' && $pid;
    announce();
    next if $byte ne 'u' || $pid;
    $pid = fork();
    exec './run' if !$pid;
    $since = time;
    announce();
}
"#;

#[test]
fn it_works_on_a_supervise_that_writes_its_status_in_place() {
    let test = "a supervise that writes its status in place";
    if !crate::harness::has(test, &["perl"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    scratch.executable("in-place", IN_PLACE);
    let mut command = scratch.command(Suite::Ours, scratch.at("in-place"));
    command.current_dir(scratch.at("a"));
    let _supervise = scratch.start(command, "supervise");
    scratch.wait_supervised("a");
    // Without the answer they would wait for an hour.
    let output = svcstart(&scratch, &["--timeout", "1h", "--settle", "10ms", "a"]);
    assert_eq!(output.code, 0, "{output:?}");
    let pid = scratch.wait_up("a");
    let output = scratch.run(Suite::Ours, "svcstop", &["--timeout", "1h", "a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!is_alive(pid));
}

#[test]
fn who_waits_for_the_lock_goes_on_waiting_when_its_helper_is_killed() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script(
        "a/start",
        "echo here > ../log; svc -u .; while [ ! -e ../go ]; do sleep 0.01; done",
    );
    scratch.link("a");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| svcstart(&scratch, &["service/a"]));
        wait_until("the start script runs", || {
            scratch.read("log").contains("here")
        });
        let mut stop = scratch.daemon(Suite::Ours, "svcstop", &["service/a"], "svcstop");
        let mut helper = Vec::new();
        wait_until("svcstop waits", || {
            helper = children(stop.pid());
            helper.len() == 1
        });
        signal(helper[0], "KILL");
        wait_until("svcstop has heard of it", || children(stop.pid()) != helper);
        assert!(stop.runs());
        scratch.write("go", "");
        assert_eq!(start.join().unwrap().code, 0);
        assert_eq!(stop.wait(), 0, "{}", scratch.read("svcstop.err"));
    });
    assert!(scratch.svstat("a").starts_with("down"));
}

#[test]
fn a_start_script_is_not_believed_when_the_service_is_down_or_crashes() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let says_yes = "svc -u .; exit 0";
    let cases = [
        (
            "idle",
            STAYS,
            "exit 0",
            "./start exited 0, but the service is down; ",
        ),
        (
            "loop",
            "exit 1",
            says_yes,
            "./start exited 0, but the service then exited 1; ",
        ),
        (
            "once",
            "[ -e ../once.ran ] && exec sleep 1000; : > ../once.ran; \
             while [ ! -e said ]; do sleep 0.01; done; exit 3",
            "svc -u .; until svstat . | grep -q ': up '; do sleep 0.01; done; \
             (sleep 0.1; : > said) >/dev/null 2>&1 &",
            "./start exited 0, but the service then exited 3; ",
        ),
        (
            "daemon",
            "exit 0",
            says_yes,
            "./start exited 0, but the service then exited 0; a daemon must stay in the foreground \
             (see fghack), and a job must take a second or more; run ",
        ),
        (
            "paused",
            STAYS,
            "svc -u .; until svstat . | grep -q ': up '; do sleep 0.01; done; \
             svc -p .; until svstat . | grep -q paused; do sleep 0.01; done",
            "./start exited 0, but the service is paused",
        ),
        (
            "downed",
            "svc -d .; exec sleep 1000",
            says_yes,
            "it was told to go down (svc -d), as its own ./run does; run its ./run by hand",
        ),
    ];
    for (name, run, start, _) in cases {
        scratch.service(name, run);
        scratch.script(format!("{name}/start"), start);
        scratch.write(format!("{name}/down"), "");
        scratch.link(name);
    }
    std::thread::scope(|scope| {
        for (name, _, _, why) in cases {
            let scratch = &scratch;
            scope.spawn(move || {
                let service = format!("service/{name}");
                let output = svcstart(scratch, &["--settle", "10s", &service]);
                assert_eq!(output.code, 1, "{output:?}");
                assert!(output.text().ends_with("FAILED\n"), "{output:?}");
                assert!(reason(&output, &service).starts_with(why), "{output:?}");
            });
        }
    });
}

#[test]
fn a_job_that_ends_and_is_started_again_works_if_its_script_says_so() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("job", "echo x >> ../runs; sleep 1.5; exit 0");
    scratch.script("job/start", "svc -u .");
    scratch.write("job/down", "");
    scratch.link("job");
    let output = svcstart(&scratch, &["service/job"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(scratch.read("runs").contains("x\nx\n"));
    // Without a script nobody says that it is a job.
    fs::remove_file(scratch.at("job/start")).unwrap();
    let output = svcstart(&scratch, &["--settle", "1h", "service/job"]);
    assert_eq!(output.code, 1, "{output:?}");
    let why = reason(&output, "service/job");
    assert!(
        why.starts_with("it started and then exited 0; a daemon must stay"),
        "{why}"
    );
    assert!(why.contains("a job that ends needs a ./start"), "{why}");
}

#[test]
fn the_log_is_named_where_there_is_one_and_nowhere_else() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let run = "echo hello; exit 3";
    scratch.service("bad", run);
    scratch.service("bad/log", "exec multilog t ./main");
    scratch.service("mute", run);
    for name in ["bad", "mute"] {
        scratch.link(name);
    }
    wait_until("there is a log", || {
        scratch.at("bad/log/main/current").exists()
    });
    let said = |name: &str| {
        let service = format!("service/{name}");
        reason(&svcstart(&scratch, &[&service]), &service)
    };
    let bad = said("bad");
    assert!(
        bad.contains("; read its log (svclog service/bad), or run its ./run by hand"),
        "{bad}"
    );
    let mute = said("mute");
    assert!(
        mute.contains("; run its ./run by hand") && !mute.contains("log"),
        "{mute}"
    );
}

#[test]
fn the_example_of_a_job_works_though_it_ends_within_the_settling_time() {
    if !crate::harness::has("the example service job", &["snooze"]) {
        return;
    }
    let scratch = Scratch::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/service-examples/job");
    let copy = "cp -R \"$0\" job && touch job/down && \
                sed \"s|-M 0|-M '*' -S /2|\" \"$0/run\" >job/run && grep -q /2 job/run";
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", copy, example]);
    assert_eq!(finish(command).code, 0);
    let _svscan = scratch.svscan();
    scratch.link("job");
    let output = svcstart(&scratch, &["service/job"]);
    assert_eq!(output.code, 0, "{output:?}");
    wait_until("the job is done", || {
        scratch
            .read("job/log/main/current")
            .contains(" done by pid ")
    });
    scratch.run(Suite::Ours, "svc", &["-d", "service/job"]);
    // One that fails is no job that is done.
    scratch.script("job/job", "exit 4");
    let output = svcstart(&scratch, &["--settle", "1h", "service/job"]);
    assert_eq!(output.code, 1, "{output:?}");
    let why = reason(&output, "service/job");
    assert!(
        why.starts_with("./start exited 0, but the service then exited 4; "),
        "{why}"
    );
}

#[test]
fn a_logger_that_does_not_work_is_a_failure_and_one_that_works_is_none() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    let logger = "exec cat >/dev/null";
    let cases = [
        ("fine", logger, None),
        ("crashes", "exit 3", Some("it started and then exited 3; ")),
        (
            "mode",
            "exit 3",
            Some("./run is not executable; chmod +x it"),
        ),
        ("down", logger, Some("it is down; ")),
    ];
    for (name, run, _) in cases {
        scratch.service(name, STAYS);
        scratch.service(format!("{name}/log"), run);
    }
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(scratch.at("mode/log/run"), mode).unwrap();
    let form = "log is a program, but must be a directory; move it to log/run ";
    scratch.service("encore", STAYS);
    scratch.script("encore/log", logger);
    scratch.link("encore");
    scratch.wait_up("encore");
    scratch.write("down/log/down", "");
    for (name, ..) in cases {
        scratch.link(name);
        scratch.wait_supervised(&format!("{name}/log"));
    }
    for (name, _, why) in [cases.as_slice(), &[("encore", "", Some(form))]].concat() {
        let service = format!("service/{name}");
        let output = svcstart(&scratch, &["--settle", "1500ms", &service]);
        match why {
            None => assert_eq!(output.code, 0, "{output:?}"),
            Some(why) => {
                assert_eq!(output.code, 1, "{output:?}");
                let said = reason(&output, &service);
                let start = "it works, but its logger, in ./log, does not, and will block it: ";
                assert!(said.starts_with(&format!("{start}{why}")), "{said}");
            }
        }
        assert!(scratch.pid(name).is_some(), "the service is left up");
    }
}

#[test]
fn a_logger_that_fails_is_told_of_as_a_service_is_without_a_word_of_svclog() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.service("a/log", "exit 3");
    scratch.link("a");
    scratch.wait_supervised("a/log");
    let output = svcstart(&scratch, &["service/a/log"]);
    let why = reason(&output, "service/a/log");
    assert!(why.starts_with("it started and then exited 3; "), "{why}");
}

#[test]
fn an_interpreter_that_cannot_be_reached_is_named() {
    let scratch = Scratch::new();
    let test = "an interpreter that cannot be reached";
    let Some(stranger) = crate::harness::Stranger::new(test, &scratch) else {
        return;
    };
    scratch.mkdir("closed");
    scratch.executable("closed/sh", fs::read("/bin/sh").unwrap());
    fs::set_permissions(scratch.at("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let interpreter = scratch.at("closed/sh").display().to_string();
    scratch.mkdir("a");
    scratch.executable("a/run", format!("#!{interpreter}\nexec sleep 1000\n"));
    scratch.service("b", STAYS);
    scratch.executable("b/start", format!("#!{interpreter}\n"));
    let mut supervises = Vec::new();
    for (name, script) in [("a", "run"), ("b", "start")] {
        stranger.owns(&scratch, name);
        let mut command = stranger.command(&scratch, "supervise");
        command.arg(name);
        supervises.push(scratch.start(command, name));
        scratch.wait_supervised(name);
        let mut command = stranger.command(&scratch, "svcstart");
        command.arg(name);
        let output = finish(command);
        assert_eq!(output.code, 1, "{output:?}");
        let why = reason(&output, name);
        let start =
            format!("./{script} needs {interpreter}, which cannot be reached: access denied; ");
        assert!(why.starts_with(&start), "{why}");
    }
}

#[test]
fn a_service_that_takes_itself_down_is_told_as_that() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", "svc -d .; exec sleep 1000");
    scratch.write("a/down", "");
    scratch.link("a");
    let output = svcstart(&scratch, &["service/a"]);
    assert_eq!(output.code, 1, "{output:?}");
    let why = "it was told to go down (svc -d), as its own ./run does; run its ./run by hand";
    assert!(reason(&output, "service/a").starts_with(why), "{output:?}");
}

#[test]
fn in_parallel_a_worker_that_is_killed_is_told() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for name in ["a", "b"] {
        scratch.service(name, STAYS);
        scratch.link(name);
    }
    scratch.script("a/start", "echo $PPID > worker; exec sleep 1000");
    let arguments = ["--parallel", "--settle", "10ms", "service/a", "service/b"];
    let mut start = scratch.daemon(Suite::Ours, "svcstart", &arguments, "svcstart");
    wait_until("the script runs", || {
        scratch.read("a/worker").ends_with('\n')
    });
    signal(scratch.read("a/worker").trim().parse().unwrap(), "KILL");
    assert_eq!(start.wait(), 1);
    let why = "svcstart: fatal: service/a: its worker process was killed by SIGKILL; ";
    assert!(scratch.read("svcstart.err").starts_with(why));
}
