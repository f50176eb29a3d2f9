//! stdin and stdout of a filter: plain read(2) and write(2), nothing in between.
//!
//! Rust's own stdin and stdout keep bytes back, and take a closed descriptor for
//! an empty file.

use super::poll::{self, PollEvent};
use super::stat::{self, Stat};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Reads what there is on stdin, at most `buffer`'s length; waits if there is
/// nothing. 0: the end.
///
/// # Errors
/// What read(2) says; EBADF if stdin was closed when this process started.
pub fn read(buffer: &mut [u8]) -> io::Result<usize> {
    let stdin = io::stdin();
    let stdin = open(stdin.as_fd(), 0)?;
    again(stdin, PollEvent::Input, || nix::unistd::read(stdin, buffer))
}

/// Writes `bytes` to stdout, all of them, before it comes back.
///
/// # Errors
/// What write(2) says; EBADF if stdout was closed when this process started.
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

/// Gives stdin and stdout room for 256 KiB each, if they are pipes that have less:
/// then who writes to one and who reads from it wait for each other less often.
pub fn give_room() {
    give_room_to(io::stdin());
    give_room_to(io::stdout());
}

/// As [`give_room`], for the pipe of which this is an end. More room is good, not
/// needed, and what is no pipe has none.
pub(super) fn give_room_to(end: impl AsFd) {
    const ROOM: i32 = 256 * 1024;
    if fcntl(&end, FcntlArg::F_GETPIPE_SZ).is_ok_and(|size| size < ROOM) {
        let _ = fcntl(&end, FcntlArg::F_SETPIPE_SZ(ROOM));
    }
}

/// Whether stdout is a pipe or a FIFO.
pub fn stdout_is_pipe() -> bool {
    pipe(io::stdout()).is_some()
}

/// What statx(2) says of `end`, if it is one of a pipe or a FIFO.
pub(super) fn pipe(end: impl AsFd) -> Option<Stat> {
    stat::of(end).ok().filter(|stat| stat.is_fifo())
}

/// Where `start::run` opened `/dev/null` there is nothing to read or write.
fn open(stream: BorrowedFd<'_>, number: u8) -> io::Result<BorrowedFd<'_>> {
    if super::start::was_closed(number) {
        return Err(super::io(Errno::EBADF));
    }
    Ok(stream)
}

/// Does `call`, again if a signal interrupted it, and again when there is an
/// `event` if somebody made the open file behind `stream` non-blocking: it may
/// be shared, with a terminal's other users say, so it is not ours to change.
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
