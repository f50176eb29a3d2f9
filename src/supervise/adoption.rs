//! Adoption: watches the process of a service that an earlier supervise started. It is not a
//! child of this supervise, which must find out whether it runs, and when and how it ends.

use super::takeover::{Finder, FoundProcess};
use crate::child::{End, Pid, ProcessId};
use crate::formats::state::ChildLine;
use crate::sys::pidfd::Proc;
use crate::sys::{clock, errno, poll, process};
use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long a process that has ended may remain a zombie until its parent reaps it: svscan,
/// svscanboot or pid 1. Only then does the kernel report how it ended.
const REAP_WAIT: Duration = Duration::from_millis(200);

/// Queries processes with pidfd_open(2) and `/proc`.
#[derive(Default)]
pub(super) struct Processes {
    /// The handles of those that run.
    running: RefCell<Vec<Proc>>,
}

impl Processes {
    /// Queries the process with the pid of `process`; `is_meant` decides by its start time, in
    /// ticks since boot, whether it is the right one.
    fn find(&self, process: ProcessId, is_meant: impl Fn(u64) -> bool) -> FoundProcess {
        match Proc::open(process.pid) {
            Ok(proc) => self.examine(proc, is_meant),
            Err(error) if errno::is_no_process(&error) => FoundProcess::Ended,
            Err(_) => FoundProcess::Unknown,
        }
    }

    fn examine(&self, proc: Proc, is_meant: impl Fn(u64) -> bool) -> FoundProcess {
        let pid = proc.pid();
        match process::start_and_end(pid) {
            Some((_, true)) => FoundProcess::Ended,
            Some((start, false)) if !is_meant(start) => FoundProcess::Ended,
            // Without a pidfd, it could not be watched.
            Some((start, false)) if proc.end().is_some() => {
                self.running.borrow_mut().push(proc);
                FoundProcess::Runs(ProcessId {
                    pid,
                    start: Some(start),
                })
            }
            // It has been reaped in the meantime.
            None if !proc.exists() => FoundProcess::Ended,
            _ => FoundProcess::Unknown,
        }
    }

    /// The handle of a process that runs.
    pub(super) fn into_handle(self, pid: Pid) -> Option<Proc> {
        let mut running = self.running.into_inner().into_iter();
        running.find(|proc| proc.pid() == pid)
    }
}

impl Finder for Processes {
    fn process(&self, process: ProcessId) -> FoundProcess {
        match process.start {
            Some(known) => self.find(process, |start| start == known),
            None => match self.find(process, |_| true) {
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
        self.find(process, had_started)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child::wait;
    use crate::sys::spawn::Spawn;

    #[test]
    fn a_process_that_is_reaped_while_it_is_examined_has_ended() {
        let pid = Spawn::new().start(|_| 0).unwrap().pid();
        let proc = Proc::open(pid).unwrap();
        wait(pid).unwrap();
        let found = Processes::default().examine(proc, |_| true);
        assert_eq!(found, FoundProcess::Ended);
    }

    #[test]
    fn the_handle_of_a_process_that_runs_is_kept() {
        let child = Spawn::new().gated().unwrap().start(|_| 0).unwrap();
        let start = child.started();
        let id = ProcessId {
            pid: child.pid(),
            start,
        };
        let processes = Processes::default();
        assert_eq!(processes.process(id), FoundProcess::Runs(id));
        let other = start.map(|start| start + 1);
        let earlier = ProcessId { start: other, ..id };
        assert_eq!(processes.process(earlier), FoundProcess::Ended);
        drop(child);
        wait(id.pid).unwrap();
        // It refers to that process, although it has ended.
        let handle = processes.into_handle(id.pid).unwrap();
        assert!(!handle.exists());
    }
}
