//! One at a time: the lock under which the scripts of a service are run, and because of
//! which svcstart, svcstop, svcreset and svcrestart of two people wait for each other.
//!
//! It is an flock on the FIFO `supervise/control`, which only those can open who
//! may control the service, and which needs no file of its own. It ends with the
//! process that holds it. A command that a script calls for its own service needs no
//! lock: `/proc` shows that one of the processes it descends from holds it. What a script
//! has left behind waits like anybody else.

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

/// When it is first looked whether others wait for us: they are asleep by then, most often.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// When it is looked again.
const LOOK: Duration = Duration::from_secs(1);

/// The lock, held until it is dropped.
pub enum ServiceLock {
    /// This process holds it: flock(2) keeps it until the file is closed.
    Ours(#[expect(dead_code, reason = "it is held, not used")] File),
    /// It is held by the command from whose script this one is called.
    Callers,
}

impl ServiceLock {
    /// Whether this command was called from a script of the same service's.
    pub fn is_callers(&self) -> bool {
        matches!(self, ServiceLock::Callers)
    }
}

/// Why the lock cannot be had.
#[derive(Debug)]
pub enum LockError {
    /// The system refused it.
    Refused(io::Error),
    /// No supervise has the FIFO open.
    NoSupervise,
    /// `supervise/control` is something else.
    NotAFifo,
    /// It never will be free: who waits for whom, in words.
    Circle(String),
}

/// What came of asking for the lock.
pub enum Asked {
    /// It is there.
    Got(ServiceLock),
    /// Another has it.
    Later(LockWait),
}

/// Asks for the lock of the service in `directory`.
///
/// # Errors
/// It cannot be had.
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
    let look_at = clock::monotonic() + FIRST_LOOK;
    let helper = wait_in_child(&file).ok();
    Ok(Asked::Later(LockWait {
        file: Some(file),
        id,
        helper,
        look_at,
    }))
}

/// Whether nobody has the lock on `file`; it is ours then.
fn try_lock(file: &File) -> Result<bool, LockError> {
    match lock::try_exclusive(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(LockError::Refused(error)),
    }
}

/// The lock as long as another has it. A child waits for it; dropped, it does no more.
pub struct LockWait {
    /// None: it was given away.
    file: Option<File>,
    id: Option<LockId>,
    helper: Option<Proc>,
    look_at: Instant,
}

impl LockWait {
    /// When [`LockWait::turn`] is due, if no child ends before.
    pub fn deadline(&self) -> Instant {
        self.look_at
    }

    /// Deals with the time, and the end of these children: the lock, if it is ours now.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn advance(
        &mut self,
        mut ended: impl Iterator<Item = Pid>,
    ) -> Result<Option<ServiceLock>, LockError> {
        let helper = self.helper.as_ref().map(Proc::pid);
        if ended.any(|pid| Some(pid) == helper) {
            self.helper = None;
        }
        // It has ended: with the lock, which is ours then, too; or somebody has
        // killed it, or there never was one, and we ask again each time.
        if self.helper.is_none()
            && let Some(file) = self.file.take()
        {
            if try_lock(&file)? {
                return Ok(Some(ServiceLock::Ours(file)));
            }
            self.file = Some(file);
        }
        self.look_at = clock::monotonic() + LOOK;
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

/// Starts a child that waits for the lock on `file` in our stead and ends when it has it.
/// The lock belongs to the open file, which both share, so it is ours then.
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
    // Its end is told after it has been waited for.
    helper.map(Proc::with_pidfd)
}

/// Whether one of the processes that this one descends from holds the lock `wanted`. If
/// another user's files are not shown to us, its process may be.
fn is_callers(wanted: LockId) -> bool {
    let is_wanted = |(id, _): &(LockId, PathBuf)| *id == wanted;
    let is_ancestors = |entry: &lock::Entry| {
        let is_held = entry.id == wanted && !entry.waits;
        is_held && entry.pid.is_some_and(process::is_ancestor)
    };
    process::own().is_some_and(|own| held_above(own).iter().any(is_wanted))
        || lock::all().iter().any(is_ancestors)
}

/// The circle in which this process waits for the lock `wanted`, in words, if it is to give
/// way: if it is the youngest in it; root's come first, for only they see all. `helper`
/// waits in its stead; without one, nobody else sees that it waits.
fn circle(wanted: LockId, helper: Option<Pid>) -> Option<String> {
    let held = held_above(process::own()?);
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
            others.push(waiting(rank(pid), held_above(pid), entry.id));
        }
    }
    let circle = circle::find(&own, &others)?;
    let name = |id: &LockId| files.get(id).map(|file| service(file)).unwrap_or_default();
    Some(circle::describe(
        &circle.iter().map(name).collect::<Vec<_>>(),
    ))
}

/// The locks held by the processes that the process `pid` descends from.
fn held_above(pid: Pid) -> Vec<(LockId, PathBuf)> {
    let above = process::ancestors(pid);
    above
        .flat_map(|pid| lock::held_by(&process::path(pid)))
        .collect()
}

/// Whether it is root's, when it was started, its number.
fn rank(pid: Pid) -> (bool, u64, Pid) {
    let started = process::started(pid).unwrap_or_default();
    (process::is_of(pid, &[0]), started, pid)
}

/// The service directory of a control FIFO, to be printed.
fn service(control: &Path) -> String {
    let supervise = control.parent().unwrap_or(control);
    let directory = match supervise.file_name() {
        Some(name) if name == "supervise" => supervise.parent().unwrap_or(supervise),
        _ => supervise,
    };
    directory.to_string_lossy().escape_debug().to_string()
}
