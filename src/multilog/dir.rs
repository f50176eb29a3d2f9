//! A log directory that is written: `current`, where it ends, and its mark.
//!
//! The order of system calls, here and in [`super::rotation`], is 0.76's, because it
//! is what makes a directory safe to take over at any instant; `docs/multilog.md` has
//! the table of files.

use super::cutter::Cutter;
use super::files;
use super::lock::Lock;
use super::locked::{Locked, id};
use super::proof::{Before, Known};
use super::recovery::Resume;
use super::rotation::{Place, SAFE, Stop, presence, set_mode};
use super::waiter::{Waiter, say, warn};
use crate::error::Error;
use crate::formats::mark::{FileId, Mark, Reading};
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
    current: File,
    cutter: Cutter,
    /// The size of `current` now, in bytes. The cutter may be ahead.
    size: u64,
    /// What of the next bytes is already in the files.
    before: Before,
    /// Whether lines have stamps.
    stamps: bool,
    /// The mark as it was last written, if there are to be any.
    mark: Option<Mark>,
    /// The number of the last batch, the same in all directories; that of the mark may
    /// still be lower.
    batch: u64,
    places: Vec<usize>,
    cuts: Vec<usize>,
}

impl Dir {
    /// Puts the files of `locked` in order and opens `current`: continues it if it is
    /// safe, else finishes what an earlier multilog left. `stamps`: lines get some.
    ///
    /// # Errors
    /// What is in the way, in 0.76's words.
    pub fn start(locked: Locked, stamps: bool, waiter: &mut Waiter) -> Result<Dir, Error> {
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
        let size = current.metadata().map_or(0, |metadata| metadata.len());
        place.budget.look(&place.directory);
        Ok(Dir {
            cutter: Cutter::new(place.settings.size, size),
            place,
            start: locked.start,
            lock: locked.lock,
            current,
            size,
            before: Before::new(locked.last.map(|last| last.tail), stamps),
            stamps,
            mark: None,
            batch: 0,
            places: Vec::new(),
            cuts: Vec::new(),
        })
    }

    /// Takes away the mark that an earlier multilog has left: what it held is in the
    /// files now. If that fails, it will stand there once more.
    pub fn forget_found(&self) {
        let _ = self.lock.clear();
    }

    /// Begins to write marks, as `resume` says of directory `number`.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn begin_marks(
        &mut self,
        reading: Reading,
        resume: &Resume,
        number: usize,
        waiter: &mut Waiter,
    ) -> Result<(), Error> {
        let there = resume.there.get(number).copied().unwrap_or_default();
        self.before.expect(there.written, there.doubtful);
        self.batch = resume.batch;
        self.mark = Some(resume.mark(reading, number, self.file(), self.size));
        self.write_mark(waiter)
    }

    /// Writes `text`, but for what of it is there already, and begins new files
    /// where [`Cutter::cut`] says. `in_line`: `text` begins in the middle of a line.
    ///
    /// # Errors
    /// As [`Waiter::insist`]. Else it comes back when all is written.
    pub fn write(
        &mut self,
        text: &[u8],
        flushes: &[usize],
        in_line: bool,
        waiter: &mut Waiter,
    ) -> Result<(), Error> {
        let known = match self.before.take(text, in_line) {
            Some(known) => known,
            None => {
                self.expect_nothing(waiter)?;
                Known::default()
            }
        };
        let there = known.length;
        let (old, text) = text.split_at_checked(there).unwrap_or((text, &[]));
        let completed = known.rest.map(|rest| {
            let new = text.get(rest.len()..).unwrap_or_default();
            [&rest, new].concat()
        });
        let text = completed.as_deref().unwrap_or(text);
        let in_line = old.last().map_or(in_line, |byte| *byte != b'\n');
        self.places.clear();
        self.places
            .extend(flushes.iter().map(|place| place.saturating_sub(there)));
        self.cuts.clear();
        self.cutter.cut(text, &self.places, in_line, &mut self.cuts);
        let cuts = std::mem::take(&mut self.cuts);
        let mut from = 0;
        for to in &cuts {
            self.append(text.get(from..*to).unwrap_or_default(), waiter)?;
            self.rotate(waiter)?;
            from = *to;
        }
        self.cuts = cuts;
        self.append(text.get(from..).unwrap_or_default(), waiter)?;
        // The cutter has counted what went to a file that is gone.
        if self.cutter.bytes() != self.size {
            self.cutter = Cutter::new(self.place.settings.size, self.size);
        }
        Ok(())
    }

    /// Nothing of what comes next is in the files: notes that.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn expect_nothing(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        self.before.expect(0, 0);
        if let Some(mark) = &mut self.mark {
            (mark.moved, mark.length) = (0, 0);
        }
        self.write_mark(waiter)
    }

    /// Notes that a batch was written, of which `length` bytes came here, and how
    /// the input stands behind it: in a `long_line` that is logged here or not,
    /// with `held` already taken out.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn note(
        &mut self,
        length: usize,
        long_line: Option<bool>,
        held: &[u8],
        waiter: &mut Waiter,
    ) -> Result<(), Error> {
        if self.mark.is_none() {
            return Ok(());
        }
        // What stands nowhere else.
        let begins = |mark: &Mark| long_line.is_some() && mark.long_line.is_none();
        let is_needed = !held.is_empty() || self.mark.as_ref().is_some_and(begins);
        if is_needed && !self.lock.is_in(&self.place.directory) {
            match self.keep_lock(waiter) {
                Ok(()) => {}
                Err(Stop::Gone) => {
                    self.begin_anew(waiter)?;
                    self.cutter = Cutter::new(self.place.settings.size, self.size);
                }
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        let Some(mark) = &mut self.mark else {
            return Ok(());
        };
        self.batch = self.batch.saturating_add(1);
        mark.batch = self.batch;
        mark.size = self.size;
        mark.moved = self.before.length();
        mark.length = length as u64;
        mark.long_line_before = std::mem::replace(&mut mark.long_line, long_line);
        mark.held.clear();
        mark.held.extend_from_slice(held);
        self.write_mark(waiter)
    }

    /// Begins a new file, unless this one is empty: what ALRM asks for.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn rotate_now(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        if self.size > 0 {
            self.cutter.begin();
            self.rotate(waiter)?;
        }
        Ok(())
    }

    /// Whether a part of what comes next is already in the files, from before a KILL.
    pub fn is_ahead(&self) -> bool {
        self.before.length() > 0
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

    /// Marks `current` as complete and safely on disk. `is_done`: nothing of what
    /// is left of the input was begun, in any directory, so there is nothing to
    /// note. Else `current` stays as after a KILL, so that one who knows no notes
    /// begins another file.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn close(mut self, is_done: bool, waiter: &mut Waiter) -> Result<(), Error> {
        // Nothing waits to be written any more, so there is time for all there is to delete.
        while self.budget_due().is_some() && self.place.budget.look(&self.place.directory) > 0 {}
        let name = OsStr::from_bytes(&self.place.settings.name);
        let current = &self.current;
        waiter.insist("write", name, "/current to disk", || current.sync_all())?;
        if !is_done {
            return Ok(());
        }
        waiter.insist("set mode of", name, "/current", || set_mode(current, SAFE))?;
        if self.mark.is_some() {
            let _ = self.lock.clear();
        }
        Ok(())
    }

    fn file(&self) -> FileId {
        self.current
            .metadata()
            .map_or(FileId::default(), |m| id(&m))
    }

    /// A mark that cannot be written is spoiled: without one at the worst
    /// something stands twice in the files, with a wrong one something could be
    /// lost. But held bytes, and who gets the rest of a line, stand nowhere else:
    /// then it is tried again.
    fn write_mark(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let Some(mark) = &self.mark else {
            return Ok(());
        };
        let name = OsStr::from_bytes(&self.place.settings.name);
        let write = || self.lock.write(mark);
        if !mark.held.is_empty() || mark.long_line.is_some() {
            return waiter.insist("write to", name, "/lock", write);
        }
        write().or_else(|_| waiter.insist("write to", name, "/lock", || self.lock.spoil()))
    }

    /// Writes `text` to `current`, and once more if that was removed meanwhile:
    /// whoever removed it did not mean what comes after.
    fn append(&mut self, text: &[u8], waiter: &mut Waiter) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.append_to_file(text, waiter)?;
        while is_gone(&self.current) {
            self.begin_anew(waiter)?;
            self.append_to_file(text, waiter)?;
        }
        Ok(())
    }

    /// Writes `text` to `current`. If that fails and `current` was removed, it gives up:
    /// it may be its own room that the disk lacks, until it is closed.
    fn append_to_file(&mut self, text: &[u8], waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.place.settings.name);
        let mut text = text;
        while !text.is_empty() {
            match self.current.write(text) {
                Ok(count @ 1..) => {
                    text = text.get(count..).unwrap_or_default();
                    let before = self.size;
                    self.size += count as u64;
                    self.place.budget.count(count as u64);
                    self.begin_to_store(before);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    if is_gone(&self.current) {
                        return Ok(());
                    }
                    let error = result.err().unwrap_or(io::ErrorKind::WriteZero.into());
                    if errno::is_full(&error) && self.place.budget.look(&self.place.directory) > 0 {
                        continue;
                    }
                    waiter.failed("write to", name, "/current", error)?;
                }
            }
        }
        Ok(())
    }

    /// Once another [`STORED_AT_ONCE`] bytes are full, they are on their way to disk,
    /// so that the service need not wait for all of a large file when it is finished.
    fn begin_to_store(&self, before: u64) {
        let (from, to) = (before / STORED_AT_ONCE, self.size / STORED_AT_ONCE);
        if from < to {
            let length = (to - from) * STORED_AT_ONCE;
            file::sync_file_range(&self.current, from * STORED_AT_ONCE, length);
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
        self.mark_current(waiter)
    }

    /// Makes and locks the directory anew, or takes the one that has its name now.
    fn make_again(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let again = loop {
            let locked = Locked::open(&self.place.settings, &self.start);
            match locked.and_then(|locked| Dir::start(locked, self.stamps, waiter)) {
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
        self.size = again.size;
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
        self.size = current.metadata().map_or(0, |metadata| metadata.len());
        let full = std::mem::replace(&mut self.current, current);
        self.keep_lock(waiter)?;
        Ok(full)
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

    /// Notes that what comes next goes to another `current`.
    fn mark_current(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let (file, size) = (self.file(), self.size);
        if let Some(mark) = &mut self.mark {
            mark.size = size;
            mark.file = file;
        }
        self.write_mark(waiter)
    }

    /// `current` becomes a finished file, and a new one begins.
    fn rotate(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let full = self.size;
        match self.try_rotate(waiter) {
            Ok(()) => {}
            Err(Stop::Gone) => self.begin_anew(waiter)?,
            Err(Stop::Error(error)) => return Err(error),
        }
        self.place.budget.check(&self.place.directory, full);
        Ok(())
    }

    /// As [`Dir::rotate`], if `current` and the directory are there.
    fn try_rotate(&mut self, waiter: &mut Waiter) -> Result<(), Stop> {
        let current = &self.current;
        let mut worker = self.place.worker(waiter);
        worker.enter()?;
        worker.insist("write", "/current to disk", || current.sync_all())?;
        let doing = "rename current to previous in directory";
        let renamed = worker.insist(doing, "", || presence(fs::rename("current", "previous")))?;
        // What is in a `current` that was moved away is safe, too.
        let full = self.size;
        if let Some(mark) = &mut self.mark {
            let grown = full.saturating_sub(mark.size);
            mark.moved = mark.moved.saturating_add(grown);
            mark.size = full;
        }
        if renamed.is_none() {
            return Err(Stop::Gone);
        }
        let full = self.begin_current(waiter)?;
        self.mark_current(waiter)?;
        self.place.worker(waiter).finish_previous(full)
    }
}

/// Whether `file` was removed: no name leads to it.
fn is_gone(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.nlink() == 0)
}
