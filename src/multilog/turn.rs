//! When budgets are looked at again.

use std::time::{Duration, Instant};

/// When to look again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Not before the first, whatever was written: the service would wait for it; and not
    /// before the second if it was little. None: at any time.
    next: Option<(Instant, Instant)>,
    /// It was too soon to look, or there was more to do, so that is still to be done.
    is_due: bool,
    /// How much was finished since the last look, in bytes,
    unseen: u64,
    /// and how much that may be until another look is wanted sooner.
    allowance: u64,
}

impl Turn {
    /// A look is not taken more often than that, unless much was written,
    const EVERY: Duration = Duration::from_secs(1);
    /// and no more than the so manieth part of the time is spent on it.
    const SHARE: u32 = 50;

    /// A file of `size` bytes was finished. Whether to look now; if it is too soon, that
    /// is due later.
    pub fn is_now(&mut self, size: u64, now: Instant) -> bool {
        self.unseen = self.unseen.saturating_add(size);
        let is_now = self.next().is_none_or(|next| now >= next);
        self.is_due |= !is_now;
        is_now
    }

    /// When a look is due, if one is.
    pub fn due(&self) -> Option<Instant> {
        self.next().filter(|_| self.is_due)
    }

    /// After a look that ended at `end` and `took` so long. `allowance`: so much may be
    /// written until the next, in bytes; `is_due`: there is more to do.
    pub fn after(end: Instant, took: Duration, allowance: u64, is_due: bool) -> Turn {
        let earliest = end + took.saturating_mul(Turn::SHARE);
        Turn {
            next: Some((earliest, earliest.max(end + Turn::EVERY))),
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
            let mut turn = Turn::after(end, took, 10, true);
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
        assert!(Turn::default().is_now(1, end));
        assert_eq!(Turn::default().due(), None);
        let mut turn = Turn::after(end, Duration::ZERO, u64::MAX, false);
        assert_eq!(turn.due(), None);
        assert!(!turn.is_now(1, end));
        assert_eq!(turn.due(), Some(end + second));
        assert!(turn.is_now(1, end + second));
    }
}
