//! No panic, and the last line of its kind is what counts.

#![no_main]

use daemontools_rs::multilog::budget::Budget;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Ok(budget) = Budget::parse(text) {
        let with_more = [text, b"\n total 7k # bytes\n"].concat();
        let total = Some(7 << 10);
        assert_eq!(Budget::parse(&with_more), Ok(Budget { total, ..budget }));
    }
});
