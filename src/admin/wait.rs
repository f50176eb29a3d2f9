//! Waits for events, and handles those that occur meanwhile: progress dots, children that end,
//! signals that interrupt the command.

use super::failure::Aborted;
use super::progress::Progress;
use crate::child::{End, Pid};
use crate::sys::signals::{Signal, Signals};
use crate::sys::{child, clock, output, poll};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The interval of progress dots.
const DOT: Duration = Duration::from_secs(1);

/// The shared state of all waits for one service.
pub struct WaitLoop<'a> {
    signals: &'a Signals,
    /// The progress line.
    pub progress: &'a mut Progress,
    next_dot: Instant,
    /// Children that ended when a wait was interrupted.
    ended: Vec<(Pid, End)>,
}

/// The events that ended a wait.
pub struct Wake {
    /// Which of the descriptors are readable.
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
    /// Nothing is awaited yet.
    pub fn new(signals: &'a Signals, progress: &'a mut Progress) -> WaitLoop<'a> {
        WaitLoop {
            signals,
            progress,
            next_dot: clock::monotonic() + DOT,
            ended: Vec::new(),
        }
    }

    /// Begins the progress line: `Starting NAME .`
    pub fn begin(&mut self, verb: &'static str) {
        let line = self.progress.begin(verb);
        say(&line);
        self.next_dot = clock::monotonic() + DOT;
    }

    /// Waits for one of `fds`, the end of a child, the deadline or the next dot, at which
    /// everything without an event can be polled.
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

/// Prints on stdout. Errors are ignored: the work does not depend on a reader.
pub fn say(bytes: &[u8]) {
    if !bytes.is_empty() {
        let _ = output::out(bytes);
    }
}
