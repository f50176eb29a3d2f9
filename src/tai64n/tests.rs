//! Both filters compared with slow, simple models, on pseudo-random inputs that are cut
//! anywhere.

use super::localizer::Localizer;
use super::stamper::Stamper;
use crate::civil::Civil;
use crate::formats::tai64n::Tai64n;
use crate::numbers::Numbers;
use std::time::Duration;

/// An input with all that a filter may stumble over.
fn input(numbers: &mut Numbers) -> Vec<u8> {
    const HEX: &[u8] = b"0123456789abcdef";
    let mut input = Vec::new();
    for _ in 0..numbers.below(40) {
        let stamp = Tai64n {
            seconds: match numbers.below(4) {
                // Many lines a second.
                0..2 => (1 << 62) + 1_790_000_000,
                2 => (1 << 62) + (numbers.next() >> 30) - (1 << 33),
                _ => numbers.next() >> numbers.below(64),
            },
            nanoseconds: u32::try_from(numbers.next() >> 32).unwrap() >> numbers.below(8),
        }
        .text();
        match numbers.below(16) {
            0..6 => input.extend(stamp),
            6 => input.extend(stamp.to_ascii_uppercase()),
            7 => input.extend(&stamp[..numbers.below(stamp.len())]),
            8 => {
                input.push(b'@');
                let zeros = numbers.below(30);
                input.extend(numbers.some(zeros, b"0"));
                input.extend(&stamp[1..]);
            }
            9 => {
                input.extend(stamp);
                let more = numbers.below(3);
                input.extend(numbers.some(more, HEX));
            }
            10 => {
                let count = match numbers.below(4) {
                    0 => Localizer::DIGITS - 2 + numbers.below(5),
                    _ => numbers.below(60),
                };
                input.push(b'@');
                input.extend(numbers.some(count, HEX));
                if numbers.below(2) == 0 && count > 24 {
                    let place = input.len() - 24;
                    input[place..].copy_from_slice(&stamp[1..]);
                }
            }
            11 => {
                let count = numbers.below(200);
                input.extend((0..count).map(|_| numbers.next().to_le_bytes()[0]));
            }
            _ => input.push(b' '),
        }
        match numbers.below(4) {
            0 => input.extend(b" a line\n"),
            1 => input.push(b'\n'),
            2 => input.push([b'@', b'\0', b'\r', b'g', b'A', b'/', b':'][numbers.below(7)]),
            _ => {}
        }
    }
    input
}

/// How long the pieces of an input may be: whole, or byte by byte, or between.
const PIECES: [usize; 5] = [1, 3, 30, 300, usize::MAX];

/// A calendar that is none, with seconds that are in no year.
fn zone(second: i64) -> Option<Civil> {
    let part = |of: i64| u8::try_from(second.rem_euclid(of)).unwrap();
    if second.unsigned_abs() >> 50 != 0 || second.rem_euclid(11) == 3 {
        return None;
    }
    Some(Civil {
        year: i32::try_from(second >> 25).unwrap(),
        month: part(12) + 1,
        day: part(31) + 1,
        hour: part(24),
        minute: part(60),
        second: part(61),
    })
}

/// tai64nlocal as 0.76 does it, a byte at a time, all of the input at hand.
fn localized(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = input.iter().copied();
    let mut next = bytes.next();
    while let Some(first) = next {
        if first == b'@' {
            let mut digits = Vec::new();
            next = bytes.next();
            while let Some(digit @ (b'0'..=b'9' | b'a'..=b'f')) = next {
                digits.push(digit);
                next = bytes.next();
            }
            if next.is_none() && digits.len() <= Localizer::DIGITS {
                break;
            }
            out.extend(stamp(&digits));
        }
        while let Some(byte) = next {
            out.push(byte);
            next = bytes.next();
            if byte == b'\n' {
                break;
            }
        }
    }
    out
}

fn stamp(digits: &[u8]) -> Vec<u8> {
    let unchanged = [b"@", digits].concat();
    if digits.len() > Localizer::DIGITS {
        return unchanged;
    }
    let text = String::from_utf8(digits.to_vec()).unwrap();
    let padded = format!("{text:0>24}");
    let (seconds, nanoseconds) = padded[padded.len() - 24..].split_at(16);
    let seconds = u64::from_str_radix(seconds, 16).unwrap();
    let nanoseconds = u32::from_str_radix(nanoseconds, 16).unwrap();
    let Some(civil) = zone(
        seconds
            .wrapping_sub(4_611_686_018_427_387_914)
            .cast_signed(),
    ) else {
        return unchanged;
    };
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02}.{nanoseconds:09}",
        i64::from(civil.year).cast_unsigned(),
        civil.month,
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
    )
    .into_bytes()
}

#[test]
fn the_localizer_does_what_a_plain_model_does_however_the_input_is_cut() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let (mut replaced, mut kept) = (0, 0);
    for _ in 0..20_000 {
        let input = input(&mut numbers);
        let (mut localizer, mut out) = (Localizer::default(), Vec::new());
        let pieces = numbers.cut(&input, &PIECES);
        for piece in &pieces {
            localizer.feed(piece, zone, &mut out);
        }
        let expected = localized(&input);
        assert!(
            out == expected,
            "of {:?} became\n{}\nand not\n{}",
            pieces.iter().map(|piece| piece.escape_ascii().to_string()),
            out.escape_ascii(),
            expected.escape_ascii()
        );
        if out == input {
            kept += 1;
        } else {
            replaced += 1;
        }
    }
    // The inputs are worth something.
    assert!(replaced > 5_000 && kept > 500, "{replaced} {kept}");
}

/// The moment `nanoseconds` after 1970.
fn moment(nanoseconds: u64) -> Tai64n {
    Tai64n::from_unix(Duration::from_nanos(nanoseconds))
}

/// tai64n, a byte at a time: each piece with the moment it was read.
fn stamped(pieces: &[(u64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut at_start, mut last) = (true, 0);
    for (now, piece) in pieces {
        let mut first = true;
        for byte in *piece {
            if at_start {
                last = if first {
                    (*now).max(last + 1)
                } else {
                    last + 1
                };
                first = false;
                out.extend(moment(last).text());
                out.push(b' ');
            }
            out.push(*byte);
            at_start = *byte == b'\n';
        }
    }
    out
}

#[test]
fn the_stamper_does_what_a_plain_model_does_however_the_input_is_cut() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for _ in 0..20_000 {
        let input = input(&mut numbers);
        // A clock that sometimes stands still, and passes the end of a second.
        let mut now = 1_790_000_000_999_999_990;
        let pieces: Vec<(u64, &[u8])> = numbers
            .cut(&input, &PIECES)
            .into_iter()
            .map(|piece| {
                now += [0, 0, 1, 5, 1_000_000_000][numbers.below(5)];
                (now, piece)
            })
            .collect();
        let (mut stamper, mut out) = (Stamper::default(), Vec::new());
        for (now, piece) in &pieces {
            stamper.feed(piece, moment(*now), &mut out);
        }
        let expected = stamped(&pieces);
        assert!(
            out == expected,
            "{}\nand not\n{}",
            out.escape_ascii(),
            expected.escape_ascii()
        );
    }
}

#[test]
fn what_is_stamped_is_localized_line_by_line() {
    let mut numbers = Numbers(0x1234_5678_9ABC_DEF1);
    for _ in 0..2_000 {
        let input = input(&mut numbers);
        let (mut stamper, mut stamped) = (Stamper::default(), Vec::new());
        // A second that is in a year of the zone above.
        stamper.feed(&input, moment(1_790_000_004_000_000_000), &mut stamped);
        let (mut localizer, mut out) = (Localizer::default(), Vec::new());
        localizer.feed(&stamped, zone, &mut out);
        let mut lines = out.split_inclusive(|byte| *byte == b'\n');
        for line in input.split_inclusive(|byte| *byte == b'\n') {
            let out = lines.next().unwrap();
            assert_eq!(out[out.len() - line.len()..], *line);
            let before = out[..out.len() - line.len()].escape_ascii().to_string();
            assert!(before.starts_with("53-"), "{before}");
            assert_eq!(before.len(), "53-01-01 00:00:00.000000000 ".len());
        }
        assert_eq!(lines.next(), None);
    }
}

/// If the input is a single endless timestamp, no more than the limit is held back.
#[test]
fn an_endless_stamp_passes_while_it_comes() {
    let (mut localizer, mut out) = (Localizer::default(), Vec::new());
    localizer.feed(b"@", zone, &mut out);
    for count in 0..3 * Localizer::DIGITS {
        localizer.feed(b"7", zone, &mut out);
        let passed = if count < Localizer::DIGITS {
            0
        } else {
            count + 2
        };
        assert_eq!(out.len(), passed);
    }
}

#[test]
fn a_clock_that_is_set_back_is_followed() {
    let (mut stamper, mut out) = (Stamper::default(), Vec::new());
    stamper.feed(b"\n", moment(5_000_000_000), &mut out);
    stamper.feed(b"\n\n", moment(4_900_000_000), &mut out);
    stamper.feed(b"\n", moment(2_000_000_000), &mut out);
    let expected = [5_000_000_000, 5_000_000_001, 5_000_000_002, 2_000_000_000];
    let expected: Vec<u8> = expected
        .into_iter()
        .flat_map(|at| [&moment(at).text()[..], b" \n"].concat())
        .collect();
    assert_eq!(out, expected);
}
