//! A service that was started before its directory was complete: which of its files still
//! count when they appear. Facts in, a decision out; no I/O and no clock.

use crate::formats::status::Want;
use std::time::{Duration, Instant};

/// How long after its start a `down` or a `log` that appears is obeyed.
pub const PERIOD: Duration = Duration::from_secs(60);

/// The time from one inspection to the next.
pub const POLL: Duration = Duration::from_secs(1);

/// A file that is obeyed although it appeared late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LateFile {
    /// `down`: the service is told to go down.
    Down,
    /// `log`: supervise is told to take the service down and to exit; svscan starts two
    /// supervises with a pipe between them then.
    Log,
}

/// The contents of the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inspection {
    /// It has something called `down`.
    pub has_down: bool,
    /// It has something called `log`.
    pub has_log: bool,
    /// The wanted state of its supervise; None: it cannot be read.
    pub want: Option<Want>,
    /// The time since the last command to its supervise; None: there was none.
    pub commanded: Option<Duration>,
}

/// The state of such a service.
#[derive(Debug)]
pub struct Late {
    /// Commands that were sent later than this are not svscan's own.
    since: Instant,
    until: Instant,
    next: Instant,
    /// A `down` was there when its supervise was started, or has been dealt with.
    is_down_known: bool,
}

impl Late {
    /// A service that is picked up now.
    pub fn new(has_down: bool, now: Instant) -> Late {
        Late {
            since: now,
            until: now + PERIOD,
            next: now + POLL,
            is_down_known: has_down,
        }
    }

    /// When [`Late::is_due`] says so next.
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Whether the time for an inspection has come. Then the next one is due later.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next <= now;
        if is_due {
            self.next = now + POLL;
        }
        is_due
    }

    /// Whether what appears is not obeyed any more.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until < now
    }

    /// The file that is to be obeyed, if there is one. A command takes precedence over a
    /// `down`, and a new supervise would not know of that command.
    pub fn decide(&mut self, seen: Inspection, has_log: bool, now: Instant) -> Option<LateFile> {
        if seen.has_down && !self.is_down_known {
            let sent = seen.commanded.and_then(|ago| now.checked_sub(ago));
            if sent.is_none_or(|at| at <= self.since) {
                return Some(LateFile::Down);
            }
            self.is_down_known = true;
        }
        let wanted = match seen.has_down {
            true => Want::Down,
            false => Want::Up,
        };
        (seen.has_log && !has_log && seen.want == Some(wanted)).then_some(LateFile::Log)
    }

    /// Its `down` was obeyed.
    pub fn down_is_obeyed(&mut self) {
        self.is_down_known = true;
    }

    /// Its supervise was replaced: commands to the old one do not count.
    pub fn replaced(&mut self, now: Instant) {
        self.since = now;
    }
}
