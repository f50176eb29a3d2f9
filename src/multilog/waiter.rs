//! Waits: before retries, for a processor, for space in stderr. Signals are handled during each
//! wait.

use crate::child::{End, Pid};
use crate::error::Error;
use crate::sys::poll::{self, PollEvent};
use crate::sys::signals::{Signal, Signals};
use crate::sys::{child, clock, output};
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The program name in messages.
pub const PROGRAM: &str = "multilog";

/// The interval of retries, as in 0.76.
const PAUSE: Duration = Duration::from_secs(5);
/// The time after which a warning about a slow processor is printed.
const LONG: Duration = Duration::from_secs(60);
/// The grace period of a processor after TERM.
const GRACE: Duration = Duration::from_secs(10);
/// The write size for stderr: a pipe that is writable accepts that much at once (PIPE_BUF).
const AT_ONCE: usize = 4096;

/// Handles signals and waits.
pub struct Waiter {
    /// TERM, ALRM and CHLD.
    pub signals: Signals,
    /// TERM was received.
    pub interrupted: bool,
    /// ALRM was received.
    pub told_to_rotate: bool,
    /// Whether nothing is lost if multilog exits now: what it has not written is still in its
    /// pipe.
    pub may_leave: bool,
}

impl Waiter {
    /// Begins to handle signals.
    ///
    /// # Errors
    /// As [`Signals::new`].
    pub fn new() -> io::Result<Waiter> {
        Ok(Waiter {
            signals: Signals::new(&[Signal::TERM, Signal::ALRM, Signal::CHLD])?,
            interrupted: false,
            told_to_rotate: false,
            may_leave: false,
        })
    }

    /// Takes the pending signals.
    pub fn hear(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::TERM => self.interrupted = true,
                Signal::ALRM => self.told_to_rotate = true,
                _ => {}
            }
        }
    }

    /// Repeats `attempt` until it succeeds. When it fails, reports that it was unable to do
    /// `doing` on `name` followed by `rest`, and pauses before the retry.
    ///
    /// # Errors
    /// The last error, if multilog was told to exit and may do so here.
    pub fn retry<T>(
        &mut self,
        doing: &'static str,
        name: &OsStr,
        rest: &str,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Error> {
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => self.failed(doing, name, rest, error)?,
            }
        }
    }

    /// Reports an error and pauses before the retry.
    ///
    /// # Errors
    /// As [`Waiter::retry`].
    pub fn failed(
        &mut self,
        doing: &'static str,
        name: &OsStr,
        rest: &str,
        error: io::Error,
    ) -> Result<(), Error> {
        let number = error.raw_os_error().unwrap_or(0);
        warn(&Error::unable(
            doing,
            name,
            &format!("{rest}, pausing"),
            error,
        ));
        if self.pause() {
            return Ok(());
        }
        let error = io::Error::from_raw_os_error(number);
        Err(Error::unable(doing, name, rest, error))
    }

    /// Pauses; false if multilog is to exit instead.
    pub fn pause(&mut self) -> bool {
        let deadline = clock::monotonic() + PAUSE;
        loop {
            if self.interrupted && self.may_leave {
                return false;
            }
            let [signal] = poll::wait([Some(self.signals.as_fd())], Some(deadline));
            if !signal {
                return true;
            }
            self.hear();
        }
    }

    /// Waits for the processor `pid` of the directory `name`. If multilog was told to exit and
    /// may do so here, a processor that does not end soon gets TERM, too; then it returns None.
    pub fn wait_for(&mut self, pid: Pid, name: &OsStr) -> Option<End> {
        let mut complaint = Some(clock::monotonic() + LONG);
        let mut patience: Option<Instant> = None;
        loop {
            while let Some((ended, end)) = child::reap() {
                if ended == pid {
                    return Some(end);
                }
            }
            if self.interrupted && self.may_leave && patience.is_none() {
                patience = Some(clock::monotonic() + GRACE);
            }
            let deadline = [complaint, patience].into_iter().flatten().min();
            let [signal] = poll::wait([Some(self.signals.as_fd())], deadline);
            if signal {
                self.hear();
                continue;
            }
            let now = clock::monotonic();
            if patience.is_some_and(|at| at <= now) {
                child::kill(pid, Signal::TERM);
                return None;
            }
            if complaint.is_some_and(|at| at <= now) {
                complaint = None;
                say("processor has not ended yet in ", name, "");
            }
        }
    }

    /// Writes `bytes` to stderr; blocks while the pipe is full, unless multilog is told to
    /// exit. As in 0.76, errors are ignored.
    pub fn show(&mut self, bytes: &[u8]) {
        let stderr = io::stderr();
        for piece in bytes.chunks(AT_ONCE) {
            while !poll::is_writable(stderr.as_fd()) {
                if self.interrupted {
                    return;
                }
                let room = (Some(stderr.as_fd()), PollEvent::Room);
                let signal = (Some(self.signals.as_fd()), PollEvent::Input);
                let [_, signal] = poll::wait_for([room, signal], None);
                if signal {
                    self.hear();
                }
            }
            output::err(piece);
        }
    }
}

/// Prints a warning on stderr: multilog continues in spite of `error`.
pub fn warn(error: &Error) {
    output::err_nonblocking(&error.warning(PROGRAM));
}

/// Prints on stderr: `multilog: warning: `, `before`, the name of the directory, `after`.
pub fn say(before: &str, name: &OsStr, after: &str) {
    use std::os::unix::ffi::OsStrExt;
    let line = [
        PROGRAM.as_bytes(),
        b": warning: ",
        before.as_bytes(),
        name.as_bytes(),
        after.as_bytes(),
        b"\n",
    ]
    .concat();
    output::err_nonblocking(&line);
}
