//! `multilog script`: reads lines from stdin and writes them to log files.

use crate::multilog::shell;
use std::os::unix::ffi::OsStrExt;

/// The program. As in 0.76 there is no usage: every argument is an action, and unknown
/// ones are ignored.
pub fn main() -> u8 {
    super::main("multilog", |arguments| {
        let script: Vec<&[u8]> = arguments
            .iter()
            .skip(1)
            .map(|argument| argument.as_bytes())
            .collect();
        shell::run(&script).map(|()| 0)
    })
}
