//! stdin as multilog needs it: a pipe is looked into first, and its bytes are
//! taken out only when they have been dealt with; anything else is plainly read.

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
    /// Tells of every write to the pipe once, even if what was written before
    /// still stands in it.
    changes: Epoll,
    /// Through this pipe goes a copy of what is in stdin.
    copy: (OwnedFd, OwnedFd),
    /// What is taken out of stdin goes here; None: through the copy.
    null: Option<File>,
    /// At some time nobody had the pipe open for writing any more.
    is_hung_up: bool,
}

/// What one look at stdin gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing will ever come.
    End,
}

/// What [`Source::wait`] saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ready {
    /// There may be something new in stdin.
    pub input: bool,
    /// There is a signal.
    pub signal: bool,
}

/// After so many looks that gave nothing, one behind the other, it is the end even if
/// poll(2) does not say so: it does not of a FIFO that was never open for writing.
const MOST_EMPTY_LOOKS: u32 = 64;

const STDIN: u64 = 0;
const SIGNALS: u64 = 1;

impl Source {
    /// Gets ready to read stdin, and to be told of `signals` meanwhile.
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
        // A writer can go on while what it wrote before is dealt with.
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

    /// Opens what makes taking bytes out of a pipe faster, unless descriptors are scarce:
    /// when all else is open.
    pub fn hasten(&mut self) {
        // For budgets: two for each level of directories.
        const OTHERS: u64 = 16;
        if let Some(pipe) = &mut self.pipe {
            let null = File::options().write(true).open("/dev/null").ok();
            pipe.null = null.filter(|null| super::limits::leaves_descriptors(null, OTHERS));
        }
    }

    /// If stdin is a pipe, so that [`Source::look`] leaves in it what it shows: its
    /// device and inode.
    pub fn pipe(&self) -> Option<(u64, u64)> {
        self.pipe.as_ref().map(|pipe| pipe.id)
    }

    /// Waits until there is something new in stdin, a signal came, or `deadline`
    /// has passed; None waits for ever.
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
                // Rounded up: what waits for the deadline must not spin before it.
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

    /// Whether stdin is a pipe that nobody has open for writing (of a FIFO that can change
    /// again), and in which there are `count` bytes.
    pub fn ends_after(&self, count: usize) -> bool {
        let is_hung_up = self.pipe.as_ref().is_some_and(|pipe| pipe.is_hung_up);
        is_hung_up && hung_up().is_some() && available().is_ok_and(|there| there == count)
    }

    /// Puts into `buffer` what is in stdin, at most its length; does not wait. From
    /// a pipe nothing is taken out.
    ///
    /// # Errors
    /// What read(2), tee(2) says; EBADF if stdin was closed when this process started.
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
                // Or somebody else has read, just now, what tee(2) had found there.
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

    /// Whether to look again at a pipe of which `count` bytes were seen and left in it: it
    /// holds something else, or nobody will write to it and tell of that.
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

    /// Takes the first `count` bytes out of a pipe; of what else stdin may be they
    /// are out already.
    pub fn take_out(&mut self, count: usize) {
        let Some(pipe) = &self.pipe else {
            return;
        };
        let mut left = count;
        while left > 0 {
            let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
            let taken = match &pipe.null {
                Some(null) => splice(io::stdin(), None, null, None, left, flags),
                // Not by read(2), which throws the rest of a packet (O_DIRECT) away.
                None => splice(io::stdin(), None, &pipe.copy.1, None, left, flags),
            };
            if pipe.null.is_none() {
                pipe.empty_copy(taken.unwrap_or(0));
            }
            let taken = match taken {
                // Whatever is wrong with splice(2) here: what was dealt with must go.
                Err(error) if ![Errno::EINTR, Errno::EAGAIN].contains(&error) => {
                    // They are there, so this does not wait.
                    let mut buffer = [0; 4096];
                    let room = buffer.get_mut(..left.min(4096)).unwrap_or_default();
                    nix::unistd::read(io::stdin(), room)
                }
                other => other,
            };
            match taken {
                Err(Errno::EINTR) => {}
                Ok(taken @ 1..) => left = left.saturating_sub(taken),
                // Somebody else reads this pipe, too, and was faster.
                _ => return,
            }
        }
    }
}

impl Pipe {
    /// Reads `count` bytes of the copy, which are there.
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

/// If nobody has stdin, a pipe, open for writing: whether there is something in it.
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

/// None: not now.
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

/// How many bytes are in stdin, a pipe.
fn available() -> io::Result<usize> {
    let mut count = 0;
    // SAFETY: FIONREAD writes an int, for which there is room.
    match unsafe { libc::ioctl(0, libc::FIONREAD, &mut count) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(usize::try_from(count).unwrap_or(0)),
    }
}
