//! `supervise/status`: the current state of a service in 18 bytes.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0–11 | [`Tai64n`] of the last change of pid: supervise's start, the service's start, its end |
//! | 12–15 | pid, little-endian; 0 when down |
//! | 16 | 1 when paused, else 0 (0 whenever the pid is 0) |
//! | 17 | what is wanted: `u` up, `d` down, 0 no wish (after `o`) |
//!
//! daemontools-encore and runit write 20 bytes, of which the first 18 mean the same.

use crate::child::Pid;
use crate::formats::tai64n::Tai64n;

/// The wanted state of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Up: it is restarted when it ends.
    Up,
    /// Down.
    Down,
    /// Neither: it is not restarted when it ends.
    Once,
}

/// The contents of `supervise/status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// When the pid last changed, by the wall clock.
    pub since: Tai64n,
    /// The service's process, None when it is down.
    pub pid: Option<Pid>,
    /// It is paused: `p` sent STOP.
    pub paused: bool,
    /// The wanted state.
    pub want: Want,
}

impl Status {
    /// The size of an encoded status.
    pub const BYTES: usize = 18;

    /// Encodes it as the bytes of the file.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.since.encode();
        let [p, q, r, s] = self.pid.map_or(0, Pid::get).to_le_bytes();
        let paused = u8::from(self.paused && self.pid.is_some());
        let want = match self.want {
            Want::Up => b'u',
            Want::Down => b'd',
            Want::Once => 0,
        };
        [a, b, c, d, e, f, g, h, i, j, k, l, p, q, r, s, paused, want]
    }

    /// Decodes the first 18 of `bytes`; None if there are fewer. As in 0.76, any 18 bytes are a
    /// status: a want other than `u` and `d` is neither, and any paused byte other than 0 means
    /// paused.
    pub fn decode(bytes: &[u8]) -> Option<Status> {
        let since = *bytes.first_chunk()?;
        let [p, q, r, s, paused, want] = *bytes.get(Tai64n::BYTES..)?.first_chunk()?;
        Some(Status {
            since: Tai64n::decode(since),
            pid: Pid::new(u32::from_le_bytes([p, q, r, s])),
            paused: paused != 0,
            want: match want {
                b'u' => Want::Up,
                b'd' => Want::Down,
                _ => Want::Once,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that 0.76 wrote (conformance notes, 2.2).
    const OBSERVED: [u8; 18] = [
        0x40, 0, 0, 0, 0x6b, 0, 0xb8, 0x4b, 0x29, 0x7d, 0x64, 0x2c, 0xcc, 0x5d, 0, 0, 0, 0x75,
    ];

    #[test]
    fn a_record_of_the_original_is_understood_and_written_back_the_same() {
        let status = Status::decode(&OBSERVED).unwrap();
        assert_eq!(status.pid, Pid::new(0x5dcc));
        assert!(!status.paused);
        assert_eq!(status.want, Want::Up);
        assert_eq!(status.encode(), OBSERVED);
    }

    #[test]
    fn a_record_of_runit_or_encore_is_read_by_its_first_18_bytes() {
        let mut longer = OBSERVED.to_vec();
        longer.extend([0, 1]);
        assert_eq!(Status::decode(&longer), Status::decode(&OBSERVED));
    }

    #[test]
    fn fewer_than_18_bytes_are_no_status() {
        for length in 0..18 {
            assert_eq!(Status::decode(&OBSERVED[..length]), None);
        }
    }

    #[test]
    fn nothing_that_is_down_is_paused() {
        let mut status = Status::decode(&OBSERVED).unwrap();
        status.paused = true;
        assert_eq!(status.encode()[16], 1);
        status.pid = None;
        assert_eq!(status.encode()[16], 0);
    }
}
