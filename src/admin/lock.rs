//! One at a time: the lock that makes svcstart, svcstop, svcreset and
//! svcrestart of two people wait for each other.
//!
//! It is an flock on the FIFO `supervise/control`, which only those can open who
//! may control the service, and which needs no file of its own. It ends with the
//! process that holds it. A command that a script calls for its own service needs no
//! lock: `/proc` shows that one of the processes it descends from holds it. What a script
//! has left behind waits like anybody else.

use super::FAILED;
use super::circle::{self, Waiting};
use super::failure::{Failure, Stop};
use super::wait::Waiter;
use crate::child::Pid;
use crate::sys::lock::LockId;
use crate::sys::pidfd::Proc;
use crate::sys::signals::Number;
use crate::sys::spawn::Spawn;
use crate::sys::{clock, errno, fifo, file, lock, process};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nobody who holds the lock needs longer: a stop script and a start script, each to its limit.
const LONGEST: Duration = Duration::from_secs(600);

/// When it is first looked whether others wait for us: they are asleep by then, most often.
/// Later it is with every dot.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// The lock, held until it is dropped.
pub enum Lock {
    /// We hold it.
    Ours(File),
    /// It is held by the command from whose script this one is called.
    Callers,
}

impl Lock {
    /// Waits for the lock of the service in `directory`.
    ///
    /// # Errors
    /// [`Failure::Busy`] if another holds it for longer than anybody should;
    /// [`Failure::Circle`] if it never will be free.
    pub fn take(
        directory: &Path,
        longest: Option<Duration>,
        waiter: &mut Waiter<'_>,
    ) -> Result<Lock, Stop> {
        let unable = |source| Failure::Unable {
            doing: "lock supervise/control".to_owned(),
            source,
        };
        let control = directory.join("supervise/control");
        let file = file::open_write_nofollow(&control).map_err(|error| {
            if errno::is_no_reader(&error) {
                Failure::SuperviseGone
            } else if errno::is_link(&error) {
                Failure::NotAFifo
            } else {
                unable(error)
            }
        })?;
        if !fifo::is_fifo(&file) {
            return Err(Failure::NotAFifo.into());
        }
        match lock::try_exclusive(&file) {
            Ok(()) => return Ok(Lock::Ours(file)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(unable(error).into()),
        }
        let id = lock::id(&file);
        if id.is_some_and(is_callers) {
            return Ok(Lock::Callers);
        }
        let longest = longest.unwrap_or_default().max(LONGEST);
        let deadline = clock::monotonic() + longest;
        let mut look = clock::monotonic() + FIRST_LOOK;
        let mut helper = wait_in_child(&file).ok();
        loop {
            let wake = match waiter.wait([None, None, None], Some(look.min(deadline))) {
                Ok(wake) => wake,
                Err(stop) => {
                    end(helper);
                    return Err(stop);
                }
            };
            let has_ended = |helper: &Proc| wake.ended.iter().any(|(pid, _)| *pid == helper.pid());
            if helper.as_ref().is_some_and(has_ended) {
                helper = None;
            }
            // It has ended: with the lock, which is ours then, too; or somebody has
            // killed it, or there never was one, and we ask again with each dot.
            if helper.is_none() {
                match lock::try_exclusive(&file) {
                    Ok(()) => return Ok(Lock::Ours(file)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(unable(error).into()),
                }
            }
            if clock::monotonic() >= look {
                look = deadline;
            }
            if let Some(circle) = id.and_then(|id| circle(id, helper.as_ref().map(Proc::pid))) {
                end(helper);
                return Err(Failure::Circle { circle }.into());
            }
            if clock::monotonic() >= deadline {
                end(helper);
                return Err(Failure::Busy { waited: longest }.into());
            }
        }
    }

    /// Whether this command was called from a script of the same service's.
    pub fn is_callers(&self) -> bool {
        matches!(self, Lock::Callers)
    }
}

/// Ends the child that waits for the lock.
fn end(helper: Option<Proc>) {
    if let Some(helper) = helper {
        helper.send(Number::KILL);
    }
}

/// Starts a child that waits for the lock on `file` in our stead and ends with code 0 when
/// it has it. The lock belongs to the open file, which both share, so it is ours then.
fn wait_in_child(file: &File) -> io::Result<Proc> {
    let child = Spawn::new().dies_with_parent();
    child.start(|_| {
        loop {
            match lock::exclusive(file) {
                Ok(()) => return 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return FAILED,
            }
        }
    })
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
        Waiting {
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
    Some(circle::tell(&circle.iter().map(name).collect::<Vec<_>>()))
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
