//! A log directory as it was found: its lock, its journal entry, and the contents of the file
//! of that entry.

use super::files::Files;
use super::keeper::Keeper;
use super::lock::Lock;
use super::recovery::Found;
use super::rotation::Place;
use super::script::Directory;
use crate::error::Error;
use crate::formats::journal::{JournalEntry, JournaledFile};
use crate::formats::logname;
use crate::sys::{file, walk};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::rc::Rc;

/// A log directory that is open and locked; its files are unchanged.
pub struct Locked {
    /// The directory.
    pub place: Place,
    /// The directory to which its name is relative.
    pub start: Rc<File>,
    /// The file `lock`, which is locked.
    pub lock: Lock,
    /// What an earlier multilog left.
    pub found: Found,
}

impl Locked {
    /// Creates the directory if it does not exist, opens and locks it. `start` is the directory
    /// to which its name is relative.
    ///
    /// # Errors
    /// Why that fails, with 0.76's messages.
    pub fn open(settings: &Directory, start: &Rc<File>) -> Result<Locked, Error> {
        let name = OsStr::from_bytes(&settings.name);
        file::change_directory(start)
            .map_err(|error| Error::unable_to("switch to starting directory", error))?;
        let opened = if file::is_root() {
            walk::open(start, Path::new(name), true)
        } else {
            // If that fails, opening it fails with the reason.
            let _ = file::make_directory(Path::new(name));
            file::open_read(Path::new(name))
        };
        let opened = opened.and_then(|directory| {
            file::change_directory(&directory)?;
            Ok(directory)
        });
        let directory = opened.map_err(|error| Error::unable("open directory", name, "", error))?;
        let lock = Lock::open(Files::of(&directory)).and_then(Lock::of);
        let lock = lock.map_err(|error| Error::unable("lock directory", name, "", error))?;
        let entry = lock.read();
        Ok(Locked {
            place: Place {
                settings: settings.clone(),
                directory,
                budget: Keeper::new(settings),
            },
            start: Rc::clone(start),
            found: Found {
                grown: entry.as_ref().and_then(grown),
                entry,
            },
            lock,
        })
    }
}

/// The contents of the file of `entry` after the size in the entry. The file has any name in
/// the current directory: it was `current`, but a multilog that was killed at its start may
/// have finished it. None if it does not exist, or if a later file is not empty: a multilog
/// without a journal has written that, and has consumed its input.
fn grown(entry: &JournalEntry) -> Option<Vec<u8>> {
    let mut names: Vec<_> = fs::read_dir(".")
        .ok()?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| logname::is_finished(name.as_bytes()))
        .collect();
    names.sort_unstable_by(|a, b| logname::age(a.as_bytes()).cmp(&logname::age(b.as_bytes())));
    names.extend(["previous", "current"].map(OsString::from));
    let mut found = None;
    for name in names {
        let Ok(metadata) = fs::symlink_metadata(&name) else {
            continue;
        };
        if id(&metadata) == entry.file {
            found = Some((name, metadata.len()));
        } else if metadata.len() > 0 {
            found = None;
        }
    }
    let (name, size) = found?;
    // The output of a batch is smaller than that.
    const MOST: u64 = 1 << 20;
    let length = size.saturating_sub(entry.size).min(MOST);
    let length = usize::try_from(length).ok()?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    bytes.resize(length, 0);
    if length > 0 {
        // Another user may have put a link there.
        let file = file::open_read_nofollow(Path::new(&name)).ok()?;
        file.read_exact_at(&mut bytes, entry.size).ok()?;
    }
    Some(bytes)
}

/// The identity of a file in the journal.
pub fn id(metadata: &Metadata) -> JournaledFile {
    let born = metadata.created().ok();
    let born = born.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    JournaledFile {
        inode: metadata.ino(),
        born: born.map_or(0, |born| u64::try_from(born.as_nanos()).unwrap_or(0)),
    }
}
