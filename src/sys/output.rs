//! Write to stdout and stderr without panicking.

use crate::visible;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
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

/// As [`out`], for text with names in it: see [`for_terminal`].
///
/// # Errors
/// As [`out`].
pub fn out_text(text: &[u8]) -> io::Result<()> {
    out(&for_terminal(io::stdout(), text))
}

/// Writes the message `text` to stderr: see [`for_terminal`]. An error there cannot be
/// told to anybody.
pub fn err(text: &[u8]) {
    err_bytes(&for_terminal(io::stderr(), text));
}

/// Writes `bytes` to stderr as they are, for another program's output.
pub fn err_bytes(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// `text` as `visible` shows it, if `stream` is a terminal: a name may hold
/// control characters. Else `text` itself.
pub fn for_terminal(stream: impl IsTerminal, text: &[u8]) -> Cow<'_, [u8]> {
    if visible::is_plain(text) || !stream.is_terminal() {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len());
    visible::put(text, &mut shown);
    Cow::Owned(shown)
}

/// As [`err`], for programs that must never be held up: if stderr is a pipe
/// that nobody empties, the message is dropped.
pub fn err_nonblocking(bytes: &[u8]) {
    if super::poll::is_writable(io::stderr().as_fd()) {
        err(bytes);
    }
}
