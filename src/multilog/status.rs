//! The status files of `=`: each contains the last line selected for it.

use super::files;
use super::waiter::Waiter;
use crate::error::Error;
use crate::sys::file;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// An open status file.
pub struct StatusFile {
    name: Vec<u8>,
    file: File,
}

impl StatusFile {
    /// Opens it; created if it does not exist. `start` is the directory to which `name` is
    /// relative.
    ///
    /// # Errors
    /// Those of open(2), with 0.76's message.
    pub fn open(name: &[u8], start: &File) -> Result<StatusFile, Error> {
        let shown = OsStr::from_bytes(name);
        let unable = |doing| move |error| Error::unable(doing, shown, "", error);
        let (files, path) = file::change_directory(start)
            .and_then(|()| files::enter_parent(start, Path::new(shown)))
            .map_err(unable("create"))?;
        let own = files.open_status(path, shown).map_err(unable("create"))?;
        let file = match own {
            Some(file) => file,
            None => {
                file::open_append(path).map_err(unable("create"))?;
                file::open_write(path).map_err(unable("write"))?
            }
        };
        Ok(StatusFile {
            name: name.to_vec(),
            file,
        })
    }

    /// Replaces its contents by `content`.
    ///
    /// # Errors
    /// As [`Waiter::retry`].
    pub fn write(&self, content: &[u8], waiter: &mut Waiter) -> Result<(), Error> {
        let name = OsStr::from_bytes(&self.name);
        waiter.retry("write", name, "", || {
            match self.file.write_all_at(content, 0) {
                // A FIFO or a device is not seekable.
                Err(error) if crate::sys::errno::is_unseekable(&error) => {
                    io::Write::write_all(&mut &self.file, content)
                }
                result => result,
            }
        })
    }
}
