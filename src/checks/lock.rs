//! The lock under which the scripts of a service are run, and which serializes svcstart,
//! svcstop, svcreset and svcrestart.
//!
//! It is an flock(2) on the FIFO `supervise/control`, which only those can open who may control
//! the service, and which needs no file of its own. It is released when the process that holds
//! it ends. A command that a script calls for its own service needs no lock: `/proc` shows that
//! an ancestor of it holds the lock. A process that a script left in the background waits like
//! any other.

use super::circle;
use crate::child::Pid;
use crate::sys::lock::LockId;
use crate::sys::pidfd::Proc;
use crate::sys::signals::Signal;
use crate::sys::spawn::Spawn;
use crate::sys::{clock, errno, fifo, file, lock, process};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time to the first deadlock detection: most others are blocked by then.
const FIRST_POLL: Duration = Duration::from_millis(50);
/// The interval of the later ones.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The lock; it is held until this is dropped.
pub enum ServiceLock {
    /// This process holds it: flock(2) keeps it until the file is closed.
    Ours(#[expect(dead_code, reason = "it is held, not used")] File),
    /// An ancestor holds it: the command from whose script this one is called.
    Callers,
}

impl ServiceLock {
    /// Whether this command was called from a script of the same service.
    pub fn is_callers(&self) -> bool {
        matches!(self, ServiceLock::Callers)
    }
}

/// Why the lock cannot be taken.
#[derive(Debug)]
pub enum LockError {
    /// A system call failed.
    Refused(io::Error),
    /// No supervise has the FIFO open.
    NoSupervise,
    /// `supervise/control` is not a FIFO.
    NotAFifo,
    /// A deadlock: the text says who waits for whom.
    Circle(String),
}

/// The answer of [`ask`].
pub enum Asked {
    /// The lock was taken.
    Got(ServiceLock),
    /// Another process holds it.
    Later(LockWait),
}

/// Takes the lock of the service in `directory`, or starts to wait for it.
///
/// # Errors
/// [`LockError`].
pub fn ask(directory: &Path) -> Result<Asked, LockError> {
    let control = directory.join("supervise/control");
    let file = file::open_write_nofollow(&control).map_err(|error| {
        if errno::is_no_reader(&error) {
            LockError::NoSupervise
        } else if errno::is_link(&error) {
            LockError::NotAFifo
        } else {
            LockError::Refused(error)
        }
    })?;
    if !fifo::is_fifo(&file) {
        return Err(LockError::NotAFifo);
    }
    if try_lock(&file)? {
        return Ok(Asked::Got(ServiceLock::Ours(file)));
    }
    let id = lock::id(&file);
    if id.is_some_and(is_callers) {
        return Ok(Asked::Got(ServiceLock::Callers));
    }
    let poll_at = clock::monotonic() + FIRST_POLL;
    let helper = wait_in_child(&file).ok();
    Ok(Asked::Later(LockWait {
        file: Some(file),
        id,
        helper,
        poll_at,
    }))
}

/// Takes the lock on `file` if it is free; returns whether it did.
fn try_lock(file: &File) -> Result<bool, LockError> {
    match lock::try_exclusive(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(LockError::Refused(error)),
    }
}

/// A wait for the lock. A child blocks in flock(2); it is killed when this is dropped.
pub struct LockWait {
    /// None once the lock was taken.
    file: Option<File>,
    id: Option<LockId>,
    helper: Option<Proc>,
    poll_at: Instant,
}

impl LockWait {
    /// When [`LockWait::advance`] is due, if no child ends before.
    pub fn deadline(&self) -> Instant {
        self.poll_at
    }

    /// Handles the deadline and the end of children; returns the lock once it is taken.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn advance(
        &mut self,
        mut ended: impl Iterator<Item = Pid>,
    ) -> Result<Option<ServiceLock>, LockError> {
        let helper = self.helper.as_ref().map(Proc::pid);
        if ended.any(|pid| Some(pid) == helper) {
            self.helper = None;
        }
        // Either the child has taken the lock, which this process then has, too; or the child
        // was killed or never started, and the lock is retried at each call.
        if self.helper.is_none()
            && let Some(file) = self.file.take()
        {
            if try_lock(&file)? {
                return Ok(Some(ServiceLock::Ours(file)));
            }
            self.file = Some(file);
        }
        self.poll_at = clock::monotonic() + POLL_INTERVAL;
        let helper = self.helper.as_ref().map(Proc::pid);
        match self.id.and_then(|id| circle(id, helper)) {
            Some(circle) => Err(LockError::Circle(circle)),
            None => Ok(None),
        }
    }
}

impl Drop for LockWait {
    fn drop(&mut self) {
        if let Some(helper) = &self.helper {
            helper.send_signal(Signal::KILL);
        }
    }
}

/// Starts a child that blocks in flock(2) until it has the lock on `file`, and then exits. The
/// lock belongs to the open file description, which both share, so this process has it then.
fn wait_in_child(file: &File) -> io::Result<Proc> {
    let child = Spawn::new().dies_with_parent();
    let helper = child.start(|_| {
        loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ended => return u8::from(ended.is_err()),
            }
        }
    });
    // A pidfd, because the handle is still used after the child has been reaped.
    helper.map(Proc::with_pidfd)
}

/// Whether an ancestor holds the lock `wanted`, according to its open files, or, where the open
/// files of another user are hidden, to its pid in `/proc/locks`.
fn is_callers(wanted: LockId) -> bool {
    let is_wanted = |(id, _): &(LockId, PathBuf)| *id == wanted;
    let is_ancestors = |entry: &lock::Entry| {
        let is_held = entry.id == wanted && !entry.waits;
        is_held && entry.pid.is_some_and(process::is_ancestor)
    };
    process::own().is_some_and(|own| held_by_ancestors(own).iter().any(is_wanted))
        || lock::all().iter().any(is_ancestors)
}

/// The circle in which this process waits for the lock `wanted`, as text, if this process must
/// fail: if it is the youngest in the circle. Commands of root rank lower, because only root
/// sees all processes. `helper` waits in place of this process; without it, no other process
/// sees that this one waits.
fn circle(wanted: LockId, helper: Option<Pid>) -> Option<String> {
    let held = held_by_ancestors(process::own()?);
    if held.is_empty() {
        return None;
    }
    let mut files = HashMap::new();
    let mut waiting = |rank, held: Vec<(LockId, PathBuf)>, wanted| {
        let ids = held.iter().map(|(id, _)| *id).collect();
        files.extend(held);
        circle::Waiting {
            rank,
            held: ids,
            wanted,
        }
    };
    let rank_of_own = helper.map_or((true, u64::MAX, Pid::MAX), rank);
    let own = waiting(rank_of_own, held, wanted);
    let mut others = Vec::new();
    for entry in lock::all().into_iter().filter(|entry| entry.waits) {
        if let Some(pid) = entry.pid.filter(|pid| Some(*pid) != helper) {
            others.push(waiting(rank(pid), held_by_ancestors(pid), entry.id));
        }
    }
    let circle = circle::find(&own, &others)?;
    let name = |id: &LockId| files.get(id).map(|file| service(file)).unwrap_or_default();
    Some(circle::describe(
        &circle.iter().map(name).collect::<Vec<_>>(),
    ))
}

/// The locks that the ancestors of the process `pid` hold.
fn held_by_ancestors(pid: Pid) -> Vec<(LockId, PathBuf)> {
    let above = process::ancestors(pid);
    above
        .flat_map(|pid| lock::held_by(&process::path(pid)))
        .collect()
}

/// The rank of a process: whether root owns it, its start time, its pid.
fn rank(pid: Pid) -> (bool, u64, Pid) {
    let started = process::started(pid).unwrap_or_default();
    (process::is_of(pid, &[0]), started, pid)
}

/// The service directory of a control FIFO, for messages.
fn service(control: &Path) -> String {
    let supervise = control.parent().unwrap_or(control);
    let directory = match supervise.file_name() {
        Some(name) if name == "supervise" => supervise.parent().unwrap_or(supervise),
        _ => supervise,
    };
    directory.to_string_lossy().escape_debug().to_string()
}
