//! The files of a service directory: `supervise/` with its lock, FIFOs and status, and the file
//! `down`. All paths are relative to the service directory, which is the current directory;
//! `name` is its name on the command line, for messages only.
//!
//! Another user may own `supervise/` and must not redirect supervise to other files: no link in
//! it is followed, and supervise writes only to files that were created for that.

use super::state_file::{self, StartedBy};
use crate::error::Error;
use crate::formats::status::{Status, Want};
use crate::sys::{clock, errno, fifo, file, lock, poll};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The open files of a supervised service directory, in the order in which 0.76 creates them.
pub struct ServiceDir {
    /// The control FIFO; non-blocking.
    pub control: File,
    /// Whether it is a FIFO, as it should be.
    pub is_fifo: bool,
    /// Prevents end of file on `control` when the last writer closes it.
    control_writer: File,
    /// The lock, held as long as this supervise runs.
    lock: File,
    /// The FIFO `ok`, open for reading, which svok and svstat check. None until
    /// [`ServiceDir::announce`].
    ok: Option<File>,
}

/// The time limit for the exec of a child of a killed supervise.
const ORPHAN_WAIT: Duration = Duration::from_secs(1);
/// The pause before the first retry of the lock meanwhile; each is twice as long as the last.
const ORPHAN_LOOK: Duration = Duration::from_millis(2);

/// The initial wanted state: down if there is a file `down`, else up.
///
/// # Errors
/// `unable to stat NAME/down`, unless it does not exist.
pub fn configured(name: &OsStr) -> Result<Want, Error> {
    match std::fs::metadata("down") {
        Ok(_) => Ok(Want::Down),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Want::Up),
        Err(error) => Err(Error::unable("stat", name, "/down", error)),
    }
}

/// Takes the lock. If a supervise was killed between fork and exec of its service, that child
/// holds the lock until its exec; it has recorded its pid by then.
///
/// # Errors
/// EWOULDBLOCK: another supervise runs.
fn take_lock(lock: &File) -> io::Result<()> {
    let end = clock::monotonic() + ORPHAN_WAIT;
    let mut pause = ORPHAN_LOOK;
    loop {
        let taken = lock::try_exclusive(lock);
        let now = clock::monotonic();
        match &taken {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return taken,
        }
        if now >= end || !state_file::has_lost_its_writer() {
            return taken;
        }
        poll::wait([], Some(end.min(now + pause)));
        pause *= 2;
    }
}

impl ServiceDir {
    /// Creates `supervise/` (if it is a dangling symbolic link: its target, as Debian's package
    /// does), takes the lock and opens the control FIFO. `started_by` is about this supervise.
    ///
    /// # Errors
    /// 0.76's: `unable to acquire NAME/supervise/lock` if another supervise runs here.
    pub fn open(name: &OsStr, started_by: StartedBy<'_>) -> Result<ServiceDir, Error> {
        make_supervise_directory()?;
        let acquire = |error| Error::unable("acquire", name, "/supervise/lock", error);
        let lock = file::open_append_nofollow(Path::new("supervise/lock")).map_err(acquire)?;
        if let Err(error) = take_lock(&lock) {
            state_file::note_svscan(Path::new(""), started_by, None);
            return Err(acquire(error));
        }

        let path = Path::new("supervise/control");
        // If that fails, opening it fails.
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
            control_writer: writer,
            lock,
            ok: None,
        })
    }

    /// The open files as the last program of this process has handed them on, in the order of
    /// [`ServiceDir::descriptors`].
    pub fn handed_on([lock, control, control_writer, ok]: [File; 4]) -> ServiceDir {
        ServiceDir {
            control,
            is_fifo: true,
            control_writer,
            lock,
            ok: Some(ok),
        }
    }

    /// Those of them that exist, for the next program of this process.
    pub fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 4] {
        let files = [&self.lock, &self.control, &self.control_writer].map(Some);
        let [lock, control, writer] = files;
        [lock, control, writer, self.ok.as_ref()].map(|file| file.map(AsFd::as_fd))
    }

    /// Creates and opens the FIFO `ok`: from now on the service counts as supervised.
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

/// Whether `lock` is that of this directory, and held, and `control` is its FIFO.
pub fn is_here(lock: &File, control: &File) -> bool {
    let is_at = |file: &File, path| {
        file.metadata().ok().map(|file| file::id(&file)) == file::id_at(Path::new(path))
    };
    is_at(lock, "supervise/lock")
        && is_at(control, "supervise/control")
        && fifo::is_fifo(control)
        && lock::try_exclusive(lock).is_ok()
}

/// Errors of mkdir are not reported: opening the lock fails with the reason.
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

/// Whether the service directory was deleted: it has no hard link left. A renamed one has.
pub fn is_gone() -> bool {
    file::is_current_directory_deleted()
}

/// Whether there is a directory for the status: false if `supervise` was removed.
pub fn has_directory_for_status() -> bool {
    Path::new("supervise").exists()
}

/// Replaces `supervise/status` atomically: writes `status.new`, then renames it.
///
/// # Errors
/// The three messages of 0.76 about `status.new`.
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

/// Overwrites the old status in place, where no new file can be created: on a full disk. Only
/// if it is a plain file of our own with the size of a status and one hard link.
///
/// # Errors
/// See open(2), pwrite(2); InvalidData if it has another size.
pub fn overwrite_status(status: &Status) -> io::Result<()> {
    let file = file::open_write_own(Path::new("supervise/status"))?;
    if file.metadata()?.len() != Status::BYTES as u64 {
        return Err(ErrorKind::InvalidData.into());
    }
    file.write_all_at(&status.encode(), 0)
}

/// Sets the times of `supervise/status` to now, as if it had been rewritten.
///
/// # Errors
/// See stat(2), utimensat(2); InvalidData if it is not a plain file with the size of a status
/// and one hard link.
pub fn refresh_status() -> io::Result<()> {
    let path = Path::new("supervise/status");
    let metadata = std::fs::symlink_metadata(path)?;
    let is_status = metadata.is_file() && metadata.len() == Status::BYTES as u64;
    if !is_status || metadata.nlink() != 1 {
        return Err(ErrorKind::InvalidData.into());
    }
    file::touch(path)
}
