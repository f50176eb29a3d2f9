//! `tai64nlocal`: makes the stamps before lines readable.

use crate::stamps::localizer::Localizer;
use crate::sys::zone;
use std::process::ExitCode;

/// The program. As in 0.76, arguments are ignored.
pub fn main() -> ExitCode {
    let mut localizer = Localizer::default();
    super::filter(move |input, out| localizer.feed(input, zone::local, out))
}
