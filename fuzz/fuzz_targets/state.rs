//! What is read as a record of a service is written the same.

#![no_main]

use daemontools_rs::formats::journal::hash;
use daemontools_rs::formats::state::StateRecord;
use daemontools_rs::formats::svscan_note::SvscanNote;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    // Nobody guesses a checksum.
    let sealed = [text, format!("sum {:016x}\n", hash(text)).as_bytes()].concat();
    for bytes in [text, &sealed] {
        if let Some(record) = StateRecord::decode(bytes) {
            assert_eq!(StateRecord::decode(&record.encode(&[], None, None)), Some(record));
        }
        if let Some(note) = SvscanNote::decode(bytes) {
            assert_eq!(SvscanNote::decode(&note.encode()), Some(note));
        }
    }
});
