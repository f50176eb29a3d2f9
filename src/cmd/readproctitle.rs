//! `readproctitle word... ....`: show the newest bytes of stdin in place of the last argument.

use crate::error::{TEMPORARY, USAGE};
use crate::readproctitle::{self, TitleError};

/// The program. As in 0.76 it prints no message: its stderr has no reader.
pub fn main() -> u8 {
    match readproctitle::run() {
        Ok(()) => 0,
        Err(TitleError::NoRoom) => USAGE,
        Err(TitleError::Read) => TEMPORARY,
    }
}
