//! The rate limit of budget checks.

use std::time::{Duration, Instant};

/// When the next check is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateLimit {
    /// Not before the first time, however much was written, because the service waits for a
    /// check; and not before the second if little was written. None: at any time.
    next: Option<(Instant, Instant)>,
    /// A check was postponed, or there was more to do.
    is_due: bool,
    /// The number of bytes finished since the last check,
    unseen: u64,
    /// and the number after which another check is due sooner.
    allowance: u64,
}

impl RateLimit {
    /// The minimum interval of checks, unless much was written,
    const EVERY: Duration = Duration::from_secs(1);
    /// and the maximum share of the time for checks is 1/SHARE.
    const SHARE: u32 = 50;

    /// A file of `size` bytes was finished. Returns whether to check now; if it is too soon,
    /// the check is due later.
    pub fn is_now(&mut self, size: u64, now: Instant) -> bool {
        self.unseen = self.unseen.saturating_add(size);
        let is_now = self.next().is_none_or(|next| now >= next);
        self.is_due |= !is_now;
        is_now
    }

    /// When a postponed check is due, if any.
    pub fn due(&self) -> Option<Instant> {
        self.next().filter(|_| self.is_due)
    }

    /// After a check that ended at `end` and took `took`. `allowance` bytes may be written
    /// until the next; `is_due`: there is more to do.
    pub fn after(end: Instant, took: Duration, allowance: u64, is_due: bool) -> RateLimit {
        let earliest = end + took.saturating_mul(RateLimit::SHARE);
        RateLimit {
            next: Some((earliest, earliest.max(end + RateLimit::EVERY))),
            is_due,
            unseen: 0,
            allowance,
        }
    }

    fn next(&self) -> Option<Instant> {
        let is_much = self.unseen >= self.allowance;
        let next = self.next;
        next.map(|(earliest, usual)| if is_much { earliest } else { usual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    #[test]
    fn looks_take_a_small_share_of_the_time_however_much_is_written() {
        let end = clock::monotonic();
        let millis = Duration::from_millis;
        let next = |took, is_much| {
            let mut turn = RateLimit::after(end, took, 10, true);
            turn.is_now(if is_much { 10 } else { 9 }, end);
            turn.due().unwrap().duration_since(end)
        };
        assert_eq!(next(millis(1), false), millis(1000));
        assert_eq!(next(millis(1), true), millis(50));
        assert_eq!(next(millis(200), false), millis(10_000));
        assert_eq!(next(millis(200), true), millis(10_000));
    }

    #[test]
    fn what_it_is_too_soon_for_is_due_later() {
        let end = clock::monotonic();
        let second = Duration::from_secs(1);
        assert!(RateLimit::default().is_now(1, end));
        assert_eq!(RateLimit::default().due(), None);
        let mut turn = RateLimit::after(end, Duration::ZERO, u64::MAX, false);
        assert_eq!(turn.due(), None);
        assert!(!turn.is_now(1, end));
        assert_eq!(turn.due(), Some(end + second));
        assert!(turn.is_now(1, end + second));
    }
}
