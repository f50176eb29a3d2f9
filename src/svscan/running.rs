//! Supervises that are not children of this svscan, because an earlier svscan, which was
//! killed, started them. svscan starts no second one, waits for their ends, and gets back the
//! pipes between services and logs.

use crate::child::{End, Pid};
use crate::formats::state::StateRecord;
use crate::service::{self, Supervised};
use crate::supervise::{self, StartedBy};
use crate::sys::fifo::FoundPipe;
use crate::sys::lock::{self, LockId};
use crate::sys::pidfd::{Ends, Proc};
use crate::sys::signals::Signal;
use crate::sys::{clock, file, poll, process};
use std::collections::HashMap;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// The process name of every supervise, also of those of 0.76 and daemontools-encore.
const SUPERVISE: &str = "supervise";
const STDIN: u32 = 0;
const STDOUT: u32 = 1;

/// The supervises that were found running.
pub(super) struct Running {
    started_by: StartedBy<'static>,
    handles: HashMap<Pid, Proc>,
    /// None: none was found yet.
    ends: Option<Ends>,
    /// Who had which lock when they were last listed, for supervises that keep no record.
    locks: HashMap<LockId, Pid>,
}

impl Running {
    /// `started_by` is what the supervises of this svscan know of it.
    pub(super) fn new(started_by: StartedBy<'static>) -> Running {
        Running {
            started_by,
            handles: HashMap::new(),
            ends: None,
            locks: HashMap::new(),
        }
    }

    /// The descriptor that becomes readable when one of them ends.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.ends.as_ref().map(AsFd::as_fd)
    }

    /// The supervise that runs in `directory`, watched from now on; None if there is none, it
    /// cannot be identified or watched, or `is_known`. If a supervise is started nevertheless,
    /// it cannot get the lock.
    pub(super) fn find(&mut self, directory: &Path, is_known: impl Fn(Pid) -> bool) -> Option<Pid> {
        let pid = self.supervise_in(directory).filter(|pid| !is_known(*pid))?;
        self.watch(pid, directory)
    }

    fn watch(&mut self, pid: Pid, directory: &Path) -> Option<Pid> {
        let proc = Proc::open(pid).ok()?;
        // Another process may have got its pid before the handle was opened.
        if !runs_in(pid, directory) {
            return None;
        }
        if self.ends.is_none() {
            self.ends = Ends::new().ok();
        }
        self.ends.as_ref()?.add(&proc).ok()?;
        self.handles.insert(pid, proc);
        supervise::note_svscan(directory, self.started_by, None);
        Some(pid)
    }

    fn supervise_in(&mut self, directory: &Path) -> Option<Pid> {
        let Supervised::Yes = service::is_supervised(directory) else {
            return None;
        };
        let space = self.started_by.space?;
        let found = match service::read_state(directory, space) {
            Some(record) => Some(record.writer.supervise),
            None => self.holder_of_lock(&service::inside(directory, "supervise/lock")),
        };
        let found = found.filter(|pid| runs_in(*pid, directory));
        if found.is_none() {
            // The lock may have another holder by now.
            self.locks.clear();
        }
        found
    }

    /// A child of a killed supervise has its files until it execs the service: so it counts who
    /// took the lock.
    fn holder_of_lock(&mut self, lock: &Path) -> Option<Pid> {
        let id = lock::id(&file::open_read_nofollow(lock).ok()?)?;
        if !self.locks.contains_key(&id) {
            let held = lock::all().into_iter().filter(|lock| !lock.waits);
            self.locks = held.filter_map(|lock| Some((lock.id, lock.pid?))).collect();
        }
        self.locks.get(&id).copied()
    }

    /// Whether the supervise `pid` is one of them and has ended.
    pub(super) fn has_ended(&self, pid: Pid) -> bool {
        let proc = self.handles.get(&pid);
        proc.is_some_and(|proc| poll::wait([proc.end()], Some(clock::monotonic())) == [true])
    }

    /// The supervises among them that have ended.
    pub(super) fn ended(&mut self) -> Vec<Pid> {
        let ended = self.ends.as_ref().map(Ends::ended).unwrap_or_default();
        for pid in &ended {
            self.handles.remove(pid);
        }
        ended
    }

    /// How the supervise `pid`, which ran in `directory`, has ended: only its parent knows the
    /// exit status. One that keeps no record counts as told to exit, because 0.76's exits for
    /// no other reason.
    pub(super) fn end_of(pid: Pid, directory: &Path) -> End {
        match service::last_state(directory) {
            Some(StateRecord { writer, state, .. }) if writer.supervise == pid => {
                match state.leaving {
                    true => End::Exited(0),
                    false => End::Killed(KILL),
                }
            }
            _ => End::Exited(0),
        }
    }

    /// Sends `signal` to the supervise `pid`, if it is one of them.
    pub(super) fn send(&self, pid: Pid, signal: Signal) -> bool {
        let proc = self.handles.get(&pid);
        proc.inspect(|proc| proc.send_signal(signal)).is_some()
    }

    /// The pipe between `service` and its log that an earlier svscan made, if somebody still
    /// has it and it can be opened: the stdin of the log's supervise, or the stdout of the
    /// service's. If both are gone, the processes of the service and its log have it, unless
    /// they have redirected that.
    ///
    /// A stdout can be another pipe: one to readproctitle, if the supervise was started before
    /// there was a `log`. So both must have been started by one svscan, or a reader must be the
    /// log's process.
    pub(super) fn pipe(&mut self, service: &Path) -> Option<(PipeReader, PipeWriter)> {
        let log = service.join("log");
        let mut of_supervise =
            |directory: &Path, fd| FoundPipe::of(self.supervise_in(directory)?, fd);
        if let Some(pipe) = of_supervise(&log, STDIN) {
            return pipe.open().ok();
        }
        let written = of_supervise(service, STDOUT);
        let [main, log] = [service, &log].map(|directory| self.record_of(directory));
        let svscan = |record: Option<StateRecord>| record?.writer.svscan;
        let process = |record: Option<StateRecord>| {
            let process = record?.state.process?;
            process::is_running(process).then_some(process.pid)
        };
        let log_pid = process(log);
        let read = log_pid.and_then(|pid| FoundPipe::of(pid, STDIN));
        let is_connected = svscan(main).is_some_and(|main| svscan(log) == Some(main))
            // It cannot be seen if it is another user's.
            || (log_pid.is_some() && read.is_none());
        let is_connected = is_connected && written.is_some();
        let pipe = written.or_else(|| FoundPipe::of(process(main)?, STDOUT))?;
        let is_same = read.is_some_and(|read| read.id() == pipe.id());
        (is_connected || is_same || !pipe.has_reader()).then(|| pipe.open().ok())?
    }

    /// The record of the last supervise in `directory`.
    fn record_of(&self, directory: &Path) -> Option<StateRecord> {
        let record = service::last_state(directory)?;
        let writer = record.writer;
        // Not a record of another boot, nor that of a directory that this is a copy of.
        let is_valid = writer.space.is_some()
            && writer.space == self.started_by.space
            && writer.directory.is_some()
            && writer.directory == file::id_at(directory);
        is_valid.then_some(record)
    }
}

/// Whether `pid` is a supervise of this user in `directory`. In this order: another user's
/// process may be where a stat(2) never returns.
fn runs_in(pid: Pid, directory: &Path) -> bool {
    process::is_own(pid, SUPERVISE)
        && file::id_at(&process::directory_link(pid)) == file::id_at(directory)
}

/// The number of SIGKILL, which stands for any end that nobody asked for.
const KILL: u8 = 9;
