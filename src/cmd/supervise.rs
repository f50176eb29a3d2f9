//! `supervise dir`: keep one service running.

use crate::error::Error;
use std::process::ExitCode;

/// The program.
pub fn main() -> ExitCode {
    super::main("supervise", |arguments| match arguments {
        [_, dir] => crate::supervise::run(dir).map(|()| 0),
        _ => Err(Error::Usage("usage: supervise dir")),
    })
}
