//! Write to stdout and stderr without panicking.

use std::io::{self, Write};
use std::os::fd::AsFd;

/// Writes `bytes` to stdout, all of them, at once.
///
/// # Errors
/// What write(2) says; a broken pipe is an error, not a death.
pub fn out(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes `bytes` to stderr. An error there cannot be told to anybody.
pub fn err(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// As [`err`], for programs that must never be held up: if stderr is a pipe
/// that nobody empties, the message is dropped.
pub fn err_without_waiting(bytes: &[u8]) {
    if super::poll::is_writable(io::stderr().as_fd()) {
        err(bytes);
    }
}
