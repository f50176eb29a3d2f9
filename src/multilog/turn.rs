//! When budgets are looked at again.

use std::time::{Duration, Instant};

/// When to look again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Not before that, whatever was written: the service would wait for it,
    earliest: Instant,
    /// and not before that if it was little.
    usual: Instant,
}

impl Turn {
    /// A look is not taken more often than that, unless much was written,
    const EVERY: Duration = Duration::from_secs(1);
    /// and no more than the so manieth part of the time is spent on it.
    const SHARE: u32 = 50;

    /// After a look that ended at `end` and `took` so long.
    pub fn after(end: Instant, took: Duration) -> Turn {
        let earliest = end + took.saturating_mul(Turn::SHARE);
        Turn {
            earliest,
            usual: earliest.max(end + Turn::EVERY),
        }
    }

    /// The moment. `is_much`: as much was written as the budget lets pass unseen.
    pub fn at(&self, is_much: bool) -> Instant {
        if is_much { self.earliest } else { self.usual }
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
        let next = |took, is_much| Turn::after(end, took).at(is_much).duration_since(end);
        assert_eq!(next(millis(1), false), millis(1000));
        assert_eq!(next(millis(1), true), millis(50));
        assert_eq!(next(millis(200), false), millis(10_000));
        assert_eq!(next(millis(200), true), millis(10_000));
    }
}
