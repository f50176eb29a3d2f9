//! tai64n and tai64nlocal: timestamps before lines, and their conversion to local time.
//!
//! Both are filters: bytes in, bytes out, in pieces of any size. `stamper` and `localizer` do
//! the conversion without I/O; the only state that they keep of the input is the position in
//! the current line. `run` reads and writes.

pub mod localizer;
pub(crate) mod stamper;

use crate::sys::stream;
use std::io;

/// The read size: the default capacity of a pipe.
const AT_ONCE: usize = 64 * 1024;

/// The read size if the output goes to a pipe: small enough that its reader is busy with one
/// write while the next one is prepared.
const AT_ONCE_INTO_PIPE: usize = 16 * 1024;

/// Copies stdin through `filter`, which appends to its second argument, to stdout until end of
/// file. Everything that was read is written before the next read.
///
/// # Errors
/// Those of read(2) and write(2).
pub fn run(mut filter: impl FnMut(&[u8], &mut Vec<u8>)) -> io::Result<()> {
    stream::enlarge_pipes();
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

/// Splits `bytes` after the first newline.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |place| place + 1);
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests;
