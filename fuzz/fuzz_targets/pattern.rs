//! Whether a line matches a pattern does not differ from what its words say, taken a
//! byte at a time.

#![no_main]

use daemontools_rs::multilog::pattern::Pattern;

fn plain(pattern: &[u8], text: &[u8]) -> bool {
    let (mut text, mut star) = (text.iter().peekable(), false);
    for wanted in pattern {
        if *wanted == b'*' && !star {
            star = true;
            continue;
        }
        if star {
            while text.next_if(|byte| *byte != wanted).is_some() {}
        }
        // The byte behind a star is looked for, and not yet taken: another star
        // stands for any bytes again, once it was found.
        let is_star = *wanted == b'*';
        if is_star && text.peek() != Some(&wanted) {
            return false;
        }
        if !is_star && text.next() != Some(wanted) {
            return false;
        }
        star = is_star;
    }
    star || text.next().is_none()
}

libfuzzer_sys::fuzz_target!(|given: (&[u8], &[u8])| {
    let (pattern, text) = given;
    assert_eq!(Pattern::new(pattern).matches(text), plain(pattern, text));
});
