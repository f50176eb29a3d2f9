//! readproctitle, and what it should show.

use super::{Daemon, Scratch, Suite, called};
use std::ffi::OsStr;
use std::process::Stdio;

/// Starts readproctitle of `suite` under its bare name, with `words`, to read `input`.
pub(crate) fn start(
    scratch: &Scratch,
    suite: Suite,
    words: &[&OsStr],
    input: impl Into<Stdio>,
) -> Daemon {
    let mut command = scratch.command(suite, suite.program("readproctitle"));
    called(&mut command, "readproctitle");
    command.args(words).stdin(input);
    scratch.start(command, "readproctitle")
}

/// The command line that is to be seen when the last word is `last`.
pub(crate) fn expected(words: &[&OsStr], last: &[u8]) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut line = b"readproctitle\0".to_vec();
    for word in &words[..words.len() - 1] {
        line.extend_from_slice(word.as_bytes());
        line.push(0);
    }
    line.extend_from_slice(last);
    line.push(0);
    line
}

/// What `len` bytes show of `input`.
pub(crate) fn newest(len: usize, input: &[u8]) -> Vec<u8> {
    let mut all = vec![b'.'; len];
    all.extend(input.iter().filter(|byte| **byte != 0));
    let mut word = b"...".to_vec();
    word.extend_from_slice(&all[all.len() - (len - 3)..]);
    word
}
