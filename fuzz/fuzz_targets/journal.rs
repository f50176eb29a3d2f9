//! What is read as a journal entry is what is written again.

#![no_main]

use daemontools_rs::formats::journal::{JournalEntry, hash};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    // Nobody guesses a checksum.
    let mut bytes = text.to_vec();
    let held = text.len().saturating_sub(152) as u16;
    if let Some(place) = bytes.get_mut(10..12) {
        place.copy_from_slice(&held.to_be_bytes());
    }
    let mut summed = bytes.clone();
    if summed.len() > 14 {
        summed.remove(14);
    }
    bytes.extend(hash(&summed).to_be_bytes());
    for bytes in [text, &bytes] {
        let is_new = bytes.get(8) == Some(&3);
        let entry = JournalEntry::decode(bytes).filter(|entry| entry.batch.held.len() <= 4096 - 160);
        if let Some(entry) = entry.filter(|_| is_new) {
            assert!(bytes.starts_with(&entry.encode()));
        }
    }
});
