//! FIFOs, as supervise and its clients use them.

use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

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
