//! tai64nlocal: stamps become local time.

use super::line;
use crate::civil::Civil;
use crate::formats::tai64n::{Tai64n, leading_digits};

/// Replaces a stamp at the start of a line by the local time it stands for, as
/// `1999-08-24 06:04:05.787492500`; all else passes unchanged.
///
/// As in 0.76, a stamp is `@` and the hexadecimal digits (lower-case) that
/// follow, however many: the last 24 count. Where that is no moment of any year,
/// 0.76 crashes, and here the line passes unchanged. A stamp that the input ends
/// in is dropped.
#[derive(Debug, Default)]
pub struct Localizer {
    place: Place,
    /// The digits of a stamp that has not ended yet, from inputs before this one.
    held: Vec<u8>,
    /// The last date and time made; most lines have that of the line before.
    last: Option<LocalSecond>,
}

/// Where in a line the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    #[default]
    Start,
    /// Behind the `@`, before the end of the digits.
    Stamp,
    Behind,
}

/// A second and what it is called.
#[derive(Debug)]
struct LocalSecond {
    /// Seconds since 1970-01-01 00:00 UTC.
    unix: i64,
    /// As `1999-08-24 06:04:05.`.
    text: Vec<u8>,
}

impl Localizer {
    /// So many digits are held back until it is clear what they are; 0.76 has no
    /// limit. More are no stamp.
    pub const DIGITS: usize = 4096;

    /// Takes the next `input` and appends what it becomes to `out`. `zone` tells
    /// the local time of seconds since 1970-01-01 00:00 UTC; None if there is none.
    pub fn feed(
        &mut self,
        input: &[u8],
        mut zone: impl FnMut(i64) -> Option<Civil>,
        out: &mut Vec<u8>,
    ) {
        let mut rest = input;
        while let Some((first, behind)) = rest.split_first() {
            match self.place {
                Place::Start if *first == b'@' => {
                    self.place = Place::Stamp;
                    rest = behind;
                }
                Place::Start => self.place = Place::Behind,
                Place::Stamp => rest = self.stamp(rest, &mut zone, out),
                Place::Behind => {
                    let (first, others) = line(rest);
                    out.extend_from_slice(first);
                    if first.ends_with(b"\n") {
                        self.place = Place::Start;
                    }
                    rest = others;
                }
            }
        }
    }

    /// Takes the digits that `input` begins with, and gives what it has behind them.
    fn stamp<'a>(
        &mut self,
        input: &'a [u8],
        zone: &mut impl FnMut(i64) -> Option<Civil>,
        out: &mut Vec<u8>,
    ) -> &'a [u8] {
        let (digits, behind) = input.split_at(leading_digits(input));
        if self.held.len() + digits.len() > Self::DIGITS {
            self.place = Place::Behind;
            out.push(b'@');
            out.append(&mut self.held);
            return input;
        }
        if behind.is_empty() {
            self.held.extend_from_slice(digits);
            return behind;
        }
        self.place = Place::Behind;
        if self.held.is_empty() {
            self.local(digits, zone, out);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(digits);
            self.local(&held, zone, out);
        }
        behind
    }

    /// Appends the local time that `digits` stand for, or them as they were.
    fn local(
        &mut self,
        digits: &[u8],
        zone: &mut impl FnMut(i64) -> Option<Civil>,
        out: &mut Vec<u8>,
    ) {
        let label = Tai64n::from_digits(digits);
        let unix = label.unix_seconds();
        if self.last.as_ref().is_none_or(|last| last.unix != unix) {
            self.last = zone(unix).map(|civil| LocalSecond {
                unix,
                text: text(civil),
            });
        }
        if let Some(last) = &self.last {
            out.extend_from_slice(&last.text);
            append(out, label.nanoseconds.into(), 9);
        } else {
            out.push(b'@');
            out.extend_from_slice(digits);
        }
    }
}

/// As `1999-08-24 06:04:05.`. A year before 0 is printed as 0.76 does: as the
/// unsigned number of 64 bits that has its bits.
fn text(civil: Civil) -> Vec<u8> {
    let mut text = Vec::with_capacity(40);
    append(&mut text, i64::from(civil.year).cast_unsigned(), 1);
    for (separator, number) in [
        (b'-', civil.month),
        (b'-', civil.day),
        (b' ', civil.hour),
        (b':', civil.minute),
        (b':', civil.second),
    ] {
        text.push(separator);
        append(&mut text, number.into(), 2);
    }
    text.push(b'.');
    text
}

/// Appends `number` in decimal, with zeros before it to `width` digits (at most 20).
fn append(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut first = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        if rest == 0 {
            break;
        }
        #[allow(clippy::cast_possible_truncation, reason = "below ten")]
        let value = (rest % 10) as u8;
        *digit += value;
        rest /= 10;
        first = place;
    }
    let first = first.min(digits.len().saturating_sub(width));
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}
