//! What a terminal gets of a log, and of names in messages: nothing that it would obey.

use super::{command, make};
use crate::harness::{Scratch, Suite, finish, has, wait_until};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What `script`, run with a terminal as its stdout and stderr, writes there; newlines
/// are `\r\n`.
fn on_a_terminal(scratch: &Scratch, script: &str) -> Vec<u8> {
    let mut command = scratch.command(Suite::Ours, "script");
    command
        .args(["-qec", script, "typescript"])
        .env("TZ", "UTC");
    command.env("SHELL", "/bin/sh");
    let output = finish(command);
    assert!(output.err.is_empty(), "{output:?}");
    output.out
}

#[test]
fn a_terminal_gets_control_characters_of_the_log_as_text() {
    let test = "a_terminal_gets_control_characters_of_the_log_as_text";
    if !has(test, &["script"]) {
        return;
    }
    let scratch = Scratch::new();
    let log = "\u{1b}]0;title\u{7}\tgrün €\u{9b}2J\r\n";
    make(&scratch, &[("current", log)]);
    let shown = "\\x1b]0;title\\x07\tgrün €\\xc2\\x9b2J\\x0d\r\n";
    assert_eq!(
        on_a_terminal(&scratch, "svclog a 2>/dev/null"),
        shown.as_bytes()
    );
    let raw = log.replace('\n', "\r\n");
    assert_eq!(
        on_a_terminal(&scratch, "svclog --raw a 2>/dev/null"),
        raw.as_bytes()
    );
    assert_eq!(finish(command(&scratch, &["a"])).out, log.as_bytes());
}

#[test]
fn a_terminal_gets_control_characters_of_names_as_text() {
    let test = "a_terminal_gets_control_characters_of_names_as_text";
    if !has(test, &["script"]) {
        return;
    }
    let scratch = Scratch::new();
    let name = OsStr::from_bytes(b"b\x1b[2J\xff");
    scratch.service(name, "exec sleep 1000");
    scratch.write("x", name.as_bytes());
    let _supervise = scratch.daemon(Suite::Ours, "supervise", &[name], "supervise");
    wait_until("it is supervised", || {
        scratch.run(Suite::Ours, "svok", &[name]).code == 0
    });
    for (command, said) in [
        (
            "svclog \"$N\"",
            "svclog: fatal: b\\x1b[2J\\xff: it has no log",
        ),
        ("svstat \"$N\"", "b\\x1b[2J\\xff: up (pid "),
        ("svcstop \"$N\"", "Stopping b\\x1b[2J\\xff ."),
        (
            "svcstart \"no$N\"",
            "svcstart: fatal: nob\\x1b[2J\\xff: no such",
        ),
        (
            "svc -u \"no$N\"",
            "svc: warning: unable to chdir to nob\\x1b[2J\\xff: ",
        ),
        (
            "setuidgid \"$N\" true",
            "setuidgid: fatal: unknown account b\\x1b[2J\\xff",
        ),
    ] {
        let shown = on_a_terminal(&scratch, &format!("N=$(cat x); {command}"));
        let text = String::from_utf8(shown).unwrap();
        assert!(text.contains(said), "{command}: {text}");
        assert!(!text.contains('\u{1b}'));
    }
}
