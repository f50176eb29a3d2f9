//! flock(2) locks, the kind daemontools takes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Takes the exclusive lock on `file`, which lives as long as `file` is open.
///
/// # Errors
/// EWOULDBLOCK (`temporary failure`) if another holds it; what flock(2) says.
pub fn try_exclusive(file: &File) -> io::Result<()> {
    // SAFETY: flock takes any descriptor and touches no memory.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes the exclusive lock on `file`, waiting for it.
///
/// # Errors
/// What flock(2) says, EINTR included.
pub fn exclusive(file: &File) -> io::Result<()> {
    // SAFETY: flock takes any descriptor and touches no memory.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
