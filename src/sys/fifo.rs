//! FIFOs, as supervise and the commands that talk to it use them.

use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Makes a FIFO of mode 0600 (less the umask); one that is there already is kept.
///
/// # Errors
/// What mkfifo(3) says, but EEXIST.
pub fn make(path: &Path) -> io::Result<()> {
    match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
        Err(error) => Err(super::io(error)),
    }
}

/// What one read of a nonblocking descriptor gave.
pub enum Input {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The end of the file, or an error: nothing will ever come.
    End,
}

/// Reads once into `buffer` from a nonblocking `file`.
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

/// How many bytes were written to the FIFO `file` and not read yet.
pub fn unread(file: &File) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one number to where it is told.
    unsafe { libc::ioctl(file.as_raw_fd(), libc::FIONREAD, &mut bytes) };
    bytes.try_into().unwrap_or(0)
}

/// Whether an open file is a FIFO.
pub fn is_fifo(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.file_type().is_fifo())
}
