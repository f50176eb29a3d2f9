//! Stamps before lines: what tai64n puts there and tai64nlocal makes readable.
//!
//! Both are filters: bytes in, bytes out, cut anywhere. `stamper` and
//! `localizer` decide what comes out and do no I/O; they remember of the input
//! only where in a line it was cut. `run` reads and writes.

pub mod localizer;
pub(crate) mod stamper;

use crate::sys::stream;
use std::io;

/// How much is read at a time: what a pipe holds.
const AT_ONCE: usize = 64 * 1024;

/// How much is read at a time if what comes out goes into a pipe: so little that
/// its reader is busy with one write while the next is made.
const AT_ONCE_INTO_PIPE: usize = 16 * 1024;

/// Sends stdin through `filter`, which appends to its second argument, to stdout
/// until the input ends. All that was read is written before the next read.
///
/// # Errors
/// What read(2) or write(2) says.
pub fn run(mut filter: impl FnMut(&[u8], &mut Vec<u8>)) -> io::Result<()> {
    stream::give_room();
    let at_once = if stream::stdout_is_pipe() {
        AT_ONCE_INTO_PIPE
    } else {
        AT_ONCE
    };
    let mut input = vec![0; at_once];
    let mut output = Vec::with_capacity(2 * at_once);
    loop {
        let count = stream::read(&mut input)?;
        if count == 0 {
            return Ok(());
        }
        output.clear();
        filter(input.get(..count).unwrap_or_default(), &mut output);
        stream::write(&output)?;
    }
}

/// The part of `bytes` up to the end of the line, its newline included, and the rest.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |place| place + 1);
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests;
