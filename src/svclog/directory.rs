//! The current state of a log directory: its files and their names.

use super::SvclogFailure;
use super::files::{self, LogFileId, LogSnapshot};
use crate::error::Error;
use crate::sys::directory;
use crate::sys::stat::Stat;
use crate::sys::{errno, file};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An open log directory.
pub(super) struct Directory {
    path: PathBuf,
    dirfd: File,
}

/// The type of an entry with the name of a finished file.
pub(super) enum Finished {
    Open(File),
    Deleted,
    /// A directory or a symbolic link: not created by multilog.
    NoFile,
}

impl Directory {
    /// Opens the log directory `path`.
    pub(super) fn open(path: &Path) -> Result<Directory, SvclogFailure> {
        let dirfd = file::open_directory(path)
            .map_err(|error| Error::unable("open directory", path.as_os_str(), "", error))?;
        let path = path.to_owned();
        Ok(Directory { path, dirfd })
    }

    /// Whether the directory was removed.
    pub(super) fn is_removed(&self) -> bool {
        self.dirfd.metadata().is_ok_and(|m| m.nlink() == 0)
    }

    /// Its identity.
    pub(super) fn identity(&self) -> Option<LogFileId> {
        identity(&self.dirfd)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The failure of `doing` something to the file `name` here.
    pub(super) fn unable(
        &self,
        doing: &'static str,
        name: &OsStr,
        error: io::Error,
    ) -> SvclogFailure {
        let path = self.path.join(name);
        Error::unable(doing, path.as_os_str(), "", error).into()
    }

    /// The metadata of `name`, if it is a regular file.
    fn stat(&self, name: impl AsRef<OsStr>) -> Option<Stat> {
        directory::stat(&self.dirfd, name.as_ref())
            .ok()
            .filter(|stat| stat.is_file())
    }

    /// Opens a finished file.
    pub(super) fn open_finished(&self, name: &OsStr) -> Result<Finished, SvclogFailure> {
        let opened = match directory::stat(&self.dirfd, name) {
            Ok(stat) if !stat.is_file() => return Ok(Finished::NoFile),
            Ok(stat) => open_file(&self.dirfd, name).map(|file| (file, id(&stat))),
            Err(error) => Err(error),
        };
        match opened {
            // The owner of the directory may have put a symbolic link there in between.
            Ok((file, id)) if identity(&file) != Some(id) => Ok(Finished::NoFile),
            Ok((file, _)) => Ok(Finished::Open(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Finished::Deleted),
            Err(error) => Err(self.unable("open", name, error)),
        }
    }

    /// Opens `name`, the file that multilog writes or wrote last, and returns its identity.
    pub(super) fn open_written(&self, name: &str) -> io::Result<(File, LogFileId)> {
        let file = open_file(&self.dirfd, OsStr::new(name))?;
        let metadata = file.metadata()?;
        Ok((file, file::id(&metadata)))
    }

    /// Whether `current` is the file `id`.
    pub(super) fn is_current(&self, id: LogFileId) -> bool {
        let current = directory::stat(&self.dirfd, OsStr::new("current"));
        current.is_ok_and(|stat| self::id(&stat) == id)
    }

    /// Examines the directory, in the order that [`LogSnapshot`] requires. The finished files in
    /// `known` are not new; `last` is the newest of them.
    pub(super) fn snapshot(
        &self,
        known: &BTreeSet<OsString>,
        last: Option<&OsStr>,
    ) -> Result<LogSnapshot, SvclogFailure> {
        let names = || {
            directory::names(&self.dirfd).map_err(|error| {
                SvclogFailure::from(Error::unable("read", self.path.as_os_str(), "", error))
            })
        };
        let previous = self.stat("previous").map(|stat| (id(&stat), stat.links()));
        let processed = self.stat("processed").is_some();
        let first = names()?;
        let finished = files::certain(&first, names()?, known);
        let new = finished
            .difference(known)
            .map(|name| (name.clone(), self.stat(name).as_ref().map(id)))
            .collect();
        Ok(LogSnapshot {
            previous,
            processed,
            new,
            finished,
            last: last.map(|last| {
                let mut names = files::compressed_names(last);
                self.stat(last).is_some() || names.any(|name| self.stat(name).is_some())
            }),
            current: self.stat("current").map(|stat| (id(&stat), stat.size())),
            state: self.state(),
        })
    }

    /// The finished files that a program has compressed. If the file itself still exists, it
    /// is not one of these.
    pub(super) fn compressed(&self) -> BTreeSet<OsString> {
        let names: BTreeSet<OsString> = directory::names(&self.dirfd)
            .unwrap_or_default()
            .into_iter()
            .collect();
        let is_alone = |name: &OsString| {
            let plain = Path::new(name).file_stem();
            !plain.is_some_and(|plain| names.contains(plain))
        };
        let compressed = names.iter().filter(|name| files::is_compressed(name));
        compressed.filter(|name| is_alone(name)).cloned().collect()
    }

    /// Identifies one version of the file `state`.
    pub(super) fn state(&self) -> Option<(u64, i64)> {
        self.stat("state")
            .map(|stat| (stat.inode(), stat.changed()))
    }
}

/// Opens a file. If the owner of the directory has just put a symbolic link in its place,
/// the file counts as gone.
fn open_file(dirfd: &File, name: &OsStr) -> io::Result<File> {
    directory::open_file_nofollow(dirfd, name).map_err(|error| match errno::is_link(&error) {
        true => io::ErrorKind::NotFound.into(),
        false => error,
    })
}

/// The identity of an open file.
fn identity(file: &File) -> Option<LogFileId> {
    file.metadata().ok().as_ref().map(file::id)
}

/// The identity of a file.
fn id(stat: &Stat) -> LogFileId {
    (stat.device(), stat.inode())
}
