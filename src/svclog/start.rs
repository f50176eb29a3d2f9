//! Where to begin to show a log: a number of lines before its end, or at a time.

use super::directory::{Directory, Finished};
use super::reading::{AT_ONCE, head, read_up_to, size};
use super::tail::{Backwards, Since, begins_line, is_compressed};
use super::{SvclogFailure, show, warn};
use crate::formats::logname;
use crate::formats::tai64n::Tai64n;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::time::UNIX_EPOCH;

/// The start of the lines to show.
pub(super) struct Start {
    /// The finished file; None: the one that multilog still writes.
    pub(super) file: Option<OsString>,
    /// The offset in it.
    pub(super) at: u64,
}

impl Start {
    /// The later one of the two.
    pub(super) fn later(self, other: Start) -> Start {
        let position = |start: &Start| (start.file.is_none(), start.file.clone(), start.at);
        if position(&self) >= position(&other) {
            self
        } else {
            other
        }
    }
}

/// The files in which a start is searched.
pub(super) struct Files<'a> {
    pub(super) directory: &'a Directory,
    /// The names of the finished ones.
    pub(super) finished: &'a BTreeSet<OsString>,
    /// The names of the compressed ones.
    pub(super) compressed: &'a BTreeSet<OsString>,
    /// The one that multilog still writes, and its end.
    pub(super) active: Option<(&'a File, u64)>,
}

impl<'a> Files<'a> {
    /// The names of all finished files, in order.
    pub(super) fn names(&self) -> impl DoubleEndedIterator<Item = &'a OsString> + use<'a> {
        let all: BTreeSet<&OsString> = self.finished.union(self.compressed).collect();
        all.into_iter()
    }

    /// Where the last `lines` lines begin.
    pub(super) fn last_lines(&self, lines: u64) -> Result<Start, SvclogFailure> {
        let mut backwards = Backwards::new(lines);
        // Whether the next file begins with a timestamp.
        let mut begins = false;
        let mut start = Start { file: None, at: 0 };
        let mut left_out = LeftOut::default();
        let mut buffer = vec![0; AT_ONCE];
        for name in std::iter::once(None).chain(self.names().rev().cloned().map(Some)) {
            if begins && backwards.line_begins() {
                break;
            }
            begins = false;
            let opened;
            let (file, end) = match (&name, self.active) {
                (Some(name), _) if self.compressed.contains(name) => {
                    left_out.0.push(name.clone());
                    begins = true;
                    continue;
                }
                (Some(name), _) => match self.directory.open_finished(name)? {
                    Finished::Open(file) => {
                        opened = file;
                        (&opened, size(&opened))
                    }
                    Finished::NoFile => continue,
                    // All older ones were deleted, too.
                    Finished::Deleted => break,
                },
                (None, Some(active)) => active,
                (None, None) => continue,
            };
            let head = head(file);
            if let Some(name) = name.as_ref().filter(|_| is_compressed(&head)) {
                left_out.0.push(name.clone());
                // Whether its last line is complete is unknown.
                begins = true;
                continue;
            }
            let shown = name.as_deref().unwrap_or(OsStr::new("current"));
            if let Some(at) = self.last_in(shown, (file, end), &mut backwards, &mut buffer)? {
                start = Start { file: name, at };
                break;
            }
            if !head.is_empty() {
                begins = begins_line(&head);
                start = Start { file: name, at: 0 };
            }
        }
        left_out.report(self.directory, &start);
        Ok(start)
    }

    /// The start of the lines that `backwards` counts, if that is in `file`.
    fn last_in(
        &self,
        name: &OsStr,
        (file, mut end): (&File, u64),
        backwards: &mut Backwards,
        buffer: &mut [u8],
    ) -> Result<Option<u64>, SvclogFailure> {
        while end > 0 {
            let count = end.min(buffer.len() as u64);
            end -= count;
            let room = buffer.get_mut(..usize::try_from(count).unwrap_or(0));
            let room = room.unwrap_or_default();
            let there = read_up_to(file, room, end)
                .map_err(|error| self.directory.unable("read", name, error))?;
            if let Some(position) = backwards.feed(room.get(..there).unwrap_or_default()) {
                return Ok(Some(end + position as u64));
            }
        }
        Ok(None)
    }

    /// Where the lines since `moment` begin.
    pub(super) fn since(&self, moment: Tai64n) -> Result<Start, SvclogFailure> {
        let mut left_out = LeftOut::default();
        for name in self.names() {
            // All its lines are older than the timestamp of its name.
            if logname::moment(name.as_bytes()) < Some(moment) {
                continue;
            }
            if self.compressed.contains(name) {
                left_out.0.push(name.clone());
                continue;
            }
            let Finished::Open(file) = self.directory.open_finished(name)? else {
                continue;
            };
            if is_compressed(&head(&file)) {
                left_out.0.push(name.clone());
                continue;
            }
            if let Some(at) = self.since_in(name, &file, moment)? {
                let file = Some(name.clone());
                let start = Start { file, at };
                left_out.report(self.directory, &start);
                return Ok(start);
            }
        }
        let mut start = Start { file: None, at: 0 };
        left_out.report(self.directory, &start);
        let Some((active, end)) = self.active else {
            return Ok(start);
        };
        let at = if written(active) < Some(moment) {
            None
        } else {
            self.since_in(OsStr::new("current"), active, moment)?
        };
        start.at = at.unwrap_or(end);
        Ok(start)
    }

    /// Where the lines since `moment` begin in `file`: at its start if no line in it has a
    /// timestamp, because it was still being written then.
    fn since_in(
        &self,
        name: &OsStr,
        file: &File,
        moment: Tai64n,
    ) -> Result<Option<u64>, SvclogFailure> {
        let mut since = Since::new(moment);
        let mut at = 0;
        let mut buffer = vec![0; AT_ONCE];
        loop {
            let count = read_up_to(file, &mut buffer, at)
                .map_err(|error| self.directory.unable("read", name, error))?;
            if count == 0 {
                return Ok((!since.has_stamps() && at > 0).then_some(0));
            }
            let found = since.feed(buffer.get(..count).unwrap_or_default());
            if found.is_some() {
                return Ok(found);
            }
            at += count as u64;
        }
    }
}

/// Compressed files that were skipped.
#[derive(Default)]
struct LeftOut(Vec<OsString>);

impl LeftOut {
    /// Reports those before `start`; later ones are reported when they would be shown.
    fn report(&self, directory: &Directory, start: &Start) {
        let is_before = |name: &&OsString| start.file.as_ref().is_none_or(|file| *name < file);
        let before = || self.0.iter().filter(is_before);
        if let Some(newest) = before().max() {
            let others = match before().count() - 1 {
                0 => String::new(),
                count => format!(" and {count} older ones"),
            };
            warn(&[
                show(&directory.path().join(newest)),
                others.as_bytes(),
                b": compressed and not shown",
            ]);
        }
    }
}

/// The mtime of `file`.
fn written(file: &File) -> Option<Tai64n> {
    let modified = file.metadata().ok()?.modified().ok()?;
    modified
        .duration_since(UNIX_EPOCH)
        .ok()
        .map(Tai64n::from_unix)
}
