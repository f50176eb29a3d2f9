//! What becomes of a full file: its processor, its final name, the deletion of the
//! oldest. And of what one left that did not end well.

use super::keeper::Keeper;
use super::processor;
use super::script::Directory;
use super::waiter::{Waiter, say, warn};
use crate::child::End;
use crate::error::Error;
use crate::formats::{logname, tai64n::Tai64n};
use crate::sys::{child, clock, errno, file};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The mode of a file that is complete and safely on disk.
pub const SAFE: u32 = 0o744;

/// Why something in a directory was not done.
pub enum Stop {
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

/// A log directory that is open.
pub struct Place {
    /// What the script says of it.
    pub settings: Directory,
    /// The directory.
    pub directory: File,
    /// Keeps the budgets that it is under.
    pub budget: Keeper,
}

impl Place {
    /// One who does things in it.
    pub fn worker<'a>(&'a mut self, waiter: &'a mut Waiter) -> Worker<'a> {
        Worker {
            settings: &self.settings,
            directory: &self.directory,
            budget: &mut self.budget,
            waiter,
        }
    }
}

/// Does things in a log directory, which is the current one, until they succeed or
/// the directory is gone.
pub struct Worker<'a> {
    settings: &'a Directory,
    directory: &'a File,
    budget: &'a mut Keeper,
    waiter: &'a mut Waiter,
}

impl<'a> Worker<'a> {
    fn name(&self) -> &'a OsStr {
        OsStr::from_bytes(&self.settings.name)
    }

    /// As [`Waiter::insist`], on `rest` in the directory.
    ///
    /// # Errors
    /// As [`Waiter::insist`], and if the directory is gone.
    pub fn insist<T>(
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

    /// Makes the directory the current one.
    ///
    /// # Errors
    /// As [`Worker::insist`].
    pub fn enter(&mut self) -> Result<(), Stop> {
        let directory = self.directory;
        self.insist("switch to", "", || file::change_directory(directory))
    }

    /// Puts in order what one that did not end well has left. `is_processed`:
    /// `processed` is complete. What cannot be removed is in the way later, if at
    /// all.
    ///
    /// # Errors
    /// As [`Worker::insist`].
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

    /// Makes of `previous`, all of which is on disk, a finished file, or has the
    /// processor make one of it.
    ///
    /// # Errors
    /// As [`Worker::insist`].
    pub fn finish_previous(&mut self) -> Result<(), Stop> {
        let settings = self.settings;
        let previous = self.insist("set mode of", "/previous", || {
            let mode = Permissions::from_mode(SAFE);
            presence(fs::set_permissions("previous", mode))
        })?;
        match &settings.processor {
            Some(command) if previous.is_some() => {
                self.process(command)?;
                self.finish("processed", true)
            }
            _ => self.finish("previous", true),
        }
    }

    /// Sends `previous` through the processor until that succeeds; it is
    /// `processed` then.
    fn process(&mut self, command: &[u8]) -> Result<(), Stop> {
        loop {
            let pid = self.insist("fork for processor in", "", || {
                child::spawn(|| processor::become_processor(command))
            })?;
            let name = self.name();
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
        drop(processed);
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
    Error::unable("process", name, "/previous", errno::interrupted())
}

/// Sets the mode of a file that is open.
///
/// # Errors
/// See fchmod(2).
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Removes a file that may not be there.
fn gone(file: impl AsRef<Path>) -> io::Result<()> {
    presence(fs::remove_file(file)).map(drop)
}

/// None instead of ENOENT.
///
/// # Errors
/// Others, as they are.
pub fn presence<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
