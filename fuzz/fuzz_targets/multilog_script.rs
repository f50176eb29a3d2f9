//! No panic, and no limit that a script could leave.

#![no_main]

use daemontools_rs::multilog::script::Script;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let script = Script::parse(text.split(|byte| *byte == 0));
    for directory in &script.directories {
        assert!((4096..=2_147_483_647).contains(&directory.size) && directory.keep >= 2);
        assert!(matches!(directory.name.first(), Some(b'.' | b'/')));
    }
});
