//! readproctitle: the same arguments and the same input for both suites' programs,
//! and their command lines compared as the kernel shows them.

use super::has_reference;
use crate::harness::title::{expected, newest, start};
use crate::harness::{Scratch, Suite, command_line, finish, wait_until};
use std::ffi::OsStr;
use std::io::{Write, pipe};
use std::os::unix::ffi::OsStrExt;

/// What is shown of what is written, piece by piece.
fn shows(words: &[impl AsRef<[u8]>], input: &[&[u8]]) {
    if !has_reference() {
        return;
    }
    let scratch = Scratch::new();
    let words: Vec<&OsStr> = words
        .iter()
        .map(|word| OsStr::from_bytes(word.as_ref()))
        .collect();
    let len = words.last().unwrap().len();
    for suite in [Suite::Reference, Suite::Ours] {
        let (reader, mut writer) = pipe().unwrap();
        let mut title = start(&scratch, suite, &words, reader);
        let wait_shown = |last: &[u8]| {
            wait_until(&format!("{suite:?} shows it"), || {
                command_line(title.pid()) == expected(&words, last)
            });
        };
        wait_shown(&vec![b'.'; len]);
        let mut given = Vec::new();
        for piece in input {
            writer.write_all(piece).unwrap();
            given.extend_from_slice(piece);
            wait_shown(&newest(len, &given));
        }
        drop(writer);
        assert_eq!(title.wait(), 0);
    }
}

/// Every input with each of these words.
macro_rules! every_input {
    ($($words:ident $value:expr;)+) => {$(
        mod $words {
            use super::*;
            fn compare(input: Vec<&[u8]>) {
                shows(&$value, &input);
            }
            fn input<'a>(pieces: &[&'a [u8]]) -> Vec<&'a [u8]> {
                pieces.to_vec()
            }
            situations! { input
                a_letter(&[b"x"]);
                a_line(&[b"a line\n"]);
                pieces_of_lines(&[b"one\n", b"two\n", b"th", b"ree"]);
                nul_bytes(&[b"\0", b"a\0b\0\0c", b"\0\0"]);
                newlines(&[b"\n\n\n\n\n\n\n\n"]);
                all_bytes(&[&ALL_BYTES, &ALL_BYTES]);
                much_at_once(&[&b"0123456789".repeat(1000)]);
            }
        }
    )+};
}

const ALL_BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut next = 0_u8;
    while next < u8::MAX {
        next += 1;
        bytes[next as usize] = next;
    }
    bytes
};

every_input! {
    five_bytes ["abcde"];
    six_bytes ["abcdef"];
    dots ["......"];
    no_utf_8 [b"\xff\xfe\xfd\xfc\xfb"];
    two_words ["two", "words!"];
    an_empty_word ["", "abcde"];
    as_svscanboot_has_it ["service", "errors:", "..........."];
    many_dots ["service", "errors:", &".".repeat(400)];
    long_words ["y".repeat(400), "y".repeat(400)];
}

/// How a line of a shell ends in which TITLE is the program.
fn ends(script: &str) -> &str {
    script
}

fn compare(script: &str) {
    if !has_reference() {
        return;
    }
    let scratch = Scratch::new();
    let [reference, ours] = [Suite::Reference, Suite::Ours].map(|suite| {
        let program = suite.program("readproctitle");
        let script = script.replace("TITLE", program.to_str().unwrap());
        let mut command = scratch.command(suite, "bash");
        command.args(["-c", &script]);
        finish(command)
    });
    assert_eq!(ours, reference, "{script}");
}

situations! { ends
    without_words("TITLE");
    an_empty_word("TITLE ''");
    four_bytes("TITLE abcd");
    an_empty_word_at_the_end("TITLE abcdefgh ''");
    four_bytes_at_the_end("TITLE abcdefgh abcd");
    five_bytes("TITLE abcde");
    many_words("TITLE a b c d e abcde");
    options("TITLE -- -h --help");
    without_stdin("TITLE abcde <&-");
    a_directory_as_stdin("TITLE abcde </");
    without_stdout_and_stderr("TITLE abcde >&- 2>&-");
    without_descriptors("TITLE abcd <&- >&- 2>&-");
    a_line_to_read("echo x | TITLE abcde");
    without_an_environment("env - TITLE abcde");
    without_a_name_of_its_own("exec -a '' TITLE abcde");
}
