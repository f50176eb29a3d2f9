//! After a KILL: which of the bytes that stand first in the pipe are already in
//! the files.
//!
//! The order of things tells ([`crate::formats::mark`]): what becomes of batch N is
//! written to all directories, then each gets its mark N, then the batch is taken
//! out of the pipe, then batch N+1 is written. So
//!
//! - if some directory has mark N and another still has N-1, batch N is still in
//!   the pipe, whole;
//! - if all have mark N and a file has grown since, N should be gone from the pipe,
//!   and what the files have grown by is of N+1, which is still in it;
//! - if all have mark N and no file has grown, it cannot be told whether N is
//!   still in the pipe. It is taken for gone: at the worst it stands twice in the
//!   files. The other way round could lose a line.
//!
//! After two KILLs N can be in the pipe still, or a part of it, although something of
//! what comes after it stands in the files: the first KILL came amid a larger batch, the
//! second between the mark and the taking out. Then the pipe does not begin with that,
//! but with N ([`super::proof::Before`]).
//!
//! A multilog that goes on marks its directories anew before it does anything else, for
//! each has another `current` then. That says the same as before: the number stays, or
//! where it is not the lowest it becomes that of a batch of nothing. So it is no matter
//! if it is killed meanwhile. Its own batches get higher numbers: some marks can be
//! ahead of others by more than one, and the lowest tells where the pipe stands.

use crate::formats::mark::{FileId, Mark, Noted, Reading};

/// The origin of what is `noted` in the directories, if it speaks of this `reading` and
/// tells together where to go on. It does not if a directory has the marks of others, or
/// nothing: then another multilog has been there, which perhaps did not know all of them.
pub fn origin<'a>(noted: impl Iterator<Item = &'a Noted>, reading: Reading) -> Option<u64> {
    let mut origin = None;
    for noted in noted {
        match noted {
            Noted::Nothing => return None,
            Noted::Spoiled => {}
            Noted::Mark(mark) => {
                let is_first = origin.is_none();
                if mark.reading != reading || !(is_first || origin == Some(mark.origin)) {
                    return None;
                }
                origin = Some(mark.origin);
            }
        }
    }
    origin
}

/// What was found of one directory.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its mark, if it has one that tells together with the others, and nobody has
    /// written since.
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

/// What of the pipe's bytes is already in the files of one directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct There {
    /// The number of the batch that its first mark is to have.
    pub batch: u64,
    /// How much of what becomes of them, in bytes.
    pub written: u64,
    /// How much stands before that of the batch that should be gone, in bytes. If it is
    /// in the pipe still, that comes first.
    pub doubtful: u64,
}

/// Where to go on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resume {
    /// The highest number of a batch that is in use.
    pub batch: u64,
    /// The origin that all marks are to have.
    pub origin: u64,
    /// For each directory, what is there.
    pub there: Vec<There>,
    /// If the pipe's bytes begin in a long line, for each directory whether it gets
    /// that line.
    pub long_line: Option<Vec<bool>>,
    /// The beginning of the first line, which is no longer in the pipe.
    pub held: Vec<u8>,
}

impl Resume {
    /// The first mark of directory `number`, whose `current` is this `file` of so many
    /// bytes.
    pub fn mark(&self, reading: Reading, number: usize, file: FileId, size: u64) -> Mark {
        let there = self.there.get(number).copied().unwrap_or_default();
        let long_line = self.long_line.as_ref().map(|gets_rest| {
            // Where that is not known, better too much.
            gets_rest.get(number).copied().unwrap_or(true)
        });
        Mark {
            reading,
            batch: there.batch,
            file,
            size,
            moved: there.written,
            length: there.doubtful,
            origin: self.origin,
            long_line,
            long_line_before: long_line,
            held: self.held.clone(),
        }
    }
}

/// Where to go on after what was `found` of each directory; `origin` is that of the marks.
pub fn resume(found: &[Found], origin: u64) -> Resume {
    let marks = || found.iter().filter_map(|found| found.mark.as_ref());
    let batches = || marks().map(|mark| mark.batch);
    let (Some(stands), Some(last)) = (batches().min(), batches().max()) else {
        return Resume {
            origin,
            there: vec![There::default(); found.len()],
            ..Resume::default()
        };
    };
    let batch = last.saturating_add(1);
    let there = |found: &Found| match &found.mark {
        None => There {
            batch: stands,
            ..There::default()
        },
        // Of a batch of nothing, that it is done is always true.
        Some(mark) if mark.batch > stands => There {
            batch,
            written: mark.length.saturating_add(found.grown(mark)),
            doubtful: 0,
        },
        // Also if another has a later mark: it may be of one that has found this batch.
        Some(mark) => {
            // What the pipe would begin amid, if that was still there, is not known.
            let of_lines = mark.long_line.is_none() && mark.long_line_before.is_none();
            There {
                batch: stands,
                written: found.grown(mark),
                doubtful: if of_lines { mark.length } else { 0 },
            }
        }
    };
    let standing = || marks().filter(|mark| mark.batch == stands);
    let long_line = |mark: &Mark| {
        if mark.batch > stands {
            mark.long_line_before
        } else {
            mark.long_line
        }
    };
    let in_long_line = standing().any(|mark| mark.long_line.is_some());
    let gets_rest = |found: &Found| found.mark.as_ref().and_then(long_line).unwrap_or(true);
    Resume {
        batch,
        origin,
        there: found.iter().map(there).collect(),
        long_line: in_long_line.then(|| found.iter().map(gets_rest).collect()),
        held: standing()
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
