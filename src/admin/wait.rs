//! Waiting, with everything that may happen meanwhile: dots, children that
//! end, a signal that tells us to stop.

use super::failure::Aborted;
use super::progress::Progress;
use crate::child::{End, Pid};
use crate::sys::signals::{Signal, Signals};
use crate::sys::{child, clock, output, poll};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A dot is printed whenever so long has passed.
const DOT: Duration = Duration::from_secs(1);

/// What all waiting for one service shares.
pub struct WaitLoop<'a> {
    signals: &'a Signals,
    /// The line the administrator reads.
    pub progress: &'a mut Progress,
    next_dot: Instant,
    /// Children that ended when a wait was cut short.
    ended: Vec<(Pid, End)>,
}

/// Why a wait ended.
pub struct Wake {
    /// Which of the descriptors can be read.
    pub ready: [bool; 3],
    /// Our children that ended.
    pub ended: Vec<(Pid, End)>,
}

impl Wake {
    /// How the child `pid` ended, if it did.
    pub fn end_of(&self, pid: Pid) -> Option<End> {
        let mut ended = self.ended.iter();
        ended.find(|(child, _)| *child == pid).map(|(_, end)| *end)
    }
}

impl<'a> WaitLoop<'a> {
    /// Nothing is waited for yet.
    pub fn new(signals: &'a Signals, progress: &'a mut Progress) -> WaitLoop<'a> {
        WaitLoop {
            signals,
            progress,
            next_dot: clock::monotonic() + DOT,
            ended: Vec::new(),
        }
    }

    /// The work begins: `Starting NAME .`
    pub fn begin(&mut self, verb: &'static str) {
        let line = self.progress.begin(verb);
        say(&line);
        self.next_dot = clock::monotonic() + DOT;
    }

    /// Waits for one of `fds`, the end of a child, the deadline or the next dot,
    /// at which whatever has no event of its own can be looked at again.
    ///
    /// # Errors
    /// [`Aborted::Interrupted`].
    pub fn wait(
        &mut self,
        fds: [Option<BorrowedFd<'_>>; 3],
        deadline: Option<Instant>,
    ) -> Result<Wake, Aborted> {
        if !self.ended.is_empty() {
            return Ok(Wake {
                ready: [false; 3],
                ended: std::mem::take(&mut self.ended),
            });
        }
        let [a, b, c] = fds;
        let until = deadline.map_or(self.next_dot, |at| at.min(self.next_dot));
        let [signal, a, b, c] = poll::wait([Some(self.signals.as_fd()), a, b, c], Some(until));
        let now = clock::monotonic();
        if now >= self.next_dot {
            let dot = self.progress.dot();
            say(&dot);
            self.next_dot = now + DOT;
        }
        let mut interrupted = None;
        if signal {
            while let Some(signal) = self.signals.next() {
                if signal != Signal::CHLD {
                    interrupted = Some(signal);
                }
            }
            self.ended.extend(std::iter::from_fn(child::reap));
        }
        match interrupted {
            Some(signal) => Err(Aborted::Interrupted(signal)),
            None => Ok(Wake {
                ready: [a, b, c],
                ended: std::mem::take(&mut self.ended),
            }),
        }
    }
}

/// Prints on stdout. Nobody reading it changes nothing about the work.
pub fn say(bytes: &[u8]) {
    if !bytes.is_empty() {
        let _ = output::out(bytes);
    }
}
