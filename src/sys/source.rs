//! stdin for multilog: the contents of a pipe are peeked at with tee(2), and consumed only
//! after they have been processed; anything else is read plainly.

use super::poll;
use super::signals::Signals;
use super::stream;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, splice, tee};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// stdin.
pub struct Source {
    pipe: Option<Pipe>,
}

/// stdin, if it is a pipe.
struct Pipe {
    id: (u64, u64),
    /// An epoll instance, edge-triggered: reports every write to the pipe once, even if earlier
    /// data is still in it.
    changes: Epoll,
    /// The pipe for copies of the contents of stdin.
    copy: (OwnedFd, OwnedFd),
    /// Consumed data is spliced to this; None: through the copy.
    null: Option<File>,
    /// At some time the pipe had no writer.
    is_hung_up: bool,
}

/// The result of one peek at stdin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// The number of bytes.
    Bytes(usize),
    /// No data at present.
    Nothing,
    /// End of file.
    End,
}

/// The events that [`Source::wait`] saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ready {
    /// There may be new data in stdin.
    pub input: bool,
    /// There is a pending signal.
    pub signal: bool,
}

/// After this number of consecutive empty peeks it is end of file even if poll(2) does not say
/// so: it does not for a FIFO that was never open for writing.
const MOST_EMPTY_LOOKS: u32 = 64;

const STDIN: u64 = 0;
const SIGNALS: u64 = 1;

impl Source {
    /// Prepares to read stdin and to wait for `signals`.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM: see epoll_create(2), pipe(2).
    pub fn open(signals: &Signals) -> io::Result<Source> {
        let stdin = io::stdin();
        let Some(stat) = stream::pipe(&stdin) else {
            return Ok(Source { pipe: None });
        };
        let changes = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(super::io)?;
        let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        let added = changes
            .add(&stdin, EpollEvent::new(edge, STDIN))
            .and_then(|()| changes.add(signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS)));
        added.map_err(super::io)?;
        let copy = io::pipe()?;
        let copy = (OwnedFd::from(copy.0), OwnedFd::from(copy.1));
        // A writer can continue while earlier data is processed.
        stream::enlarge_pipe(&stdin);
        stream::enlarge_pipe(&copy.1);
        Ok(Source {
            pipe: Some(Pipe {
                id: (stat.device(), stat.inode()),
                changes,
                copy,
                null: None,
                is_hung_up: false,
            }),
        })
    }

    /// Opens a faster way to consume data of a pipe, unless descriptors are scarce: to be
    /// called after everything else is open.
    pub fn hasten(&mut self) {
        // The budgets need two for each level of directories.
        const OTHERS: u64 = 16;
        if let Some(pipe) = &mut self.pipe {
            let null = File::options().write(true).open("/dev/null").ok();
            pipe.null = null.filter(|null| super::limits::leaves_descriptors(null, OTHERS));
        }
    }

    /// The device and inode of stdin if it is a pipe, so that [`Source::look`] does not consume
    /// data.
    pub fn pipe(&self) -> Option<(u64, u64)> {
        self.pipe.as_ref().map(|pipe| pipe.id)
    }

    /// Waits for new data in stdin, a signal, or `deadline`; None: without timeout.
    pub fn wait(&mut self, signals: &Signals, deadline: Option<Instant>) -> Ready {
        let Some(pipe) = &mut self.pipe else {
            let stdin = io::stdin();
            let [input, signal] =
                poll::wait([Some(stdin.as_fd()), Some(signals.as_fd())], deadline);
            return Ready { input, signal };
        };
        let timeout = match deadline {
            None => EpollTimeout::NONE,
            Some(at) => {
                let left = at.saturating_duration_since(super::clock::monotonic());
                // Rounded up, to avoid a busy loop before the deadline.
                let left = left + Duration::from_nanos(999_999);
                EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
            }
        };
        let mut events = [EpollEvent::empty(); 2];
        let count = loop {
            match pipe.changes.wait(&mut events, timeout) {
                Err(Errno::EINTR) => {}
                result => break result.unwrap_or(0),
            }
        };
        let gone = EpollFlags::EPOLLHUP;
        pipe.is_hung_up |= events
            .iter()
            .take(count)
            .any(|event| event.data() == STDIN && event.events().contains(gone));
        let came = |what| events.iter().take(count).any(|event| event.data() == what);
        Ready {
            input: came(STDIN),
            signal: came(SIGNALS),
        }
    }

    /// Whether stdin is a pipe without a writer (a FIFO may get one again) that contains
    /// `count` bytes.
    pub fn ends_after(&self, count: usize) -> bool {
        let is_hung_up = self.pipe.as_ref().is_some_and(|pipe| pipe.is_hung_up);
        is_hung_up && hung_up().is_some() && available().is_ok_and(|there| there == count)
    }

    /// Copies the contents of stdin to `buffer`, at most its length; does not block. Data of a
    /// pipe is not consumed.
    ///
    /// # Errors
    /// Those of read(2) and tee(2); EBADF if stdin was closed when this process started.
    pub fn look(&mut self, buffer: &mut [u8]) -> io::Result<Look> {
        if super::start::was_closed(0) {
            return Err(super::io(Errno::EBADF));
        }
        let Some(pipe) = &self.pipe else {
            let count = once(|| nix::unistd::read(io::stdin(), buffer))?;
            return Ok(match count {
                None => Look::Nothing,
                Some(0) => Look::End,
                Some(count) => Look::Bytes(count),
            });
        };
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
        let mut empty_looks = 0;
        let count = loop {
            match once(|| tee(io::stdin(), &pipe.copy.1, buffer.len(), flags))? {
                None => return Ok(Look::Nothing),
                // Or another process has just read the data that tee(2) found.
                Some(0) => {
                    empty_looks += 1;
                    let is_end = hung_up().is_some_and(|has_input| !has_input);
                    if is_end || empty_looks == MOST_EMPTY_LOOKS {
                        return Ok(Look::End);
                    }
                }
                Some(count) => break count,
            }
        };
        let mut there = 0;
        while let Some(room) = buffer.get_mut(there..count).filter(|room| !room.is_empty()) {
            match nix::unistd::read(&pipe.copy.0, room) {
                Ok(0) => break,
                Ok(more) => there += more,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(super::io(error)),
            }
        }
        Ok(Look::Bytes(there))
    }

    /// Whether to peek again at a pipe of which `count` bytes were seen and left in it: it
    /// contains something else, or no event will report a write.
    pub fn has_news(&self, count: usize) -> bool {
        let is_hung_up = |pipe: &Pipe| pipe.is_hung_up;
        let has_more = || !available().is_ok_and(|there| there == count);
        self.pipe.as_ref().is_some_and(is_hung_up) || has_more()
    }

    /// The size of the pipe in bytes, if stdin is one.
    pub fn size(&self) -> Option<usize> {
        self.pipe.as_ref()?;
        let size = nix::fcntl::fcntl(io::stdin(), FcntlArg::F_GETPIPE_SZ);
        size.ok().and_then(|size| usize::try_from(size).ok())
    }

    /// Consumes the first `count` bytes of a pipe; from other files they are consumed already.
    pub fn take_out(&mut self, count: usize) {
        let Some(pipe) = &self.pipe else {
            return;
        };
        let mut left = count;
        while left > 0 {
            let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
            let taken = match &pipe.null {
                Some(null) => splice(io::stdin(), None, null, None, left, flags),
                // Not with read(2), which discards the rest of a packet (O_DIRECT).
                None => splice(io::stdin(), None, &pipe.copy.1, None, left, flags),
            };
            if pipe.null.is_none() {
                pipe.empty_copy(taken.unwrap_or(0));
            }
            let taken = match taken {
                // Whatever the error of splice(2): processed data must be consumed.
                Err(error) if ![Errno::EINTR, Errno::EAGAIN].contains(&error) => {
                    // They are in the pipe, so this does not block.
                    let mut buffer = [0; 4096];
                    let room = buffer.get_mut(..left.min(4096)).unwrap_or_default();
                    nix::unistd::read(io::stdin(), room)
                }
                other => other,
            };
            match taken {
                Err(Errno::EINTR) => {}
                Ok(taken @ 1..) => left = left.saturating_sub(taken),
                // Another process reads this pipe, too, and was faster.
                _ => return,
            }
        }
    }
}

impl Pipe {
    /// Reads `count` bytes from the copy, which contains them.
    fn empty_copy(&self, count: usize) {
        let (mut buffer, mut left) = ([0; 4096], count);
        while let Some(room) = buffer.get_mut(..left.min(4096)).filter(|_| left > 0) {
            match nix::unistd::read(&self.copy.0, room) {
                Ok(read @ 1..) => left = left.saturating_sub(read),
                Err(Errno::EINTR) => {}
                _ => return,
            }
        }
    }
}

/// If stdin, a pipe, has no writer: whether it contains data.
fn hung_up() -> Option<bool> {
    let stdin = io::stdin();
    let mut list = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let told = nix::poll::poll(&mut list, PollTimeout::ZERO);
    let [stdin] = &list;
    let events = stdin.revents().filter(|_| told.is_ok())?;
    events
        .contains(PollFlags::POLLHUP)
        .then(|| events.contains(PollFlags::POLLIN))
}

/// None for EAGAIN.
fn once(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        return match call() {
            Ok(count) => Ok(Some(count)),
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(super::io(error)),
        };
    }
}

/// The number of bytes in stdin, a pipe (FIONREAD).
fn available() -> io::Result<usize> {
    let mut count = 0;
    // SAFETY: FIONREAD writes an int.
    match unsafe { libc::ioctl(0, libc::FIONREAD, &mut count) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(usize::try_from(count).unwrap_or(0)),
    }
}
