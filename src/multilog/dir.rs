//! A log directory: its lock, its files, their rotation.
//!
//! The order of system calls is 0.76's, because it is what makes a directory safe
//! to take over at any instant; `docs/multilog.md` has the table of files.

use super::cutter::Cutter;
use super::keeper::Keeper;
use super::processor;
use super::proof::{Tail, is_same};
use super::recovery::Found;
use super::script::Directory;
use super::waiter::{Waiter, say, warn};
use crate::child::End;
use crate::error::Error;
use crate::formats::mark::{FileId, Mark, Reading};
use crate::formats::{logname, tai64n::Tai64n};
use crate::sys::{child, clock, errno, file, lock};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

/// So much of a file is sent to disk together before it is finished, in bytes.
const STORED_AT_ONCE: u64 = 1 << 20;
/// The mode of a file that is being written.
const BEING_WRITTEN: u32 = 0o644;
/// The mode of a file that is complete and safely on disk.
const SAFE: u32 = 0o744;
/// The bit that tells the two apart.
const SAFE_BIT: u32 = 0o100;

/// A log directory that is open, locked and ready.
pub struct Dir {
    settings: Directory,
    /// The directory to which its name is relative.
    start: File,
    directory: File,
    lock: File,
    current: File,
    cutter: Cutter,
    /// The size of `current` now, in bytes. The cutter may be ahead.
    size: u64,
    /// How much of what comes next is already in the files, in bytes.
    written: u64,
    /// What is taken for written stands at its end, if that can be looked at.
    tail: Option<Tail>,
    /// Whether lines have stamps.
    stamps: bool,
    /// The mark as it was last written, if there are to be any.
    mark: Option<Mark>,
    places: Vec<usize>,
    cuts: Vec<usize>,
    budget: Keeper,
}

/// A log directory that is open and locked; its files are as they were found.
pub struct Locked {
    settings: Directory,
    start: File,
    directory: File,
    lock: File,
    /// Its mark, of whatever input that speaks.
    pub mark: Option<Mark>,
    /// The file that the mark speaks of, if it is there and nothing was written
    /// after it.
    last: Option<Last>,
}

/// The file that a mark speaks of.
struct Last {
    /// Its size, in bytes.
    size: u64,
    /// What the last files held, the newest file last.
    tail: Tail,
}

impl Locked {
    /// Makes the directory if it is not there, opens and locks it. `start` is the
    /// directory to which its name is relative.
    ///
    /// # Errors
    /// What is in the way, in 0.76's words.
    pub fn open(settings: &Directory, start: &File) -> Result<Locked, Error> {
        let name = OsStr::from_bytes(&settings.name);
        let start = start
            .try_clone()
            .and_then(|start| {
                file::change_directory(&start)?;
                Ok(start)
            })
            .map_err(|error| Error::unable_to("switch to starting directory", error))?;
        // If that fails opening it tells why.
        let _ = file::make_directory(Path::new(name));
        let opened = file::open_read(Path::new(name)).and_then(|directory| {
            file::change_directory(&directory)?;
            Ok(directory)
        });
        let directory = opened.map_err(|error| Error::unable("open directory", name, "", error))?;
        let locked = file::open_lock(Path::new("lock")).and_then(|file| {
            lock::try_exclusive(&file)?;
            Ok(file)
        });
        let lock = locked.map_err(|error| Error::unable("lock directory", name, "", error))?;
        let mut bytes = vec![0; Mark::LONGEST];
        let count = lock.read_at(&mut bytes, 0).unwrap_or(0);
        let mark = Mark::decode(bytes.get(..count).unwrap_or_default());
        Ok(Locked {
            settings: settings.clone(),
            start,
            directory,
            last: mark.as_ref().and_then(|mark| find(mark, settings)),
            mark,
            lock,
        })
    }

    /// What there is to recover from, if this is the input and the script.
    pub fn found(&self, reading: Option<Reading>) -> Found {
        let mark = self
            .mark
            .clone()
            .filter(|mark| Some(mark.reading) == reading && self.last.is_some());
        Found {
            mark,
            size: self.last.as_ref().map(|last| last.size),
        }
    }

    /// Puts the files in order and opens `current`: continues it if it is safe,
    /// else finishes what an earlier multilog left. `stamps`: lines get some.
    ///
    /// # Errors
    /// What is in the way, in 0.76's words.
    pub fn start(self, stamps: bool, waiter: &mut Waiter) -> Result<Dir, Error> {
        let name = OsStr::from_bytes(&self.settings.name).to_owned();
        let unable = |doing, rest, error| Error::unable(doing, &name, rest, error);
        file::change_directory(&self.directory).map_err(|error| unable("switch to", "", error))?;
        let stat =
            |file, rest| presence(fs::metadata(file)).map_err(|error| unable("stat", rest, error));
        let is_safe =
            |found: &Option<Metadata>| found.as_ref().is_some_and(|m| m.mode() & SAFE_BIT != 0);
        let found = stat("current", "/current")?;
        let mut budget = Keeper::new(&self.settings);
        let doing = if is_safe(&found) {
            "append to"
        } else {
            let is_processed = is_safe(&stat("processed", "/processed")?);
            let mut worker = Worker {
                settings: &self.settings,
                directory: &self.directory,
                budget: &mut budget,
                waiter,
            };
            let taken = worker.take_over(is_processed);
            taken.map_err(|stop| match stop {
                Stop::Gone => unable("open directory", "", io::ErrorKind::NotFound.into()),
                Stop::Error(error) => error,
            })?;
            file::open_truncate(Path::new("state"))
                .map_err(|error| unable("write to", "/state", error))?;
            "write to"
        };
        let current = file::open_append(Path::new("current"))
            .map_err(|error| unable(doing, "/current", error))?;
        set_mode(&current, BEING_WRITTEN)
            .map_err(|error| unable("set mode of", "/current", error))?;
        let size = current.metadata().map_or(0, |metadata| metadata.len());
        budget.look(&self.directory);
        Ok(Dir {
            cutter: Cutter::new(self.settings.size, size),
            settings: self.settings,
            start: self.start,
            directory: self.directory,
            lock: self.lock,
            current,
            size,
            written: 0,
            tail: self.last.map(|last| last.tail),
            stamps,
            mark: None,
            places: Vec::new(),
            cuts: Vec::new(),
            budget,
        })
    }
}

impl Dir {
    /// Begins to write marks. `written` bytes of what comes next are already in
    /// the files; `batch` is the number of the last batch that is gone from the pipe.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn begin_marks(
        &mut self,
        reading: Reading,
        batch: u64,
        written: u64,
        long_line: Option<bool>,
        held: &[u8],
        waiter: &mut Waiter,
    ) -> Result<(), Error> {
        self.written = written;
        self.tail = self.tail.take().and_then(|tail| tail.shortened(written));
        self.mark = Some(Mark {
            reading,
            // A batch of nothing: that it is done is always true.
            batch: batch + 1,
            file: self.file(),
            size: self.size,
            moved: written,
            length: 0,
            long_line,
            long_line_before: long_line,
            held: held.to_vec(),
        });
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
        let there = usize::try_from(self.written).map_or(text.len(), |n| n.min(text.len()));
        let there = if self.is_there(text.get(..there).unwrap_or_default(), in_line) {
            there
        } else {
            self.doubt(waiter)?;
            0
        };
        self.written -= there as u64;
        if self.written == 0 {
            self.tail = None;
        }
        let (old, text) = text.split_at_checked(there).unwrap_or((text, &[]));
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
            self.cutter = Cutter::new(self.settings.size, self.size);
        }
        Ok(())
    }

    /// Whether `text`, which is taken for written, is what stands where it should.
    fn is_there(&mut self, text: &[u8], in_line: bool) -> bool {
        let Some(tail) = self.tail.as_mut().filter(|_| !text.is_empty()) else {
            return true;
        };
        let found = tail.next(text.len());
        found.is_ok_and(|found| is_same(&found, text, in_line, self.stamps))
    }

    /// The pipe holds something else than it did at the KILL: somebody else has
    /// read from it. So nothing of what comes next is in the files.
    fn doubt(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        self.written = 0;
        if let Some(mark) = &mut self.mark {
            mark.moved = 0;
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
        let Some(mark) = &mut self.mark else {
            return Ok(());
        };
        mark.batch += 1;
        mark.size = self.size;
        mark.moved = self.written;
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
        self.written > 0
    }

    /// When [`Dir::keep_budget`] has something to do.
    pub fn budget_due(&self) -> Option<Instant> {
        self.budget.due()
    }

    /// Sees that budgets are kept, if it was too soon for that when a file was
    /// finished, and is not any more.
    pub fn keep_budget(&mut self) {
        if self.budget_due().is_some_and(|at| at <= clock::monotonic()) {
            self.budget.look(&self.directory);
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
        if self.budget_due().is_some() {
            self.budget.look(&self.directory);
        }
        let name = OsStr::from_bytes(&self.settings.name);
        let current = &self.current;
        waiter.insist("write", name, "/current to disk", || current.sync_all())?;
        if !is_done {
            return Ok(());
        }
        waiter.insist("set mode of", name, "/current", || set_mode(current, SAFE))?;
        if self.mark.is_some() {
            let _ = self.lock.set_len(0);
        }
        Ok(())
    }

    fn file(&self) -> FileId {
        self.current
            .metadata()
            .map_or(FileId::default(), |m| id(&m))
    }

    /// A mark that cannot be written is taken away: without one at the worst
    /// something stands twice in the files, with a wrong one something could be
    /// lost. But held bytes, and who gets the rest of a line, stand nowhere else:
    /// then it is tried again.
    fn write_mark(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let Some(mark) = &self.mark else {
            return Ok(());
        };
        let name = OsStr::from_bytes(&self.settings.name);
        let bytes = mark.encode();
        let write = || match self.lock.write_at(&bytes, 0) {
            Ok(count) if count < bytes.len() => Err(io::ErrorKind::WriteZero.into()),
            result => result.map(drop),
        };
        if !mark.held.is_empty() || mark.long_line.is_some() {
            return waiter.insist("write to", name, "/lock", write);
        }
        write().or_else(|_| waiter.insist("write to", name, "/lock", || self.lock.set_len(0)))
    }

    /// Writes `text` to `current`, and once more if that was removed meanwhile:
    /// whoever removed it did not mean what comes after.
    fn append(&mut self, text: &[u8], waiter: &mut Waiter) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.append_to_file(text, waiter)?;
        while self.current.metadata().is_ok_and(|m| m.nlink() == 0) {
            self.begin_anew(waiter)?;
            self.append_to_file(text, waiter)?;
        }
        Ok(())
    }

    fn append_to_file(&mut self, text: &[u8], waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name);
        let mut text = text;
        while !text.is_empty() {
            match self.current.write(text) {
                Ok(count @ 1..) => {
                    text = text.get(count..).unwrap_or_default();
                    let before = self.size;
                    self.size += count as u64;
                    self.begin_to_store(before);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let error = result.err().unwrap_or(io::ErrorKind::WriteZero.into());
                    if errno::is_full(&error) && self.budget.make_room(&self.directory) {
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
            file::begin_to_store(&self.current, from * STORED_AT_ONCE, length);
        }
    }

    /// `current` is not there any more, or the directory is not: makes what is
    /// written from now on stand under its name again.
    fn begin_anew(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name).to_owned();
        match self.begin_current(waiter) {
            Ok(()) => say("", &name, "/current is gone, beginning a new one"),
            Err(Stop::Gone) => {
                say("", &name, " is gone, making it again");
                self.make_again(waiter)?;
            }
            Err(Stop::Error(error)) => return Err(error),
        }
        let (file, size) = (self.file(), self.size);
        if let Some(mark) = &mut self.mark {
            mark.size = size;
            mark.file = file;
        }
        self.write_mark(waiter)
    }

    /// Makes and locks the directory anew, or takes the one that has its name now.
    fn make_again(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let again = loop {
            let locked = Locked::open(&self.settings, &self.start);
            match locked.and_then(|locked| locked.start(self.stamps, waiter)) {
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
        self.directory = again.directory;
        self.lock = again.lock;
        self.current = again.current;
        self.size = again.size;
        Ok(())
    }

    /// Opens a `current` where there is none.
    fn begin_current(&mut self, waiter: &mut Waiter) -> Result<(), Stop> {
        let mut worker = Worker {
            settings: &self.settings,
            directory: &self.directory,
            budget: &mut self.budget,
            waiter,
        };
        worker.enter()?;
        let current = worker.insist("create", "/current", || {
            file::open_append(Path::new("current"))
        })?;
        worker.insist("set mode of", "/current", || {
            set_mode(&current, BEING_WRITTEN)
        })?;
        self.size = current.metadata().map_or(0, |metadata| metadata.len());
        self.current = current;
        Ok(())
    }

    /// `current` becomes a finished file, and a new one begins.
    fn rotate(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let full = self.size;
        match self.try_rotate(waiter) {
            Ok(()) => {}
            Err(Stop::Gone) => self.begin_anew(waiter)?,
            Err(Stop::Error(error)) => return Err(error),
        }
        self.budget.check(&self.directory, full);
        Ok(())
    }

    /// As [`Dir::rotate`], if `current` and the directory are there.
    fn try_rotate(&mut self, waiter: &mut Waiter) -> Result<(), Stop> {
        let current = &self.current;
        let mut worker = Worker {
            settings: &self.settings,
            directory: &self.directory,
            budget: &mut self.budget,
            waiter,
        };
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
        self.begin_current(waiter)?;
        let (file, size) = (self.file(), self.size);
        if let Some(mark) = &mut self.mark {
            mark.size = size;
            mark.file = file;
        }
        self.write_mark(waiter)?;
        let mut worker = Worker {
            settings: &self.settings,
            directory: &self.directory,
            budget: &mut self.budget,
            waiter,
        };
        let previous = worker.insist("set mode of", "/previous", || {
            let mode = Permissions::from_mode(SAFE);
            presence(fs::set_permissions("previous", mode))
        })?;
        match &self.settings.processor {
            Some(command) if previous.is_some() => {
                worker.process(command)?;
                worker.finish("processed", true)
            }
            _ => worker.finish("previous", true),
        }
    }
}

/// Why something in a directory was not done.
enum Stop {
    /// The directory, or `current` in it, is not there any more.
    Gone,
    /// Another reason, which ends multilog.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// Does things in a log directory, which is the current one, until they succeed or
/// the directory is gone.
struct Worker<'a> {
    settings: &'a Directory,
    directory: &'a File,
    budget: &'a mut Keeper,
    waiter: &'a mut Waiter,
}

impl Worker<'_> {
    fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.settings.name)
    }

    /// As [`Waiter::insist`], on `rest` in the directory.
    fn insist<T>(
        &mut self,
        doing: &'static str,
        rest: &str,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Stop> {
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => self.failed(doing, rest, error)?,
            }
        }
    }

    /// As [`Waiter::failed`], but if the disk is full and a budget gives way, there is
    /// nothing to wait for.
    fn failed(&mut self, doing: &'static str, rest: &str, error: io::Error) -> Result<(), Stop> {
        self.look_for_directory()?;
        if errno::is_full(&error) && self.budget.make_room(self.directory) {
            return Ok(());
        }
        let name = OsStr::from_bytes(&self.settings.name);
        Ok(self.waiter.failed(doing, name, rest, error)?)
    }

    fn look_for_directory(&self) -> Result<(), Stop> {
        match self.directory.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => Err(Stop::Gone),
            _ => Ok(()),
        }
    }

    /// Makes the directory the current one.
    fn enter(&mut self) -> Result<(), Stop> {
        let directory = self.directory;
        self.insist("switch to", "", || file::change_directory(directory))
    }

    /// Puts in order what one that did not end well has left. `is_processed`:
    /// `processed` is complete. What cannot be removed is in the way later, if at
    /// all.
    fn take_over(&mut self, is_processed: bool) -> Result<(), Stop> {
        let _ = gone("state");
        let _ = gone("newstate");
        if is_processed {
            let _ = gone("previous");
            self.finish("processed", true)?;
        } else {
            let _ = gone("processed");
            self.finish("previous", false)?;
        }
        self.finish("current", false)
    }

    /// Sends `previous` through the processor until that succeeds; it is
    /// `processed` then.
    fn process(&mut self, command: &[u8]) -> Result<(), Stop> {
        loop {
            let pid = self.insist("fork for processor in", "", || {
                child::spawn(|| processor::become_processor(command))
            })?;
            let name = OsStr::from_bytes(&self.settings.name);
            match self.waiter.wait_for(pid, name) {
                Some(End::Exited(0)) => break,
                Some(End::Exited(_)) => say("processor failed in ", name, ", pausing"),
                Some(End::Killed(number)) => {
                    let why = format!(", pausing: killed by signal {number}");
                    say("processor crashed in ", name, &why);
                }
                None => return Err(told_to_end(name).into()),
            }
            self.look_for_directory()?;
            if matches!(presence(fs::symlink_metadata("previous")), Ok(None)) {
                say("", name, "/previous is gone, not processing it");
                self.remove("newstate")?;
                return self.remove("processed");
            }
            if !self.waiter.pause() {
                return Err(told_to_end(name).into());
            }
        }
        let open = |name: &'static str| move || file::open_append(Path::new(name));
        let processed = self.insist("create", "/processed", open("processed"))?;
        self.insist("write", "/processed to disk", || processed.sync_all())?;
        self.insist("set mode of", "/processed", || set_mode(&processed, SAFE))?;
        let state = self.insist("create", "/newstate", open("newstate"))?;
        self.insist("write", "/newstate to disk", || state.sync_all())?;
        self.remove("previous")?;
        let doing = "rename newstate to state in directory";
        let renamed = self.insist(doing, "", || presence(fs::rename("newstate", "state")));
        renamed.map(drop)
    }

    fn remove(&mut self, file: &str) -> Result<(), Stop> {
        self.insist("remove", &format!("/{file}"), || gone(file))
    }

    /// Gives `file`, if it is there, its final name, and deletes the oldest.
    fn finish(&mut self, file: &str, is_safe: bool) -> Result<(), Stop> {
        loop {
            let found =
                self.insist("stat", &format!("/{file}"), || presence(fs::metadata(file)))?;
            let Some(found) = found else {
                return Ok(());
            };
            // One that has a second name got it before a crash.
            if found.nlink() > 1 {
                break;
            }
            let now = Tai64n::from_unix(clock::wall());
            let finished = logname::finished(now, is_safe);
            match fs::hard_link(file, &finished) {
                Ok(()) => break,
                Err(error) => self.failed("link to", &format!("/{finished}"), error)?,
            }
        }
        self.remove(file)?;
        self.delete_oldest()
    }

    /// Deletes the oldest finished files until there are fewer than are kept.
    fn delete_oldest(&mut self) -> Result<(), Stop> {
        let mut finished = self.insist("read", "", || {
            let mut finished = Vec::new();
            for entry in fs::read_dir(".")? {
                let entry = entry?.file_name();
                if logname::is_finished(entry.as_bytes()) {
                    finished.push(entry);
                }
            }
            Ok(finished)
        })?;
        finished.sort_unstable();
        let kept = usize::try_from(self.settings.keep - 1).unwrap_or(usize::MAX);
        let surplus = finished.len().saturating_sub(kept);
        for oldest in finished.iter().take(surplus) {
            // Unlike 0.76, which tries for ever: nothing is lost by one file too
            // many, and the next time it is tried again.
            if let Err(error) = gone(oldest) {
                let whole = [self.name().as_bytes(), b"/", oldest.as_bytes()].concat();
                let whole = OsStr::from_bytes(&whole);
                warn(&Error::unable("remove", whole, "", error));
            }
        }
        Ok(())
    }
}

/// Why multilog ends while a processor is at work or is waited for.
fn told_to_end(name: &OsStr) -> Error {
    Error::unable(
        "process",
        name,
        "/previous",
        io::ErrorKind::Interrupted.into(),
    )
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Removes a file that may not be there.
fn gone(file: impl AsRef<Path>) -> io::Result<()> {
    presence(fs::remove_file(file)).map(drop)
}

/// None instead of ENOENT.
fn presence<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file `file`, under whatever name it stands in the current directory: it
/// was `current`, but one that was killed at its start may have finished it. None
/// if it is not there, or something was written since to another file: by a
/// multilog that knows no marks, which took its input out of the pipe.
fn find(mark: &Mark, settings: &Directory) -> Option<Last> {
    let mut names: Vec<_> = fs::read_dir(".")
        .ok()?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| logname::is_finished(name.as_bytes()))
        .collect();
    names.sort_unstable();
    names.extend(["previous", "current"].map(OsString::from));
    let mut found = None;
    let mut files = Vec::new();
    for name in names {
        let Ok(metadata) = fs::symlink_metadata(&name) else {
            continue;
        };
        if id(&metadata) == mark.file {
            found = Some(metadata.len());
        } else if metadata.len() > 0 {
            found = None;
        }
        files.push((name, metadata.len()));
    }
    let size = found?;
    let grown = size.saturating_sub(mark.size);
    let longest = mark.moved.saturating_add(mark.length).saturating_add(grown);
    // What a processor has made of a file says nothing.
    files
        .retain(|(name, _)| settings.processor.is_none() || !logname::is_finished(name.as_bytes()));
    let tail = Tail::of(files, longest);
    Some(Last { size, tail })
}

fn id(metadata: &Metadata) -> FileId {
    let born = metadata.created().ok();
    let born = born.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    FileId {
        inode: metadata.ino(),
        born: born.map_or(0, |born| u64::try_from(born.as_nanos()).unwrap_or(0)),
    }
}
