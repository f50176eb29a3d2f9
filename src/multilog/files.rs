//! Opens the files in a log directory as root, where another user may change the directory:
//! none is redirected to another file, by a symbolic link or a second hard link.

use super::waiter::say;
use crate::sys::file::{self, Access};
use crate::sys::{errno, walk};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// How files in a directory are opened. Names are relative to the current directory.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    /// The owner of the directory, if this process is root's and other users may change the
    /// directory.
    shared: Option<u32>,
}

impl Files {
    /// For the files in `directory`.
    pub fn of(directory: &File) -> Files {
        let metadata = directory.metadata().ok();
        let others_may = |m: &Metadata| m.uid() != 0 || m.mode() & 0o022 != 0;
        Files {
            shared: metadata
                .filter(|m| file::is_root() && others_may(m))
                .map(|m| m.uid()),
        }
    }

    /// The metadata of `name`, if it exists.
    ///
    /// # Errors
    /// Those of stat(2).
    pub fn stat(self, name: &str) -> io::Result<Option<Metadata>> {
        let found = match self.shared {
            Some(_) => fs::symlink_metadata(name),
            None => fs::metadata(name),
        };
        super::rotation::presence(found)
    }

    /// Whether an existing file may be written.
    pub fn may_write(self, metadata: &Metadata) -> bool {
        self.shared.is_none() || (file::is_own(metadata, &[0]) && !is_secret(metadata))
    }

    /// Whether a file may become a finished one: it is not a link.
    pub fn may_keep(self, metadata: &Metadata) -> bool {
        self.shared.is_none() || !metadata.is_symlink()
    }

    /// Opens `name` of the directory called `directory` for appending; created if it does not
    /// exist.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_append(self, directory: &OsStr, name: &str) -> io::Result<File> {
        let path = Path::new(name);
        match self.shared {
            Some(_) => open_or_make(path, Access::Append, || tell(directory, name)),
            None => file::open_append(path),
        }
    }

    /// As [`Files::open_append`], for writing, truncated.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_truncate(self, directory: &OsStr, name: &str) -> io::Result<File> {
        if self.shared.is_none() {
            return file::open_truncate(Path::new(name));
        }
        let opened = open_or_make(Path::new(name), Access::Write, || tell(directory, name))?;
        opened.set_len(0)?;
        super::rotation::set_mode(&opened, 0o644)?;
        Ok(opened)
    }

    /// As [`Files::open_append`], for a status file, if other users may change the directory;
    /// `shown` is the whole path. None if they may not.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_status(self, name: &Path, shown: &OsStr) -> io::Result<Option<File>> {
        let open = || open_or_make(name, Access::Write, || tell(shown, ""));
        self.shared.map(|_| open()).transpose()
    }

    /// Opens `name` for reading.
    ///
    /// # Errors
    /// Those of open(2); EPERM if it may not be read.
    pub fn open_read(self, name: &str) -> io::Result<File> {
        let path = Path::new(name);
        match self.shared {
            Some(owner) => open_shown(path, Access::Read, &[0, owner]),
            None => file::open_read(path),
        }
    }

    /// Opens `previous`, which was `current`, for reading.
    ///
    /// # Errors
    /// Those of open(2); ELOOP if another user has put a link there.
    pub fn open_previous(self) -> io::Result<File> {
        let path = Path::new("previous");
        match self.shared {
            Some(_) => file::open_read_nofollow(path),
            None => file::open_read(path),
        }
    }

    /// Ensures that `name` can be read by [`Files::open_read`]: otherwise it is replaced by an
    /// empty file.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn keep_readable(self, directory: &OsStr, name: &str) -> io::Result<()> {
        match self.open_read(name) {
            Err(error) if self.shared.is_some() && errno::is_not_own(&error) => {
                self.open_truncate(directory, name).map(drop)
            }
            // The processor reports any other error.
            _ => Ok(()),
        }
    }

    /// Opens `name`, a lock; created if it does not exist. It may belong to the owner of the
    /// directory, who ran multilog before.
    ///
    /// # Errors
    /// Those of open(2); EPERM if it may not be written; ENXIO if it is a FIFO.
    pub fn open_lock(self, name: &str) -> io::Result<File> {
        let path = Path::new(name);
        match self.shared {
            Some(owner) => file::open_own(path, Access::Write, &[0, owner]),
            None => {
                let lock = file::open_lock(path)?;
                match lock.metadata()?.file_type().is_fifo() {
                    true => Err(errno::is_fifo()),
                    false => Ok(lock),
                }
            }
        }
    }
}

/// Changes to the directory of the status file `path`, relative to `start`, if this process is
/// root's. Returns the name in it.
///
/// # Errors
/// Those of open(2) for the directory.
pub fn enter_parent<'a>(start: &File, path: &'a Path) -> io::Result<(Files, &'a Path)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((Files { shared: None }, path));
    };
    if !file::is_root() {
        return Ok((Files { shared: None }, path));
    }
    let directory = walk::open(start, parent, false)?;
    file::change_directory(&directory)?;
    Ok((Files::of(&directory), Path::new(name)))
}

/// As [`file::open_own`], unless it is a secret of root.
fn open_shown(path: &Path, access: Access, owners: &[u32]) -> io::Result<File> {
    let file = file::open_own(path, access, owners)?;
    match is_secret(&file.metadata()?) {
        true => Err(errno::not_own()),
        false => Ok(file),
    }
}

/// Whether it is a non-empty file of root that not everyone may read. Files of multilog are
/// readable for all, so the owner of the directory has moved this one here from another
/// directory of his, and must not get its contents, not even through a processor.
fn is_secret(metadata: &Metadata) -> bool {
    metadata.uid() == 0 && metadata.len() > 0 && metadata.mode() & 0o004 == 0
}

/// Opens root's own file `name` in the current directory. Anything else of that name is
/// replaced by a new file, after `tell`.
fn open_or_make(name: &Path, access: Access, tell: impl FnOnce()) -> io::Result<File> {
    let open = || match access {
        // It is truncated or overwritten from its beginning; its mode is unchanged.
        Access::Write => file::open_own(name, access, &[0]),
        _ => open_shown(name, access, &[0]),
    };
    match open() {
        Err(error) if errno::is_not_own(&error) => {
            tell();
            super::rotation::presence(fs::remove_file(name))?;
            open()
        }
        result => result,
    }
}

/// Reports that a file is not used: `name` in `directory`, or `directory` itself.
pub fn tell(directory: &OsStr, name: &str) {
    let slash = if name.is_empty() { "" } else { "/" };
    let why = "is a link, has another name or is another user's, making it anew";
    say("", directory, &format!("{slash}{name} {why}"));
}
