//! The rate at which a log is written.

use std::time::Duration;

/// The rate at which a multilog writes its own log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteRate {
    written: u64,
    over: Duration,
}

impl WriteRate {
    /// `bytes` more bytes were written in `time`. The weight of what was more than an hour ago
    /// decreases.
    pub fn add(&mut self, bytes: u64, time: Duration) {
        const HOUR: Duration = Duration::from_secs(3600);
        self.written = self.written.saturating_add(bytes);
        self.over = self.over.saturating_add(time);
        while self.over > HOUR {
            self.written /= 2;
            self.over /= 2;
        }
    }

    /// The rate in bytes per day.
    pub fn rate(self) -> u64 {
        rate(self.written, self.over.as_secs())
    }
}

/// The rate in bytes per day. Less than a minute says nothing: a log that has just begun a file
/// is not the fastest of all.
pub fn rate(bytes: u64, seconds: u64) -> u64 {
    const MINUTE: u64 = 60;
    const DAY: u64 = 86_400;
    bytes.saturating_mul(DAY) / seconds.max(MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_forgets() {
        let mut rate = WriteRate::default();
        rate.add(1 << 20, Duration::from_secs(10));
        let busy = rate.rate();
        assert_eq!(busy, (1 << 20) * 86_400 / 60);
        rate.add(0, Duration::MAX);
        assert_eq!(rate.written, 0);
        for _ in 0..100 {
            rate.add(150, Duration::from_secs(100));
        }
        assert_eq!(rate.rate() / 86_400, 1);
    }
}
