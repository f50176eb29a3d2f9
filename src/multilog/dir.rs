//! A log directory that is written: `current`, where it ends, and its journal.
//!
//! The order of system calls, here and in [`super::rotation`], is 0.76's, because it
//! is what makes a directory safe to take over at any instant; `docs/multilog.md` has
//! the table of files.

use super::cutter::Cutter;
use super::files;
use super::lock::Lock;
use super::locked::{Locked, id};
use super::rotation::{Place, SAFE, Stop, presence, set_mode};
use super::waiter::{Waiter, say, warn};
use crate::error::Error;
use crate::formats::journal::{Batch, FileId, JournalEntry};
use crate::sys::{clock, errno, file};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use std::time::Instant;

/// So much of a file is sent to disk together before it is finished, in bytes.
const STORED_AT_ONCE: u64 = 1 << 20;
/// The mode of a file that is being written.
const BEING_WRITTEN: u32 = 0o644;
/// The bit that tells it from a [`SAFE`] one.
const SAFE_BIT: u32 = 0o100;

/// A log directory that is open, locked and ready.
pub struct Dir {
    place: Place,
    /// The directory to which its name is relative.
    start: Rc<File>,
    lock: Lock,
    current: Current,
    /// It may be ahead of `current`.
    cutter: Cutter,
    /// The journal entry as it was last written, if there was one.
    entry: Option<JournalEntry>,
    /// How much of the output is in the files, in bytes.
    written: usize,
    /// Where in it the part begins that is in `current`.
    begun: usize,
    /// Where in it files end, the last first.
    cuts: Vec<usize>,
    /// For [`Cutter::cut`].
    flushes: Vec<usize>,
}

/// The file `current`.
struct Current {
    file: File,
    id: FileId,
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

    /// Another `count` bytes were written. Once another [`STORED_AT_ONCE`] are full, they are
    /// on their way to disk, so that the service need not wait for all of a large file when it
    /// is finished.
    fn grow(&mut self, count: u64) {
        let from = self.size / STORED_AT_ONCE;
        self.size += count;
        let to = self.size / STORED_AT_ONCE;
        if from < to {
            let length = (to - from) * STORED_AT_ONCE;
            file::sync_file_range(&self.file, from * STORED_AT_ONCE, length);
        }
    }

    /// Whether it was removed: no name leads to it.
    fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|m| m.nlink() == 0)
    }
}

/// What a directory gets of a batch.
pub struct Output<'a> {
    /// The lines.
    pub text: &'a [u8],
    /// Where 0.76 would have written before a read.
    pub flushes: &'a [usize],
    /// If it begins in a long line, whether that is logged here.
    pub before: Option<bool>,
    /// The same for the byte after it.
    pub after: Option<bool>,
    /// How much of it is in the files already.
    pub written: usize,
}

impl Dir {
    /// Puts the files of `locked` in order and opens `current`: continues it if it is
    /// safe, else finishes what an earlier multilog left.
    ///
    /// # Errors
    /// What is in the way, in 0.76's words.
    pub fn start(locked: Locked, waiter: &mut Waiter) -> Result<Dir, Error> {
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
        Ok(Dir {
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

    /// Removes the journal entry: what it holds is in the files now. If that fails, it will
    /// be there once more.
    pub fn forget(&self) {
        let _ = self.lock.clear();
    }

    /// Begins with the `output` of `batch`: writes the journal entry, if there is a journal,
    /// and sees where new files begin ([`Cutter::cut`]).
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn begin(
        &mut self,
        batch: Option<&Batch>,
        output: &Output<'_>,
        waiter: &mut Waiter,
    ) -> Result<(), Error> {
        if let Some(batch) = batch {
            let is_in_long_line = (output.before, output.after) != (None, None);
            if !batch.held.is_empty() || is_in_long_line {
                // That is nowhere else, and the next multilog must find it.
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
        // The cutter has counted what went to a file that is gone.
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

    /// Continues with `text`, the output. `waits`: until all of it is written. If not, it
    /// leaves what it would have to wait for: a file that cannot be written now, a processor.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
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

    /// Journals that the batch is written, in all directories.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn commit(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let Some(entry) = &mut self.entry else {
            return Ok(());
        };
        entry.is_written = true;
        let name = OsStr::from_bytes(&self.place.settings.name);
        waiter.insist("write to", name, "/lock", || self.lock.commit())
    }

    /// Begins a new file, unless this one is empty: what ALRM asks for.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn rotate_now(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        if self.current.size > 0 {
            self.cutter.begin();
            self.rotate(waiter)?;
        }
        Ok(())
    }

    /// When [`Dir::keep_budget`] has something to do.
    pub fn budget_due(&self) -> Option<Instant> {
        self.place.budget.due()
    }

    /// Sees that budgets are kept, if it was too soon for that when a file was
    /// finished, and is not any more.
    pub fn keep_budget(&mut self) {
        if self.budget_due().is_some_and(|at| at <= clock::monotonic()) {
            self.place.budget.look(&self.place.directory);
        }
    }

    /// Marks `current` as complete and safely on disk: nothing of what is left of the input
    /// was begun, so there is nothing to journal.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn close(mut self, waiter: &mut Waiter) -> Result<(), Error> {
        // Nothing waits to be written any more, so there is time for all there is to delete.
        while self.budget_due().is_some() && self.place.budget.look(&self.place.directory) > 0 {}
        let name = OsStr::from_bytes(&self.place.settings.name);
        let current = &self.current.file;
        waiter.insist("write", name, "/current to disk", || current.sync_all())?;
        waiter.insist("set mode of", name, "/current", || set_mode(current, SAFE))?;
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
        match worker.insist("write to", "/lock", || lock.write(entry)) {
            Err(Stop::Error(error)) => Err(error),
            // Of a directory that is gone that is seen when its `current` is written.
            Ok(()) | Err(Stop::Gone) => Ok(()),
        }
    }

    /// Writes `text` up to the place `end` to `current`. If that was removed, what of the text
    /// is in it belongs into the next: whoever removed it did not mean what comes after. False
    /// if it has to wait.
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
                    // It may be its own room that the disk lacks, until it is closed.
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

    /// [`Dir::begin_anew`] if something is gone.
    fn or_anew(&mut self, result: Result<(), Stop>, waiter: &mut Waiter) -> Result<(), Error> {
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Gone) => self.begin_anew(waiter),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// `current` is not there any more, or the directory is not: makes what is
    /// written from now on stand under its name again.
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

    /// Makes and locks the directory anew, or takes the one that has its name now.
    fn make_again(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let again = loop {
            let locked = Locked::open(&self.place.settings, &self.start);
            match locked.and_then(|locked| Dir::start(locked, waiter)) {
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

    /// Opens a `current` where there is none. Gives the file that was `current`.
    fn begin_current(&mut self, waiter: &mut Waiter) -> Result<File, Stop> {
        let files = self.place.files();
        let name = OsStr::from_bytes(&self.place.settings.name).to_owned();
        let mut worker = self.place.worker(waiter);
        worker.enter()?;
        let current =
            worker.insist("create", "/current", || files.open_append(&name, "current"))?;
        worker.insist("set mode of", "/current", || {
            set_mode(&current, BEING_WRITTEN)
        })?;
        let full = std::mem::replace(&mut self.current, Current::of(current));
        self.keep_lock(waiter)?;
        Ok(full.file)
    }

    /// Makes and locks another `lock` if that was removed or moved: nobody would find
    /// what is noted in one of no name, nor see that this is a log directory in use.
    fn keep_lock(&mut self, waiter: &mut Waiter) -> Result<(), Stop> {
        if self.lock.is_in(&self.place.directory) {
            return Ok(());
        }
        let name = OsStr::from_bytes(&self.place.settings.name).to_owned();
        let files = self.place.files();
        let mut worker = self.place.worker(waiter);
        worker.enter()?;
        let again = worker.insist("create", "/lock", || match Lock::open(files) {
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

    /// `current` becomes a finished file, and a new one begins.
    fn rotate(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let full = self.current.size;
        let rotated = self.try_rotate(waiter);
        self.or_anew(rotated, waiter)?;
        self.place.budget.check(&self.place.directory, full);
        Ok(())
    }

    /// As [`Dir::rotate`], if `current` and the directory are there.
    fn try_rotate(&mut self, waiter: &mut Waiter) -> Result<(), Stop> {
        let current = &self.current.file;
        let mut worker = self.place.worker(waiter);
        worker.enter()?;
        worker.insist("write", "/current to disk", || current.sync_all())?;
        let doing = "rename current to previous in directory";
        let renamed = worker.insist(doing, "", || presence(fs::rename("current", "previous")))?;
        // What is in a `current` that was moved away is safe, too.
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
