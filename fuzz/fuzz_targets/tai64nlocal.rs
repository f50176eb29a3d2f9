//! What comes out does not depend on how the input is cut.

#![no_main]

use daemontools_rs::tai64n::localizer::Localizer;
use daemontools_rs::sys::zone;

libfuzzer_sys::fuzz_target!(|given: (u16, &[u8])| {
    let (place, input) = given;
    let (first, second) = input.split_at(usize::from(place).min(input.len()));
    let local = |pieces: &[&[u8]]| {
        let (mut localizer, mut out) = (Localizer::default(), Vec::new());
        for piece in pieces {
            localizer.feed(piece, zone::local, &mut out);
        }
        out
    };
    assert_eq!(local(&[input]), local(&[first, second]));
});
