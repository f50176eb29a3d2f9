//! Wait until a descriptor can be read or a deadline has passed.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long to hold back when the kernel refuses to wait (no memory): long
/// enough not to spin, short enough that nobody is kept waiting.
const REFUSED: Duration = Duration::from_millis(100);

/// Waits until one of `fds` can be read (or its other end is gone) or
/// `deadline` has passed, and tells for each whether it can be read. None in
/// `fds` stands for a source that is not there.
///
/// Never fails: an interrupted wait is begun again, and one that the kernel
/// refuses ends after a pause with nothing readable, so that a caller in a loop
/// neither dies nor spins. `deadline` None waits for ever.
pub fn wait<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    deadline: Option<Instant>,
) -> [bool; N] {
    wait_for(fds.map(|fd| (fd, PollEvent::Input)), deadline)
}

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollEvent {
    /// There is something to read.
    Input,
    /// There is news: of `/proc/self/mountinfo`, that something was mounted or
    /// unmounted (proc(5)); it can always be read.
    News,
    /// A write would not wait, or its reader is gone.
    Room,
    /// Its reader is gone: of a pipe, nobody has it open for reading any more.
    Gone,
}

/// As [`wait`], for the given events.
pub fn wait_for<const N: usize>(
    fds: [(Option<BorrowedFd<'_>>, PollEvent); N],
    deadline: Option<Instant>,
) -> [bool; N] {
    let mut ready = [false; N];
    loop {
        let mut polled: Vec<(usize, PollFd<'_>)> = fds
            .iter()
            .enumerate()
            .filter_map(|(index, (fd, event))| {
                let flags = match event {
                    PollEvent::Input => PollFlags::POLLIN,
                    PollEvent::News => PollFlags::POLLPRI,
                    PollEvent::Room => PollFlags::POLLOUT,
                    PollEvent::Gone => PollFlags::empty(),
                };
                Some((index, PollFd::new((*fd)?, flags)))
            })
            .collect();
        let mut list: Vec<PollFd<'_>> = polled.iter().map(|(_, fd)| fd.clone()).collect();
        let timeout = deadline
            .map(|at| TimeSpec::from(at.saturating_duration_since(super::clock::monotonic())));
        match ppoll(&mut list, timeout, None) {
            Ok(_) => {
                for ((index, _), fd) in polled.drain(..).zip(&list) {
                    if let Some(slot) = ready.get_mut(index) {
                        *slot = fd.any().unwrap_or(true);
                    }
                }
                return ready;
            }
            Err(Errno::EINTR) => {}
            Err(_) => {
                let _ = ppoll(&mut [], Some(TimeSpec::from(REFUSED)), None);
                return ready;
            }
        }
    }
}

/// Whether `fd` would take a short write (up to 4096 bytes to a pipe) at once.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut list = [PollFd::new(fd, PollFlags::POLLOUT)];
    match ppoll(&mut list, Some(TimeSpec::from(Duration::ZERO)), None) {
        Ok(_) => list
            .iter()
            .any(|fd| fd.revents().is_some_and(|r| r.contains(PollFlags::POLLOUT))),
        Err(_) => true,
    }
}
