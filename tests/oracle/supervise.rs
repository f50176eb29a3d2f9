//! supervise: every command in every state, the files it keeps, its errors at
//! the start, programs that cannot be run, what a service gets, and signals.

use super::stage::{RECORDER, Stage, open_fifo, stubborn};
use super::{Cast, Situation, compare, situation};
use crate::harness::{Suite, has, is_alive, signal, wait_until};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A state: how it is called, whether the service is normally down, whether it
/// is unwilling to go down, and the commands that lead there.
type State = (&'static str, bool, bool, &'static [&'static str]);

const STATES: [State; 11] = [
    ("down", true, false, &[]),
    ("up", false, false, &[]),
    ("paused", false, false, &["p"]),
    ("up once", true, false, &["o"]),
    ("leaving", false, false, &["x"]),
    ("leaving and paused", false, false, &["px"]),
    ("leaving and up once", true, false, &["o", "x"]),
    ("down again", false, false, &["d"]),
    ("up and unwilling to go down", false, true, &[]),
    ("paused and unwilling to go down", false, true, &["p"]),
    ("up but wanted down", false, true, &["d"]),
];

/// Commands after one another, each given when the last has had its effect:
/// what they show, whether the service is normally down, the commands.
const SEQUENCES: [(&str, bool, &[&str]); 18] = [
    ("down and up in one write starts it again", false, &["du"]),
    ("up and down in one write stops it", false, &["ud"]),
    ("kill and up in one write starts it again", false, &["ku"]),
    (
        "up and once in one write starts it once",
        true,
        &["uo", "k"],
    ),
    (
        "once and up in one write starts it for good",
        true,
        &["ou", "k"],
    ),
    ("pause and continue in one write", false, &["pc"]),
    ("pause and down in one write", false, &["pd"]),
    (
        "a paused service is terminated when it continues",
        false,
        &["p", "t", "c"],
    ),
    (
        "a paused service gets all its signals when it continues",
        false,
        &["p", "h", "i", "a", "c"],
    ),
    ("signals come in the order they were sent", false, &["hia"]),
    (
        "a service that runs once may be told to stay up",
        true,
        &["o", "u", "k", "d"],
    ),
    (
        "a service that is up may be told to run once",
        false,
        &["o", "t", "u", "o", "k"],
    ),
    (
        "a service may be started once again and again",
        true,
        &["o", "k", "o", "k", "o", "k"],
    ),
    ("exit cannot be taken back", false, &["x", "u", "k"]),
    ("down and exit in one write", false, &["dx"]),
    ("exit and down in one write", false, &["xd"]),
    (
        "exit on a service that is down leaves the rest unread",
        true,
        &["xu"],
    ),
    (
        "up and exit in one write starts it once more",
        true,
        &["ux", "k"],
    ),
];

/// Signals that end supervise, but for SIGPIPE, and others that do not.
const DEADLY: [&str; 15] = [
    "TERM", "HUP", "INT", "QUIT", "ALRM", "USR1", "USR2", "KILL", "ABRT", "VTALRM", "PROF", "XCPU",
    "XFSZ", "IO", "PWR",
];
const HARMLESS: [&str; 4] = ["CHLD", "CONT", "WINCH", "URG"];

/// How a service is started whose supervise was started in this way.
const BEQUESTS: [(&str, &str); 18] = [
    ("env --default-signal", "as usual"),
    ("env --ignore-signal=PIPE", "with SIGPIPE ignored"),
    (
        "env --ignore-signal=INT,QUIT",
        "in the background of a shell",
    ),
    ("env --ignore-signal=CHLD", "with SIGCHLD ignored"),
    (
        "env --ignore-signal=HUP,TERM,USR1,USR2,TSTP",
        "with other signals ignored",
    ),
    ("env --block-signal=TERM,HUP", "with signals blocked"),
    (
        "env --block-signal=CHLD,PIPE",
        "with SIGCHLD and SIGPIPE blocked",
    ),
    ("env A=1 EMPTY= =odd", "with an odd environment"),
    ("env --chdir=elsewhere --", "from another directory"),
    ("nice -n 5", "nicely"),
    ("setsid --wait", "in a session of its own"),
    ("prlimit --nofile=77:99 --core=0:0", "with limits"),
    ("sh -c <&-", "without stdin"),
    ("sh -c >&-", "without stdout"),
    ("sh -c 2>&-", "without stderr"),
    ("sh -c <&- >&- 2>&-", "without any descriptor"),
    ("sh -c 3</dev/null 9>>kept", "with more descriptors"),
    ("sh -c <>pipe 7<>pipe", "with a FIFO as stdin"),
];

/// A `run` that tells what it got.
pub(super) const HEIR: &str = r#"
exec 4>>got
{
echo "cwd $(pwd -P)"
echo "$# arguments, called $0"
tr '\0' ' ' </proc/$$/cmdline; echo
tr '\0' '\n' </proc/$$/environ | grep -e ^A= -e ^EMPTY -e ^= -e ^DAEMONTOOLS -e ^LANG | sort
tr '\0' '\n' </proc/$$/environ | grep -c =
for fd in /proc/$$/fd/*; do echo "${fd##*/}"; readlink "$fd"; done
grep -e ^SigBlk -e ^SigIgn /proc/self/status
grep -e 'open files' -e core -e processes /proc/$$/limits
umask; nice
read -r _ _ _ _ group session _ </proc/$$/stat
read -r _ _ _ _ its_group its_session _ </proc/$PPID/stat
test $group = $its_group && test $session = $its_session && echo same group and session
tr '\0' '\n' </proc/$PPID/cmdline | tail -n +2
echo end
} >&4 2>/dev/null
exec sleep 1000"#;

/// A broken start: what is prepared by a shell in the scratch directory, which
/// has the service `s`, what supervise is given, and what that is.
const REFUSALS: [(&str, &[&str], &str); 27] = [
    ("", &[], "no argument"),
    ("", &["s", "s"], "two arguments"),
    ("", &["-x"], "an option, which is a directory"),
    ("", &["--", "s"], "two dashes and a directory"),
    ("", &["--help"], "a long option, which is a directory"),
    ("", &[""], "the empty name"),
    ("", &["missing"], "a directory that is not there"),
    ("", &["s/run"], "a plain file"),
    ("ln -s gone dangling", &["dangling"], "a dangling link"),
    ("ln -s circle circle", &["circle"], "a loop of links"),
    ("", &["/proc"], "a directory in which nothing can be made"),
    (
        "",
        &["/proc/self/fd"],
        "another directory in which nothing can be made",
    ),
    ("ln -s down s/down", &["s"], "down is a loop of links"),
    (
        "ln -s run/down s/down",
        &["s"],
        "down is a link through a file",
    ),
    ("touch s/supervise", &["s"], "supervise is a plain file"),
    (
        "ln -s run s/supervise",
        &["s"],
        "supervise is a link to a plain file",
    ),
    (
        "ln -s supervise s/supervise",
        &["s"],
        "supervise is a loop of links",
    ),
    (
        "ln -s gone/gone s/supervise",
        &["s"],
        "supervise is a link through nothing",
    ),
    (
        "ln -s run/gone s/supervise",
        &["s"],
        "supervise is a link through a file",
    ),
    ("mkfifo s/supervise", &["s"], "supervise is a FIFO"),
    (
        "mkdir -p s/supervise/lock",
        &["s"],
        "the lock is a directory",
    ),
    (
        "mkdir s/supervise; ln -s /gone/lock s/supervise/lock",
        &["s"],
        "the lock is a link through nothing",
    ),
    (
        "mkdir s/supervise; mkfifo s/supervise/lock",
        &["s"],
        "the lock is a FIFO nobody reads",
    ),
    (
        "mkdir -p s/supervise/control",
        &["s"],
        "control is a directory",
    ),
    (
        "mkdir s/supervise; ln -s gone s/supervise/control",
        &["s"],
        "control is a dangling link",
    ),
    (
        "mkdir s/supervise; ln -s gone s/supervise/ok",
        &["s"],
        "ok is a dangling link",
    ),
    (
        "mkdir s/supervise; ln -s ok s/supervise/ok",
        &["s"],
        "ok is a loop of links",
    ),
];

/// A start that goes on: what is prepared, as above, and what that is.
const TOLERATED: [(&str, &str); 13] = [
    (
        "mkdir elsewhere; ln -s ../elsewhere s/supervise",
        "supervise is a link to a directory",
    ),
    (
        "ln -s ../elsewhere s/supervise",
        "supervise is a dangling link",
    ),
    (
        "ln -s \"$PWD/elsewhere\" s/supervise",
        "supervise is a dangling link of a whole path",
    ),
    (
        "mkdir -m 755 s/supervise; touch s/supervise/old",
        "supervise is there already",
    ),
    (
        "mkdir s/supervise; mkfifo -m 666 s/supervise/control s/supervise/ok",
        "the FIFOs are there already",
    ),
    (
        "mkdir s/supervise; echo much longer than a status >s/supervise/status",
        "a long status is there already",
    ),
    (
        "mkdir s/supervise; echo lock >s/supervise/lock",
        "a lock is there already",
    ),
    (
        "mkdir s/supervise; echo much longer than a status >s/supervise/status.new",
        "a new status was left behind",
    ),
    (
        "mkdir s/supervise; touch s/supervise/ok",
        "ok is a plain file",
    ),
    ("mkdir -p s/supervise/ok", "ok is a directory"),
    ("mkdir -p s/supervise/status", "the status is a directory"),
    (
        "mkdir -p s/supervise/status.new",
        "the new status is a directory",
    ),
    ("ln -s gone s/down", "down is a dangling link"),
];

/// A service that cannot be run: how `s/run` is made, and what it is.
const UNABLE: [(&str, &str); 11] = [
    ("", "missing"),
    ("echo '#!/bin/sh' >s/run", "not executable"),
    ("mkdir s/run", "a directory"),
    ("mkfifo -m 755 s/run", "a FIFO"),
    (
        "echo true >s/run; chmod +x s/run",
        "without the name of an interpreter",
    ),
    (">s/run; chmod +x s/run", "empty"),
    (
        "echo '#!/nothing' >s/run; chmod +x s/run",
        "of an interpreter that is missing",
    ),
    (
        "echo '#!/etc/passwd' >s/run; chmod +x s/run",
        "of an interpreter that is none",
    ),
    (
        "echo '#!/' >s/run; chmod +x s/run",
        "of an interpreter that is a directory",
    ),
    ("ln -s nothing s/run", "a dangling link"),
    ("ln -s run s/run", "a loop of links"),
];

pub(super) fn situations() -> Vec<Situation> {
    let mut all = commands();
    all.extend(starts());
    all.extend(services());
    all.extend(ends());
    all
}

/// What commands do.
pub(super) fn commands() -> Vec<Situation> {
    let mut all = Vec::new();
    for (state, is_normally_down, is_stubborn, steps) in STATES {
        for letter in "udopchaitkx".chars() {
            all.push(situation(
                format!("supervise gets {letter} on a service that is {state}"),
                move |stage| {
                    if is_stubborn {
                        begin(stage, is_normally_down, &stubborn());
                    } else {
                        begin(stage, is_normally_down, RECORDER);
                    }
                    // What follows shows what is not in the status.
                    for step in steps
                        .iter()
                        .copied()
                        .chain([&*letter.to_string(), "c", "k"])
                    {
                        stage.svc(step);
                    }
                    stage.files("s/supervise");
                    stage.tell_errors();
                },
            ));
        }
    }
    for (name, is_normally_down, steps) in SEQUENCES {
        all.push(situation(format!("supervise: {name}"), move |stage| {
            begin(stage, is_normally_down, RECORDER);
            for step in steps {
                stage.svc(step);
            }
        }));
    }
    all.push(situation(
        "supervise does not mind unknown commands",
        |stage| {
            begin(stage, false, RECORDER);
            let known = |byte: &u8| b"udopchaitkx12qw".contains(byte);
            let bytes: Vec<u8> = (0..=255).filter(|byte| !known(byte)).collect();
            stage.send(&bytes);
            stage.send(b"z\nh\0i");
        },
    ));
    all.push(situation(
        "supervise obeys a command that waits for it",
        |stage| {
            stage.service(RECORDER);
            stage.sh("touch s/down; mkdir s/supervise; mkfifo s/supervise/control");
            let path = stage.scratch.at("s/supervise/control");
            let mut options = std::fs::OpenOptions::new();
            let mut fifo = options.read(true).write(true).open(path).unwrap();
            fifo.write_all(b"u").unwrap();
            stage.supervise();
            stage.wait_file("s/record", "start", 1);
            stage.settle();
            stage.look();
        },
    ));
    all.push(situation(
        "supervise obeys a control that is a plain file",
        |stage| {
            stage.service(RECORDER);
            stage.sh("mkdir s/supervise; touch s/down; printf zx >s/supervise/control");
            stage.start("supervise", &["s"]);
            stage.ends();
            // Not the errors: ours says that it is no FIFO.
            stage.files("s/supervise");
        },
    ));
    all
}

/// How supervise begins, or not.
fn starts() -> Vec<Situation> {
    let mut all = Vec::new();
    for (script, words, what) in REFUSALS {
        all.push(situation(
            format!("supervise is given: {what}"),
            move |stage| {
                stage.service(RECORDER);
                stage.sh(script);
                stage.run("supervise", words);
                stage.files("s");
                if stage.scratch.at("s/supervise").is_dir() {
                    stage.files("s/supervise");
                }
            },
        ));
    }
    for (script, what) in TOLERATED {
        all.push(situation(
            format!("supervise goes on though {what}"),
            move |stage| {
                stage.service(RECORDER);
                stage.sh(script);
                stage.start("supervise", &["s"]);
                stage.wait_file("s/record", "start", 1);
                // 0.76 listens from then on; without a status nothing else tells.
                stage.run("svc", &["-k", "s"]);
                stage.wait_file("s/record", "start", 2);
                stage.run("svc", &["-dx", "s"]);
                stage.ends();
                stage.tell_errors();
                stage.run("svstat", &["s"]);
                stage.run("svok", &["s"]);
                stage.files(".");
                stage.files("s");
                stage.files("s/supervise");
            },
        ));
    }
    for umask in ["000", "022", "027", "037", "077"] {
        all.push(situation(
            format!("supervise makes its files with umask {umask}"),
            move |stage| {
                stage.service(RECORDER);
                let mut command = stage.command("/bin/sh");
                let script = format!("umask {umask}; exec \"$0\" s");
                command
                    .args(["-c", &script])
                    .arg(stage.program("supervise"));
                stage.start_command(command);
                stage.wait_file("s/record", "start", 1);
                stage.sh("svc -dx s");
                stage.ends();
                stage.tell_errors();
                stage.files("s");
                stage.files("s/supervise");
            },
        ));
    }
    for (path, mode, what) in [
        ("s", 0o000, "the directory is closed to it"),
        ("s", 0o444, "the directory may only be read"),
        ("s", 0o555, "nothing may be made in the directory"),
        ("s/supervise", 0o000, "supervise is closed to it"),
        ("s/supervise", 0o555, "nothing may be made in supervise"),
        ("s/supervise/lock", 0o000, "the lock is closed to it"),
        ("s/supervise/lock", 0o444, "the lock may only be read"),
    ] {
        all.push(situation(
            format!("supervise cannot start: {what}"),
            move |stage| {
                stage.service(RECORDER);
                if path != "s" {
                    stage.sh("mkdir s/supervise; touch s/supervise/lock");
                }
                stage.deny(path, mode);
                stage.run_as_ordinary_user("", "supervise", &["s"]);
            },
        ));
    }
    for (script, what) in [
        ("", "in a new directory"),
        (
            "mkdir s/supervise; mkfifo s/supervise/control s/supervise/ok",
            "where they are already",
        ),
        ("ln -s ../elsewhere s/supervise", "behind a dangling link"),
    ] {
        all.push(situation(
            format!("supervise makes its files in their order {what}"),
            move |stage| {
                if !has("the order of supervise's files", &["strace"]) {
                    return;
                }
                stage.service(RECORDER);
                stage.sh(script);
                stage.scratch.write("s/down", "");
                stage.start_by("strace -o calls", "supervise", &["s"]);
                stage.scratch.wait_supervised("s");
                stage.run("svc", &["-x", "s"]);
                stage.ends();
                // 0.76 closes on exec by a call of its own, and has other numbers; ours
                // follows no link, and puts a new file in the place of an old one.
                let mut calls = stage.scratch.read("calls").replace("|O_EXCL", "|O_TRUNC");
                for flag in ["|O_CLOEXEC", "|O_NOCTTY", "|O_NOFOLLOW"] {
                    calls = calls.replace(flag, "");
                }
                for call in calls.lines().filter(|call| call.contains("\"supervise")) {
                    let (call, _) = call.rsplit_once(" = ").unwrap_or_default();
                    if !call.starts_with("readlink") {
                        stage.say(call.trim_end());
                    }
                    if call.starts_with("open") && call.contains("/ok") {
                        return;
                    }
                }
            },
        ));
    }
    all.push(situation("supervise gives way to another one", |stage| {
        begin(stage, false, RECORDER);
        for name in ["s", "./s", "s/."] {
            stage.run("supervise", &[name]);
        }
        stage.look();
        stage.svc("dx");
        stage.run("svc", &["-u", "s"]);
        stage.files("s/supervise");
    }));
    all
}

/// Services that cannot be run, that end at once, and what they get.
fn services() -> Vec<Situation> {
    let mut all = Vec::new();
    for (script, what) in UNABLE {
        all.push(situation(
            format!("supervise on a run that is {what}"),
            move |stage| {
                stage.scratch.mkdir("s");
                stage.sh(script);
                fails_again_and_again(stage, "s".as_bytes());
            },
        ));
    }
    for name in ["./s", "s/", ".", "two words", "two\nlines", "SCRATCH/s"] {
        all.push(situation(
            format!("supervise names its service as it was given: {name:?}"),
            move |stage| {
                let name = name.replace("SCRATCH", &stage.scratch.path().to_string_lossy());
                fails_again_and_again(stage, name.as_bytes());
            },
        ));
    }
    all.push(situation(
        "supervise names a service that is no UTF-8",
        |stage| {
            fails_again_and_again(stage, super::zoo::invalid_name().as_bytes());
        },
    ));
    for ending in [
        "exit 0",
        "exit 100",
        "exit 111",
        "kill -9 $$",
        "kill -TERM $$",
    ] {
        all.push(situation(
            format!("supervise starts a service again after `{ending}`"),
            move |stage| {
                stage.service(&format!("echo start >>record; {ending}"));
                stage.start("supervise", &["s"]);
                stage.wait_file("s/record", "start", 3);
                stage.run("svc", &["-dx", "s"]);
                stage.ends();
                stage.run("svstat", &["s"]);
                stage.tell_errors();
            },
        ));
    }
    for (prefix, how) in BEQUESTS {
        for normally in ["up", "down"] {
            all.push(situation(
                format!(
                    "a service that is normally {normally}, started {how}, gets what supervise got"
                ),
                move |stage| {
                    stage.service(HEIR);
                    stage.scratch.mkdir("elsewhere");
                    stage.sh("ln -s ../s elsewhere/s; mkfifo pipe");
                    if normally == "down" {
                        stage.scratch.write("s/down", "");
                    }
                    match prefix.strip_prefix("sh -c ") {
                        Some(redirections) => {
                            let script = format!("exec \"$0\" s {redirections}");
                            let mut command = stage.command("/bin/sh");
                            command
                                .args(["-c", &script])
                                .arg(stage.program("supervise"));
                            stage.start_command(command);
                        }
                        None => stage.start_by(prefix, "supervise", &["s"]),
                    }
                    if normally == "down" {
                        let control = stage.scratch.at("s/supervise/control");
                        wait_until("supervise listens", || {
                            open_fifo(&control).is_ok_and(|mut fifo| fifo.write_all(b"o").is_ok())
                        });
                    }
                    stage.wait_file("s/got", "end\n", 1);
                    let got = stage.scratch.read("s/got");
                    stage.say(got);
                },
            ));
        }
    }
    all.push(situation(
        "a background process of a service survives it",
        |stage| {
            stage.service(&format!("sleep 1000 & echo $! >background\n{RECORDER}"));
            stage.supervise();
            let background: u32 = stage.scratch.read("s/background").trim().parse().unwrap();
            stage.svc("d");
            stage.say(format!("it lives: {}", is_alive(background)));
            stage.svc("x");
        },
    ));
    all.push(situation(
        "supervise does not lose itself when its directory is renamed",
        |stage| {
            begin(stage, false, RECORDER);
            stage.sh("mv s t; ln -s t s");
            stage.svc("k");
            stage.svc("dx");
            stage.tell_errors();
        },
    ));
    all.push(situation(
        "supervise goes on when its files are removed",
        |stage| {
            begin(stage, false, RECORDER);
            // So that 0.76 is past its first second.
            stage.svc("k");
            stage.svc("h");
            let pid = stage.scratch.pid("s").unwrap();
            stage.sh("rm -r s/supervise");
            signal(pid, "KILL");
            stage.wait_file("s/record", "start", 3);
            stage.wait_errors("status.new", 2);
            stage.tell_errors();
            stage.run("svstat", &["s"]);
            stage.run("svok", &["s"]);
            stage.run("svc", &["-d", "s"]);
        },
    ));
    all
}

/// Signals to supervise itself.
fn ends() -> Vec<Situation> {
    let mut all = Vec::new();
    for name in DEADLY {
        all.push(situation(
            format!("supervise dies of SIG{name}, its service lives"),
            move |stage| {
                begin(stage, false, RECORDER);
                stage.svc("h");
                let service = stage.scratch.pid("s").unwrap();
                stage.daemon().signal(name);
                stage.ends();
                stage.say(format!("the service lives: {}", is_alive(service)));
                stage.look();
                stage.run("svc", &["-d", "s"]);
                stage.tell_errors();
                stage.files("s/supervise");
                // The next one knows nothing of it and starts a second one.
                stage.supervise();
                stage.say(format!("the service lives: {}", is_alive(service)));
                stage.svc("h");
            },
        ));
    }
    for name in HARMLESS {
        all.push(situation(
            format!("supervise does not mind SIG{name}"),
            move |stage| {
                begin(stage, false, RECORDER);
                stage.daemon().signal(name);
                stage.svc("h");
                stage.svc("k");
            },
        ));
    }
    all.push(situation(
        "supervise goes on where it was stopped",
        |stage| {
            begin(stage, false, RECORDER);
            stage.svc("h");
            let service = stage.scratch.pid("s").unwrap();
            stage.daemon().signal("STOP");
            signal(service, "KILL");
            stage.run("svstat", &["s"]);
            stage.daemon().signal("CONT");
            stage.wait_file("s/record", "start", 2);
            stage.settle();
            stage.look();
            stage.svc("d");
        },
    ));
    all
}

/// Starts supervise on a service and tells what there is then.
pub(super) fn begin(stage: &mut Stage, is_normally_down: bool, run: &str) {
    stage.service(run);
    if is_normally_down {
        stage.scratch.write("s/down", "");
    }
    stage.supervise();
    stage.look();
}

/// Supervises the directory `name`, whose `run` cannot be run, and tells what is said.
fn fails_again_and_again(stage: &mut Stage, name: &[u8]) {
    let name = std::ffi::OsStr::from_bytes(name);
    let directory = stage.scratch.at(name);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let _ = symlink(&directory, stage.scratch.at("service"));
    let mut command = stage.command(stage.program("supervise"));
    command.arg(name);
    stage.start_command(command);
    stage.wait_errors("unable to start", 3);
    stage.tell_errors();
    stage.run("svok", &["service"]);
    stage.run("svc", &["-dx", "service"]);
    stage.ends();
    stage.run("svstat", &["service"]);
    let status = directory.join("supervise/status");
    stage.tell_status(&status);
}

#[test]
fn supervise_is_as_the_reference() {
    compare(
        "oracle::supervise",
        &situations(),
        &[Cast::all(Suite::Ours)],
    );
}
