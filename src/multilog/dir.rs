//! A log directory that is being written: `current`, where files end, and its journal.
//!
//! The order of system calls, here and in [`super::rotation`], is 0.76's, because it makes a
//! directory safe to take over at any time; `docs/multilog.md` has the table of files.

use super::cutter::Cutter;
use super::files;
use super::lock::Lock;
use super::locked::{Locked, id};
use super::rotation::{Place, SAFE, Stop, presence, set_mode};
use super::waiter::{Waiter, say, warn};
use crate::error::Error;
use crate::formats::journal::{Batch, JournalEntry, JournaledFile};
use crate::sys::{clock, errno, file};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use std::time::Instant;

/// The writeback of a file to disk is started in chunks of this many bytes before it is
/// finished.
const SYNC_CHUNK: u64 = 1 << 20;
/// The mode of a file that is being written.
const BEING_WRITTEN: u32 = 0o644;
/// The mode bit that distinguishes a [`SAFE`] file.
const SAFE_BIT: u32 = 0o100;

/// A log directory that is open, locked and ready for output.
pub struct LogDir {
    place: Place,
    /// The directory to which its name is relative.
    start: Rc<File>,
    lock: Lock,
    current: Current,
    /// Where files end; it may be ahead of `current`.
    cutter: Cutter,
    /// The journal entry that was last written, if any.
    entry: Option<JournalEntry>,
    /// The number of bytes of the output that are in the files.
    written: usize,
    /// The offset of the part of it that is in `current`.
    begun: usize,
    /// The offsets in it at which files end, in descending order.
    cuts: Vec<usize>,
    /// For [`Cutter::cut`].
    flushes: Vec<usize>,
}

/// The file `current`.
struct Current {
    file: File,
    id: JournaledFile,
    /// Its size, in bytes.
    size: u64,
}

impl Current {
    fn of(file: File) -> Current {
        let metadata = file.metadata().ok();
        Current {
            file,
            id: metadata.as_ref().map(id).unwrap_or_default(),
            size: metadata.map_or(0, |metadata| metadata.len()),
        }
    }

    /// Another `count` bytes were written. Starts the writeback of each full chunk, so that the
    /// fsync of a large finished file takes less time.
    fn grow(&mut self, count: u64) {
        let from = self.size / SYNC_CHUNK;
        self.size += count;
        let to = self.size / SYNC_CHUNK;
        if from < to {
            let length = (to - from) * SYNC_CHUNK;
            file::sync_file_range(&self.file, from * SYNC_CHUNK, length);
        }
    }

    /// Whether it was removed: it has no hard link left.
    fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|m| m.nlink() == 0)
    }
}

/// The output of a batch for a directory.
pub struct Output<'a> {
    /// The lines.
    pub text: &'a [u8],
    /// The offsets at which 0.76 would have flushed before a read.
    pub flushes: &'a [usize],
    /// If it begins in a long line, whether that is logged here.
    pub before: Option<bool>,
    /// The same for the byte after it.
    pub after: Option<bool>,
    /// The number of bytes of it that are in the files already.
    pub written: usize,
}

impl LogDir {
    /// Repairs the files of `locked` and opens `current`: continues it if it is safe, else
    /// finishes it for the earlier multilog.
    ///
    /// # Errors
    /// Why that fails, with 0.76's messages.
    pub fn start(locked: Locked, waiter: &mut Waiter) -> Result<LogDir, Error> {
        let mut place = locked.place;
        let name = OsStr::from_bytes(&place.settings.name).to_owned();
        let unable = |doing, rest, error| Error::unable(doing, &name, rest, error);
        file::change_directory(&place.directory).map_err(|error| unable("switch to", "", error))?;
        let files = place.files();
        let stat = |file, rest| {
            files
                .stat(file)
                .map_err(|error| unable("stat", rest, error))
        };
        let is_safe =
            |found: &Option<Metadata>| found.as_ref().is_some_and(|m| m.mode() & SAFE_BIT != 0);
        let found = stat("current", "/current")?;
        let may_go_on = found.as_ref().is_none_or(|found| files.may_write(found));
        if !may_go_on {
            files::tell(&name, "current");
        }
        let doing = if is_safe(&found) && may_go_on {
            "append to"
        } else {
            let is_processed = is_safe(&stat("processed", "/processed")?);
            let taken = place.worker(waiter).take_over(is_processed);
            taken.map_err(|stop| match stop {
                Stop::Gone => unable("open directory", "", io::ErrorKind::NotFound.into()),
                Stop::Error(error) => error,
            })?;
            files
                .open_truncate(&name, "state")
                .map_err(|error| unable("write to", "/state", error))?;
            "write to"
        };
        let current = files
            .open_append(&name, "current")
            .map_err(|error| unable(doing, "/current", error))?;
        set_mode(&current, BEING_WRITTEN)
            .map_err(|error| unable("set mode of", "/current", error))?;
        let current = Current::of(current);
        place.budget.look(&place.directory);
        Ok(LogDir {
            cutter: Cutter::new(place.settings.size, current.size),
            place,
            start: locked.start,
            lock: locked.lock,
            current,
            entry: None,
            written: 0,
            begun: 0,
            cuts: Vec::new(),
            flushes: Vec::new(),
        })
    }

    /// Removes the journal entry: its held bytes are in the files now. If that fails, they will
    /// be there twice.
    pub fn forget(&self) {
        let _ = self.lock.clear();
    }

    /// Begins the `output` of `batch`: writes the journal entry, if there is a journal, and
    /// determines where files end ([`Cutter::cut`]).
    ///
    /// # Errors
    /// As [`Waiter::retry`].
    pub fn begin(
        &mut self,
        batch: Option<&Batch>,
        output: &Output<'_>,
        waiter: &mut Waiter,
    ) -> Result<(), Error> {
        if let Some(batch) = batch {
            let is_in_long_line = (output.before, output.after) != (None, None);
            if !batch.held.is_empty() || is_in_long_line {
                // The held bytes are nowhere else, and the next multilog must find them.
                let kept = self.keep_lock(waiter);
                self.or_anew(kept, waiter)?;
            }
            self.entry = Some(JournalEntry {
                is_written: false,
                batch: batch.clone(),
                before: output.before,
                after: output.after,
                file: self.current.id,
                size: self.current.size,
                moved: output.written as u64,
            });
            self.write_entry(waiter)?;
        }
        // The cutter has counted what was written to a file that is gone.
        if self.cutter.bytes() != self.current.size {
            self.cutter = Cutter::new(self.place.settings.size, self.current.size);
        }
        let written = output.written;
        (self.written, self.begun) = (written, written);
        let (old, new) = output.text.split_at_checked(written).unwrap_or_default();
        let in_line = output.before == Some(true);
        let in_line = old.last().map_or(in_line, |byte| *byte != b'\n');
        self.flushes.clear();
        let flushes = output.flushes.iter();
        let flushes = flushes.map(|place| place.saturating_sub(written));
        self.flushes.extend(flushes);
        self.cuts.clear();
        self.cutter.cut(new, &self.flushes, in_line, &mut self.cuts);
        self.cuts.iter_mut().for_each(|cut| *cut += written);
        self.cuts.reverse();
        Ok(())
    }

    /// Continues to write `text`, the output. With `waits`, until all of it is written; else it
    /// returns where it would have to wait: for a file that cannot be written at present, or a
    /// processor.
    ///
    /// # Errors
    /// As [`Waiter::retry`].
    pub fn write(&mut self, text: &[u8], waits: bool, waiter: &mut Waiter) -> Result<(), Error> {
        while let Some(cut) = self.cuts.last().copied() {
            let is_written = self.append(text, cut, waits, waiter)?;
            if !is_written || (!waits && self.place.settings.processor.is_some()) {
                return Ok(());
            }
            self.rotate(waiter)?;
            self.cuts.pop();
            self.begun = cut;
        }
        self.append(text, text.len(), waits, waiter)?;
        Ok(())
    }

    /// Journals that the batch is written to all directories.
    ///
    /// # Errors
    /// As [`Waiter::retry`].
    pub fn commit(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let Some(entry) = &mut self.entry else {
            return Ok(());
        };
        entry.is_written = true;
        let name = OsStr::from_bytes(&self.place.settings.name);
        waiter.retry("write to", name, "/lock", || self.lock.commit())
    }

    /// Rotates `current`, unless it is empty: for ALRM.
    ///
    /// # Errors
    /// As [`Waiter::retry`].
    pub fn rotate_now(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        if self.current.size > 0 {
            self.cutter.begin();
            self.rotate(waiter)?;
        }
        Ok(())
    }

    /// When [`LogDir::keep_budget`] is due.
    pub fn budget_due(&self) -> Option<Instant> {
        self.place.budget.due()
    }

    /// Enforces the budgets, if that was postponed when a file was finished, and is due now.
    pub fn keep_budget(&mut self) {
        if self.budget_due().is_some_and(|at| at <= clock::monotonic()) {
            self.place.budget.look(&self.place.directory);
        }
    }

    /// Marks `current` as complete and fsynced: no part of the remaining input was begun, so
    /// there is nothing to journal.
    ///
    /// # Errors
    /// As [`Waiter::retry`].
    pub fn close(mut self, waiter: &mut Waiter) -> Result<(), Error> {
        // No output is waiting any more, so there is time for all deletions.
        while self.budget_due().is_some() && self.place.budget.look(&self.place.directory) > 0 {}
        let name = OsStr::from_bytes(&self.place.settings.name);
        let current = &self.current.file;
        waiter.retry("write", name, "/current to disk", || current.sync_all())?;
        waiter.retry("set mode of", name, "/current", || set_mode(current, SAFE))?;
        if self.entry.is_some() {
            self.forget();
        }
        Ok(())
    }

    fn write_entry(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let lock = &self.lock;
        let Some(entry) = self
            .entry
            .as_ref()
            .filter(|entry| lock.write(entry).is_err())
        else {
            return Ok(());
        };
        let mut worker = self.place.worker(waiter);
        match worker.retry("write to", "/lock", || lock.write(entry)) {
            Err(Stop::Error(error)) => Err(error),
            // A missing directory is noticed when its `current` is written.
            Ok(()) | Err(Stop::Gone) => Ok(()),
        }
    }

    /// Writes `text` up to the offset `end` to `current`. If that was removed, the part of the
    /// text in it is written to the next file, too: the removal was not meant for what comes
    /// after it. False if it has to wait.
    fn append(
        &mut self,
        text: &[u8],
        end: usize,
        waits: bool,
        waiter: &mut Waiter,
    ) -> Result<bool, Error> {
        while self.written < end {
            if self.current.is_gone() {
                self.begin_anew(waiter)?;
                self.written = self.begun;
            }
            let rest = text.get(self.written..end).unwrap_or_default();
            match self.current.file.write(rest) {
                Ok(count @ 1..) => {
                    self.written += count;
                    self.place.budget.count(count as u64);
                    self.current.grow(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let error = result.err().unwrap_or(io::ErrorKind::WriteZero.into());
                    let is_full = errno::is_full(&error);
                    // Closing it may free the space that the disk lacks.
                    let is_gone = self.current.is_gone();
                    if is_gone || (is_full && self.place.budget.look(&self.place.directory) > 0) {
                        continue;
                    }
                    if !waits {
                        return Ok(false);
                    }
                    let name = OsStr::from_bytes(&self.place.settings.name);
                    waiter.failed("write to", name, "/current", error)?;
                }
            }
        }
        Ok(true)
    }

    /// Calls [`LogDir::begin_anew`] if something is gone.
    fn or_anew(&mut self, result: Result<(), Stop>, waiter: &mut Waiter) -> Result<(), Error> {
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Gone) => self.begin_anew(waiter),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// `current` or the directory was removed: creates it again for the following output.
    fn begin_anew(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.place.settings.name).to_owned();
        match self.begin_current(waiter) {
            Ok(_) => say("", &name, "/current is gone, beginning a new one"),
            Err(Stop::Gone) => {
                say("", &name, " is gone, making it again");
                self.make_again(waiter)?;
            }
            Err(Stop::Error(error)) => return Err(error),
        }
        self.journal_current(waiter)
    }

    /// Creates and locks the directory again, or uses the one that has its name now.
    fn make_again(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let again = loop {
            let locked = Locked::open(&self.place.settings, &self.start);
            match locked.and_then(|locked| LogDir::start(locked, waiter)) {
                Ok(again) => break again,
                Err(Error::Unable {
                    doing,
                    object,
                    source,
                }) => {
                    let object = object.unwrap_or_default();
                    waiter.failed(doing, OsStr::from_bytes(&object), "", source)?;
                }
                Err(error) => return Err(error),
            }
        };
        self.place.directory = again.place.directory;
        self.lock = again.lock;
        self.current = again.current;
        Ok(())
    }

    /// Creates `current` where there is none. Returns the file that was `current`.
    fn begin_current(&mut self, waiter: &mut Waiter) -> Result<File, Stop> {
        let files = self.place.files();
        let name = OsStr::from_bytes(&self.place.settings.name).to_owned();
        let mut worker = self.place.worker(waiter);
        worker.enter()?;
        let current = worker.retry("create", "/current", || files.open_append(&name, "current"))?;
        worker.retry("set mode of", "/current", || {
            set_mode(&current, BEING_WRITTEN)
        })?;
        let full = std::mem::replace(&mut self.current, Current::of(current));
        self.keep_lock(waiter)?;
        Ok(full.file)
    }

    /// Creates and locks another `lock` if it was removed or moved: a journal in a file without
    /// that name would not be found, and the directory would not look like a log directory in
    /// use.
    fn keep_lock(&mut self, waiter: &mut Waiter) -> Result<(), Stop> {
        if self.lock.is_in(&self.place.directory) {
            return Ok(());
        }
        let name = OsStr::from_bytes(&self.place.settings.name).to_owned();
        let files = self.place.files();
        let mut worker = self.place.worker(waiter);
        worker.enter()?;
        let again = worker.retry("create", "/lock", || match Lock::open(files) {
            Err(error) if errno::is_not_own(&error) => Ok(Err(error)),
            opened => opened.map(Ok),
        })?;
        let again = match again {
            Ok(again) => again,
            Err(error) => {
                if self.lock.is_to_tell() {
                    warn(&Error::unable("lock directory", &name, "", error));
                }
                return Ok(());
            }
        };
        match self.lock.replace(again) {
            Ok(true) => say("", &name, "/lock is gone, making it again"),
            Err(Some(error)) => warn(&Error::unable("lock directory", &name, "", error)),
            Ok(false) | Err(None) => {}
        }
        Ok(())
    }

    /// Journals that the rest of the output goes to another `current`.
    fn journal_current(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        if let Some(entry) = &mut self.entry {
            (entry.file, entry.size) = (self.current.id, self.current.size);
        }
        self.write_entry(waiter)
    }

    /// Rotates: `current` becomes a finished file, and a new one is created.
    fn rotate(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let full = self.current.size;
        let rotated = self.try_rotate(waiter);
        self.or_anew(rotated, waiter)?;
        self.place.budget.check(&self.place.directory, full);
        Ok(())
    }

    /// As [`LogDir::rotate`], if `current` and the directory exist.
    fn try_rotate(&mut self, waiter: &mut Waiter) -> Result<(), Stop> {
        let current = &self.current.file;
        let mut worker = self.place.worker(waiter);
        worker.enter()?;
        worker.retry("write", "/current to disk", || current.sync_all())?;
        let doing = "rename current to previous in directory";
        let renamed = worker.retry(doing, "", || presence(fs::rename("current", "previous")))?;
        // The contents of a `current` that was moved away are safe, too.
        let full = self.current.size;
        if let Some(entry) = &mut self.entry {
            let grown = full.saturating_sub(entry.size);
            entry.moved = entry.moved.saturating_add(grown);
            entry.size = full;
        }
        if renamed.is_none() {
            return Err(Stop::Gone);
        }
        let full = self.begin_current(waiter)?;
        self.journal_current(waiter)?;
        self.place.worker(waiter).finish_previous(full)
    }
}
