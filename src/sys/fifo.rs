//! FIFOs, as supervise and its clients use them, and pipes of other processes.

use super::file::{self, FileId};
use super::process;
use crate::child::Pid;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Creates a FIFO of mode 0600 (minus the umask), unless the file exists already.
///
/// # Errors
/// Those of mkfifo(3), except EEXIST.
pub fn make(path: &Path) -> io::Result<()> {
    match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
        Err(error) => Err(super::io(error)),
    }
}

/// The result of one read from a non-blocking descriptor.
pub enum Input {
    /// The number of bytes read.
    Bytes(usize),
    /// No data at present (EAGAIN).
    Nothing,
    /// End of file, or an error: there will be no more data.
    End,
}

/// Reads once from the non-blocking `file` into `buffer`.
pub fn read(file: &mut File, buffer: &mut [u8]) -> Input {
    match file.read(buffer) {
        Ok(0) => Input::End,
        Ok(count) => Input::Bytes(count),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Input::Nothing
        }
        Err(_) => Input::End,
    }
}

/// The number of unread bytes in the FIFO `file` (FIONREAD).
pub fn unread(file: &File) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one number to `bytes`.
    unsafe { libc::ioctl(file.as_raw_fd(), libc::FIONREAD, &mut bytes) };
    bytes.try_into().unwrap_or(0)
}

/// Whether the open `file` is a FIFO.
pub fn is_fifo(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.file_type().is_fifo())
}
/// The pipe (pipe(2)) that another process has as a descriptor.
pub struct FoundPipe(File);

impl FoundPipe {
    /// The descriptor `fd` of the process `pid`. None if it is not a pipe, or `/proc` does not
    /// show the descriptors of that process: of another user's, only with CAP_SYS_PTRACE.
    pub fn of(pid: Pid, fd: u32) -> Option<FoundPipe> {
        let path = process::path(pid).join(format!("fd/{fd}"));
        let file = file::open_path(&path).ok()?;
        let pipe = FoundPipe(file);
        // Named FIFOs do not count. Its own link is examined: that of the process may change.
        let shown = std::fs::read_link(pipe.link()).ok()?;
        shown.to_str()?.starts_with("pipe:[").then_some(pipe)
    }

    fn link(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Which pipe it is.
    pub fn id(&self) -> Option<FileId> {
        self.0.metadata().ok().as_ref().map(file::id)
    }

    /// Whether a process has its reading end.
    pub fn has_reader(&self) -> bool {
        file::open_write(&self.link()).is_ok()
    }

    /// Opens both ends.
    ///
    /// # Errors
    /// EMFILE, ENFILE, EACCES: see open(2).
    pub fn open(&self) -> io::Result<(PipeReader, PipeWriter)> {
        let reader = file::open_read(&self.link())?;
        let writer = file::open_write(&self.link())?;
        file::set_blocking(&reader)?;
        file::set_blocking(&writer)?;
        Ok((OwnedFd::from(reader).into(), OwnedFd::from(writer).into()))
    }
}
