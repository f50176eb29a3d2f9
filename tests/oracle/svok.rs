//! svok: whether a supervise runs, and why that cannot be told.

use super::stage::unread;
use super::zoo::{DENIED, DIRECTORIES, Zoo, invalid_name};
use super::{Cast, Situation, compare, situation};
use crate::harness::{Suite, called};

/// What is typed, and what it shows.
const COMMAND_LINES: [(&[&str], &str); 8] = [
    (&[], "nothing at all is wrong usage"),
    (&["s", "missing"], "a second argument is ignored"),
    (
        &["missing", "s"],
        "a second argument does not help the first",
    ),
    (&["--", "s"], "two dashes are a directory"),
    (&["-x"], "an option is a directory"),
    (&["--help"], "a long option is a directory"),
    (&["."], "the directory one is in is like any other"),
    (
        &["s/supervise"],
        "a directory inside a service is like any other",
    ),
];

pub(super) fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for (words, name) in COMMAND_LINES {
        all.push(situation(format!("svok: {name}"), move |stage| {
            let _zoo = Zoo::new(stage);
            stage.run("svok", words);
        }));
    }
    for (directory, what) in DIRECTORIES {
        all.push(situation(format!("svok on {what}"), move |stage| {
            let _zoo = Zoo::new(stage);
            stage.run("svok", &[directory]);
        }));
    }
    for (path, what) in DENIED {
        all.push(situation(format!("svok on {what} denied"), move |stage| {
            let _zoo = Zoo::new(stage);
            stage.deny(path, 0);
            stage.run_as_ordinary_user("", "svok", &["s"]);
        }));
    }
    all.extend([
        situation("svok complains by its own name, however called", |stage| {
            let mut command = stage.command(stage.program("svok"));
            called(&mut command, "/somewhere/else");
            stage.finish("svok", command);
        }),
        situation("svok prints a name that is no UTF-8 as it is", |stage| {
            stage.run("svok", &[invalid_name()]);
        }),
        situation("svok refuses a name that is too long", |stage| {
            stage.run("svok", &["n".repeat(256)]);
        }),
        situation(
            "svok and svc end at a pipe that nobody reads, or not",
            |stage| {
                let _zoo = Zoo::new(stage);
                stage.sh(&unread("svok missing", "2>&4"));
                stage.sh(&unread("svok", "2>&4"));
                stage.sh(&unread("svok s", "2>&4"));
                stage.sh(&unread("svc -u missing", "2>&4"));
            },
        ),
        situation("svok does without its descriptors", |stage| {
            let _zoo = Zoo::new(stage);
            stage.sh("svok s <&- >&- 2>&-");
            stage.sh("svok missing <&- >&- 2>&-");
        }),
        situation("svok in a directory that may not be read", |stage| {
            let _zoo = Zoo::new(stage);
            stage.scratch.mkdir("closed");
            stage.deny("closed", 0o111);
            stage.run_as_ordinary_user("closed", "svok", &["../link"]);
        }),
    ]);
    all
}

#[test]
fn svok_is_as_the_reference() {
    compare("oracle::svok", &situations(), &[Cast::all(Suite::Ours)]);
}
