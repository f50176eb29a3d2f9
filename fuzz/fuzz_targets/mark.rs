//! What is read as a mark is what is written again; a part of one is none.

#![no_main]

use daemontools_rs::formats::mark::{Mark, hash};

libfuzzer_sys::fuzz_target!(|given: (bool, &[u8])| {
    let (is_whole, bytes) = given;
    let mut bytes = bytes.to_vec();
    if is_whole {
        // No fuzzer finds a checksum, nor the length of what is held.
        let held = u16::try_from(bytes.len().saturating_sub(104)).unwrap_or(0);
        bytes.splice(..bytes.len().min(9), *b"multilog\x01");
        if let Some(place) = bytes.get_mut(10..16) {
            place.copy_from_slice(&[held.to_be_bytes().as_slice(), &[0; 4]].concat());
        }
        bytes.extend_from_slice(&hash(&bytes).to_be_bytes());
    }
    if let Some(mark) = Mark::decode(&bytes).filter(|mark| mark.held.len() <= 3984) {
        let again = mark.encode();
        assert!(bytes.starts_with(&again));
        assert_eq!(Mark::decode(&again).as_ref(), Some(&mark));
        assert_eq!(Mark::decode(&again[..again.len() - 1]), None);
    }
});
