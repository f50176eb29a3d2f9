//! Waiting: between tries of what failed, for a processor, for room on stderr.
//! Whatever is waited for, signals are heard.

use crate::child::{End, Pid};
use crate::error::Error;
use crate::sys::poll::{self, PollEvent};
use crate::sys::signals::{Signal, Signals};
use crate::sys::{child, clock, output};
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The name under which errors are told.
pub const PROGRAM: &str = "multilog";

/// How long to wait before what failed is tried again, as in 0.76.
const PAUSE: Duration = Duration::from_secs(5);
/// When a processor is said to take long.
const LONG: Duration = Duration::from_secs(60);
/// How long a processor may go on after TERM.
const GRACE: Duration = Duration::from_secs(10);
/// So much goes to stderr at a time: what a pipe that has room takes at once.
const AT_ONCE: usize = 4096;

/// Hears signals and waits.
pub struct Waiter {
    /// TERM, ALRM and CHLD.
    pub signals: Signals,
    /// TERM came.
    pub told_to_end: bool,
    /// ALRM came.
    pub told_to_rotate: bool,
    /// Whether nothing is lost if multilog ends where it is: what it has not
    /// written is still in its pipe.
    pub may_leave: bool,
}

impl Waiter {
    /// Begins to hear signals.
    ///
    /// # Errors
    /// As [`Signals::new`].
    pub fn new() -> io::Result<Waiter> {
        Ok(Waiter {
            signals: Signals::new(&[Signal::TERM, Signal::ALRM, Signal::CHLD])?,
            told_to_end: false,
            told_to_rotate: false,
            may_leave: false,
        })
    }

    /// Takes note of the signals that came.
    pub fn hear(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::TERM => self.told_to_end = true,
                Signal::ALRM => self.told_to_rotate = true,
                _ => {}
            }
        }
    }

    /// Does `attempt` until it succeeds. When it fails, says that it was unable to
    /// do `doing` on `name` followed by `rest`, and waits before the next time.
    ///
    /// # Errors
    /// The last failure, if multilog was told to end and may do so here.
    pub fn insist<T>(
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

    /// Says what failed and waits before it is tried again.
    ///
    /// # Errors
    /// As [`Waiter::insist`].
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

    /// Waits for a while; false if multilog is to end instead.
    pub fn pause(&mut self) -> bool {
        let deadline = clock::monotonic() + PAUSE;
        loop {
            if self.told_to_end && self.may_leave {
                return false;
            }
            let [signal] = poll::wait([Some(self.signals.as_fd())], Some(deadline));
            if !signal {
                return true;
            }
            self.hear();
        }
    }

    /// Waits for the processor `pid` of the directory `name`. If multilog was told
    /// to end and may do so here, a processor that does not end soon gets a TERM,
    /// too; None if it did.
    pub fn wait_for(&mut self, pid: Pid, name: &OsStr) -> Option<End> {
        let mut complaint = Some(clock::monotonic() + LONG);
        let mut patience: Option<Instant> = None;
        loop {
            while let Some((ended, end)) = child::reap() {
                if ended == pid {
                    return Some(end);
                }
            }
            if self.told_to_end && self.may_leave && patience.is_none() {
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

    /// Writes `bytes` to stderr, waiting until there is room, but not if multilog
    /// is told to end. Errors are ignored, as in 0.76.
    pub fn show(&mut self, bytes: &[u8]) {
        let stderr = io::stderr();
        for piece in bytes.chunks(AT_ONCE) {
            while !poll::is_writable(stderr.as_fd()) {
                if self.told_to_end {
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

/// Says on stderr that multilog goes on in spite of `error`.
pub fn warn(error: &Error) {
    output::err_nonblocking(&error.warning(PROGRAM));
}

/// Says on stderr: `multilog: warning: `, `before`, the directory's name, `after`.
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
