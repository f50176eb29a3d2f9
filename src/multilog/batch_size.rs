//! The batch size: small, except during a burst.

use super::lines::READ;
use std::time::{Duration, Instant};

/// The maximum batch size, in bytes, during a burst: each batch wakes up the writer, which
/// costs more than everything else.
pub const BATCH: usize = 128 * 1024;
/// The maximum total size of copies of a batch, in bytes.
const COPIES: usize = 256 * 1024;
/// The batch size without a burst: a batch takes memory, this one two pages, including the
/// header of the allocator.
const SMALL_BATCH: usize = 7 * 1024;
/// When the output exceeds this size, in bytes, it is written before more is made.
const ENOUGH: usize = 192 * 1024;
/// The same where memory is short.
const SMALL_ENOUGH: usize = 8 * 1024;
/// After this number of consecutive full batches, a burst begins.
const FULL_LOOKS: u32 = 16;
/// When batches were smaller than this for [`BURST`], in bytes, it is over.
const LITTLE: usize = 8 * 1024;
/// A burst lasts this long after a larger batch.
const BURST: Duration = Duration::from_secs(1);

/// The memory for a burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Enough for full speed.
    Large,
    /// The minimum, if a limit leaves no more.
    Small,
}

impl Room {
    /// The maximum batch size, in bytes.
    pub fn batch(self) -> usize {
        match self {
            Room::Large => BATCH,
            Room::Small => SMALL_BATCH,
        }
    }

    /// When the output for all directories, status files and stderr together exceeds this size,
    /// in bytes, it is written before more is made: timestamps can make 27 bytes of one.
    pub fn enough(self) -> usize {
        match self {
            Room::Large => ENOUGH,
            Room::Small => SMALL_ENOUGH,
        }
    }
}

/// The current batch size.
#[derive(Clone, Copy, Debug)]
pub struct BatchSize {
    batch: usize,
    /// The batch size during a burst.
    large: usize,
    /// The number of consecutive full batches.
    full_looks: u32,
    /// The time of the last large batch; None once its memory was released.
    last: Option<Instant>,
}

impl BatchSize {
    /// The state at the start, without a burst. `copies` copies of a batch are made. Memory
    /// that was allocated before is also to be released.
    pub fn new(copies: usize, room: Room, now: Instant) -> BatchSize {
        let share = COPIES / copies.max(1);
        BatchSize {
            batch: SMALL_BATCH,
            large: (share / READ * READ).clamp(SMALL_BATCH, room.batch()),
            full_looks: 0,
            last: Some(now),
        }
    }

    /// The batch size, in bytes: a multiple of 0.76's read size.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// A batch had `count` bytes.
    pub fn found(&mut self, count: usize, now: Instant) {
        if count > LITTLE {
            self.last = Some(now);
        }
        let is_full = count == self.batch;
        self.full_looks = if is_full { self.full_looks + 1 } else { 0 };
        if self.full_looks == FULL_LOOKS {
            self.batch = self.large;
        }
    }

    /// When to ask [`BatchSize::is_just_over`].
    pub fn end(&self) -> Option<Instant> {
        self.last.map(|last| last + BURST)
    }

    /// Whether the burst has just ended; true once. Then its memory can be released: a service
    /// that writes a little now and then needs only a page or two.
    pub fn is_just_over(&mut self, now: Instant) -> bool {
        let is_over = self.end().is_some_and(|end| end <= now);
        if is_over {
            self.last = None;
            self.batch = SMALL_BATCH;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    #[test]
    fn a_rush_begins_with_many_full_looks_and_ends_with_a_second_of_little() {
        let now = clock::monotonic();
        let at = |millis| now + Duration::from_millis(millis);
        let mut size = BatchSize::new(0, Room::Large, now);
        assert!(!size.is_just_over(at(999)));
        assert!(size.is_just_over(at(1000)));
        assert!(!size.is_just_over(at(9000)));
        assert_eq!(size.end(), None);
        for _ in 0..2 {
            for _ in 1..FULL_LOOKS {
                size.found(SMALL_BATCH, now);
            }
            assert_eq!((size.batch(), size.end()), (SMALL_BATCH, None));
            size.found(10, now);
        }
        for _ in 0..FULL_LOOKS {
            size.found(SMALL_BATCH, now);
        }
        assert_eq!(size.batch(), BATCH);
        size.found(LITTLE + 1, at(100));
        size.found(LITTLE, at(200));
        assert_eq!((size.batch(), size.end()), (BATCH, Some(at(1100))));
        assert!(size.is_just_over(at(1100)));
        assert_eq!((size.batch(), size.end()), (SMALL_BATCH, None));
    }

    #[test]
    fn copies_for_many_directories_take_no_more_memory_than_for_two() {
        let large = |copies| BatchSize::new(copies, Room::Large, clock::monotonic()).large;
        for copies in 0..30 {
            let large = large(copies);
            assert!(large * copies <= COPIES && large.is_multiple_of(READ));
        }
        assert_eq!([0, 2, 1000].map(large), [BATCH, BATCH, SMALL_BATCH]);
        let small = BatchSize::new(0, Room::Small, clock::monotonic()).large;
        assert_eq!(small, SMALL_BATCH);
    }
}
