//! Writing to stdout and stderr without panicking.

use crate::visible;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// Writes all of `bytes` to stdout and flushes it.
///
/// # Errors
/// Those of write(2); a broken pipe is an error (EPIPE), SIGPIPE does not kill the process.
pub fn out(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// As [`out`], for text that contains names: see [`for_terminal`].
///
/// # Errors
/// As [`out`].
pub fn out_text(text: &[u8]) -> io::Result<()> {
    out(&for_terminal(io::stdout(), text))
}

/// Writes the message `text` to stderr: see [`for_terminal`]. Errors are ignored: there is
/// nowhere to report them.
pub fn err(text: &[u8]) {
    err_bytes(&for_terminal(io::stderr(), text));
}

/// Writes `bytes` to stderr unchanged, for the output of another program.
pub fn err_bytes(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// `text` with control characters made visible (see `visible`) if `stream` is a terminal,
/// because a name may contain control characters; else `text` unchanged.
pub fn for_terminal(stream: impl IsTerminal, text: &[u8]) -> Cow<'_, [u8]> {
    if visible::is_plain(text) || !stream.is_terminal() {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len());
    visible::put(text, &mut shown);
    Cow::Owned(shown)
}

/// As [`err`], for programs that must not block: if stderr is a full pipe, the message is
/// dropped.
pub fn err_nonblocking(bytes: &[u8]) {
    if super::poll::is_writable(io::stderr().as_fd()) {
        err(bytes);
    }
}
