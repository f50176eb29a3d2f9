//! svc: command lines, what is written to the control FIFO, and errors.

use super::stage::{Stage, is_asleep};
use super::zoo::{DENIED, DIRECTORIES, Zoo, invalid_name};
use super::{Cast, Situation, compare, situation};
use crate::harness::{Suite, called, has, wait_until};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;

/// The commands of 0.76.
const LETTERS: &str = "udopchaitkx";

/// What is typed, words parted by `|`, and what it shows.
const COMMAND_LINES: [(&str, &str); 30] = [
    ("", "nothing at all is no error"),
    ("-d", "commands for nobody are no error"),
    ("s", "no commands are no error"),
    (
        "missing",
        "no commands for nobody are an error all the same",
    ),
    ("-udopchaitkx|s", "all letters go in the order typed"),
    (
        "-xktiahcpodu|s",
        "all letters go in the order typed, backwards, too",
    ),
    ("-ddu|s", "a letter that is repeated is sent once"),
    (
        "-oot|s",
        "a letter that is repeated is sent once, at its first place",
    ),
    (
        "-d|-u|-d|s",
        "a letter is sent once though repeated in another word",
    ),
    ("-x|-d|s", "letters in words of their own go in one write"),
    (
        "-dZ|s",
        "an illegal letter behind a good one: nothing is sent",
    ),
    (
        "-Zd|s",
        "an illegal letter before a good one: nothing is sent",
    ),
    (
        "-d|-Z|s",
        "an illegal letter in another word: nothing is sent",
    ),
    ("-ZY|s", "of two illegal letters the first is told"),
    ("-u-|s", "a dash in a cluster is an illegal letter"),
    (
        "--u|s",
        "a word that begins with two dashes ends the options and is dropped",
    ),
    ("-u:|s", "a colon is an illegal letter"),
    ("-u?|s", "a question mark is an illegal letter"),
    ("-d=|s", "an equals sign is an illegal letter"),
    ("-|s", "a dash alone is a directory and ends the options"),
    ("-d|-|-u|s", "what follows a lone dash are directories"),
    ("-d|--|s", "two dashes end the options and are dropped"),
    ("-d|--|-d", "two dashes let a name begin with a dash"),
    ("-d|--|--|s", "only the first two dashes are dropped"),
    ("--|-d|s", "behind two dashes nothing is an option"),
    ("s|-d", "behind a directory nothing is an option"),
    ("-d||s", "an empty word is a directory"),
    (
        "-t|s|down|s",
        "each directory gets its commands, as often as it is named",
    ),
    (
        "-t|missing|s|plain|down",
        "a directory with an error does not keep others from theirs",
    ),
    ("-d|SCRATCH/s", "a directory may be named by its whole path"),
];

fn words(line: &str, stage: &Stage) -> Vec<String> {
    let path = stage.scratch.path().to_string_lossy();
    let words = line.split('|').map(|word| word.replace("SCRATCH", &path));
    words.filter(|_| !line.is_empty()).collect()
}

pub(super) fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for letter in LETTERS.chars() {
        all.push(situation(
            format!("svc -{letter} sends its letter"),
            move |stage| {
                let mut zoo = Zoo::new(stage);
                stage.run("svc", &[&format!("-{letter}"), "s"]);
                zoo.heard(stage);
            },
        ));
    }
    for (line, name) in COMMAND_LINES {
        all.push(situation(format!("svc: {name}"), move |stage| {
            let mut zoo = Zoo::new(stage);
            stage.run("svc", &words(line, stage));
            zoo.heard(stage);
        }));
    }
    for (directory, what) in DIRECTORIES {
        all.push(situation(format!("svc -dx on {what}"), move |stage| {
            let mut zoo = Zoo::new(stage);
            stage.run("svc", &["-dx", "--", directory]);
            zoo.heard(stage);
            if directory == "files" {
                stage.say(stage.scratch.read("files/supervise/control"));
            }
        }));
    }
    for (path, what) in DENIED {
        all.push(situation(
            format!("svc -d on {what} denied"),
            move |stage| {
                let mut zoo = Zoo::new(stage);
                stage.deny(path, 0);
                stage.run_as_ordinary_user("", "svc", &["-d", "s"]);
                zoo.heard(stage);
            },
        ));
    }
    for called_by in ["/some/where/else", "else", "x/", "", "-svc", "/"] {
        all.push(situation(
            format!("svc called `{called_by}` complains by the last part of that"),
            move |stage| {
                let mut command = stage.command(stage.program("svc"));
                command.args(["-dZ", "s"]);
                called(&mut command, called_by);
                stage.finish("svc", command);
            },
        ));
    }
    all.extend([
        situation("svc, svok: no name is looked up in $SVDIR", |stage| {
            let mut zoo = Zoo::new(stage);
            // Strangers with these names.
            for name in ["log", "run", "gone"] {
                zoo.supervise(stage, name);
            }
            stage.scratch.mkdir("here");
            stage.sh("cd s; export SVDIR=\"${PWD%/s}\"; svc -dx . log; svok log");
            zoo.heard(stage);
            stage.sh(
                "cd here; export SVDIR=\"${PWD%/here}\"; touch run; ln -s nowhere gone; \
                 svc -d *; svc -t dead two\\ words s; svok s; svok run; svok gone; echo $?",
            );
            zoo.heard(stage);
        }),
        situation("svc takes no other letter", |stage| {
            let taken = |letter: &u8| LETTERS.bytes().chain(*b"12qw").any(|l| l == *letter);
            for letter in (1..=255).filter(|letter| !taken(letter)) {
                let word = OsString::from_vec(vec![b'-', b'd', letter]);
                stage.run("svc", &[word.as_os_str(), OsStr::new("missing")]);
            }
        }),
        situation("svc prints a name that is no UTF-8 as it is", |stage| {
            stage.run("svc", &[OsStr::new("-d"), invalid_name()]);
            stage.scratch.mkdir(invalid_name());
            stage.run("svc", &[OsStr::new("-d"), invalid_name()]);
        }),
        situation("svc refuses a name that is too long", |stage| {
            for length in [255, 256, 4095, 4096] {
                stage.run("svc", &["-d", &"n".repeat(length)]);
            }
        }),
        situation("svc does without its descriptors", |stage| {
            let _zoo = Zoo::new(stage);
            stage.sh("svc -d missing 2>&-");
            stage.sh("svc -dZ s >&- 2>&-");
            stage.sh("svc -d s <&- >&- 2>&-");
            stage.sh("svc -d missing 2>/dev/full");
        }),
        situation("svc works in a directory that is gone", |stage| {
            let mut zoo = Zoo::new(stage);
            let s = stage.scratch.at("s");
            let s = s.to_string_lossy();
            stage.sh(&format!("mkdir gone; cd gone; rmdir ../gone; svc -d s {s}"));
            zoo.heard(stage);
        }),
        situation(
            "svc in a directory that may not be read gives up",
            |stage| {
                let mut zoo = Zoo::new(stage);
                stage.scratch.mkdir("closed");
                stage.deny("closed", 0o111);
                stage.run_as_ordinary_user("closed", "svc", &["-d", "../s"]);
                zoo.heard(stage);
            },
        ),
        situation(
            "svc that cannot go back ends after one directory",
            |stage| {
                if !has("svc that cannot go back", &["strace"]) {
                    return;
                }
                let mut zoo = Zoo::new(stage);
                for name in ["s", "dead", "bare"] {
                    let mut command = stage.command("strace");
                    command.args(["-o", "calls", "-e", "inject=fchdir:error=EIO"]);
                    command.arg(stage.program("svc"));
                    command.args(["-d", name, "down"]);
                    stage.finish("svc", command);
                }
                zoo.heard(stage);
            },
        ),
        situation("svc waits until a FIFO that is full is read", |stage| {
            let path = stage.scratch.at("s/supervise/control");
            let mut zoo = Zoo::new(stage);
            let mut fifo = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            let room = 65536;
            fifo.write_all(&vec![b'z'; room]).unwrap();
            stage.start("svc", &["-du", "s"]);
            let mut bytes = vec![0; room + 2];
            fifo.read_exact(&mut bytes).unwrap();
            stage.say(&bytes[room..]);
            stage.ends();
            stage.tell_errors();
            zoo.heard(stage);
        }),
        situation(
            "svc is told when the reader goes while it writes",
            |stage| {
                let _zoo = Zoo::new(stage);
                stage.scratch.mkdir("t/supervise");
                let path = stage.scratch.at("t/supervise/control");
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
                let reader = std::fs::OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&path)
                    .unwrap();
                (&reader).write_all(&[b'z'; 65536]).unwrap();
                stage.start("svc", &["-d", "t"]);
                let svc = stage.daemon().pid();
                let writes = || has_open(svc, &path) && is_asleep(svc);
                wait_until("svc waits for room", writes);
                drop(reader);
                stage.ends();
                stage.tell_errors();
            },
        ),
    ]);
    all
}

/// Whether the process has `path` open.
fn has_open(pid: u32, path: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
    let mut targets = entries.flatten().flatten();
    targets.any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

#[test]
fn svc_is_as_the_reference() {
    compare("oracle::svc", &situations(), &[Cast::all(Suite::Ours)]);
}
