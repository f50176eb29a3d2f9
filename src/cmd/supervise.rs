//! `supervise dir`: keep one service running.

use crate::error::Error;

/// The program.
pub fn main() -> u8 {
    super::main("supervise", |arguments| match arguments {
        [_, dir] => crate::supervise::run(dir).map(|()| 0),
        _ => Err(Error::Usage("usage: supervise dir")),
    })
}
