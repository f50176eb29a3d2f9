//! Handles full files: the processor, the final name, the deletion of the oldest files; and the
//! leftovers of a multilog that crashed.

use super::files::{self, Files};
use super::keeper::Keeper;
use super::processor;
use super::script::Directory;
use super::waiter::{Waiter, say, warn};
use crate::child::End;
use crate::error::Error;
use crate::formats::{logname, tai64n::Tai64n};
use crate::sys::file::FileId;
use crate::sys::{clock, errno, file};
use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The mode of a file that is complete and fsynced.
pub const SAFE: u32 = 0o744;

/// Why an operation in a directory failed.
pub enum Stop {
    /// The directory, or `current` in it, was removed.
    Gone,
    /// Another error, with which multilog exits.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// An open log directory.
pub struct Place {
    /// Its settings in the script.
    pub settings: Directory,
    /// The directory.
    pub directory: File,
    /// Enforces its budgets.
    pub budget: Keeper,
}

impl Place {
    /// How files in it are opened now: its owner may have changed.
    pub fn files(&self) -> Files {
        Files::of(&self.directory)
    }

    /// A worker for it.
    pub fn worker<'a>(&'a mut self, waiter: &'a mut Waiter) -> Worker<'a> {
        Worker {
            settings: &self.settings,
            directory: &self.directory,
            files: self.files(),
            budget: &mut self.budget,
            waiter,
        }
    }
}

/// Performs operations in a log directory, which is the current directory; retries them until
/// they succeed or the directory is gone.
pub struct Worker<'a> {
    settings: &'a Directory,
    directory: &'a File,
    files: Files,
    budget: &'a mut Keeper,
    waiter: &'a mut Waiter,
}

impl<'a> Worker<'a> {
    fn name(&self) -> &'a OsStr {
        OsStr::from_bytes(&self.settings.name)
    }

    /// As [`Waiter::retry`], on `rest` in the directory.
    ///
    /// # Errors
    /// As [`Waiter::retry`], and if the directory is gone.
    pub fn retry<T>(
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

    /// As [`Waiter::failed`], but without a pause if the disk is full and a budget has freed
    /// space.
    fn failed(&mut self, doing: &'static str, rest: &str, error: io::Error) -> Result<(), Stop> {
        self.look_for_directory()?;
        if errno::is_full(&error) && self.budget.look(self.directory) > 0 {
            return Ok(());
        }
        Ok(self.waiter.failed(doing, self.name(), rest, error)?)
    }

    fn look_for_directory(&self) -> Result<(), Stop> {
        match self.directory.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => Err(Stop::Gone),
            _ => Ok(()),
        }
    }

    /// Changes to the directory.
    ///
    /// # Errors
    /// As [`Worker::retry`].
    pub fn enter(&mut self) -> Result<(), Stop> {
        let directory = self.directory;
        self.retry("switch to", "", || file::change_directory(directory))
    }

    /// Repairs what a crashed multilog left. `is_processed`: `processed` is complete. What
    /// cannot be removed only matters later, if at all.
    ///
    /// # Errors
    /// As [`Worker::retry`].
    pub fn take_over(&mut self, is_processed: bool) -> Result<(), Stop> {
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

    /// Makes a finished file of `previous`, which is open as `full` and fsynced, or of the
    /// output of the processor for it.
    ///
    /// # Errors
    /// As [`Worker::retry`].
    pub fn finish_previous(&mut self, full: File) -> Result<(), Stop> {
        let settings = self.settings;
        // Not by its name, which may belong to another file now.
        self.retry("set mode of", "/previous", || set_mode(&full, SAFE))?;
        let id = full.metadata().map_or((0, 0), |m| file::id(&m));
        // The next step needs a descriptor.
        drop(full);
        match &settings.processor {
            Some(command) if is_previous(id) => {
                self.process(command, id)?;
                self.finish("processed", true)
            }
            _ => self.finish("previous", true),
        }
    }

    /// Runs the processor for `previous` until it succeeds; its output is `processed` then.
    fn process(&mut self, command: &[u8], id: FileId) -> Result<(), Stop> {
        let (files, name) = (self.files, self.name());
        loop {
            self.retry("create", "/state", || files.keep_readable(name, "state"))?;
            let pid = self.retry("fork for processor in", "", || {
                processor::start(command, id, files, name)
            })?;
            match self.waiter.wait_for(pid, name) {
                Some(End::Exited(0)) => break,
                Some(End::Exited(_)) => say("processor failed in ", name, ", pausing"),
                Some(End::Killed(number)) => {
                    let why = format!(", pausing: killed by signal {number}");
                    say("processor crashed in ", name, &why);
                }
                None => return Err(interrupted(name).into()),
            }
            self.look_for_directory()?;
            if !is_previous(id) {
                say("", name, "/previous is gone, not processing it");
                self.remove("newstate")?;
                return self.remove("processed");
            }
            if !self.waiter.pause() {
                return Err(interrupted(name).into());
            }
        }
        let open = |file: &'static str| move || files.open_append(name, file);
        let processed = self.retry("create", "/processed", open("processed"))?;
        self.retry("write", "/processed to disk", || processed.sync_all())?;
        self.retry("set mode of", "/processed", || set_mode(&processed, SAFE))?;
        drop(processed);
        let state = self.retry("create", "/newstate", open("newstate"))?;
        self.retry("write", "/newstate to disk", || state.sync_all())?;
        self.remove("previous")?;
        let doing = "rename newstate to state in directory";
        let renamed = self.retry(doing, "", || presence(fs::rename("newstate", "state")));
        renamed.map(drop)
    }

    fn remove(&mut self, file: &str) -> Result<(), Stop> {
        self.retry("remove", &format!("/{file}"), || gone(file))
    }

    /// Gives `file`, if it exists, its final name, and deletes the oldest files.
    fn finish(&mut self, file: &str, is_safe: bool) -> Result<(), Stop> {
        let (own, listing) = loop {
            let files = self.files;
            let found = self.retry("stat", &format!("/{file}"), || files.stat(file))?;
            let Some(found) = found else {
                return Ok(());
            };
            if !files.may_keep(&found) {
                files::tell(self.name(), file);
                return self.remove(file);
            }
            if found.is_dir() {
                return self.remove(file);
            }
            let twin = (found.nlink() > 1).then(|| file::id(&found));
            let mut listing = self.retry("read", "", || Listing::read(twin, None))?;
            // One with a final name got it before a crash.
            if let Some(own) = listing.twin.take() {
                break (own, listing);
            }
            let now = Tai64n::from_unix(clock::wall());
            let own = OsString::from(logname::finished(now.max(listing.next), is_safe));
            match fs::hard_link(file, &own) {
                Ok(()) => {
                    listing.count += 1;
                    break (own, listing);
                }
                Err(error) => self.failed("link to", &format!("/{}", own.display()), error)?,
            }
        };
        self.remove(file)?;
        self.delete_oldest(&own, listing)
    }

    /// Deletes the oldest finished files until the number to keep is left, but never `own`,
    /// which was finished last.
    fn delete_oldest(&mut self, own: &OsStr, mut listing: Listing) -> Result<(), Stop> {
        let kept = usize::try_from(self.settings.keep - 1).unwrap_or(usize::MAX);
        loop {
            let surplus = listing.count.saturating_sub(kept);
            let mut deleted = 0;
            for oldest in listing.oldest().iter().take(surplus) {
                // 0.76 retries indefinitely. Here, one more file is kept, and the
                // next rotation retries its removal.
                if let Err(error) = gone(oldest) {
                    let whole = [self.name().as_bytes(), b"/", oldest.as_bytes()].concat();
                    let whole = OsStr::from_bytes(&whole);
                    warn(&Error::unable("remove", whole, "", error));
                } else {
                    deleted += 1;
                }
            }
            if surplus <= Listing::OLDEST || deleted == 0 {
                return Ok(());
            }
            listing = self.retry("read", "", || Listing::read(None, Some(own)))?;
        }
    }
}

/// The finished files in a log directory.
struct Listing {
    /// Their number.
    count: usize,
    /// The least timestamp whose name is greater than all of theirs, if there is one.
    next: Tai64n,
    /// The name of the given file.
    twin: Option<OsString>,
    /// The oldest of the others, at most [`Listing::OLDEST`], by age.
    oldest: BinaryHeap<(bool, OsString)>,
}

impl Listing {
    /// The maximum number of names to return.
    const OLDEST: usize = 64;

    /// Those in the current directory. `twin` is the file to find; `own` is not among the
    /// oldest.
    fn read(twin: Option<FileId>, own: Option<&OsStr>) -> io::Result<Listing> {
        let mut listing = Listing {
            count: 0,
            next: Tai64n::default(),
            twin: None,
            oldest: BinaryHeap::new(),
        };
        let is_twin = |name: &OsStr| {
            let found = || fs::symlink_metadata(name).ok();
            twin.is_some() && found().as_ref().map(file::id) == twin
        };
        for entry in fs::read_dir(".")? {
            let name = entry?.file_name();
            if !logname::is_finished(name.as_bytes()) {
                continue;
            }
            listing.count += 1;
            let above = logname::above(name.as_bytes());
            listing.next = listing.next.max(above.unwrap_or_default());
            if is_twin(&name) {
                listing.twin = Some(name);
            } else if Some(name.as_os_str()) != own {
                listing.oldest.push((above.is_some(), name));
                if listing.oldest.len() > Listing::OLDEST {
                    listing.oldest.pop();
                }
            }
        }
        Ok(listing)
    }

    /// Their names, the oldest first.
    fn oldest(&mut self) -> Vec<OsString> {
        let oldest = std::mem::take(&mut self.oldest).into_sorted_vec();
        oldest.into_iter().map(|(_, name)| name).collect()
    }
}

/// Whether `previous` exists and is this file.
fn is_previous(id: FileId) -> bool {
    fs::symlink_metadata("previous").is_ok_and(|there| file::id(&there) == id)
}

/// The error of a multilog that exits while a processor runs or is awaited.
fn interrupted(name: &OsStr) -> Error {
    Error::unable("process", name, "/previous", errno::interrupted())
}

/// Sets the mode of an open file.
///
/// # Errors
/// See fchmod(2).
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Removes a file that may not exist.
fn gone(file: impl AsRef<Path>) -> io::Result<()> {
    presence(fs::remove_file(file)).map(drop)
}

/// Converts ENOENT to None.
///
/// # Errors
/// All other errors.
pub fn presence<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
