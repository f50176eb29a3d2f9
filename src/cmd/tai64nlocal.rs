//! `tai64nlocal`: convert timestamps to local time.

use crate::sys::zone;
use crate::tai64n::localizer::Localizer;

/// The program. As in 0.76, arguments are ignored.
pub fn main() -> u8 {
    let mut localizer = Localizer::default();
    super::filter(move |input, out| localizer.feed(input, zone::local, out))
}
