//! A service that was started before its directory was complete: which of its files still count
//! when they appear. Observations in, a decision out; no I/O and no clock.

use crate::formats::status::Want;
use std::time::{Duration, Instant};

/// A `down` or a `log` that appears within this time after the start is obeyed.
pub const PERIOD: Duration = Duration::from_secs(60);

/// The interval of inspections.
pub const POLL: Duration = Duration::from_secs(1);

/// A file that is obeyed although it appeared late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LateFile {
    /// `down`: supervise is sent `d`.
    Down,
    /// `log`: supervise is sent `dx`; when it has exited, svscan starts two supervises with a
    /// pipe between them.
    Log,
}

/// The contents of the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inspection {
    /// It has an entry called `down`.
    pub has_down: bool,
    /// It has an entry called `log`.
    pub has_log: bool,
    /// The wanted state of the service; None if it cannot be read.
    pub want: Option<Want>,
    /// The time since the last command to its supervise; None if there was none.
    pub commanded: Option<Duration>,
}

/// The state of such a service.
#[derive(Debug)]
pub struct Late {
    /// Commands after this time do not come from svscan.
    since: Instant,
    until: Instant,
    next: Instant,
    /// `down` existed when the supervise was started, or has been handled.
    is_down_known: bool,
}

impl Late {
    /// A service that was picked up just now.
    pub fn new(has_down: bool, now: Instant) -> Late {
        Late {
            since: now,
            until: now + PERIOD,
            next: now + POLL,
            is_down_known: has_down,
        }
    }

    /// When [`Late::is_due`] is next true.
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Whether an inspection is due. If so, schedules the next one.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next <= now;
        if is_due {
            self.next = now + POLL;
        }
        is_due
    }

    /// Whether files that appear now are too late.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until < now
    }

    /// The file to obey, if any. A command takes precedence over `down`, and a new supervise
    /// would not know of that command.
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

    /// Its supervise was replaced: commands to the old one no longer count.
    pub fn replaced(&mut self, now: Instant) {
        self.since = now;
    }
}
