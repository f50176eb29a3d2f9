//! Reads a log directory while multilog writes it.

use super::directory::{Directory, Finished};
use super::files::{self, Fate, LogFileId, LogSnapshot, Next};
use super::reading::{AT_ONCE, end_of_line, head, read_piece, size};
use super::start::{Files, Start};
use super::tail::is_compressed;
use super::{Sink, SvclogFailure, show, warn};
use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number of finished files that are opened before the first of them is read: an
/// open file can be read after it is deleted.
const OPEN_AT_ONCE: usize = 64;

/// The number of retries when a file is renamed during a snapshot.
const TRIES: usize = 20;

/// A log directory, and the position that was read up to.
pub(super) struct Log {
    directory: Directory,
    /// The finished files that were read, or are older than the start.
    known: BTreeSet<OsString>,
    /// The newest of them.
    last: Option<OsString>,
    /// Those that were compressed already when the directory was opened.
    compressed: BTreeSet<OsString>,
    /// The file that was `current` when it was opened.
    active: Option<Active>,
    /// The warning that lines may be missing here was printed.
    is_gap: bool,
    /// Finished files to show, from which byte on; and whether they are new, so that their
    /// fate is not known yet.
    queue: VecDeque<(OsString, u64, bool)>,
    /// Those that are open, the first one first.
    opened: VecDeque<(OsString, u64, Finished)>,
    /// The one that is being read, and the position in it.
    reading: Option<(OsString, u64, File)>,
    /// The number of snapshots so far during which a file was renamed.
    tries: usize,
    /// Lines that begin from now on are not shown.
    ends_here: bool,
    buffer: Vec<u8>,
}

struct Active {
    file: File,
    id: LogFileId,
    /// The number of bytes that were read.
    at: u64,
    /// Its start was shown to the printer.
    has_begun: bool,
    /// It is read up to this byte.
    end: Option<u64>,
    state: Option<(u64, i64)>,
    /// It is not `current` any more, and had this number of hard links then; it is complete.
    left: Option<u64>,
    tries: usize,
}

impl Log {
    /// Opens the log directory `path` and takes a snapshot of it.
    pub(super) fn open(path: &Path) -> Result<Log, SvclogFailure> {
        let mut log = Log {
            directory: Directory::open(path)?,
            known: BTreeSet::new(),
            last: None,
            compressed: BTreeSet::new(),
            active: None,
            is_gap: false,
            queue: VecDeque::new(),
            opened: VecDeque::new(),
            reading: None,
            tries: 0,
            ends_here: false,
            buffer: vec![0; AT_ONCE],
        };
        for _ in 0..TRIES {
            log.known.clear();
            log.last = None;
            let snapshot = log.snapshot()?;
            // An entry that is no regular file may stay there indefinitely, so it is ignored.
            let files = snapshot.new.iter().filter(|(_, id)| id.is_some());
            log.last = files.map(|(name, _)| name).next_back().cloned();
            log.known.clone_from(&snapshot.finished);
            log.compressed = log.directory.compressed();
            // A file on its way to its final name may be without one for a moment.
            if log.open_next(&snapshot)? && (log.active.is_some() || !snapshot.is_pending()) {
                break;
            }
        }
        Ok(log)
    }

    /// From now on, this log ends with the end of the last line that has begun.
    pub(super) fn end_here(&mut self) {
        self.ends_here = true;
        if let Some(active) = &mut self.active {
            active.end = Some(end_of_line(&active.file, size(&active.file)));
        }
    }

    /// Whether the directory contains no file of multilog.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.compressed.is_empty() && self.active.is_none()
    }

    /// Whether no file is open that multilog will write to.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_none()
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The files to search for a start.
    pub(super) fn files(&self) -> Files<'_> {
        Files {
            directory: &self.directory,
            finished: &self.known,
            compressed: &self.compressed,
            active: self.active.as_ref().map(|active| {
                let end = active.end.unwrap_or_else(|| size(&active.file));
                (&active.file, end)
            }),
        }
    }

    fn snapshot(&self) -> Result<LogSnapshot, SvclogFailure> {
        self.directory.snapshot(&self.known, self.last.as_deref())
    }

    fn warn_gap(&mut self) {
        if !self.is_gap {
            let why = b"lines may be missing here: files were deleted before they were read";
            warn(&[show(self.directory.path()), b": ", why]);
        }
        self.is_gap = true;
    }

    /// Opens the file that multilog writes now. False if the directory has changed meanwhile.
    fn open_next(&mut self, before: &LogSnapshot) -> Result<bool, SvclogFailure> {
        let (name, id) = match files::next(before) {
            Next::Previous(id) => ("previous", id),
            Next::Current(id) => ("current", id),
            Next::Nothing => return Ok(true),
        };
        let state = self.directory.state();
        let file = match self.directory.open_written(name) {
            Ok((file, found)) if found == id => file,
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.directory.unable("open", OsStr::new(name), error)),
        };
        if !files::is_next(id, before, &self.snapshot()?) {
            return Ok(false);
        }
        self.active = Some(Active {
            file,
            id,
            at: 0,
            has_begun: false,
            end: None,
            state,
            left: None,
            tries: 0,
        });
        Ok(true)
    }

    /// Begins at `start`.
    pub(super) fn begin(&mut self, start: Start) {
        let from = start.file;
        let names = self.files().names();
        let names = names.filter(|name| from.as_ref().is_some_and(|from| *name >= from));
        let at = |name: &OsString| {
            if Some(name) == from.as_ref() {
                start.at
            } else {
                0
            }
        };
        self.queue = names.map(|name| (name.clone(), at(name), false)).collect();
        if let (Some(active), None) = (&mut self.active, from) {
            active.at = start.at;
            active.has_begun = start.at > 0;
        }
    }

    /// Shows the next piece; false if there is none now.
    pub(super) fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, SvclogFailure> {
        if let Some((name, at, file)) = &mut self.reading {
            let end = size(file);
            let piece = read_piece(file, at, end, &mut self.buffer);
            let piece = piece.map_err(|error| self.directory.unable("read", name, error))?;
            sink.put(piece).map_err(SvclogFailure::Output)?;
            if piece.is_empty() {
                self.reading = None;
            }
            return Ok(true);
        }
        if let Some((name, at, file)) = self.opened.pop_front() {
            self.begin_finished(name, at, file, sink)?;
            return Ok(true);
        }
        if !self.queue.is_empty() {
            self.open_queued()?;
            return Ok(true);
        }
        if self.read_active(sink)? {
            return Ok(true);
        }
        Ok(!self.ends_here && self.go_on()?)
    }

    /// Finds the file that follows everything that was read. False if there is none now, or
    /// if the directory changes all the time: then the caller retries.
    fn go_on(&mut self) -> Result<bool, SvclogFailure> {
        if let Some(active) = &mut self.active {
            if self.directory.is_current(active.id) {
                self.tries = 0;
                return Ok(false);
            }
            // It is complete, and its rest is to be read first.
            let Some(links) = active.left.take() else {
                active.left = Some(active.file.metadata().map_or(0, |m| m.nlink()));
                return Ok(true);
            };
            return self.leave_active(links);
        }
        let snapshot = self.snapshot()?;
        if !snapshot.follows() {
            self.warn_gap();
            self.last = None;
        }
        self.known.retain(|name| snapshot.finished.contains(name));
        if snapshot.new.is_empty() {
            let is_open = self.open_next(&snapshot)?;
            self.tries += 1;
            if is_open || self.tries >= TRIES {
                self.tries = 0;
            }
            return Ok(self.active.is_some() || self.tries > 0);
        }
        self.tries = 0;
        let names = snapshot.new.into_iter().map(|(name, _)| (name, 0, true));
        self.queue.extend(names);
        Ok(true)
    }

    /// Determines the fate of the file that was `current`, and had `links` hard links. False
    /// if that cannot be decided yet.
    fn leave_active(&mut self, links: u64) -> Result<bool, SvclogFailure> {
        let snapshot = self.snapshot()?;
        let Some(active) = &mut self.active else {
            return Ok(true);
        };
        match files::fate(active.id, links, active.state, &snapshot) {
            Fate::Pending => return Ok(false),
            Fate::Unknown => {
                active.tries += 1;
                if active.tries < TRIES {
                    return Ok(true);
                }
            }
            Fate::Finished(name) => self.now_known(name),
            Fate::Processed(name) => {
                // It went when it was processed, which is after the next `current` is
                // made; if that is still there, no later one can have been deleted.
                let went = active.file.metadata().ok().and_then(|m| changed(&m));
                let current = self.directory.open_written("current");
                let made = current.and_then(|(file, _)| file.metadata()?.created());
                let is_certain = made.is_ok_and(|made| went.is_some_and(|went| made < went));
                self.now_known(name);
                if !is_certain {
                    self.warn_gap();
                }
            }
            Fate::Deleted => {
                self.last = None;
                self.warn_gap();
            }
        }
        self.active = None;
        Ok(true)
    }

    fn now_known(&mut self, name: OsString) {
        self.known.insert(name.clone());
        self.last = Some(name);
    }

    /// Shows a piece of the new contents of the file that is written; false if there is none.
    fn read_active(&mut self, sink: &mut dyn Sink) -> Result<bool, SvclogFailure> {
        let Some(active) = &mut self.active else {
            return Ok(false);
        };
        if !active.has_begun {
            let head = head(&active.file);
            if head.is_empty() {
                return Ok(false);
            }
            active.has_begun = true;
            sink.begin(&head).map_err(SvclogFailure::Output)?;
        }
        let end = active.end.unwrap_or_else(|| size(&active.file));
        if end < active.at {
            // Another program has truncated it; the new contents begin at the start.
            active.at = 0;
            warn(&[
                show(self.directory.path()),
                b"/current: it was truncated, and is shown from its start",
            ]);
        }
        let piece = read_piece(&active.file, &mut active.at, end, &mut self.buffer);
        let current = OsStr::new("current");
        let piece = piece.map_err(|error| self.directory.unable("read", current, error))?;
        self.is_gap &= piece.is_empty();
        sink.put(piece).map_err(SvclogFailure::Output)?;
        Ok(!piece.is_empty())
    }

    fn warn_compressed(&self, name: &OsStr) {
        let path = self.directory.path().join(name);
        warn(&[show(&path), b": compressed and not shown"]);
    }

    /// Opens the first of the queue.
    fn open_queued(&mut self) -> Result<(), SvclogFailure> {
        let count = self.queue.len().min(OPEN_AT_ONCE);
        for (name, at, is_new) in self.queue.drain(..count).collect::<Vec<_>>() {
            if self.compressed.contains(&name) {
                self.warn_compressed(&name);
                continue;
            }
            let file = self.directory.open_finished(&name)?;
            if is_new {
                self.known.insert(name.clone());
                if !matches!(file, Finished::NoFile) {
                    self.last = Some(name.clone());
                }
            }
            self.opened.push_back((name, at, file));
        }
        Ok(())
    }

    /// Begins to show the finished file `name` from the byte `at`.
    fn begin_finished(
        &mut self,
        name: OsString,
        at: u64,
        file: Finished,
        sink: &mut dyn Sink,
    ) -> Result<(), SvclogFailure> {
        let file = match file {
            Finished::Open(file) => file,
            Finished::Deleted => {
                self.warn_gap();
                return Ok(());
            }
            Finished::NoFile => return Ok(()),
        };
        let head = head(&file);
        if is_compressed(&head) {
            self.warn_compressed(&name);
            return Ok(());
        }
        if at == 0 {
            sink.begin(&head).map_err(SvclogFailure::Output)?;
        }
        self.is_gap = false;
        self.reading = Some((name, at, file));
        Ok(())
    }
}

/// When the file of this `metadata` was changed, renamed or unlinked last.
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    let nanoseconds = Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?);
    UNIX_EPOCH.checked_add(seconds + nanoseconds)
}
