//! `tai64n`: put a timestamp before each line.

use crate::formats::tai64n::Tai64n;
use crate::sys::clock;
use crate::tai64n::stamper::Stamper;

/// The program. As in 0.76, arguments are ignored.
pub fn main() -> u8 {
    let mut stamper = Stamper::default();
    super::filter(move |input, out| stamper.feed(input, Tai64n::from_unix(clock::wall()), out))
}
