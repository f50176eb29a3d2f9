//! TAI64N timestamps, as 0.76 writes them: 12 bytes with nanosecond resolution; and as text,
//! `@` and the 24 lower-case hexadecimal digits of these bytes.
//!
//! Source: <https://cr.yp.to/libtai/tai64.html>. As in 0.76, the difference between TAI and UTC
//! is a constant 10 seconds.

use std::time::Duration;

/// The label of 1970-01-01 00:00:00 UTC: 2^62 + 10.
const EPOCH: u64 = (1 << 62) + 10;

/// A timestamp of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Tai64n {
    /// 2^62 + 10 + the Unix time in seconds.
    pub seconds: u64,
    /// 0 to 999,999,999 in a timestamp that we write; any value in one that we read.
    pub nanoseconds: u32,
}

impl Tai64n {
    /// The size of an encoded label.
    pub const BYTES: usize = 12;

    /// The size of the text.
    pub const TEXT: usize = 1 + 2 * Self::BYTES;

    /// The timestamp `since` after the Unix epoch.
    pub fn from_unix(since: Duration) -> Tai64n {
        Tai64n {
            seconds: EPOCH.wrapping_add(since.as_secs()),
            nanoseconds: since.subsec_nanos(),
        }
    }

    /// The timestamp a nanosecond later.
    pub fn next(self) -> Tai64n {
        match self.nanoseconds {
            0..999_999_999 => Tai64n {
                nanoseconds: self.nanoseconds + 1,
                ..self
            },
            _ => Tai64n {
                seconds: self.seconds.wrapping_add(1),
                nanoseconds: 0,
            },
        }
    }

    /// As [`Tai64n::next`]; None after the last one.
    pub fn checked_next(self) -> Option<Tai64n> {
        let next = self.next();
        (next > self).then_some(next)
    }

    /// The Unix time in seconds, negative before 1970. It wraps, as in 0.76.
    pub fn unix_seconds(self) -> i64 {
        self.seconds.wrapping_sub(EPOCH).cast_signed()
    }

    /// Encodes it: bytes 0 to 7 are the seconds, 8 to 11 the nanoseconds, both big-endian.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (seconds, nanoseconds) = bytes.split_at_mut(8);
        seconds.copy_from_slice(&self.seconds.to_be_bytes());
        nanoseconds.copy_from_slice(&self.nanoseconds.to_be_bytes());
        bytes
    }

    /// The text: `@`, 16 digits for the seconds, 8 for the nanoseconds.
    pub fn text(self) -> [u8; Self::TEXT] {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the low half of the seconds, behind the high half"
        )]
        let words = [
            (self.seconds >> 32) as u32,
            self.seconds as u32,
            self.nanoseconds,
        ];
        let mut text = [b'@'; Self::TEXT];
        let (_, digits) = text.split_at_mut(1);
        for (place, word) in digits.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&hexadecimal(word));
        }
        text
    }

    /// Updates `text` from that of `before` to that of this timestamp; faster than
    /// [`Tai64n::text`] if both are in the same second.
    pub fn renew(self, before: Tai64n, text: &mut [u8; Self::TEXT]) {
        if self.seconds != before.seconds {
            *text = self.text();
        } else if let Some(place) = text.last_chunk_mut() {
            *place = hexadecimal(self.nanoseconds);
        }
    }

    /// The inverse of [`Tai64n::text`]; None for other texts.
    pub fn parse(text: &[u8; Self::TEXT]) -> Option<Tai64n> {
        let (b"@", digits) = text.split_first_chunk()? else {
            return None;
        };
        let (high, digits) = digits.split_first_chunk()?;
        let (low, nanoseconds) = digits.split_first_chunk()?;
        let (high, low) = (from_hexadecimal(*high)?, from_hexadecimal(*low)?);
        Some(Tai64n {
            seconds: u64::from(high) << 32 | u64::from(low),
            nanoseconds: from_hexadecimal(*nanoseconds.first_chunk()?)?,
        })
    }

    /// As [`Tai64n::parse`], without the `@` and as 0.76 parses it: of more than 24 digits the
    /// last 24 count, fewer are padded with zeros on the left. `digits` are those that
    /// [`leading_digits`] counts; other bytes are zeros.
    pub fn from_digits(digits: &[u8]) -> Tai64n {
        let first = digits.len().saturating_sub(2 * Self::BYTES);
        let digits = digits.get(first..).unwrap_or_default();
        let (seconds, nanoseconds) = digits.split_at(digits.len().saturating_sub(8));
        let number = |digits: &[u8]| {
            digits.iter().fold(0, |n: u64, digit| {
                n << 4 | u64::from(value(*digit).unwrap_or(0))
            })
        };
        #[allow(clippy::cast_possible_truncation, reason = "eight digits are 32 bits")]
        Tai64n {
            seconds: number(seconds),
            nanoseconds: number(nanoseconds) as u32,
        }
    }

    /// The inverse of [`Tai64n::encode`]; any 12 bytes are a timestamp.
    pub fn decode(bytes: [u8; Self::BYTES]) -> Tai64n {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Tai64n {
            seconds: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            nanoseconds: u32::from_be_bytes([i, j, k, l]),
        }
    }

    /// The whole seconds from this timestamp to `now`, 0 if this is later; svstat prints them.
    /// As in 0.76, the difference is computed in floating point, which only matters for absurd
    /// timestamps.
    pub fn seconds_until(self, now: Tai64n) -> u64 {
        if now.seconds < self.seconds {
            return 0;
        }
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0.76's arithmetic"
        )]
        let through_double = now.seconds.wrapping_sub(self.seconds) as f64 as u64;
        through_double
    }
}

/// The eight hexadecimal digits of `word`, computed in parallel in one register, because each
/// line of a log has a timestamp.
fn hexadecimal(word: u32) -> [u8; 8] {
    // The value of one digit in each byte, the first in the highest.
    let mut values = u64::from(word);
    values = (values | values << 16) & 0x0000_ffff_0000_ffff;
    values = (values | values << 8) & 0x00ff_00ff_00ff_00ff;
    values = (values | values << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 in each byte whose value is above 9: a letter.
    let letters = (values + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    let from_nine_to_letters = u64::from(b'a' - b'9' - 1);
    (values + 0x3030_3030_3030_3030 + letters * from_nine_to_letters).to_be_bytes()
}

/// The inverse of [`hexadecimal`]; None for other bytes.
fn from_hexadecimal(digits: [u8; 8]) -> Option<u32> {
    let text = u64::from_be_bytes(digits);
    // 1 in each byte that is a letter, provided that all are digits.
    let letters = text >> 6 & 0x0101_0101_0101_0101;
    let mut values = (text & 0x0f0f_0f0f_0f0f_0f0f) + letters * 9;
    values = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    values = (values | values >> 8) & 0x0000_ffff_0000_ffff;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the low half is the number"
    )]
    let word = (values | values >> 16) as u32;
    (hexadecimal(word) == digits).then_some(word)
}

/// The number of leading digits (`0` to `9`, `a` to `f`) in `bytes`.
pub fn leading_digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| value(*byte).is_none())
        .unwrap_or(bytes.len())
}

/// The value of a digit.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_renewed_is_the_text_of_that() {
        let mut before = Tai64n::default();
        let mut text = before.text();
        for (seconds, nanoseconds) in [(0, 1), (0, 0xffff_ffff), (1, 0xffff_ffff), (0, 7)] {
            let next = Tai64n {
                seconds,
                nanoseconds,
            };
            next.renew(before, &mut text);
            assert_eq!(text, next.text());
            before = next;
        }
    }

    #[test]
    fn the_text_is_an_at_sign_and_the_bytes_in_hexadecimal() {
        let mut label = Tai64n {
            seconds: 0x0123_4567_89ab_cdef,
            nanoseconds: 0xfedc_ba98,
        };
        for _ in 0..100_000 {
            let plain: String = label.encode().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(label.text(), format!("@{plain}").as_bytes());
            // A walk over all kinds of digits.
            label.seconds = label.seconds.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ label.seconds >> 7;
            label.nanoseconds = label.nanoseconds.wrapping_mul(0x9e37_79b1).wrapping_add(1);
        }
        let label = Tai64n::from_unix(Duration::new(935_467_445, 787_492_500));
        assert_eq!(&label.text(), b"@4000000037c219bf2ef02e94");
    }

    #[test]
    fn a_text_is_read_if_it_is_one_that_could_have_been_written() {
        let good = *b"@0123456789abcdef76543210";
        let label = Tai64n::parse(&good).unwrap();
        assert_eq!(label.text(), good);
        assert_eq!(Tai64n::from_digits(&good[1..]), label);
        for place in 0..good.len() {
            for byte in 0..=255 {
                let mut text = good;
                text[place] = byte;
                let right = match place {
                    0 => byte == b'@',
                    _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                };
                let parsed = Tai64n::parse(&text);
                assert_eq!(parsed.is_some(), right, "{}", text.escape_ascii());
                assert!(parsed.is_none_or(|label| label.text() == text));
                assert_eq!(leading_digits(&text[1..]) == 24, right || place == 0);
            }
        }
    }

    #[test]
    fn of_the_digits_of_a_stamp_the_last_24_count() {
        let label = Tai64n::from_unix(Duration::new(935_467_445, 787_492_500));
        for digits in ["4000000037c219bf2ef02e94", "00004000000037c219bf2ef02e94"] {
            assert_eq!(Tai64n::from_digits(digits.as_bytes()), label);
        }
        assert_eq!(Tai64n::from_digits(b"ffff4000000037c219bf2ef02e94"), label);
        let few = Tai64n::from_digits(b"12ef02e94");
        assert_eq!((few.seconds, few.nanoseconds), (1, 787_492_500));
        assert_eq!(Tai64n::from_digits(b""), Tai64n::default());
    }

    #[test]
    fn a_nanosecond_later_may_be_another_second() {
        let label = Tai64n::from_unix(Duration::new(5, 999_999_998));
        assert_eq!(
            label.next(),
            Tai64n::from_unix(Duration::new(5, 999_999_999))
        );
        assert_eq!(label.next().next(), Tai64n::from_unix(Duration::new(6, 0)));
        assert!(label < label.next() && label.next() < label.next().next());
        let mut last = Tai64n {
            seconds: u64::MAX,
            nanoseconds: 999_999_998,
        };
        last = last.checked_next().unwrap();
        assert_eq!(last.checked_next(), None);
        let beyond = Tai64n {
            nanoseconds: u32::MAX,
            ..last
        };
        assert_eq!(beyond.checked_next(), None);
    }

    #[test]
    fn before_1970_seconds_are_negative() {
        let label = Tai64n::from_digits(b"3fffffffffffffff00000000");
        assert_eq!(label.unix_seconds(), -11);
    }

    #[test]
    fn the_example_of_the_tai64_page_is_encoded_to_the_byte() {
        // 1992-06-02 08:07:09 TAI, which 0.76's constant 10 makes 08:06:59 UTC.
        let label = Tai64n::from_unix(Duration::new(707_472_419, 0));
        assert_eq!(label.encode()[..8], [0x40, 0, 0, 0, 0x2a, 0x2b, 0x2c, 0x2d]);
    }

    #[test]
    fn every_label_survives_a_round_trip() {
        let label = Tai64n {
            seconds: 0x0102_0304_0506_0708,
            nanoseconds: 0x090a_0b0c,
        };
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        assert_eq!(label.encode(), bytes);
        assert_eq!(Tai64n::decode(bytes), label);
    }

    #[test]
    fn a_moment_in_the_future_is_zero_seconds_ago() {
        let now = Tai64n::from_unix(Duration::from_secs(1_000));
        let later = Tai64n::from_unix(Duration::from_secs(2_000));
        assert_eq!(later.seconds_until(now), 0);
        assert_eq!(now.seconds_until(later), 1_000);
    }
}
