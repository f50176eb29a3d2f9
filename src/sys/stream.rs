//! stdin and stdout of a filter: unbuffered read(2) and write(2).
//!
//! Rust's own stdin and stdout are buffered, and treat a closed descriptor as an empty file.

use super::poll::{self, PollEvent};
use super::stat::{self, Stat};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Reads what is available from stdin, at most the length of `buffer`; blocks if nothing is. 0:
/// end of file.
///
/// # Errors
/// Those of read(2); EBADF if stdin was closed when this process started.
pub fn read(buffer: &mut [u8]) -> io::Result<usize> {
    let stdin = io::stdin();
    let stdin = open(stdin.as_fd(), 0)?;
    again(stdin, PollEvent::Input, || nix::unistd::read(stdin, buffer))
}

/// Writes all of `bytes` to stdout.
///
/// # Errors
/// Those of write(2); EBADF if stdout was closed when this process started.
pub fn write(mut bytes: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        let stdout = open(stdout.as_fd(), 1)?;
        let written = again(stdout, PollEvent::Room, || {
            nix::unistd::write(stdout, bytes)
        })?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Enlarges the buffers of stdin and stdout to 256 KiB, if they are smaller pipes: reader and
/// writer block less often.
pub fn enlarge_pipes() {
    enlarge_pipe(io::stdin());
    enlarge_pipe(io::stdout());
}

/// As [`enlarge_pipes`], for this end of a pipe. Failure is harmless, and other files are left
/// alone.
pub(super) fn enlarge_pipe(end: impl AsFd) {
    const ROOM: i32 = 256 * 1024;
    if fcntl(&end, FcntlArg::F_GETPIPE_SZ).is_ok_and(|size| size < ROOM) {
        let _ = fcntl(&end, FcntlArg::F_SETPIPE_SZ(ROOM));
    }
}

/// Whether stdout is a pipe or a FIFO.
pub fn stdout_is_pipe() -> bool {
    pipe(io::stdout()).is_some()
}

/// The stat of `end`, if it is a pipe or a FIFO.
pub(super) fn pipe(end: impl AsFd) -> Option<Stat> {
    stat::of(end).ok().filter(|stat| stat.is_fifo())
}

/// Fails with EBADF for a descriptor that was closed at the start, where `start::run` opened
/// `/dev/null`.
fn open(stream: BorrowedFd<'_>, number: u8) -> io::Result<BorrowedFd<'_>> {
    if super::start::was_closed(number) {
        return Err(super::io(Errno::EBADF));
    }
    Ok(stream)
}

/// Repeats `call` after EINTR, and after EAGAIN when poll reports `event`: another process may
/// have made the open file description non-blocking. It may be shared (with other users of a
/// terminal, say), so its flags are not changed here.
fn again(
    stream: BorrowedFd<'_>,
    event: PollEvent,
    mut call: impl FnMut() -> nix::Result<usize>,
) -> io::Result<usize> {
    loop {
        match call() {
            Ok(count) => return Ok(count),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                poll::wait_for([(Some(stream), event)], None);
            }
            Err(error) => return Err(super::io(error)),
        }
    }
}
