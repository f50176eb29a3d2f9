//! `fghack [-f] child`: supervise a daemon that goes to the background.

use super::chain::Next;
use crate::error::Error;
use crate::fghack;

/// The program.
pub fn main() -> u8 {
    super::main("fghack", |arguments| {
        let (follows, child) = match arguments {
            [_, option, child @ ..] if option == "-f" => (true, child),
            [_, child @ ..] => (false, child),
            [] => (false, arguments),
        };
        if child.is_empty() {
            return Err(Error::Usage("usage: fghack child"));
        }
        let next = Next::new(child);
        if follows {
            return fghack::follow(|| next.run()).map(fghack::end_as);
        }
        fghack::hold_pipe(|| next.run())
    })
}
