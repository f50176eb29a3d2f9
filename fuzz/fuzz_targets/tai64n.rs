//! What is read as a stamp is what is written again, and nothing else is one.

#![no_main]

use daemontools_rs::formats::tai64n::{Tai64n, leading_digits};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Some((stamp, _)) = text.split_first_chunk() {
        let digits = leading_digits(&stamp[1..]);
        let label = Tai64n::parse(stamp);
        assert_eq!(label.is_some(), stamp[0] == b'@' && digits == 24);
        assert!(label.is_none_or(|label| label.text() == *stamp));
    }
});
