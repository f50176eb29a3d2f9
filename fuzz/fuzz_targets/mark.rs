//! What is read as a mark is what is written again.

#![no_main]

use daemontools_rs::formats::mark::{Mark, hash};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    // Nobody guesses a checksum.
    let mut bytes = text.to_vec();
    let held = text.len().saturating_sub(104) as u16;
    if let Some(place) = bytes.get_mut(10..12) {
        place.copy_from_slice(&held.to_be_bytes());
    }
    bytes.extend(hash(&bytes).to_be_bytes());
    for bytes in [text, &bytes] {
        if let Some(mark) = Mark::decode(bytes).filter(|mark| mark.held.len() <= 4096 - 112) {
            assert!(bytes.starts_with(&mark.encode()));
        }
    }
});
