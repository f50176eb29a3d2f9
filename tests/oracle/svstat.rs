//! svstat: all its lines, from status files made by hand.

use super::stage::{Stage, unread};
use super::zoo::{DENIED, DIRECTORIES, Zoo, invalid_name, now, stamped, status};
use super::{Cast, Situation, compare, situation};
use crate::harness::{Scratch, Suite, called, finish, has};
use std::os::unix::fs::symlink;

/// What is typed, and what it shows.
const COMMAND_LINES: [(&[&str], &str); 7] = [
    (&["s", "down", "two words"], "one line for each directory"),
    (
        &["missing", "s", "bare", "dead", "s"],
        "errors are lines among the others",
    ),
    (&["--", "s"], "two dashes are a directory"),
    (&["-x"], "an option is a directory"),
    (&["--help"], "a long option is a directory"),
    (&["."], "the directory one is in is like any other"),
    (
        &["s/", "./s", "s/.", "link/../s"],
        "a name is printed as it was given",
    ),
];

/// Seconds from 2^62 that no clock shows, and those of a clock.
const STAMPS: [(u64, &str); 5] = [
    (0, "1969"),
    (10, "1970"),
    (1_000_000_000, "2001"),
    (u64::MAX - (1 << 62), "the end of all time"),
    (u64::MAX - (1 << 62) + 1, "the beginning of all time"),
];

/// How a stamp differs from now, in seconds, and how it is called.
const AGES: [(i64, &str); 6] = [
    (-2, "two seconds ago"),
    (-100, "a minute ago"),
    (-1_000_000, "days ago"),
    (-400_000_000, "years ago"),
    (1000, "in a while"),
    (4_000_000_000, "in a century"),
];

pub(super) fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for (words, name) in COMMAND_LINES {
        all.push(situation(format!("svstat: {name}"), move |stage| {
            let _zoo = Zoo::new(stage);
            stage.run("svstat", words);
        }));
    }
    for (directory, what) in DIRECTORIES {
        // A failed read is told by ours: see below.
        if directory == "directories" {
            continue;
        }
        all.push(situation(format!("svstat on {what}"), move |stage| {
            let _zoo = Zoo::new(stage);
            stage.run("svstat", &[directory]);
        }));
    }
    for (path, what) in DENIED {
        all.push(situation(
            format!("svstat on {what} denied"),
            move |stage| {
                let _zoo = Zoo::new(stage);
                // To be got at but for what is denied.
                stage.deny("s/supervise", 0o755);
                stage.deny("s/supervise/ok", 0o666);
                stage.deny(path, 0);
                stage.run_as_ordinary_user("", "svstat", &["s"]);
            },
        ));
    }
    for (pid, state) in [
        (0, "down"),
        (1, "up"),
        (77, "up with another pid"),
        (u32::MAX, "up with the last pid"),
    ] {
        for normally in ["up", "down"] {
            all.push(situation(
                format!("svstat on a service that is {state} and normally {normally}"),
                move |stage| {
                    let _zoo = service(stage);
                    if normally == "down" {
                        stage.scratch.write("s/down", "");
                    }
                    for paused in [0, 1, 2, 255] {
                        for want in *b"ud\0oxUD\xff" {
                            tell(stage, &status(pid, paused, want));
                        }
                    }
                },
            ));
        }
    }
    for (offset, when) in AGES {
        all.push(situation(
            format!("svstat on a stamp of {when}"),
            move |stage| {
                let _zoo = service(stage);
                let then = (now() + 10).wrapping_add_signed(offset);
                tell_age(stage, then, (-offset).max(0).unsigned_abs());
            },
        ));
    }
    for (seconds, when) in STAMPS {
        all.push(situation(
            format!("svstat on a stamp of {when}"),
            move |stage| {
                let _zoo = service(stage);
                let age = (now() + 10).wrapping_sub(seconds);
                tell_age(stage, seconds, age);
            },
        ));
    }
    for length in [0, 1, 12, 16, 17, 18, 19, 20, 35, 4096] {
        all.push(situation(
            format!("svstat on a status of {length} bytes"),
            move |stage| {
                let _zoo = service(stage);
                let mut bytes = status(77, 1, b'd').to_vec();
                bytes.resize(length, 0x44);
                tell(stage, &bytes);
            },
        ));
    }
    all.extend([
        situation("svstat: what is here is not looked up in $SVDIR", |stage| {
            let mut zoo = Zoo::new(stage);
            for name in ["run", "gone"] {
                zoo.supervise(stage, name);
            }
            stage.scratch.mkdir("here");
            stage.sh(
                "cd here; export SVDIR=\"${PWD%/here}\"; touch run; mkdir s; \
                 ln -s nowhere gone; ln -s circle circle; svstat gone circle run s ./down missing",
            );
        }),
        situation("svstat on a status of garbage", |stage| {
            let _zoo = service(stage);
            for byte in [0x00, 0x01, 0x20, 0x7f, 0x80, 0xff] {
                stage.scratch.write("s/supervise/status", [byte; 18]);
                let said = said(stage);
                // Beyond what a clock shows only the first digits can be compared.
                let digits = |c: char| c.is_ascii_digit();
                let words = said.split(' ').map(|word| match word.len() {
                    13.. if word.chars().all(digits) => &word[..word.len() - 7],
                    _ => word,
                });
                stage.say(words.collect::<Vec<_>>().join(" "));
            }
        }),
        situation("svstat on a link named down", |stage| {
            let _zoo = service(stage);
            for target in ["nothing", "supervise", "/etc/passwd/nothing"] {
                let down = stage.scratch.at("s/down");
                let _ = std::fs::remove_file(&down);
                symlink(target, &down).unwrap();
                stage.run("svstat", &["s"]);
            }
        }),
        situation("svstat on a status that is a FIFO", |stage| {
            let _zoo = service(stage);
            let status = stage.scratch.at("s/supervise/status");
            std::fs::remove_file(&status).unwrap();
            nix::unistd::mkfifo(&status, nix::sys::stat::Mode::S_IRWXU).unwrap();
            stage.run("svstat", &["s"]);
        }),
        situation(
            "svstat looks for down, then for ok, then for the status",
            |stage| {
                let _zoo = Zoo::new(stage);
                for name in ["s", "downloop"] {
                    std::fs::remove_file(stage.scratch.at(name).join("supervise/status")).unwrap();
                    stage.run("svstat", &[name]);
                    std::fs::remove_file(stage.scratch.at(name).join("supervise/ok")).unwrap();
                    stage.run("svstat", &[name]);
                }
            },
        ),
        situation(
            "svstat complains by its own name, however called",
            |stage| {
                stage.scratch.mkdir("closed");
                stage.deny("closed", 0o111);
                if let Some(mut command) = stage.as_ordinary_user("svstat") {
                    command.arg("..").current_dir(stage.scratch.at("closed"));
                    stage.finish("svstat", command);
                }
                let mut command = stage.command(stage.program("svstat"));
                called(&mut command, "/somewhere/else");
                command.arg("missing");
                stage.finish("svstat", command);
            },
        ),
        situation("svstat has words for every error there is", |stage| {
            if !has("the words for every error", &["strace"]) {
                return;
            }
            stage.scratch.mkdir("s");
            // Those of Linux end with EHWPOISON.
            for number in 1..=133 {
                let inject = format!("inject=chdir:error={number}");
                let mut command = stage.command("strace");
                command.args(["-o", "calls", "-e", &inject]);
                command.arg(stage.program("svstat")).arg("s");
                stage.finish(&format!("svstat, error {number}"), command);
            }
        }),
        situation("svstat prints a name that is no UTF-8 as it is", |stage| {
            stage.run("svstat", &[invalid_name()]);
            stage.scratch.mkdir(invalid_name());
            stage.run("svstat", &[invalid_name()]);
        }),
        situation("svstat refuses a name that is too long", |stage| {
            stage.run(
                "svstat",
                &["n".repeat(255), "n".repeat(256), "n".repeat(4096)],
            );
        }),
        situation("svstat does without its descriptors", |stage| {
            let _zoo = Zoo::new(stage);
            for redirection in ["<&-", "2>&-", "<&- >&- 2>&-", ">&-", ">/dev/full"] {
                stage.sh(&format!("svstat s missing {redirection}"));
            }
        }),
        situation("svstat ends at a pipe that nobody reads", |stage| {
            let _zoo = Zoo::new(stage);
            stage.sh(&unread("svstat s missing", ">&4"));
            stage.sh(&unread("trap '' PIPE; svstat s missing", ">&4"));
        }),
        situation("svstat has lines for a thousand directories", |stage| {
            let _zoo = Zoo::new(stage);
            let names: Vec<&str> = ["s", "missing", "dead", "two\nlines"].repeat(250);
            stage.run("svstat", &names);
        }),
    ]);
    all
}

/// The service `s`, without a status.
fn service(stage: &Stage) -> Zoo {
    let zoo = Zoo::new(stage);
    let _ = std::fs::remove_file(stage.scratch.at("s/down"));
    zoo
}

/// What svstat says, as it is.
fn said(stage: &Stage) -> String {
    let mut command = stage.command(stage.program("svstat"));
    command.arg("s");
    finish(command).text()
}

/// Tells what svstat says of this status; its pid is no real one and is told.
fn tell(stage: &mut Stage, status: &[u8]) {
    stage.scratch.write("s/supervise/status", status);
    let said = said(stage).replace("(pid ", "(p i d ");
    stage.say(said);
}

/// Tells what svstat says of a service of that `age`, which grows meanwhile. The
/// clock the reference reads is a tick behind: just after a full second it may
/// say one less.
fn tell_age(stage: &mut Stage, seconds: u64, age: u64) {
    stage
        .scratch
        .write("s/supervise/status", stamped(seconds, 0, 0, b'd'));
    let said = said(stage);
    let number = |word: &str| word.parse::<u64>().ok();
    let words = said.split(' ').map(|word| match number(word) {
        Some(0) if age > 0 => "none".to_owned(),
        Some(0) => "zero".to_owned(),
        Some(number) if number.wrapping_add(1).wrapping_sub(age) < 600 => "about that".to_owned(),
        _ => word.to_owned(),
    });
    let words: Vec<String> = words.collect();
    stage.say(words.join("  "));
}

#[test]
fn svstat_is_as_the_reference() {
    compare("oracle::svstat", &situations(), &[Cast::all(Suite::Ours)]);
}

#[test]
fn svstat_of_ours_tells_that_a_status_cannot_be_read() {
    let scratch = Scratch::new();
    scratch.mkdir("s/supervise/status");
    scratch.write("s/supervise/ok", "");
    assert_eq!(
        scratch.run(Suite::Ours, "svstat", &["s"]).text(),
        "s: unable to read supervise/status: is a directory\n"
    );
}
