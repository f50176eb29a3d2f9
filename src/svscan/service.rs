//! The state of one service in svscan: the entries that refer to its directory, and its one or
//! two supervises.

use super::late::Late;
use crate::child::Pid;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// The shortest time from one start of a supervise to the next.
pub const START_INTERVAL: Duration = Duration::from_secs(1);
/// The identity of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DirectoryId {
    /// Its device number.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
}

/// Which of the two supervises of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum SuperviseKind {
    /// That of the service itself.
    Main,
    /// That of its logger, in `log`.
    Log,
}

/// One supervise.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) pid: Option<Pid>,
    /// A start was requested and is not answered yet.
    pub(super) asked: bool,
    pub(super) started: Option<Instant>,
    /// The name it was last started under.
    pub(super) name: OsString,
    /// When it is to be (re)started; None while it runs, and for a service that is not active.
    pub(super) due: Option<Instant>,
    /// The last one exited with an error within a second of its start.
    pub(super) gave_up: bool,
}

impl Process {
    /// The earliest time of its next start: the limit is one start a second.
    pub(super) fn not_before(&self, now: Instant) -> Instant {
        self.started
            .map_or(now, |at| (at + START_INTERVAL).max(now))
    }
}

/// A service directory that svscan has picked up.
#[derive(Debug)]
pub(super) struct Service {
    /// The entries that refer to it; it is started under the first.
    pub(super) names: Vec<OsString>,
    pub(super) main: Process,
    /// None if it has no `log`.
    pub(super) log: Option<Process>,
    /// The pipe does not exist yet.
    pub(super) waits_for_pipe: bool,
    /// It was recently picked up before its directory was complete.
    pub(super) late: Option<Late>,
    /// It has a `log` that appeared late: when its supervise has exited, the logger is added.
    pub(super) needs_logger: bool,
}

impl Service {
    pub(super) fn process(&mut self, kind: SuperviseKind) -> Option<&mut Process> {
        match kind {
            SuperviseKind::Main => Some(&mut self.main),
            SuperviseKind::Log => self.log.as_mut(),
        }
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = (SuperviseKind, &Process)> {
        [
            (SuperviseKind::Main, Some(&self.main)),
            (SuperviseKind::Log, self.log.as_ref()),
        ]
        .into_iter()
        .filter_map(|(kind, process)| Some((kind, process?)))
    }

    pub(super) fn running(&self) -> impl Iterator<Item = (SuperviseKind, Pid)> {
        self.processes()
            .filter_map(|(kind, process)| Some((kind, process.pid?)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.names.is_empty()
            && self
                .processes()
                .all(|(_, process)| process.pid.is_none() && !process.asked)
    }
}
