//! `supervise dir`: keep one service running. `supervise dir FORMAT:NUMBERS` continues with a
//! service after an upgrade in place.

use crate::error::Error;
use crate::{supervise, upgrade};
use std::ffi::OsString;

/// The program.
pub fn main() -> u8 {
    super::main("supervise", run)
}

fn run(arguments: &[OsString]) -> Result<u8, Error> {
    match arguments {
        [_, dir] if upgrade::is_question(dir) => Ok(upgrade::answer()),
        [_, dir] => supervise::run(dir).map(|()| 0),
        [called, dir, word] if let Some(numbers) = upgrade::numbers(word) => {
            supervise::resume(called, dir, numbers).map(|()| 0)
        }
        _ => Err(Error::Usage("usage: supervise dir")),
    }
}
