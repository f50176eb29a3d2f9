//! `pgrphack child`: run a program in its own session and process group, without a
//! controlling terminal.

use super::chain::Next;
use crate::error::Error;
use crate::sys::child;

/// The program.
pub fn main() -> u8 {
    super::main("pgrphack", |arguments| {
        let [_, child @ ..] = arguments else {
            return Err(Error::Usage("usage: pgrphack child"));
        };
        if child.is_empty() {
            return Err(Error::Usage("usage: pgrphack child"));
        }
        child::setsid();
        Err(Next::new(child).run())
    })
}
