//! What is logged does not depend on how the input was cut; what matches a
//! pattern is what a plain walk through it says.

#![no_main]

use daemontools_rs::formats::tai64n::Tai64n;
use daemontools_rs::multilog::batch_size::Room;
use daemontools_rs::multilog::cutter::Cutter;
use daemontools_rs::multilog::lines::Lines;
use daemontools_rs::multilog::pattern::Pattern;
use daemontools_rs::multilog::script::{Action, Script};

libfuzzer_sys::fuzz_target!(|given: (u16, Vec<&[u8]>, &[u8])| {
    let (place, words, input) = given;
    let script = Script::parse(words);
    for action in &script.actions {
        if let Action::Select(wanted) | Action::Deselect(wanted) = action {
            assert_eq!(Pattern::new(wanted).matches(input), walk(wanted, input));
        }
    }
    let (first, second) = input.split_at(usize::from(place).min(input.len()));
    assert_eq!(log(&script, &[input]), log(&script, &[first, second]));
});

/// What each directory gets, and stderr.
fn log(script: &Script, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut lines = Lines::new(script, Room::Large);
    let mut out = vec![Vec::new(); script.directories.len() + 1];
    let mut cutters: Vec<Cutter> = script
        .directories
        .iter()
        .map(|d| Cutter::new(d.size, 0))
        .collect();
    let (mut buffer, mut seen) = (Vec::new(), 0);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let taken = lines.take(&buffer, seen, Tai64n::default());
            seen = taken.seen;
            if taken.bytes == 0 {
                break;
            }
            for (number, cutter) in cutters.iter_mut().enumerate() {
                let (text, flushes) = lines.output(number, &buffer[..taken.bytes]);
                out[number].extend_from_slice(text);
                let mut cuts = Vec::new();
                cutter.cut(text, flushes, false, &mut cuts);
                assert!(cuts.is_sorted() && cuts.iter().all(|cut| *cut <= text.len()));
                assert!(cutter.bytes() <= script.directories[number].size);
            }
            out[script.directories.len()].extend_from_slice(lines.stderr());
            buffer.drain(..taken.bytes);
        }
    }
    out
}

/// The rules of patterns from their words alone.
fn walk(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    loop {
        match (pattern, text) {
            ([], _) => return text.is_empty(),
            ([b'*'], _) => return true,
            ([b'*', wanted, ..], [byte, rest @ ..]) if byte != wanted => text = rest,
            ([b'*', ..], []) => return false,
            ([b'*', rest @ ..], _) => pattern = rest,
            ([first, rest @ ..], [byte, behind @ ..]) if first == byte => {
                (pattern, text) = (rest, behind);
            }
            _ => return false,
        }
    }
}
