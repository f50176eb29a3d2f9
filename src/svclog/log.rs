//! A log directory that is read while multilog writes it.

use super::directory::{Directory, Finished};
use super::files::{self, Fate, Id, Look, Next};
use super::printer::Printer;
use super::reading::{AT_ONCE, Trouble, end_of_line, head, pour, size};
use super::start::{Files, Start};
use super::tail::is_compressed;
use super::{Failure, show, warn};
use std::collections::BTreeSet;
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
        if let Some(active) = &mut self.active {
            active.end = Some(end_of_line(&active.file, size(&active.file)));
        }
    }

    /// Whether there is nothing of multilog in the directory.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.compressed.is_empty() && self.active.is_none()
    }

    /// Whether nothing is open that will be written to.
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
            tries: 0,
        });
        Ok(true)
    }

    /// Shows everything that is new.
    pub(super) fn catch_up(&mut self, printer: &mut Printer) -> Result<(), Failure> {
        let mut tries = 0;
        while tries < TRIES {
            self.read_active(printer)?;
            if let Some(active) = &mut self.active {
                if self.directory.is_current(active.id) {
                    return Ok(());
                }
                // It is complete, and this is the rest of it.
                let links = active.file.metadata().map_or(0, |m| m.nlink());
                self.read_active(printer)?;
                if !self.leave_active(links)? {
                    return Ok(());
                }
                continue;
            }
            let look = self.look()?;
            if !look.follows() {
                self.warn_gap();
                self.last = None;
            }
            self.known.retain(|name| look.finished.contains(name));
            if look.new.is_empty() {
                match self.open_next(&look)? {
                    true if self.active.is_none() => return Ok(()),
                    true => tries = 0,
                    false => tries += 1,
                }
                continue;
            }
            tries = 0;
            let names: Vec<OsString> = look.new.into_iter().map(|(name, _)| name).collect();
            for names in names.chunks(OPEN_AT_ONCE) {
                self.read_finished(names, printer)?;
            }
        }
        // It changes all the time; the caller comes back.
        Ok(())
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

    /// Shows what has come in the file that is written.
    fn read_active(&mut self, printer: &mut Printer) -> Result<(), Failure> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        if !active.has_begun {
            let head = head(&active.file);
            if head.is_empty() {
                return Ok(());
            }
            active.has_begun = true;
            printer.begin(&head).map_err(Failure::Output)?;
        }
        let end = active.end.unwrap_or_else(|| size(&active.file));
        if end < active.at {
            // Somebody else has emptied it, and what came since begins anew.
            active.at = 0;
            warn(&[
                show(self.directory.path()),
                b"/current: it was cut, and is shown anew",
            ]);
        }
        let from = active.at;
        let result = pour(&active.file, &mut active.at, end, &mut self.buffer, printer);
        self.is_gap &= active.at == from;
        result.map_err(|trouble| self.trouble(OsStr::new("current"), trouble))
    }

    fn warn_compressed(&self, name: &OsStr) {
        let path = self.directory.path().join(name);
        warn(&[show(&path), b": compressed and not shown"]);
    }

    fn trouble(&self, name: &OsStr, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Read(error) => self.directory.unable("read", name, error),
            Trouble::Write(error) => Failure::Output(error),
        }
    }

    /// Shows these finished files.
    fn read_finished(&mut self, names: &[OsString], printer: &mut Printer) -> Result<(), Failure> {
        let opened: Vec<_> = names
            .iter()
            .map(|name| (name, self.directory.open_finished(name)))
            .collect();
        for (name, file) in opened {
            match file? {
                Finished::Open(file) => {
                    self.now_known(name.clone());
                    self.read_one(name, &file, 0, printer)?;
                }
                Finished::Deleted => {
                    self.now_known(name.clone());
                    self.warn_gap();
                }
                Finished::NoFile => {
                    self.known.insert(name.clone());
                }
            }
        }
        Ok(())
    }

    /// Shows the finished file `name` from the byte `at`.
    fn read_one(
        &mut self,
        name: &OsStr,
        file: &File,
        at: u64,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let head = head(file);
        if is_compressed(&head) {
            self.warn_compressed(name);
            return Ok(());
        }
        if at == 0 {
            printer.begin(&head).map_err(Failure::Output)?;
        }
        self.is_gap = false;
        let mut at = at;
        pour(file, &mut at, size(file), &mut self.buffer, printer)
            .map_err(|trouble| self.trouble(name, trouble))
    }

    /// Shows everything from `start` on.
    pub(super) fn show(&mut self, start: &Start, printer: &mut Printer) -> Result<(), Failure> {
        let from = start.file.clone();
        let names = self.files().names();
        let names: Vec<OsString> = names
            .filter(|name| from.as_ref().is_some_and(|from| *name >= from))
            .cloned()
            .collect();
        for name in names {
            if self.compressed.contains(&name) {
                self.warn_compressed(&name);
                continue;
            }
            let at = if Some(&name) == from.as_ref() {
                start.at
            } else {
                0
            };
            match self.directory.open_finished(&name)? {
                Finished::Open(file) => self.read_one(&name, &file, at, printer)?,
                Finished::Deleted => self.warn_gap(),
                Finished::NoFile => {}
            }
        }
        if let (Some(active), None) = (&mut self.active, from) {
            active.at = start.at;
            active.has_begun = start.at > 0;
        }
        self.read_active(printer)
    }
}

/// When the file of this `metadata` was changed, renamed or unlinked last.
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    let nanoseconds = Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?);
    UNIX_EPOCH.checked_add(seconds + nanoseconds)
}
