//! TAI64N, as 0.76 writes it: 12 bytes, a moment to the nanosecond.
//!
//! Source: <https://cr.yp.to/libtai/tai64.html>. As 0.76 does, this counts the
//! difference between TAI and UTC as a constant 10 seconds.

use std::time::Duration;

/// The label of 1970-01-01 00:00:00 UTC: 2^62 + 10.
const EPOCH: u64 = (1 << 62) + 10;

/// A moment of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tai64n {
    /// 2^62 + 10 + the Unix time in seconds.
    pub seconds: u64,
    /// 0 to 999,999,999 in a label written by us; anything in one read.
    pub nanoseconds: u32,
}

impl Tai64n {
    /// The size of an encoded label.
    pub const BYTES: usize = 12;

    /// The moment `since` the Unix epoch.
    pub fn from_unix(since: Duration) -> Tai64n {
        Tai64n {
            seconds: EPOCH.wrapping_add(since.as_secs()),
            nanoseconds: since.subsec_nanos(),
        }
    }

    /// Bytes 0 to 7 the seconds, 8 to 11 the nanoseconds, both big-endian.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (seconds, nanoseconds) = bytes.split_at_mut(8);
        seconds.copy_from_slice(&self.seconds.to_be_bytes());
        nanoseconds.copy_from_slice(&self.nanoseconds.to_be_bytes());
        bytes
    }

    /// The reverse of [`Tai64n::encode`]; every 12 bytes are a label.
    pub fn decode(bytes: [u8; Self::BYTES]) -> Tai64n {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Tai64n {
            seconds: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            nanoseconds: u32::from_be_bytes([i, j, k, l]),
        }
    }

    /// Whole seconds from this moment to `now`, 0 if this is later. What
    /// svstat prints: 0.76 takes the difference through a double, which shows
    /// for a moment nobody could have meant, and is kept.
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

#[cfg(test)]
mod tests {
    use super::*;

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
