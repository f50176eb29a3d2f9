//! Where the lines since a moment, and the last lines, begin does not depend on how
//! the log is cut.

#![no_main]

use daemontools_rs::formats::tai64n::Tai64n;
use daemontools_rs::svclog::tail::{Backwards, Since};

libfuzzer_sys::fuzz_target!(|given: (u16, u8, u64, &[u8])| {
    let (place, lines, seconds, log) = given;
    let (first, second) = log.split_at(usize::from(place).min(log.len()));
    let moment = Tai64n {
        seconds,
        nanoseconds: 0,
    };
    let since = |pieces: &[&[u8]]| {
        let mut since = Since::new(moment);
        let found = pieces.iter().find_map(|piece| since.feed(piece));
        (found, found.is_some() || since.has_stamps())
    };
    assert_eq!(since(&[log]), since(&[first, second]));
    let last = |pieces: &[&[u8]]| {
        let (mut backwards, mut from) = (Backwards::new(lines.into()), log.len());
        for piece in pieces.iter().rev() {
            from -= piece.len();
            if let Some(place) = backwards.feed(piece) {
                return from + place;
            }
        }
        0
    };
    assert_eq!(last(&[log]), last(&[first, second]));
});
