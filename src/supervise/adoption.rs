//! Adoption: watches the process of a service that an earlier supervise started. It is not a
//! child of this supervise, which must find out whether it runs, and when and how it ends.

use super::takeover::{Finder, FoundProcess};
use crate::child::{End, Pid, ProcessId};
use crate::formats::state::ChildLine;
use crate::sys::pidfd::Proc;
use crate::sys::{clock, errno, poll, process};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long a process that has ended may remain a zombie until its parent reaps it: svscan,
/// svscanboot or pid 1. Only then does the kernel report how it ended.
const REAP_WAIT: Duration = Duration::from_millis(200);

/// Queries processes with pidfd_open(2) and `/proc`.
pub(super) struct Processes;

impl Processes {
    /// Queries the process with the pid of `process`; `is_meant` decides by its start time, in
    /// ticks since boot, whether it is the right one.
    fn fate(process: ProcessId, is_meant: impl Fn(u64) -> bool) -> FoundProcess {
        let proc = match Proc::open(process.pid) {
            Ok(proc) => proc,
            Err(error) if errno::is_no_process(&error) => return FoundProcess::Ended,
            Err(_) => return FoundProcess::Unknown,
        };
        match process::start_and_end(process.pid) {
            Some((_, true)) => FoundProcess::Ended,
            Some((start, false)) if !is_meant(start) => FoundProcess::Ended,
            // Without a pidfd, it could not be watched.
            Some((start, false)) if proc.end().is_some() => FoundProcess::Runs(ProcessId {
                pid: process.pid,
                start: Some(start),
            }),
            _ => FoundProcess::Unknown,
        }
    }
}

impl Finder for Processes {
    fn process(&self, process: ProcessId) -> FoundProcess {
        match process.start {
            Some(known) => Processes::fate(process, |start| start == known),
            None => match Processes::fate(process, |_| true) {
                FoundProcess::Ended => FoundProcess::Ended,
                _ => FoundProcess::Unknown,
            },
        }
    }

    fn child(&self, child: ChildLine) -> FoundProcess {
        let process = ProcessId {
            pid: child.pid,
            start: None,
        };
        let had_started = |ticks| process::since_boot(ticks).is_some_and(|at| at <= child.at);
        Processes::fate(process, had_started)
    }

    fn has_stopped(&self, pid: Pid) -> bool {
        process::has_stopped(pid)
    }
}

/// The process of a service that was adopted.
#[derive(Default)]
pub(super) struct AdoptedProcess {
    /// It is a zombie, to be reaped by its parent until then.
    reaped_until: Option<Instant>,
}

impl AdoptedProcess {
    /// What to wait for: events of `proc`, or that time.
    pub(super) fn awaited<'a>(
        &self,
        proc: &'a Proc,
    ) -> ((Option<BorrowedFd<'a>>, poll::PollEvent), Option<Instant>) {
        let event = match self.reaped_until {
            None => poll::PollEvent::Input,
            Some(_) => poll::PollEvent::Gone,
        };
        ((proc.end(), event), self.reaped_until)
    }

    /// Whether `proc` has ended, to be called after an event or at that time; and how, if
    /// known.
    pub(super) fn ended(&mut self, proc: &Proc) -> Option<Option<End>> {
        let now = clock::monotonic();
        let [is_reaped] = poll::wait_for([(proc.end(), poll::PollEvent::Gone)], Some(now));
        let until = *self.reaped_until.get_or_insert(now + REAP_WAIT);
        (is_reaped || now >= until).then(|| proc.how_it_ended())
    }
}
