//! A log directory: its lock, its files, their rotation.
//!
//! The order of system calls is 0.76's, because it is what makes a directory safe
//! to take over at any instant; `docs/multilog.md` has the table of files.

use super::cutter::Cutter;
use super::keeper::Keeper;
use super::processor;
use super::recovery::Found;
use super::script::Directory;
use super::waiter::{Waiter, say, warn};
use crate::child::End;
use crate::error::Error;
use crate::formats::mark::{FileId, Mark, Reading};
use crate::formats::{logname, tai64n::Tai64n};
use crate::sys::{child, clock, errno, file, lock};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// The mode of a file that is being written.
const BEING_WRITTEN: u32 = 0o644;
/// The mode of a file that is complete and safely on disk.
const SAFE: u32 = 0o744;
/// The bit that tells the two apart.
const SAFE_BIT: u32 = 0o100;

/// A log directory that is open, locked and ready.
pub struct Dir {
    settings: Directory,
    directory: File,
    lock: File,
    current: File,
    cutter: Cutter,
    /// The size of `current` now, in bytes. The cutter may be ahead.
    size: u64,
    /// How much of what comes next is already in the files, in bytes.
    written: u64,
    /// The mark as it was last written, if there are to be any.
    mark: Option<Mark>,
    places: Vec<usize>,
    cuts: Vec<usize>,
    budget: Keeper,
}

/// A log directory that is open and locked; its files are as they were found.
pub struct Locked {
    settings: Directory,
    directory: File,
    lock: File,
    /// Its mark, of whatever input that speaks.
    pub mark: Option<Mark>,
    /// The files `current` and `previous`, as far as they are there, and their sizes.
    sizes: Vec<(FileId, u64)>,
}

impl Locked {
    /// Makes the directory if it is not there, opens and locks it. `start` is the
    /// directory to which its name is relative.
    ///
    /// # Errors
    /// What is in the way, in 0.76's words.
    pub fn open(settings: &Directory, start: &File) -> Result<Locked, Error> {
        let name = OsStr::from_bytes(&settings.name);
        file::change_directory(start)
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
        let sizes = ["current", "previous"]
            .iter()
            .filter_map(|name| {
                let metadata = fs::symlink_metadata(name).ok()?;
                Some((id(&metadata), metadata.len()))
            })
            .collect();
        let mut bytes = vec![0; Mark::LONGEST];
        let count = lock.read_at(&mut bytes, 0).unwrap_or(0);
        Ok(Locked {
            settings: settings.clone(),
            directory,
            mark: Mark::decode(bytes.get(..count).unwrap_or_default()),
            lock,
            sizes,
        })
    }

    /// What there is to recover from, if this is the input and the script.
    pub fn found(&self, reading: Option<Reading>) -> Found {
        let mark = self
            .mark
            .clone()
            .filter(|mark| Some(mark.reading) == reading);
        let file = mark.as_ref().map(|mark| mark.file);
        let size = self.sizes.iter().find(|(id, _)| Some(*id) == file);
        Found {
            mark,
            size: size.map(|(_, size)| *size),
        }
    }

    /// Puts the files in order and opens `current`: continues it if it is safe,
    /// else finishes what an earlier multilog left.
    ///
    /// # Errors
    /// What is in the way, in 0.76's words.
    pub fn start(self, waiter: &mut Waiter) -> Result<Dir, Error> {
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
            let mut finisher = Finisher {
                settings: &self.settings,
                waiter,
            };
            // What cannot be removed here is in the way later, if at all.
            let _ = gone("state");
            let _ = gone("newstate");
            if is_safe(&stat("processed", "/processed")?) {
                let _ = gone("previous");
                finisher.finish("processed", true)?;
            } else {
                let _ = gone("processed");
                finisher.finish("previous", false)?;
            }
            finisher.finish("current", false)?;
            file::open_truncate(Path::new("state"))
                .map_err(|error| unable("write to", "/state", error))?;
            "write to"
        };
        let current = file::open_append(Path::new("current"))
            .map_err(|error| unable(doing, "/current", error))?;
        set_mode(&current, BEING_WRITTEN)
            .map_err(|error| unable("set mode of", "/current", error))?;
        let size = current.metadata().map_or(0, |metadata| metadata.len());
        budget.check(&self.directory);
        Ok(Dir {
            cutter: Cutter::new(self.settings.size, size),
            settings: self.settings,
            directory: self.directory,
            lock: self.lock,
            current,
            size,
            written: 0,
            mark: None,
            places: Vec::new(),
            cuts: Vec::new(),
            budget,
        })
    }
}

impl Dir {
    /// Begins to write marks. `written` bytes of what comes next are already in
    /// the files; `batch` is the number of the batch that was dealt with last.
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
        self.written -= there as u64;
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
        self.append(text.get(from..).unwrap_or_default(), waiter)
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

    /// Marks `current` as complete and safely on disk.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
    pub fn close(mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name);
        let current = &self.current;
        waiter.insist("write", name, "/current to disk", || current.sync_all())?;
        waiter.insist("set mode of", name, "/current", || set_mode(current, SAFE))?;
        // Unless TERM came before all that an earlier multilog wrote was seen
        // again, nothing is unfinished, and there is nothing to note.
        if self.mark.take().is_some() && self.written == 0 {
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

    fn append(&mut self, text: &[u8], waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name);
        let mut text = text;
        while !text.is_empty() {
            match self.current.write(text) {
                Ok(count @ 1..) => {
                    text = text.get(count..).unwrap_or_default();
                    self.size += count as u64;
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

    /// `current` becomes a finished file, and a new one begins.
    fn rotate(&mut self, waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name).to_owned();
        let directory = &self.directory;
        waiter.insist("switch to", &name, "", || file::change_directory(directory))?;
        let current = &self.current;
        waiter.insist("write", &name, "/current to disk", || current.sync_all())?;
        let doing = "rename current to previous in directory";
        waiter.insist(doing, &name, "", || fs::rename("current", "previous"))?;
        self.current = waiter.insist("create", &name, "/current", || {
            file::open_append(Path::new("current"))
        })?;
        let current = &self.current;
        waiter.insist("set mode of", &name, "/current", || {
            set_mode(current, BEING_WRITTEN)
        })?;
        let file = self.file();
        if let Some(mark) = &mut self.mark {
            mark.moved += self.size.saturating_sub(mark.size);
            mark.size = 0;
            mark.file = file;
        }
        self.size = 0;
        self.write_mark(waiter)?;
        waiter.insist("set mode of", &name, "/previous", || {
            fs::set_permissions("previous", Permissions::from_mode(SAFE))
        })?;
        let finished = if self.settings.processor.is_some() {
            self.process(&name, waiter)?;
            "processed"
        } else {
            "previous"
        };
        let mut finisher = Finisher {
            settings: &self.settings,
            waiter,
        };
        finisher.finish(finished, true)?;
        self.budget.check(&self.directory);
        Ok(())
    }

    /// Sends `previous` through the processor until that succeeds; it is
    /// `processed` then.
    fn process(&mut self, name: &OsStr, waiter: &mut Waiter) -> Result<(), Error> {
        let command = self.settings.processor.clone().unwrap_or_default();
        loop {
            let pid = waiter.insist("fork for processor in", name, "", || {
                child::spawn(|| processor::become_processor(&command))
            })?;
            match waiter.wait_for(pid, name) {
                Some(End::Exited(0)) => break,
                Some(End::Exited(_)) => say("processor failed in ", name, ", pausing"),
                Some(End::Killed(number)) => {
                    let why = format!(", pausing: killed by signal {number}");
                    say("processor crashed in ", name, &why);
                }
                None => return Err(told_to_end(name)),
            }
            if !waiter.pause() {
                return Err(told_to_end(name));
            }
        }
        let open = |name: &'static str| move || file::open_append(Path::new(name));
        let processed = waiter.insist("create", name, "/processed", open("processed"))?;
        waiter.insist("write", name, "/processed to disk", || processed.sync_all())?;
        waiter.insist("set mode of", name, "/processed", || {
            set_mode(&processed, SAFE)
        })?;
        let state = waiter.insist("create", name, "/newstate", open("newstate"))?;
        waiter.insist("write", name, "/newstate to disk", || state.sync_all())?;
        waiter.insist("remove", name, "/previous", || gone("previous"))?;
        let doing = "rename newstate to state in directory";
        waiter.insist(doing, name, "", || fs::rename("newstate", "state"))
    }
}

/// Gives files of the current directory, a log directory, their final names, and
/// deletes the oldest.
struct Finisher<'a> {
    settings: &'a Directory,
    waiter: &'a mut Waiter,
}

impl Finisher<'_> {
    fn remove(&mut self, file: &str) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name);
        self.waiter
            .insist("remove", name, &format!("/{file}"), || gone(file))
    }

    /// `file`, if it is there, becomes a finished one.
    fn finish(&mut self, file: &str, is_safe: bool) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name);
        let found = self.waiter.insist("stat", name, &format!("/{file}"), || {
            presence(fs::metadata(file))
        })?;
        let Some(found) = found else {
            return Ok(());
        };
        // One that has a second name got it before a crash.
        while found.nlink() == 1 {
            let now = Tai64n::from_unix(clock::wall());
            let finished = logname::finished(now, is_safe);
            match fs::hard_link(file, &finished) {
                Ok(()) => break,
                Err(error) => {
                    let rest = format!("/{finished}");
                    self.waiter.failed("link to", name, &rest, error)?;
                }
            }
        }
        self.remove(file)?;
        self.delete_oldest()
    }

    /// Deletes the oldest finished files until there are fewer than are kept.
    fn delete_oldest(&mut self) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.settings.name);
        let mut finished = self.waiter.insist("read", name, "", || {
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
                let rest = [b"/", oldest.as_bytes()].concat();
                let whole = [name.as_bytes(), &rest].concat();
                warn(&Error::unable(
                    "remove",
                    OsStr::from_bytes(&whole),
                    "",
                    error,
                ));
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

fn id(metadata: &Metadata) -> FileId {
    let born = metadata.created().ok();
    let born = born.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    FileId {
        inode: metadata.ino(),
        born: born.map_or(0, |born| u64::try_from(born.as_nanos()).unwrap_or(0)),
    }
}
