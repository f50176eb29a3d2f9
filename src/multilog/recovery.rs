//! After a KILL: what of the batch that was being written is still to be done.
//!
//! The order of things tells. Each directory gets the journal entry of batch N, then the
//! batch is written to all, then the entry of the first directory says so, then the batch is
//! taken out of the pipe. What is written is determined by the batch and the entry
//! ([`crate::formats::journal`]). So
//!
//! - if a directory has the entry of N-1, nothing of N was written anywhere;
//! - how much of N is in a directory's files, their sizes tell;
//! - unless the first entry says that N is written, N is still in the pipe, whole;
//! - if it says so, it cannot be told whether N is still in the pipe. N is taken for gone: at
//!   the worst it is in the files twice. The other way round could lose a line.
//!
//! A batch that is held is not written to files: it is done when all entries are there.
//!
//! A multilog that continues changes no entry before it knows what is to be done, and then
//! journals the same batch again. So it may be killed in turn.

use crate::formats::journal::{Batch, BatchFate, InputId, JournalEntry};

/// What was found of one directory.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its journal entry, if it has one.
    pub entry: Option<JournalEntry>,
    /// What is in the entry's file behind the size that it had; None if the file is gone, or
    /// a later one is not empty: then another program has written there.
    pub grown: Option<Vec<u8>>,
}

/// Where to continue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// With what is in the pipe, but first with these lines, which were held.
    Anew(Vec<u8>),
    /// With a batch.
    Batch(Interrupted),
}

/// A batch that was being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupted {
    /// The batch.
    pub batch: Batch,
    /// Whether it is out of the pipe, as far as that can be told.
    pub is_out: bool,
    /// If it begins in a long line, for each directory whether it gets that line.
    pub before: Option<Vec<bool>>,
    /// The same for the byte after it.
    pub after: Option<Vec<bool>>,
    /// For each directory, how much of the output is in earlier files, and what follows it.
    written: Vec<(u64, Vec<u8>)>,
}

impl Interrupted {
    /// How much of `text`, the output for directory `number`, is in its files. Nothing, if
    /// something else is: then another program has written there, or this one makes
    /// something else of a batch than the one before it.
    pub fn written(&self, number: usize, text: &[u8]) -> usize {
        let written = self.written.get(number).and_then(|(moved, grown)| {
            let moved = usize::try_from(*moved).ok()?;
            let is_it = text.get(moved..)?.starts_with(grown);
            is_it.then_some(moved + grown.len())
        });
        written.unwrap_or(0)
    }
}

/// Where to continue after what was `found` of each directory, with this `input`.
pub fn resume(found: &[Found], input: Option<InputId>) -> Resume {
    match input.and_then(|input| interrupted(found, input)) {
        Some(interrupted) => Resume::Batch(interrupted),
        None => Resume::Anew(held(found)),
    }
}

/// The batch that was being written, if the entries tell together. They do not if a
/// directory has that of another input, another series or none, or if its file is gone: then
/// another multilog has been there, which perhaps did not know all of them.
fn interrupted(found: &[Found], input: InputId) -> Option<Interrupted> {
    let known = |found: &Found| Some((found.entry.clone()?, found.grown.clone()?));
    let known: Vec<(JournalEntry, Vec<u8>)> = found.iter().map(known).collect::<Option<_>>()?;
    let (first, _) = known.first()?;
    let age = |entry: &JournalEntry| first.batch.number.wrapping_sub(entry.batch.number);
    let is_of_series = |entry: &JournalEntry| entry.batch.input == input && age(entry) <= 1;
    if !known.iter().all(|(entry, _)| is_of_series(entry)) {
        return None;
    }
    let is_out = match first.batch.fate {
        BatchFate::Held => known.iter().all(|(entry, _)| age(entry) == 0),
        BatchFate::Written | BatchFate::Ended => first.is_written,
    };
    // Where that is not known, better too much.
    let flags = |of: fn(&JournalEntry) -> Option<bool>| {
        of(first)?;
        let each = known.iter().map(|(entry, _)| match age(entry) {
            0 => of(entry).unwrap_or(true),
            _ => entry.after.unwrap_or(true),
        });
        Some(each.collect())
    };
    Some(Interrupted {
        is_out,
        before: flags(|entry| entry.before),
        after: flags(|entry| entry.after),
        batch: first.batch.clone(),
        written: known
            .iter()
            .map(|(entry, grown)| match age(entry) {
                0 => (entry.moved, grown.clone()),
                _ => Default::default(),
            })
            .collect(),
    })
}

/// What is held, as lines of their own: once, where several directories have it.
fn held(found: &[Found]) -> Vec<u8> {
    let mut pieces: Vec<&[u8]> = Vec::new();
    let mut lines = Vec::new();
    for entry in found.iter().filter_map(|found| found.entry.as_ref()) {
        let held = entry.batch.held.as_slice();
        if !held.is_empty() && !pieces.contains(&held) {
            pieces.push(held);
            lines.extend_from_slice(held);
            if !held.ends_with(b"\n") {
                lines.push(b'\n');
            }
        }
    }
    lines
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
