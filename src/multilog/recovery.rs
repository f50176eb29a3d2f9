//! Recovery after a KILL: decides what is still to be done for the batch that was being
//! written.
//!
//! The order of the steps determines it. Each directory gets the journal entry of batch N, then
//! the batch is written to all, then the entry of the first directory is marked as written,
//! then the batch is consumed from the pipe. The output is determined by the batch and the
//! entry ([`crate::formats::journal`]). So
//!
//! - if a directory has the entry of N-1, nothing of N was written anywhere;
//! - the sizes of a directory's files show how much of N is in them;
//! - unless the first entry is marked as written, all of N is still in the pipe;
//! - if it is, it is unknown whether N is still in the pipe. N is assumed to be consumed: at
//!   worst it is in the files twice. The opposite assumption could lose a line.
//!
//! A held batch is not written to files: it is complete when all directories have the entry.
//!
//! A multilog that continues changes no entry before it has decided, and then journals the same
//! batch again. So it may be killed in turn.

use crate::formats::journal::{Batch, BatchFate, InputId, JournalEntry};

/// The findings for one directory.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its journal entry, if it has one.
    pub entry: Option<JournalEntry>,
    /// The contents of the entry's file after the size in the entry; None if the file is gone,
    /// or if a later one is not empty: then another program has written there.
    pub grown: Option<Vec<u8>>,
}

/// Where to continue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// With the contents of the pipe, after these lines, which were held.
    Anew(Vec<u8>),
    /// With a batch.
    Batch(Interrupted),
}

/// A batch that was being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupted {
    /// The batch.
    pub batch: Batch,
    /// Whether it is consumed from the pipe, as far as known.
    pub is_out: bool,
    /// If it begins in a long line, for each directory whether it gets that line.
    pub before: Option<Vec<bool>>,
    /// The same for the byte after it.
    pub after: Option<Vec<bool>>,
    /// For each directory, how much of the output is in earlier files, and the contents after
    /// that.
    written: Vec<(u64, Vec<u8>)>,
}

impl Interrupted {
    /// How much of `text`, the output for directory `number`, is in its files. None of it, if
    /// something else is: then another program has written there, or this multilog makes
    /// another output of the batch than the one before it.
    pub fn written(&self, number: usize, text: &[u8]) -> usize {
        let written = self.written.get(number).and_then(|(moved, grown)| {
            let moved = usize::try_from(*moved).ok()?;
            let is_it = text.get(moved..)?.starts_with(grown);
            is_it.then_some(moved + grown.len())
        });
        written.unwrap_or(0)
    }
}

/// Decides where to continue, from what was `found` in each directory, with this `input`.
pub fn resume(found: &[Found], input: Option<InputId>) -> Resume {
    match input.and_then(|input| interrupted(found, input)) {
        Some(interrupted) => Resume::Batch(interrupted),
        None => Resume::Anew(held(found)),
    }
}

/// The batch that was being written, if the entries are consistent. They are not if a directory
/// has an entry of another input or another series or none, or if its file is gone: then
/// another multilog has been there, perhaps without some of the directories.
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
    // If that is unknown, rather too much.
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

/// The held bytes, as separate lines: once, if several directories have them.
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
