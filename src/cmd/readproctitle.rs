//! `readproctitle word... ....`: the newest bytes of stdin instead of the last argument.

use crate::error::{TEMPORARY, USAGE};
use crate::readproctitle::{self, Trouble};

/// The program. As in 0.76 it never says a word: nobody would read it.
pub fn main() -> u8 {
    match readproctitle::run() {
        Ok(()) => 0,
        Err(Trouble::NoRoom) => USAGE,
        Err(Trouble::Read(_)) => TEMPORARY,
    }
}
