//! The files of a log directory in their order, and the fate of a file that was
//! `current`, decided from a snapshot of the directory.
//!
//! All of this relies on the steps of multilog (`docs/multilog.md`, the same in 0.76):
//! it renames `current` to `previous`; creates an empty `current`; gives `previous`, or
//! the output of a processor for it (`processed`), its final name as a hard link and
//! removes the old name; then deletes the oldest finished files, the smallest names
//! first. It writes nothing to the new `current` before the old one has its final name.
//! A file that a crash left gets its final name by a hard link, too. So a file never
//! changes once it is not `current` any more, and it exists under one name or another
//! until it is deleted or processed.

use crate::formats::logname;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A file independent of its name: device and inode. Valid while a process has it open.
pub type LogFileId = (u64, u64);

/// A snapshot of a log directory. The parts are examined in the order of their fields: a
/// file that is renamed meanwhile is seen twice rather than never.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogSnapshot {
    /// `previous`, and its number of hard links.
    pub previous: Option<(LogFileId, u64)>,
    /// Whether there is a `processed`.
    pub processed: bool,
    /// All finished files, in their order.
    pub finished: BTreeSet<OsString>,
    /// The identity of each new one; None if it was deleted at once.
    pub new: Vec<(OsString, Option<LogFileId>)>,
    /// Whether the last finished file that was read still exists; None if none was read.
    /// The oldest are deleted first, so as long as it exists, all newer ones do.
    pub last: Option<bool>,
    /// `current`, and its size in bytes.
    pub current: Option<(LogFileId, u64)>,
    /// Identifies one version of the file `state`.
    pub state: Option<(u64, i64)>,
}

/// Whether `name` is that of a finished file. Other names that begin with `@` may
/// count for multilog, but hold no lines of it.
pub fn is_finished(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let (stamp, code) = name.split_at_checked(25).unwrap_or_default();
    logname::moment(stamp).is_some() && matches!(code, b".s" | b".u")
}

/// The suffixes that programs give to the files they compress.
const COMPRESSED: [&str; 8] = ["gz", "xz", "zst", "bz2", "lz4", "lzma", "Z", "zip"];

/// Whether `name` is that of a finished file that a program has compressed:
/// `@....s.gz`.
pub fn is_compressed(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let (finished, ending) = name.split_at_checked(27).unwrap_or_default();
    let ending = ending.strip_prefix(b".").unwrap_or_default();
    is_finished(OsStr::from_bytes(finished)) && COMPRESSED.iter().any(|e| e.as_bytes() == ending)
}

/// The names that the finished file `name` may have when a program has compressed it.
pub fn compressed_names(name: &OsStr) -> impl Iterator<Item = OsString> {
    COMPRESSED.iter().map(|ending| {
        let mut name = name.to_owned();
        name.push(".");
        name.push(ending);
        name
    })
}

/// The finished files according to two readings of the directory, `first` and then `second`. A
/// reading may or may not contain files that are created meanwhile, so it may contain a later
/// file without an earlier one. The result does not: it lacks no file that is older than one of
/// its own.
pub fn certain(
    first: &[OsString],
    second: Vec<OsString>,
    known: &BTreeSet<OsString>,
) -> BTreeSet<OsString> {
    // The newest one that existed before the second reading began.
    let is_new = |name: &&OsString| is_finished(name) && !known.contains(*name);
    let newest = first.iter().filter(is_new).max();
    second
        .into_iter()
        .chain(first.iter().cloned())
        .filter(|name| is_finished(name))
        .filter(|name| known.contains(name) || Some(name) <= newest)
        .collect()
}

impl LogSnapshot {
    /// Whether a file is on its way to its final name. `current` is empty then.
    pub fn is_pending(&self) -> bool {
        let on_its_way = self.processed || self.previous.is_some_and(|(_, links)| links == 1);
        on_its_way && self.current.is_none_or(|(_, size)| size == 0)
    }

    /// Whether the new files follow directly on those that were read before: no file in
    /// between was deleted.
    pub fn follows(&self) -> bool {
        self.last != Some(false)
    }
}

/// The fate of a file that was `current` and is not any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It has no final name yet.
    Pending,
    /// This is its final name, or that of the processor's output for it.
    Finished(OsString),
    /// A processor has replaced it, probably by the file of this name; but that may have
    /// been deleted already, and then this one replaces a later file.
    Processed(OsString),
    /// It was deleted, and some that came after it may have been, too.
    Deleted,
    /// It is being renamed, or has no name in this directory; if that is still so at the
    /// next snapshot, another program has moved it away.
    Unknown,
}

/// The fate of the file `id`, which was `current` and had `links` hard links before this
/// snapshot. `state` is that of the time when it was `current`.
pub fn fate(id: LogFileId, links: u64, state: Option<(u64, i64)>, snapshot: &LogSnapshot) -> Fate {
    if let Some((name, _)) = snapshot.new.iter().find(|(_, new)| *new == Some(id)) {
        return Fate::Finished(name.clone());
    }
    if snapshot
        .previous
        .is_some_and(|(previous, _)| previous == id)
    {
        return if snapshot.is_pending() {
            Fate::Pending
        } else {
            Fate::Unknown
        };
    }
    if links > 0 {
        return Fate::Unknown;
    }
    let Some((oldest_new, _)) = snapshot.new.first() else {
        return if snapshot.is_pending() {
            Fate::Pending
        } else {
            Fate::Unknown
        };
    };
    // It is gone: processed, or deleted. If an older file still exists, it was not deleted; and
    // without a crash only a processor creates a new `state`.
    let is_processed = oldest_new.as_bytes().ends_with(b".s") && snapshot.state != state;
    match snapshot.last {
        Some(true) => Fate::Finished(oldest_new.clone()),
        // The first one ever.
        None if is_processed => Fate::Finished(oldest_new.clone()),
        Some(false) if is_processed => Fate::Processed(oldest_new.clone()),
        _ => Fate::Deleted,
    }
}

/// The file to continue with when no finished one is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// `previous`, which has no final name yet.
    Previous(LogFileId),
    /// `current`.
    Current(LogFileId),
    /// None is there now.
    Nothing,
}

/// The file to continue with.
pub fn next(snapshot: &LogSnapshot) -> Next {
    match (snapshot.previous, snapshot.current) {
        (Some((id, 1)), _) if snapshot.is_pending() => Next::Previous(id),
        _ if snapshot.is_pending() => Next::Nothing,
        (_, Some((id, _))) => Next::Current(id),
        _ => Next::Nothing,
    }
}

/// Whether the file `id`, opened between the two snapshots, is the next one: no other
/// file came between it and the files that were read before.
pub fn is_next(id: LogFileId, before: &LogSnapshot, after: &LogSnapshot) -> bool {
    let others = after.new.iter().any(|(_, new)| *new != Some(id));
    // A file that existed when `current` had been written to, and still does, is left
    // over from another program: multilog does not proceed in that way.
    let is_written = before.current.is_some_and(|(_, size)| size > 0);
    let old = |there: bool| is_written && there;
    let previous = match after.previous {
        Some((previous, 1)) => previous != id && !old(before.previous == after.previous),
        _ => false,
    };
    // While `previous` exists, `processed` is the unfinished output for it.
    let is_made_of_it = matches!(after.previous, Some((previous, 1)) if previous == id);
    let processed = after.processed && !is_made_of_it && !old(before.processed);
    !others && !previous && !processed && after.follows()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;
    use std::collections::VecDeque;

    fn name(number: u64, code: char) -> OsString {
        format!("@40000000{number:016x}.{code}").into()
    }

    fn names(numbers: &[u64]) -> BTreeSet<OsString> {
        numbers.iter().map(|number| name(*number, 's')).collect()
    }

    /// A directory in which `finished` are there, the last ones of them new.
    fn snapshot(finished: &[u64], new: &[u64], current: Option<u64>) -> LogSnapshot {
        LogSnapshot {
            finished: names(finished),
            new: new.iter().map(|n| (name(*n, 's'), Some((1, *n)))).collect(),
            current: current.map(|id| ((1, id), 7)),
            ..LogSnapshot::default()
        }
    }

    #[test]
    fn finished_files_are_told_from_what_is_called_alike() {
        assert!(is_finished(&name(7, 's')) && is_finished(&name(7, 'u')));
        for other in [
            "current",
            "@alien-of-twenty-five-bytes",
            "@",
            "lock",
            "previous",
        ] {
            assert!(!is_finished(OsStr::new(other)), "{other}");
        }
        for code in ['t', 'S'] {
            assert!(!is_finished(&name(7, code)));
        }
        let mut long = name(7, 's');
        long.push(".gz");
        assert!(!is_finished(&long) && is_compressed(&long));
        for other in ["", ".", ".txt", ".gz.old"] {
            let mut name = name(7, 's');
            name.push(other);
            assert!(!is_compressed(&name), "{other}");
        }
        assert!(compressed_names(&name(7, 'u')).all(|name| is_compressed(&name)));
    }

    #[test]
    fn previous_is_read_while_a_processor_works_on_it() {
        let mut seen = snapshot(&[1], &[], Some(4));
        seen.previous = Some(((1, 3), 1));
        seen.processed = true;
        seen.current = Some(((1, 4), 0));
        assert_eq!(next(&seen), Next::Previous((1, 3)));
        assert!(is_next((1, 3), &seen, &seen));
        let mut processed = seen.clone();
        processed.previous = None;
        assert!(
            !is_next((1, 3), &seen, &processed),
            "what was made of it comes"
        );
    }

    #[test]
    fn a_file_that_one_reading_missed_is_not_passed_over() {
        let list = |numbers: &[u64]| -> Vec<OsString> { names(numbers).into_iter().collect() };
        let known = names(&[1, 2]);
        // 4 was seen, 3 was not: both are there in the second reading, and so may
        // be 6 without 5.
        let certain = certain(&list(&[1, 2, 4]), list(&[2, 3, 4, 6]), &known);
        assert_eq!(certain, names(&[1, 2, 3, 4]));
        assert_eq!(
            super::certain(&list(&[1, 2]), list(&[1, 2, 4]), &known),
            known
        );
        let current = vec![OsString::from("current")];
        assert!(super::certain(&current, current.clone(), &known).is_empty());
    }

    #[test]
    fn a_file_is_found_again_by_what_it_is_and_not_by_its_name() {
        let seen = snapshot(&[1, 2, 3, 4], &[3, 4], Some(5));
        assert_eq!(fate((1, 3), 1, None, &seen), Fate::Finished(name(3, 's')));
        let mut pending = snapshot(&[1, 2], &[], Some(4));
        pending.previous = Some(((1, 3), 1));
        pending.current = Some(((1, 4), 0));
        assert_eq!(fate((1, 3), 1, None, &pending), Fate::Pending);
        assert_eq!(next(&pending), Next::Previous((1, 3)));
        let moved_away = snapshot(&[1, 2], &[], Some(4));
        assert_eq!(fate((1, 3), 1, None, &moved_away), Fate::Unknown);
    }

    #[test]
    fn what_a_processor_made_of_a_file_is_not_read_again() {
        // 30 is made of 3.
        let mut seen = snapshot(&[2, 30], &[30], Some(4));
        seen.state = Some((9, 1));
        let made = |fate: fn(OsString) -> Fate| fate(name(30, 's'));
        seen.last = Some(true);
        assert_eq!(fate((1, 3), 0, None, &seen), made(Fate::Finished));
        seen.last = Some(false);
        assert_eq!(fate((1, 3), 0, None, &seen), made(Fate::Processed));
        assert_eq!(fate((1, 3), 0, seen.state, &seen), Fate::Deleted);
        seen.last = None;
        assert_eq!(fate((1, 3), 0, None, &seen), made(Fate::Finished));
        assert_eq!(fate((1, 3), 0, seen.state, &seen), Fate::Deleted);
        let mut between = snapshot(&[1, 2], &[], None);
        between.processed = true;
        assert_eq!(fate((1, 3), 0, None, &between), Fate::Pending);
        assert_eq!(next(&between), Next::Nothing);
    }

    #[test]
    fn a_leftover_that_does_not_stop_multilog_does_not_stop_us() {
        let mut seen = snapshot(&[1], &[], Some(4));
        seen.previous = Some(((1, 3), 1));
        seen.processed = true;
        assert_eq!(next(&seen), Next::Current((1, 4)));
        assert!(is_next((1, 4), &seen, &seen));
        assert!(!is_next((1, 4), &snapshot(&[1], &[], Some(4)), &seen));
    }

    /// multilog as in this file's head: one system call at a time.
    struct Model {
        finished: VecDeque<(u64, LogFileId)>,
        previous: Option<LogFileId>,
        processed: Option<LogFileId>,
        current: Option<(LogFileId, u64)>,
        state: u64,
        has_processor: bool,
        keep: usize,
        stage: u8,
        inodes: u64,
        /// Which batch of lines each file holds, or that of which it was made, by inode.
        lines: Vec<u64>,
    }

    impl Model {
        fn new(has_processor: bool, keep: usize) -> Model {
            Model {
                finished: VecDeque::new(),
                previous: None,
                processed: None,
                current: Some(((1, 1), 0)),
                state: 1,
                has_processor,
                keep,
                stage: 0,
                inodes: 1,
                lines: vec![0, 1],
            }
        }

        fn inode(&mut self, batch: u64) -> LogFileId {
            self.inodes += 1;
            self.lines.push(batch);
            (1, self.inodes)
        }

        fn batch(&self, id: LogFileId) -> u64 {
            self.lines[id.1 as usize]
        }

        /// The next system call.
        fn step(&mut self) {
            let old = self.previous.map(|id| self.batch(id));
            match self.stage {
                0 => self.current = self.current.map(|(id, _)| (id, 7)),
                1 => self.previous = self.current.take().map(|(id, _)| id),
                2 => {
                    let id = self.inode(old.unwrap() + 1);
                    self.current = Some((id, 0));
                }
                3 if self.has_processor => self.processed = Some(self.inode(old.unwrap())),
                4 if self.has_processor => self.previous = None,
                5 if self.has_processor => self.state += 1,
                6 => {
                    let id = self.processed.or(self.previous).unwrap();
                    self.finished.push_back((100 + self.inodes, id));
                }
                7 => (self.previous, self.processed) = (None, None),
                8 => {
                    while self.finished.len() >= self.keep {
                        self.finished.pop_front();
                    }
                }
                _ => {}
            }
            self.stage = (self.stage + 1) % 9;
        }

        fn links(&self, id: LogFileId) -> u64 {
            let others = [self.previous, self.processed, self.current.map(|c| c.0)];
            let finished = self.finished.iter().filter(|(_, file)| *file == id).count();
            others.iter().filter(|other| **other == Some(id)).count() as u64 + finished as u64
        }

        /// A snapshot, during which multilog goes on.
        fn snapshot(
            &mut self,
            known: &BTreeSet<OsString>,
            last: Option<&OsString>,
            numbers: &mut Numbers,
        ) -> LogSnapshot {
            let mut go_on = |model: &mut Model| {
                for _ in 0..numbers.below(12) / 4 {
                    model.step();
                }
            };
            let previous = self.previous.map(|id| (id, self.links(id)));
            go_on(self);
            let processed = self.processed.is_some();
            go_on(self);
            let list = |model: &Model| -> Vec<OsString> {
                model.finished.iter().map(|(n, _)| name(*n, 's')).collect()
            };
            let first = list(self);
            go_on(self);
            let finished = certain(&first, list(self), known);
            go_on(self);
            let mut new = Vec::new();
            for file in finished.difference(known) {
                let found = self.finished.iter().find(|(n, _)| name(*n, 's') == *file);
                new.push((file.clone(), found.map(|(_, id)| *id)));
            }
            go_on(self);
            let last = last.map(|last| list(self).contains(last));
            go_on(self);
            LogSnapshot {
                previous,
                processed,
                finished,
                new,
                last,
                current: self.current,
                state: Some((self.state, 0)),
            }
        }
    }

    /// What `super::super::shell` does, on the model: gives the batches in the order
    /// in which they are shown, 0 where it is said that some may be missing.
    fn follow(model: &mut Model, numbers: &mut Numbers) -> Vec<u64> {
        let mut known = BTreeSet::new();
        let mut shown = Vec::new();
        let mut active: Option<(LogFileId, Option<(u64, i64)>)> = None;
        let mut last: Option<OsString> = None;
        for _ in 0..300 {
            for _ in 0..numbers.below(30) {
                model.step();
            }
            if let Some((id, state)) = active {
                if model.current.is_some_and(|(current, _)| current == id) {
                    continue;
                }
                let links = model.links(id);
                let snapshot = model.snapshot(&known, last.as_ref(), numbers);
                match fate(id, links, state, &snapshot) {
                    Fate::Pending | Fate::Unknown => continue,
                    Fate::Finished(name) => {
                        known.insert(name.clone());
                        last = Some(name);
                    }
                    Fate::Processed(name) => {
                        known.insert(name.clone());
                        last = Some(name);
                        shown.push(0);
                    }
                    Fate::Deleted => {
                        last = None;
                        shown.push(0);
                    }
                }
                active = None;
                continue;
            }
            let snapshot = model.snapshot(&known, last.as_ref(), numbers);
            if !snapshot.follows() {
                shown.push(0);
                last = None;
            }
            if !snapshot.new.is_empty() {
                for (file, id) in snapshot.new {
                    shown.push(id.map_or(0, |id| model.batch(id)));
                    known.insert(file.clone());
                    last = Some(file);
                }
                continue;
            }
            let (Next::Previous(id) | Next::Current(id)) = next(&snapshot) else {
                continue;
            };
            // Opened.
            if model.links(id) == 0 {
                continue;
            }
            let state = Some((model.state, 0));
            if is_next(
                id,
                &snapshot,
                &model.snapshot(&known, last.as_ref(), numbers),
            ) {
                shown.push(model.batch(id));
                active = Some((id, state));
            }
        }
        shown
    }

    #[test]
    fn under_any_interleaving_nothing_is_shown_twice_and_no_gap_is_silent() {
        for seed in 1..100_u64 {
            let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (has_processor, keep) = (seed % 2 == 0, [2, 3, 5, 100][seed as usize / 2 % 4]);
            let mut model = Model::new(has_processor, keep);
            let shown = follow(&mut model, &mut numbers);
            let mut before = 0;
            let mut gap = false;
            for batch in shown {
                if batch == 0 {
                    assert_ne!(keep, 100, "{seed}: a false alarm");
                    gap = true;
                    continue;
                }
                assert!(batch > before, "{seed}: {batch} after {before}");
                assert!(
                    gap || before == 0 || batch == before + 1,
                    "{seed}: {batch} after {before}"
                );
                (before, gap) = (batch, false);
            }
            assert!(before > 50, "{seed}: {before}");
        }
    }
}
