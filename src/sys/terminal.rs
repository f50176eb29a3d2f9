//! The controlling terminal, and what stdout is to whoever looks at it.

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
        // There may be no such file, or no descriptor left.
        Err(_) => super::process::has_controlling_terminal(),
    }
}

/// How many columns stdout has, if it is a terminal that knows.
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
