//! readproctitle: the same arguments and the same input for both suites' programs,
//! and their command lines compared as the kernel shows them.

use crate::harness::{Scratch, Suite, finish, has, wait_until};
use crate::readproctitle::{command_line, expected, newest, start};
use std::ffi::OsStr;
use std::io::{Write, pipe};
use std::os::unix::ffi::OsStrExt;

/// What is written, piece by piece.
fn inputs() -> Vec<Vec<Vec<u8>>> {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let pieces = |pieces: &[&[u8]]| pieces.iter().map(|piece| piece.to_vec()).collect();
    vec![
        pieces(&[b"x"]),
        pieces(&[b"a line\n"]),
        pieces(&[b"one\n", b"two\n", b"th", b"ree"]),
        pieces(&[b"\0", b"a\0b\0\0c", b"\0\0"]),
        pieces(&[b"\n\n\n\n\n\n\n\n"]),
        pieces(&[&all_bytes, &all_bytes]),
        pieces(&[&b"0123456789".repeat(1000)]),
    ]
}

#[test]
fn readproctitle_shows_what_the_reference_shows() {
    if !has("oracle::readproctitle", &["readproctitle"]) {
        return;
    }
    let long = "y".repeat(400);
    let dots = ".".repeat(400);
    let layouts: [&[&[u8]]; 9] = [
        &[b"abcde"],
        &[b"abcdef"],
        &[b"......"],
        &[b"\xff\xfe\xfd\xfc\xfb"],
        &[b"two", b"words!"],
        &[b"", b"abcde"],
        &[b"service", b"errors:", b"..........."],
        &[b"service", b"errors:", dots.as_bytes()],
        &[long.as_bytes(), long.as_bytes()],
    ];
    let scratch = Scratch::new();
    for layout in layouts {
        let words: Vec<&OsStr> = layout.iter().map(|word| OsStr::from_bytes(word)).collect();
        let len = layout[layout.len() - 1].len();
        for input in inputs() {
            for suite in [Suite::Reference, Suite::Ours] {
                let (reader, mut writer) = pipe().unwrap();
                let mut title = start(&scratch, suite, &words, reader);
                let shows = |last: &[u8]| {
                    wait_until(&format!("{suite:?} {layout:?} {input:?}"), || {
                        command_line(title.pid()) == expected(&words, last)
                    });
                };
                shows(&vec![b'.'; len]);
                let mut given = Vec::new();
                for piece in &input {
                    writer.write_all(piece).unwrap();
                    given.extend_from_slice(piece);
                    shows(&newest(len, &given));
                }
                drop(writer);
                assert_eq!(title.wait(), 0);
            }
        }
    }
}

#[test]
fn readproctitle_ends_as_the_reference_does() {
    if !has("oracle::readproctitle", &["readproctitle"]) {
        return;
    }
    let scripts = [
        "TITLE",
        "TITLE ''",
        "TITLE abcd",
        "TITLE abcdefgh ''",
        "TITLE abcdefgh abcd",
        "TITLE abcde",
        "TITLE a b c d e abcde",
        "TITLE -- -h --help",
        "TITLE abcde <&-",
        "TITLE abcde </",
        "TITLE abcde >&- 2>&-",
        "TITLE abcd <&- >&- 2>&-",
        "echo x | TITLE abcde",
        "env - TITLE abcde",
        // No name of its own.
        "exec -a '' TITLE abcde",
    ];
    let scratch = Scratch::new();
    for script in scripts {
        let [reference, ours] = [Suite::Reference, Suite::Ours].map(|suite| {
            let program = suite.program("readproctitle");
            let script = script.replace("TITLE", program.to_str().unwrap());
            let mut command = scratch.command(suite, "bash");
            command.args(["-c", &script]);
            finish(command)
        });
        assert_eq!(ours, reference, "{script}");
    }
}
