//! ppoll(2): wait for the readiness of descriptors, with a deadline.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// The pause after ppoll(2) failed (ENOMEM): it prevents a busy loop.
const REFUSED: Duration = Duration::from_millis(100);

/// Waits until one of `fds` is readable (or its other end is closed) or `deadline` has passed.
/// Returns which of them are readable. None in `fds` is a source that does not exist.
///
/// It never fails: an interrupted wait (EINTR) is restarted, and another error returns after a
/// pause with nothing readable, so that the loop of the caller neither ends nor spins. Without
/// `deadline` it does not time out.
pub fn wait<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    deadline: Option<Instant>,
) -> [bool; N] {
    wait_for(fds.map(|fd| (fd, PollEvent::Input)), deadline)
}

/// The event to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollEvent {
    /// It is readable (POLLIN).
    Input,
    /// It has exceptional news (POLLPRI): for `/proc/self/mountinfo`, a mount or unmount
    /// (proc(5)); that file is always readable.
    News,
    /// It is writable, or its reader is gone (POLLOUT).
    Room,
    /// The last reader of the pipe is gone (POLLERR).
    Gone,
}

/// As [`wait`], for these events.
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

/// Whether a short write to `fd` (up to 4096 bytes to a pipe) would not block.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut list = [PollFd::new(fd, PollFlags::POLLOUT)];
    match ppoll(&mut list, Some(TimeSpec::from(Duration::ZERO)), None) {
        Ok(_) => list
            .iter()
            .any(|fd| fd.revents().is_some_and(|r| r.contains(PollFlags::POLLOUT))),
        Err(_) => true,
    }
}
