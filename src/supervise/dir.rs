//! The service directory as supervise keeps it: `supervise/` with its lock,
//! FIFOs and status, and the file `down`. All paths are relative to the service
//! directory, which is the current one; `name` is what it was called on the
//! command line and is used in messages only.
//!
//! Another user may own `supervise/`, who is not to lead supervise to other files:
//! no link in it is followed, and what is written is a file that was made for it.

use super::state_file::{self, StartedBy};
use crate::error::Error;
use crate::formats::status::{Status, Want};
use crate::sys::{errno, fifo, file, lock};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The open files of a supervised service directory, in the order 0.76 makes them.
pub struct ServiceDir {
    /// Where commands arrive; nonblocking.
    pub control: File,
    /// Whether that is a FIFO, as it should be.
    pub is_fifo: bool,
    /// Keeps `control` from reaching its end when the last svc closes it.
    _control_writer: File,
    /// Held locked as long as this supervise lives.
    _lock: File,
    /// Open for reading: what svok and svstat look for. None until [`ServiceDir::announce`].
    ok: Option<File>,
}

/// What is wanted at the start: down if there is a file `down`, else up.
///
/// # Errors
/// `unable to stat NAME/down`, but for a file that is not there.
pub fn configured(name: &OsStr) -> Result<Want, Error> {
    match std::fs::metadata("down") {
        Ok(_) => Ok(Want::Down),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Want::Up),
        Err(error) => Err(Error::unable("stat", name, "/down", error)),
    }
}

impl ServiceDir {
    /// Makes `supervise/` (if it is a symbolic link to nothing: its target, as
    /// Debian's package does), takes the lock and opens the control FIFO.
    /// `started_by` is about this supervise.
    ///
    /// # Errors
    /// 0.76's: `unable to acquire NAME/supervise/lock` if another supervise runs here.
    pub fn open(name: &OsStr, started_by: StartedBy) -> Result<ServiceDir, Error> {
        make_supervise_directory()?;
        let acquire = |error| Error::unable("acquire", name, "/supervise/lock", error);
        let lock = file::open_append_nofollow(Path::new("supervise/lock")).map_err(acquire)?;
        if let Err(error) = lock::try_exclusive(&lock) {
            state_file::note_svscan(started_by);
            return Err(acquire(error));
        }

        let path = Path::new("supervise/control");
        // A failure shows when it is opened.
        let _ = fifo::make(path);
        let read = |error| Error::unable("read", name, "/supervise/control", error);
        let mut control = file::open_read_nofollow(path).map_err(read)?;
        let writer = file::open_write_nofollow(path)
            .map_err(|error| Error::unable("write", name, "/supervise/control", error))?;
        let is_fifo = fifo::is_fifo(&control);
        if !is_fifo {
            control = file::own_at(control, path, &[file::euid()]).map_err(read)?;
        }
        Ok(ServiceDir {
            control,
            is_fifo,
            _control_writer: writer,
            _lock: lock,
            ok: None,
        })
    }

    /// Makes and opens the FIFO `ok`: from now on this service is supervised.
    ///
    /// # Errors
    /// `unable to read NAME/supervise/ok`.
    pub fn announce(&mut self, name: &OsStr) -> Result<(), Error> {
        let path = Path::new("supervise/ok");
        let _ = fifo::make(path);
        let ok = file::open_read_nofollow(path)
            .map_err(|error| Error::unable("read", name, "/supervise/ok", error))?;
        self.ok = Some(ok);
        Ok(())
    }
}

/// Errors of mkdir are not told: opening the lock will say what is wrong.
fn make_supervise_directory() -> Result<(), Error> {
    let path = Path::new("supervise");
    let Err(error) = file::make_directory(path) else {
        return Ok(());
    };
    if error.kind() != ErrorKind::AlreadyExists {
        return Ok(());
    }
    match std::fs::read_link(path) {
        Ok(target) => {
            let _ = file::make_directory(&target);
            Ok(())
        }
        Err(error) if errno::is_invalid(&error) => Ok(()),
        Err(source) => Err(Error::Unnamed {
            doing: "readlink ./supervise",
            source,
        }),
    }
}

/// Whether the service directory was deleted: no name leads to it any more. One that was
/// renamed has a name.
pub fn is_gone() -> bool {
    file::is_current_directory_deleted()
}

/// Whether there is anything to write a status to: not once somebody has removed
/// `supervise`.
pub fn has_place_for_status() -> bool {
    Path::new("supervise").exists()
}

/// Replaces `supervise/status`: written to `status.new`, then renamed, so that
/// no reader sees half of it.
///
/// # Errors
/// 0.76's three sentences about `status.new`.
pub fn write_status(name: &OsStr, status: &Status) -> Result<(), Error> {
    let bytes = status.encode();
    let new = Path::new("supervise/status.new");
    let object = "/supervise/status.new";
    let mut file =
        file::create_anew(new).map_err(|error| Error::unable("open", name, object, error))?;
    let write = |error| Error::unable("write", name, object, error);
    match file.write(&bytes).map_err(write)? {
        Status::BYTES => {}
        _ => {
            return Err(Error::unable(
                "write",
                name,
                object,
                io::Error::from(ErrorKind::WriteZero),
            ));
        }
    }
    drop(file);
    std::fs::rename(new, "supervise/status")
        .map_err(|error| Error::unable("rename", name, "/supervise/status.new to status", error))
}

/// Writes `status` over the old one, where there can be no new file: on a full disk. Only
/// over a file of our own that has the size of a status, no link and no other name.
///
/// # Errors
/// See open(2), pwrite(2); InvalidData if it is another file.
pub fn overwrite_status(status: &Status) -> io::Result<()> {
    let file = file::open_write_own(Path::new("supervise/status"))?;
    if file.metadata()?.len() != Status::BYTES as u64 {
        return Err(ErrorKind::InvalidData.into());
    }
    file.write_all_at(&status.encode(), 0)
}

/// Lets the time of `supervise/status` be now, as if it had been written again.
///
/// # Errors
/// See stat(2), utimensat(2); InvalidData if it is no file of a status's size, or one that
/// has another name, too.
pub fn refresh_status() -> io::Result<()> {
    let path = Path::new("supervise/status");
    let metadata = std::fs::symlink_metadata(path)?;
    let is_status = metadata.is_file() && metadata.len() == Status::BYTES as u64;
    if !is_status || metadata.nlink() != 1 {
        return Err(ErrorKind::InvalidData.into());
    }
    file::touch(path)
}
