//! svscan: which entries of a directory get a supervise, under which name, with
//! what, and when another one.

use super::stage::{Stage, open_fifo};
use super::{Cast, Situation, compare, situation};
use crate::harness::{Suite, finish, is_alive, signal, wait_until};
use crate::supervise::children;

/// A service in the scan directory that says under which name it is supervised.
const NAMED: &str = "PATH=/usr/bin:/bin
tr '\\0' '\\n' </proc/$PPID/cmdline | tail -n +2 >>name
pwd -P >>name
exec sleep 1000";

/// What is in the scan directory besides the service `s`, made by a shell in
/// there; the entries that get a supervise; and what it is. The function
/// `service` makes a service.
const ENTRIES: [(&str, &[&str], &str); 21] = [
    ("", &["s"], "one service"),
    ("service a; service b", &["a", "b", "s"], "three services"),
    (
        "service .hidden; service ...",
        &["s"],
        "names with a dot before them",
    ),
    (
        "service a.b; service a.",
        &["a.b", "a.", "s"],
        "names with a dot in them",
    ),
    (
        "touch file; mkfifo fifo",
        &["s"],
        "things that are no directories",
    ),
    (
        "ln -s run s/file; ln -s s/run file",
        &["s"],
        "a link to a file",
    ),
    (
        "service ../a; ln -s ../a a",
        &["a", "s"],
        "a link to a service elsewhere",
    ),
    ("ln -s gone dangling", &["s"], "a dangling link"),
    ("ln -s loop loop", &["s"], "a loop of links"),
    ("ln -s s/run/gone through", &["s"], "a link through a file"),
    (
        "service 'two words'; service \"two\nlines\"",
        &["two words", "two\nlines", "s"],
        "odd names",
    ),
    (
        "service -x; service --; service -",
        &["-x", "--", "-", "s"],
        "names like options",
    ),
    ("service \"$long\"", &["s"], "a name of 255 bytes"),
    (
        "service \"$(printf 'in\\377valid')\"",
        &["s"],
        "a name that is no UTF-8",
    ),
    ("touch s/log", &["s"], "a log that is a plain file"),
    ("ln -s gone s/log", &["s"], "a log that is a dangling link"),
    (
        "service a; ln -s log a/log",
        &["s"],
        "a log that is a loop of links",
    ),
    (
        "touch s/down; service a",
        &["a"],
        "a service that is normally down",
    ),
    ("service s/log", &["s", "s/log"], "a log"),
    (
        "service ../a; ln -s ../../a s/log",
        &["s", "s/log"],
        "a log that is a link",
    ),
    (
        "service s/log; service s/log/log",
        &["s", "s/log"],
        "a log that has a log",
    ),
];

/// What svscan is given, and what that is.
const REFUSALS: [(&[&str], &str); 6] = [
    (&["missing"], "a directory that is not there"),
    (&[""], "the empty name"),
    (&["file"], "a plain file"),
    (&["-x"], "an option"),
    (&["--", "scan"], "two dashes and a directory"),
    (&["circle", "scan"], "a loop of links and a directory"),
];

/// Where svscan looks for supervise, and what is there, made by a shell.
const PATHS: [(&str, &str, &str); 6] = [
    ("SCRATCH/empty", "", "there is none"),
    (
        "SCRATCH/bin",
        "touch bin/supervise",
        "it may not be executed",
    ),
    (
        "SCRATCH/bin:SCRATCH/good",
        "touch bin/supervise",
        "only another may be executed",
    ),
    (
        "SCRATCH/bin",
        "echo true >bin/supervise; chmod +x bin/supervise",
        "it is no program",
    ),
    (
        "SCRATCH/file:SCRATCH/good",
        "touch file",
        "a file is in the way",
    ),
    (
        ":SCRATCH/empty",
        "rm -r scan/s/log; ln -s \"$PWD/good/supervise\" scan/supervise; chmod 777 scan/s",
        "it is in the scan directory",
    ),
];

pub(super) fn situations() -> Vec<Situation> {
    let mut all = entries();
    all.extend(starts());
    all.extend(changes());
    all
}

/// What svscan finds when it starts.
fn entries() -> Vec<Situation> {
    let mut all = Vec::new();
    for (script, up, what) in ENTRIES {
        all.push(situation(format!("svscan finds {what}"), move |stage| {
            scan(stage, script);
            stage.start("svscan", &["scan"]);
            up.iter().for_each(|name| wait_name(stage, name, 1));
            // Whatever is not up by a second look is not looked for.
            second_look(stage);
            let list = "cd scan; for d in .[!.]* *; do
                test -d \"$d/supervise\" && echo \"$d: $(svok \"$d\" && cat \"$d/name\")\"
                test -d \"$d/log/supervise\" && echo \"$d/log: $(svok \"$d/log\" && cat \"$d/log/name\")\"
                done; true";
            wait_until("all supervises are ready", || {
                let mut command = stage.command("/bin/sh");
                let script = "for d in scan/*/ scan/*/log/; do
                    test ! -d \"$d/supervise\" || svok \"$d\" || exit 1; done";
                command.args(["-c", script]);
                crate::harness::finish(command).code == 0
            });
            stage.sh(list);
            stage.sh("svstat scan/*/");
            stage.tell_errors();
        }));
    }
    all.push(situation(
        "svscan finds two links to one service",
        |stage| {
            scan(stage, "service ../a; ln -s ../a b; ln -s ../a c");
            stage.start("svscan", &["scan"]);
            wait_name(stage, "s", 1);
            second_look(stage);
            stage.sh("grep -c / a/name; ls scan");
            stage.tell_errors();
        },
    ));
    all.push(situation("svscan warns", |stage| {
        scan(stage, "ln -s gone dangling; service a; ln -s log a/log");
        stage.start("svscan", &["scan"]);
        stage.wait_errors("stat dangling:", 1);
        stage.wait_errors("stat a/log:", 1);
        stage.tell_errors();
    }));
    all.push(situation(
        "svscan finds a service that cannot be run",
        |stage| {
            scan(stage, "mkdir a s/log");
            stage.start("svscan", &["scan"]);
            stage.wait_errors("a/run", 2);
            stage.wait_errors("log/run", 2);
            wait_name(stage, "s", 1);
            stage.tell_errors();
        },
    ));
    all
}

/// How svscan starts, or not, and what a supervise gets from it.
fn starts() -> Vec<Situation> {
    let mut all = Vec::new();
    for (words, what) in REFUSALS {
        all.push(situation(format!("svscan is given {what}"), move |stage| {
            stage.sh("mkdir scan; touch file; ln -s circle circle");
            stage.run("svscan", words);
        }));
    }
    all.push(situation("svscan may not enter its directory", |stage| {
        stage.scratch.mkdir("scan");
        stage.deny("scan", 0);
        stage.run_as_ordinary_user("", "svscan", &["scan"]);
    }));
    all.push(situation("svscan may not read its directory", |stage| {
        stage.scratch.mkdir("scan");
        stage.deny("scan", 0o111);
        if let Some(command) = stage.as_ordinary_user("svscan") {
            let mut command = command;
            command.arg("scan");
            stage.start_command(command);
            stage.wait_errors("svscan", 1);
            stage.tell_errors();
        }
    }));
    for (words, directory, how) in [
        (
            &["scan", "other"] as &[&str],
            ".",
            "with a directory too many",
        ),
        (&[], "scan", "without a directory"),
        (&["../scan/."], "scan", "with a long way to where it is"),
    ] {
        all.push(situation(format!("svscan is called {how}"), move |stage| {
            scan(stage, "mkdir ../other; service ../other/t");
            let mut command = stage.command(stage.program("svscan"));
            command.args(words).current_dir(stage.scratch.at(directory));
            stage.start_command(command);
            wait_name(stage, "s", 1);
            second_look(stage);
            stage.sh("cat scan/s/name; ls other/t");
            stage.tell_errors();
        }));
    }
    for (path, script, what) in PATHS {
        if path.starts_with(':') && crate::harness::unsafe_free_uid() == 0 {
            // As root ours ignores an empty element, on purpose.
            continue;
        }
        all.push(situation(
            format!("svscan looks for supervise where {what}"),
            move |stage| {
                scan(stage, "service s/log");
                stage.sh("mkdir empty bin good");
                let supervise = stage.program("supervise");
                // A copy: the checkout may be closed to others.
                let mut install = stage.command("install");
                install.args(["-m", "755"]).arg(supervise);
                install.arg(stage.scratch.at("good/supervise"));
                assert_eq!(finish(install).code, 0);
                stage.sh(script);
                let here = stage.scratch.path().to_string_lossy().into_owned();
                // Root's svscan ignores an empty element.
                let command = match path.starts_with(':') {
                    true => stage.as_ordinary_user("/usr/bin/env"),
                    false => Some(stage.command("/usr/bin/env")),
                };
                let Some(mut command) = command else {
                    return;
                };
                command
                    .arg(format!("PATH={}", path.replace("SCRATCH", &here)))
                    .arg(stage.alone("svscan"))
                    .arg("scan");
                stage.start_command(command);
                for half in ["s", "s/log"] {
                    if !stage.scratch.at("scan").join(half).exists() {
                        continue;
                    }
                    wait_until("it is supervised, or that is impossible", || {
                        let ok = stage.scratch.at(format!("scan/{half}/supervise/ok"));
                        stage.errors_with(&format!(" {half}: ")) > 0 || open_fifo(&ok).is_ok()
                    });
                }
                stage.tell_errors();
            },
        ));
    }
    for (prefix, how) in [
        ("env --default-signal", "as usual"),
        ("env --ignore-signal=PIPE", "with SIGPIPE ignored"),
        (
            "env --ignore-signal=CHLD,INT",
            "with SIGCHLD and SIGINT ignored",
        ),
        ("env --block-signal=TERM,CHLD", "with signals blocked"),
        ("prlimit --nofile=77:99", "with limits"),
        ("setsid --wait", "in a session of its own"),
    ] {
        all.push(situation(
            format!("a service and its log, svscan started {how}, get what svscan got"),
            move |stage| {
                scan(stage, "service s/log");
                for name in ["scan/s/run", "scan/s/log/run"] {
                    stage.script(name, super::supervise::HEIR);
                }
                stage.start_by(prefix, "svscan", &["scan"]);
                for name in ["scan/s/got", "scan/s/log/got"] {
                    stage.wait_file(name, "end\n", 1);
                    let got = stage.scratch.read(name);
                    stage.say(got);
                }
            },
        ));
    }
    all.push(situation(
        "a service and its log are connected, though either dies",
        |stage| {
            scan(stage, "mkdir s/log");
            stage.script(
                "scan/s/run",
                "exec 2>/dev/null; n=$(ls | grep -c ^line); : >line$n
             echo line $n; exec sleep 1000",
            );
            stage.script("scan/s/log/run", "exec cat >>text");
            stage.start("svscan", &["scan"]);
            stage.wait_file("scan/s/log/text", "line", 1);
            for (half, lines) in [("scan/s", 2), ("scan/s/log", 2), ("scan/s", 3)] {
                stage.run("svc", &["-k", half]);
                stage.wait_file("scan/s/log/text", "line", lines);
            }
            stage.say(stage.scratch.read("scan/s/log/text"));
            stage.tell_errors();
        },
    ));
    for name in ["TERM", "HUP", "INT", "KILL", "QUIT", "USR1", "USR2"] {
        all.push(situation(
            format!("svscan dies of SIG{name}, its services live"),
            move |stage| {
                scan(stage, "service s/log");
                stage.start("svscan", &["scan"]);
                for service in ["s", "s/log"] {
                    wait_name(stage, service, 1);
                }
                let pid = stage.scratch.wait_up("scan/s");
                stage.daemon().signal(name);
                stage.ends();
                stage.say(format!("the service lives: {}", is_alive(pid)));
                stage.run("svok", &["scan/s"]);
                stage.run("svstat", &["scan/s", "scan/s/log"]);
                stage.tell_errors();
            },
        ));
    }
    all
}

/// What svscan makes of changes.
fn changes() -> Vec<Situation> {
    let change = |name: &str, script: &'static str, play: fn(&mut Stage)| {
        situation(format!("svscan: {name}"), move |stage: &mut Stage| {
            scan(stage, script);
            stage.start("svscan", &["scan"]);
            wait_name(stage, "s", 1);
            stage.scratch.wait_up("scan/s");
            play(stage);
            stage.sh("cd scan; for n in */name */log/name; do echo \"$n\"; cat \"$n\"; done 2>&1");
            stage.tell_errors();
        })
    };
    vec![
        change(
            "a supervise that was told to exit is started again",
            "",
            |stage| {
                stage.run("svc", &["-dx", "scan/s"]);
                wait_name(stage, "s", 2);
            },
        ),
        change(
            "a log's supervise that was told to exit is started again",
            "service s/log",
            |stage| {
                wait_name(stage, "s/log", 1);
                stage.run("svc", &["-dx", "scan/s/log"]);
                wait_name(stage, "s/log", 2);
            },
        ),
        change(
            "a supervise that was killed is started again",
            "",
            |stage| {
                let service = stage.scratch.wait_up("scan/s");
                kill_supervise(service);
                wait_name(stage, "s", 2);
                stage.say(format!("the orphan lives: {}", is_alive(service)));
            },
        ),
        change(
            "a service that was removed is not started again",
            "",
            |stage| {
                stage.sh("mv scan/s scan/.s; svc -dx scan/.s");
                second_look(stage);
                stage.run("svok", &["scan/.s"]);
            },
        ),
        change(
            "a service that was removed with its log is not started again",
            "service s/log",
            |stage| {
                wait_name(stage, "s/log", 1);
                stage.sh("mv scan/s scan/.s; svc -dx scan/.s scan/.s/log");
                second_look(stage);
                stage.sh("svok scan/.s; echo $?; svok scan/.s/log; echo $?");
            },
        ),
        change(
            "a link that is removed just after `svc -dx` leaves no supervise behind",
            "service ../a; ln -s ../a a",
            |stage| {
                wait_name(stage, "a", 1);
                // Just after a scan.
                second_look(stage);
                stage.sh("svc -dx scan/a; while svok scan/a; do sleep 0.05; done; rm scan/a");
                second_look(stage);
                stage.run("svok", &["a"]);
                tell_supervises(stage);
            },
        ),
        // Not by `change`: a supervise may or may not be too late for its last status.
        situation(
            "svscan: a directory removed just after `svc -dx . log` leaves no supervise behind",
            |stage: &mut Stage| {
                scan(stage, "service a/log; service a");
                stage.start("svscan", &["scan"]);
                for name in ["a", "a/log"] {
                    wait_name(stage, name, 1);
                }
                let pids =
                    ["a", "a/log"].map(|name| stage.scratch.wait_up(&format!("scan/{name}")));
                second_look(stage);
                // rm fails if a last status is written after it has read the directory.
                stage.sh("cd scan/a; svc -dx . log; cd ..; until rm -rf a 2>&-; do :; done; ls a");
                pids.iter().for_each(|pid| stage.wait_gone(*pid));
                second_look(stage);
                stage.sh("ls scan");
                tell_supervises(stage);
            },
        ),
        change(
            "a service that was removed goes on until it is stopped",
            "",
            |stage| {
                stage.sh("mv scan/s s");
                second_look(stage);
                stage.run("svok", &["s"]);
            },
        ),
        change(
            "a service that is renamed goes on; then it has its new name",
            "",
            |stage| {
                stage.sh("mv scan/s scan/t");
                second_look(stage);
                stage.sh("cat scan/t/name; svc -dx scan/t");
                wait_name(stage, "t", 2);
            },
        ),
        change(
            "a service that is replaced goes on, and so does the new one",
            "",
            |stage| {
                let old = stage.scratch.wait_up("scan/s");
                stage.sh("mkdir new; cp scan/s/run new; mv scan/s old; mv new scan/s");
                wait_name(stage, "s", 1);
                stage.say(format!("the old one lives: {}", is_alive(old)));
                stage.run("svok", &["old"]);
            },
        ),
        change(
            "a link that is turned to another service gets another supervise",
            "service ../a; ln -s ../a a",
            |stage| {
                wait_name(stage, "a", 1);
                stage.sh("mkdir b; cp a/run b; ln -sfn ../b scan/a");
                wait_name(stage, "a", 1);
                stage.sh("cat a/name");
                stage.run("svok", &["a"]);
            },
        ),
        change(
            "a service that comes back in time has one supervise",
            "",
            |stage| {
                let old = stage.scratch.wait_up("scan/s");
                stage.sh("mv scan/s s; mv s scan/s");
                second_look(stage);
                stage.say(format!("the old one lives: {}", is_alive(old)));
            },
        ),
        change(
            "a log that is added to a known service is not noticed",
            "",
            |stage| {
                stage.sh("mkdir log; cp scan/s/run log; mv log scan/s/log");
                second_look(stage);
                stage.run("svok", &["scan/s/log"]);
            },
        ),
        change(
            "a log that is added while the service is away is noticed",
            "",
            |stage| {
                stage.sh("mv scan/s s; svc -dx s; while svok s; do sleep 0.05; done");
                second_look(stage);
                stage.sh("mkdir s/log; cp s/run s/log/run; mv s scan/s");
                wait_name(stage, "s/log", 1);
                wait_name(stage, "s", 2);
            },
        ),
        change(
            "a plain file that becomes a service is taken up",
            "touch a",
            |stage| {
                second_look(stage);
                stage.sh("mkdir a; cp scan/s/run a; rm scan/a; mv a scan/a");
                wait_name(stage, "a", 1);
            },
        ),
        change(
            "a dangling link whose target comes is taken up",
            "ln -s ../a a",
            |stage| {
                stage.wait_errors("stat a:", 1);
                stage.sh("mkdir a.new; cp scan/s/run a.new; mv a.new a");
                wait_name(stage, "a", 1);
            },
        ),
        change(
            "a hidden service that is shown is taken up",
            "service .a",
            |stage| {
                stage.sh("mv scan/.a scan/a");
                wait_name(stage, "a", 1);
            },
        ),
    ]
}

/// Makes the scan directory with the service `s` and what `script` adds.
pub(super) fn scan(stage: &mut Stage, script: &str) {
    stage.script("run", NAMED);
    let service = "service() { mkdir -p -- \"$1\"; cp -- \"$run\" \"./$1/run\"; }";
    stage.sh(&format!(
        "run=$PWD/run; mkdir scan; cd scan; {service}
         long=$(printf %0255d 0); service s; {script}"
    ));
}

/// Waits until the service `name` has been started so often by a supervise.
pub(super) fn wait_name(stage: &Stage, name: &str, times: usize) {
    stage.wait_file(&format!("scan/{name}/name"), "/", times);
}

/// Waits until svscan has looked around once more, and has taken up something
/// that was not there before: all else it wanted to start is started, too.
pub(super) fn second_look(stage: &mut Stage) {
    let scratch = &stage.scratch;
    let name = (0..).map(|n| format!("zz-later{n}"));
    let name = name
        .into_iter()
        .find(|name| !scratch.at("scan").join(name).exists());
    let name = name.unwrap();
    stage.script(&format!("{name}/run"), NAMED);
    std::fs::rename(scratch.at(&name), scratch.at("scan").join(&name)).unwrap();
    wait_name(stage, &name, 1);
    stage.scratch.wait_up(&format!("scan/{name}"));
}

/// Tells which supervises are svscan's children.
fn tell_supervises(stage: &mut Stage) {
    let pids = children(stage.daemon().pid()).into_iter();
    let mut words: Vec<_> = pids
        .map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
        .collect();
    words.sort();
    stage.say(words.concat());
}

/// Kills the supervise of the service process `pid`.
fn kill_supervise(pid: u32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap();
    signal(parent.parse().unwrap(), "KILL");
}

#[test]
fn svscan_is_as_the_reference() {
    compare("oracle::svscan", &situations(), &[Cast::all(Suite::Ours)]);
}
