//! The controlling terminal, and stdout as a terminal.

use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;

/// Whether stdout is a terminal.
pub fn is_stdout() -> bool {
    io::stdout().is_terminal()
}

/// Whether this process has a controlling terminal.
pub fn has_controlling_terminal() -> bool {
    match super::file::open_read(std::path::Path::new("/dev/tty")) {
        Ok(_) => true,
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => false,
        // /dev/tty may be missing, or no descriptor may be left.
        Err(_) => super::process::has_controlling_terminal(),
    }
}

/// The number of columns of stdout, if it is a terminal that has a size.
pub fn columns() -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes a winsize, which lives through the call.
    match unsafe { libc::ioctl(io::stdout().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) } {
        0 if size.ws_col > 0 => Some(size.ws_col.into()),
        _ => None,
    }
}
