//! `readproctitle word... ....`: the newest bytes of stdin instead of the last argument.

use crate::error::{TEMPORARY, USAGE};
use crate::title::{self, Trouble};
use std::process::ExitCode;

/// The program. As in 0.76 it never says a word: nobody would read it.
pub fn main() -> ExitCode {
    match title::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::NoRoom) => ExitCode::from(USAGE),
        Err(Trouble::Read(_)) => ExitCode::from(TEMPORARY),
    }
}
