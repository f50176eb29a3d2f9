//! A log directory that is read while multilog writes it.

use super::directory::{Directory, Finished};
use super::files::{self, Fate, Id, Look, Next};
use super::reading::{AT_ONCE, end_of_line, head, read_piece, size};
use super::start::{Files, Start};
use super::tail::is_compressed;
use super::{Failure, Sink, show, warn};
use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many finished files are opened before the first of them is read: what is
/// open cannot be deleted before it was read.
const OPEN_AT_ONCE: usize = 64;

/// How often something is looked at again that moved while it was looked at.
const TRIES: usize = 20;

/// A log directory, and how far it was read.
pub(super) struct Log {
    directory: Directory,
    /// The finished files that were read, or are older than what is to be.
    known: BTreeSet<OsString>,
    /// The newest of them.
    last: Option<OsString>,
    /// Those that something had compressed when the directory was opened.
    compressed: BTreeSet<OsString>,
    /// The file that was `current` when it was opened.
    active: Option<Active>,
    /// It was said that lines may be missing here.
    is_gap: bool,
    /// Finished files to show, from which byte on; and whether they are new, so that it
    /// is not known yet what became of them.
    queue: VecDeque<(OsString, u64, bool)>,
    /// Those that are open, the first one first.
    opened: VecDeque<(OsString, u64, Finished)>,
    /// The one that is read, and how far it was.
    reading: Option<(OsString, u64, File)>,
    /// So often something has moved while it was looked at.
    tries: usize,
    /// Nothing is shown that comes from now on.
    ends_here: bool,
    buffer: Vec<u8>,
}

struct Active {
    file: File,
    id: Id,
    /// So much of it was read, in bytes.
    at: u64,
    /// Its start was shown to the printer.
    has_begun: bool,
    /// No more of it is read than up to this byte.
    end: Option<u64>,
    state: Option<(u64, i64)>,
    /// It is `current` no more, and had so many names then; what it holds is complete.
    left: Option<u64>,
    tries: usize,
}

impl Log {
    /// Opens the log directory `path` and finds out what is in it.
    pub(super) fn open(path: &Path) -> Result<Log, Failure> {
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
            let look = log.look()?;
            // What is no file may stay there for ever, so it tells nothing.
            let files = look.new.iter().filter(|(_, id)| id.is_some());
            log.last = files.map(|(name, _)| name).next_back().cloned();
            log.known.clone_from(&look.finished);
            log.compressed = log.directory.compressed();
            // A file on its way to its final name may be without one for a moment.
            if log.open_next(&look)? && (log.active.is_some() || !look.is_pending()) {
                break;
            }
        }
        Ok(log)
    }

    /// From now on, this log ends where the last line ends that has begun.
    pub(super) fn end_here(&mut self) {
        self.ends_here = true;
        if let Some(active) = &mut self.active {
            active.end = Some(end_of_line(&active.file, size(&active.file)));
        }
    }

    /// Whether there is nothing of multilog in the directory.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.compressed.is_empty() && self.active.is_none()
    }

    /// Whether nothing is open that multilog will write to.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_none()
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What a start is looked for in.
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

    fn look(&self) -> Result<Look, Failure> {
        self.directory.look(&self.known, self.last.as_deref())
    }

    fn warn_gap(&mut self) {
        if !self.is_gap {
            let why = b"lines may be missing here: files were deleted before they were read";
            warn(&[show(self.directory.path()), b": ", why]);
        }
        self.is_gap = true;
    }

    /// Opens what is written now. False if the directory has changed meanwhile.
    fn open_next(&mut self, before: &Look) -> Result<bool, Failure> {
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
        if !files::is_next(id, before, &self.look()?) {
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
    pub(super) fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, Failure> {
        if let Some((name, at, file)) = &mut self.reading {
            let end = size(file);
            let piece = read_piece(file, at, end, &mut self.buffer);
            let piece = piece.map_err(|error| self.directory.unable("read", name, error))?;
            sink.put(piece).map_err(Failure::Output)?;
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

    /// Finds out what comes behind all that was read. False if nothing does now, or if it
    /// changes all the time: then the caller comes back.
    fn go_on(&mut self) -> Result<bool, Failure> {
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
        let look = self.look()?;
        if !look.follows() {
            self.warn_gap();
            self.last = None;
        }
        self.known.retain(|name| look.finished.contains(name));
        if look.new.is_empty() {
            let is_open = self.open_next(&look)?;
            self.tries += 1;
            if is_open || self.tries >= TRIES {
                self.tries = 0;
            }
            return Ok(self.active.is_some() || self.tries > 0);
        }
        self.tries = 0;
        let names = look.new.into_iter().map(|(name, _)| (name, 0, true));
        self.queue.extend(names);
        Ok(true)
    }

    /// Finds out what has become of the file that was `current`, and had `links`
    /// names. False if that is to be waited for.
    fn leave_active(&mut self, links: u64) -> Result<bool, Failure> {
        let look = self.look()?;
        let Some(active) = &mut self.active else {
            return Ok(true);
        };
        match files::fate(active.id, links, active.state, &look) {
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

    /// Shows a piece of what has come in the file that is written; false if nothing has.
    fn read_active(&mut self, sink: &mut dyn Sink) -> Result<bool, Failure> {
        let Some(active) = &mut self.active else {
            return Ok(false);
        };
        if !active.has_begun {
            let head = head(&active.file);
            if head.is_empty() {
                return Ok(false);
            }
            active.has_begun = true;
            sink.begin(&head).map_err(Failure::Output)?;
        }
        let end = active.end.unwrap_or_else(|| size(&active.file));
        if end < active.at {
            // Somebody else has emptied it, and what came since begins anew.
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
        sink.put(piece).map_err(Failure::Output)?;
        Ok(!piece.is_empty())
    }

    fn warn_compressed(&self, name: &OsStr) {
        let path = self.directory.path().join(name);
        warn(&[show(&path), b": compressed and not shown"]);
    }

    /// Opens the first of the queue.
    fn open_queued(&mut self) -> Result<(), Failure> {
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
    ) -> Result<(), Failure> {
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
            sink.begin(&head).map_err(Failure::Output)?;
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
