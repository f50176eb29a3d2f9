//! tai64nlocal: converts timestamps to local time.

use super::line;
use crate::civil::Civil;
use crate::formats::tai64n::{Tai64n, leading_digits};

/// Replaces a timestamp at the start of a line by its local time, such as `1999-08-24
/// 06:04:05.787492500`; everything else is unchanged.
///
/// As in 0.76, a timestamp is `@` and any number of lower-case hexadecimal digits, of which the
/// last 24 count. If it is out of the range of years, 0.76 crashes, and here the line is
/// unchanged. An incomplete timestamp at the end of the input is dropped.
#[derive(Debug, Default)]
pub struct Localizer {
    position: Position,
    /// The digits so far of an incomplete timestamp.
    held: Vec<u8>,
    local: Local,
}

/// The position of the next byte in its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Position {
    #[default]
    Start,
    /// After the `@`, before the end of the digits.
    Stamp,
    Behind,
}

impl Localizer {
    /// The maximum number of digits that are held back until the end of a timestamp; 0.76 has
    /// no limit. With more, it is not a timestamp.
    pub const DIGITS: usize = 4096;

    /// Takes the next `input` and appends the result to `out`. `zone` returns the local time of
    /// seconds since 1970-01-01 00:00 UTC; None if there is none.
    pub fn feed(
        &mut self,
        input: &[u8],
        mut zone: impl FnMut(i64) -> Option<Civil>,
        out: &mut Vec<u8>,
    ) {
        let mut rest = input;
        while let Some((first, behind)) = rest.split_first() {
            rest = match self.position {
                Position::Start => {
                    self.position = Position::Behind;
                    if let Some(behind) = self.usual_stamp(rest, &mut zone, out) {
                        behind
                    } else if *first == b'@' {
                        self.position = Position::Stamp;
                        behind
                    } else {
                        rest
                    }
                }
                Position::Stamp => self.rest_of_stamp(rest, &mut zone, out),
                Position::Behind => {
                    let (first, others) = line(rest);
                    out.extend_from_slice(first);
                    if first.ends_with(b"\n") {
                        self.position = Position::Start;
                    }
                    others
                }
            }
        }
    }

    /// If `input` begins with a complete timestamp in the usual form, converts it and returns
    /// the rest: a fast path of [`Localizer::rest_of_stamp`].
    fn usual_stamp<'a>(
        &mut self,
        input: &'a [u8],
        zone: &mut impl FnMut(i64) -> Option<Civil>,
        out: &mut Vec<u8>,
    ) -> Option<&'a [u8]> {
        let (stamp, behind) = input.split_first_chunk()?;
        let label = Tai64n::parse(stamp)?;
        let more_digits = leading_digits(behind.get(..1)?) > 0;
        if more_digits || !self.local.put(label, zone, out) {
            return None;
        }
        Some(behind)
    }

    /// Takes the leading digits of `input` and returns the rest.
    fn rest_of_stamp<'a>(
        &mut self,
        input: &'a [u8],
        zone: &mut impl FnMut(i64) -> Option<Civil>,
        out: &mut Vec<u8>,
    ) -> &'a [u8] {
        let (digits, behind) = input.split_at(leading_digits(input));
        let fits = self.held.len() + digits.len() <= Self::DIGITS;
        if fits {
            self.held.extend_from_slice(digits);
            if behind.is_empty() {
                return behind;
            }
        }
        self.position = Position::Behind;
        if !fits || !self.local.put(Tai64n::from_digits(&self.held), zone, out) {
            out.push(b'@');
            out.extend_from_slice(&self.held);
        }
        self.held.clear();
        if fits { behind } else { input }
    }
}

/// Writes local times, and caches the last second: most lines are in the same second as the
/// line before.
#[derive(Debug, Default)]
struct Local {
    /// The second of [`Local::text`], since 1970-01-01 00:00 UTC.
    second: Option<i64>,
    /// Its date and time, such as `1999-08-24 06:04:05.`, and nine digits of nanoseconds.
    text: Vec<u8>,
}

impl Local {
    /// Appends the local time of `label` to `out`; false if there is none.
    fn put(
        &mut self,
        label: Tai64n,
        zone: &mut impl FnMut(i64) -> Option<Civil>,
        out: &mut Vec<u8>,
    ) -> bool {
        let second = label.unix_seconds();
        if self.second != Some(second) {
            let Some(civil) = zone(second) else {
                return false;
            };
            self.second = Some(second);
            self.text.clear();
            put_date_and_time(civil, &mut self.text);
            self.text.extend_from_slice(&[b'0'; 9]);
        }
        let Some((date_and_time, position)) = self.text.split_last_chunk_mut() else {
            return false;
        };
        *position = nine_digits(label.nanoseconds % BILLION);
        match label.nanoseconds / BILLION {
            0 => out.extend_from_slice(&self.text),
            // No clock has such a value; 0.76 prints all ten digits.
            digit => {
                out.extend_from_slice(date_and_time);
                put_decimal(digit.into(), out);
                out.extend_from_slice(position);
            }
        }
        true
    }
}

const BILLION: u32 = 1_000_000_000;

/// Appends `civil` as `1999-08-24 06:04:05.`. As in 0.76, a negative year is printed as an
/// unsigned 64-bit number.
fn put_date_and_time(civil: Civil, out: &mut Vec<u8>) {
    put_decimal(i64::from(civil.year).cast_unsigned(), out);
    for (separator, number) in [
        (b'-', civil.month),
        (b'-', civil.day),
        (b' ', civil.hour),
        (b':', civil.minute),
        (b':', civil.second),
    ] {
        out.extend_from_slice(&[separator, b'0' + number / 10 % 10, b'0' + number % 10]);
    }
    out.push(b'.');
}

/// Appends `number` in decimal.
fn put_decimal(number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = number;
    loop {
        #[allow(clippy::cast_possible_truncation, reason = "below ten")]
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// `number`, which is below a billion, with leading zeros.
fn nine_digits(number: u32) -> [u8; 9] {
    #[allow(clippy::cast_possible_truncation, reason = "below ten")]
    let digit = |power: u32| b'0' + (number / power % 10) as u8;
    [
        digit(100_000_000),
        digit(10_000_000),
        digit(1_000_000),
        digit(100_000),
        digit(10_000),
        digit(1_000),
        digit(100),
        digit(10),
        digit(1),
    ]
}
