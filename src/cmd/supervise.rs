//! `supervise dir`: keep one service running. `supervise dir FORMAT:NUMBERS` continues with a
//! service after an upgrade in place; without NUMBERS it answers whether it could.

use crate::error::{Error, TEMPORARY};
use crate::formats::state::HANDOVER;
use crate::sys::output;
use crate::{supervise, upgrade};
use std::ffi::OsString;

/// The program.
pub fn main() -> u8 {
    super::main("supervise", run)
}

fn run(arguments: &[OsString]) -> Result<u8, Error> {
    match arguments {
        [_, dir] => supervise::run(dir).map(|()| 0),
        [called, dir, word] if let Some(numbers) = upgrade::numbers(word) => match numbers {
            "" => {
                let said = output::out(upgrade::answer(HANDOVER).as_bytes());
                Ok(said.map_or(TEMPORARY, |()| 0))
            }
            numbers => supervise::resume(called, dir, numbers).map(|()| 0),
        },
        _ => Err(Error::Usage("usage: supervise dir")),
    }
}
