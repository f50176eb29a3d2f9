//! After a KILL: which of the bytes that stand first in the pipe are already in
//! the files.
//!
//! The order of things tells ([`crate::formats::mark`]): what becomes of batch N is
//! written to all directories, then each gets its mark N, then the batch is taken
//! out of the pipe, then batch N+1 is written. So
//!
//! - if some directory has mark N and another still has N-1, batch N is still in
//!   the pipe, whole;
//! - if all have mark N and a file has grown since, batch N is gone from the pipe,
//!   and what the files have grown by is of N+1, which is still in it;
//! - if all have mark N and no file has grown, it cannot be told whether N is
//!   still in the pipe. It is taken for gone: at the worst it stands twice in the
//!   files. The other way round could lose a line.
//!
//! A multilog that goes on marks its directories anew, with a batch of nothing,
//! before it does anything else. If that one is killed meanwhile, too, some marks
//! can be ahead of others by more than one: the lowest tells where the pipe stands.

use crate::formats::mark::Mark;

/// What was found of one directory.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its mark, if it has one, that speaks of this pipe and this script, and nobody
    /// has written since.
    pub mark: Option<Mark>,
    /// The size now of the file that the mark speaks of, in bytes, if it is there.
    pub size: Option<u64>,
}

impl Found {
    /// What is in the files behind the batch of the mark, in bytes.
    fn grown(&self, mark: &Mark) -> u64 {
        let size = self.size.unwrap_or(0);
        mark.moved.saturating_add(size.saturating_sub(mark.size))
    }
}

/// Where to go on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resume {
    /// The number of the last batch that is taken for gone from the pipe.
    pub batch: u64,
    /// The order in which the directories are to get their first mark, which is
    /// that of a batch of nothing: a KILL between two of them must leave what can
    /// be told from the marks as it is.
    pub order: Vec<usize>,
    /// For each directory, how much of what becomes of the pipe's bytes is already
    /// in its files, in bytes.
    pub written: Vec<u64>,
    /// If the pipe's bytes begin in a long line, for each directory whether it gets
    /// that line.
    pub long_line: Option<Vec<bool>>,
    /// The beginning of the first line, which is no longer in the pipe.
    pub held: Vec<u8>,
}

/// Where to go on after what was `found` of each directory.
pub fn resume(found: &[Found]) -> Resume {
    let marks = || found.iter().filter_map(|found| found.mark.as_ref());
    let batches = || marks().map(|mark| mark.batch);
    let (Some(stands), Some(last)) = (batches().min(), batches().max()) else {
        return Resume {
            order: (0..found.len()).collect(),
            written: vec![0; found.len()],
            ..Resume::default()
        };
    };
    // One that has the later mark must not be taken for one that has the earlier.
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|number| {
        let mark = found.get(*number).and_then(|found| found.mark.as_ref());
        std::cmp::Reverse(mark.map_or(last, |mark| mark.batch))
    });
    let written = |found: &Found| match &found.mark {
        None => 0,
        Some(mark) if mark.batch > stands => mark.length.saturating_add(found.grown(mark)),
        Some(mark) => found.grown(mark),
    };
    let there = || marks().filter(|mark| mark.batch == stands);
    let long_line = |mark: &Mark| {
        if mark.batch > stands {
            mark.long_line_before
        } else {
            mark.long_line
        }
    };
    let in_long_line = there().any(|mark| mark.long_line.is_some());
    let gets_rest = |found: &Found| found.mark.as_ref().and_then(long_line).unwrap_or(true);
    Resume {
        batch: last,
        order,
        written: found.iter().map(written).collect(),
        long_line: in_long_line.then(|| found.iter().map(gets_rest).collect()),
        held: there()
            .next()
            .map_or_else(Vec::new, |mark| mark.held.clone()),
    }
}

#[cfg(test)]
#[path = "recovery_kills.rs"]
mod kills;
#[cfg(test)]
#[path = "recovery_play.rs"]
mod play;
#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
