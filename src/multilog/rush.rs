//! How much multilog looks at at once: little, unless there is a rush.

use super::lines::READ;
use std::time::{Duration, Instant};

/// How much is looked at at once in a rush at most, in bytes: each time the writer is
/// woken up, which costs more than all else.
pub const BATCH: usize = 128 * 1024;
/// What copies of it may have together, in bytes.
const COPIES: usize = 256 * 1024;
/// How much is looked at as long as there is none: what is looked at takes memory, this
/// two pages, with what the allocator puts before it.
const SMALL_BATCH: usize = 7 * 1024;
/// When there is more than this to write, in bytes, it is written before more is made.
const ENOUGH: usize = 192 * 1024;
/// The same where memory is short.
const SMALL_ENOUGH: usize = 8 * 1024;
/// When so many looks, one behind the other, found all that they had room for, there
/// is a rush.
const FULL_LOOKS: u32 = 16;
/// When looks have found less than this for [`RUSH`], in bytes, it is over.
const LITTLE: usize = 8 * 1024;
/// So long a rush is thought to go on after a look that found more.
const RUSH: Duration = Duration::from_secs(1);

/// How much memory there is for a rush.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// As much as makes it fast.
    Large,
    /// As much as it takes to go on, where a limit leaves no more.
    Small,
}

impl Room {
    /// How much is looked at at once at most, in bytes.
    pub fn batch(self) -> usize {
        match self {
            Room::Large => BATCH,
            Room::Small => SMALL_BATCH,
        }
    }

    /// When there is more than this to write, in bytes, to all directories, status files
    /// and stderr together, it is written before more is made: stamps can make 27 bytes
    /// of one.
    pub fn enough(self) -> usize {
        match self {
            Room::Large => ENOUGH,
            Room::Small => SMALL_ENOUGH,
        }
    }
}

/// Whether there is one.
#[derive(Clone, Copy, Debug)]
pub struct Rush {
    batch: usize,
    /// The same in a rush.
    large: usize,
    /// How many looks, one behind the other, found as much as that.
    full_looks: u32,
    /// When a look found much last; None: the memory that took is given back.
    last: Option<Instant>,
}

impl Rush {
    /// Before the first look, at which there is none. So many copies are made of what
    /// is looked at. Memory that was taken before is to be given back, too.
    pub fn new(copies: usize, room: Room, now: Instant) -> Rush {
        let share = COPIES / copies.max(1);
        Rush {
            batch: SMALL_BATCH,
            large: (share / READ * READ).clamp(SMALL_BATCH, room.batch()),
            full_looks: 0,
            last: Some(now),
        }
    }

    /// How much to look at, in bytes: a multiple of what 0.76 reads.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// A look has found so many bytes.
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

    /// When to ask [`Rush::is_just_over`].
    pub fn end(&self) -> Option<Instant> {
        self.last.map(|last| last + RUSH)
    }

    /// Whether it is over, told once: then memory that it took can be given back, for
    /// a service that writes a little now and then needs a page or two.
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
        let mut rush = Rush::new(0, Room::Large, now);
        assert!(!rush.is_just_over(at(999)));
        assert!(rush.is_just_over(at(1000)));
        assert!(!rush.is_just_over(at(9000)));
        assert_eq!(rush.end(), None);
        for _ in 0..2 {
            for _ in 1..FULL_LOOKS {
                rush.found(SMALL_BATCH, now);
            }
            assert_eq!((rush.batch(), rush.end()), (SMALL_BATCH, None));
            rush.found(10, now);
        }
        for _ in 0..FULL_LOOKS {
            rush.found(SMALL_BATCH, now);
        }
        assert_eq!(rush.batch(), BATCH);
        rush.found(LITTLE + 1, at(100));
        rush.found(LITTLE, at(200));
        assert_eq!((rush.batch(), rush.end()), (BATCH, Some(at(1100))));
        assert!(rush.is_just_over(at(1100)));
        assert_eq!((rush.batch(), rush.end()), (SMALL_BATCH, None));
    }

    #[test]
    fn copies_for_many_directories_take_no_more_memory_than_for_two() {
        let large = |copies| Rush::new(copies, Room::Large, clock::monotonic()).large;
        for copies in 0..30 {
            let large = large(copies);
            assert!(large * copies <= COPIES && large.is_multiple_of(READ));
        }
        assert_eq!([0, 2, 1000].map(large), [BATCH, BATCH, SMALL_BATCH]);
        let small = Rush::new(0, Room::Small, clock::monotonic()).large;
        assert_eq!(small, SMALL_BATCH);
    }
}
