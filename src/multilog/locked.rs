//! A log directory as it was found: its lock, its mark, and the files that the mark
//! speaks of.

use super::files::Files;
use super::keeper::Keeper;
use super::lock::Lock;
use super::proof::Tail;
use super::recovery::Found;
use super::rotation::Place;
use super::script::Directory;
use crate::error::Error;
use crate::formats::logname;
use crate::formats::mark::{FileId, Mark, Noted};
use crate::sys::{file, walk};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;

/// A log directory that is open and locked; its files are as they were found.
pub struct Locked {
    /// The directory.
    pub place: Place,
    /// The one to which its name is relative.
    pub start: Rc<File>,
    /// The file `lock`, which is locked.
    pub lock: Lock,
    /// What is noted in that, of whatever input it speaks.
    pub noted: Noted,
    /// The file that the mark speaks of, if it is there and nothing was written
    /// after it.
    pub last: Option<Last>,
}

/// The file that a mark speaks of.
pub struct Last {
    /// Its size, in bytes.
    pub size: u64,
    /// What the last files held, the newest file last.
    pub tail: Tail,
}

impl Locked {
    /// Makes the directory if it is not there, opens and locks it. `start` is the
    /// directory to which its name is relative.
    ///
    /// # Errors
    /// What is in the way, in 0.76's words.
    pub fn open(settings: &Directory, start: &Rc<File>) -> Result<Locked, Error> {
        let name = OsStr::from_bytes(&settings.name);
        file::change_directory(start)
            .map_err(|error| Error::unable_to("switch to starting directory", error))?;
        let opened = if file::is_root() {
            walk::open(start, Path::new(name), true)
        } else {
            // If that fails opening it tells why.
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
        let noted = lock.read();
        Ok(Locked {
            place: Place {
                settings: settings.clone(),
                directory,
                budget: Keeper::new(settings),
            },
            start: Rc::clone(start),
            last: noted.mark().and_then(|mark| find(mark, settings)),
            noted,
            lock,
        })
    }

    /// What there is to recover from.
    pub fn found(&self) -> Found {
        let mark = self.noted.mark().filter(|_| self.last.is_some());
        Found {
            mark: mark.cloned(),
            size: self.last.as_ref().map(|last| last.size),
        }
    }
}

/// The file that `mark` speaks of, under whatever name it stands in the current directory: it
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
    names.sort_unstable_by(|a, b| logname::age(a.as_bytes()).cmp(&logname::age(b.as_bytes())));
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

/// By what a mark knows a file.
pub fn id(metadata: &Metadata) -> FileId {
    let born = metadata.created().ok();
    let born = born.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    FileId {
        inode: metadata.ino(),
        born: born.map_or(0, |born| u64::try_from(born.as_nanos()).unwrap_or(0)),
    }
}
