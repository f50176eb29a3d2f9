//! One at a time: the lock that makes svcstart, svcstop, svcreset and
//! svcrestart of two people wait for each other.
//!
//! It is an flock on the FIFO `supervise/control`, which only those can open who
//! may control the service, and which needs no file of its own. It ends with the
//! process that holds it. A script that such a command runs is told by the
//! environment variable [`HELD`] which locks are held on its behalf, so that it
//! can call these commands for its own service.

use super::failure::{Failure, Stop};
use super::wait::Waiter;
use crate::child::Pid;
use crate::sys::signals::Number;
use crate::sys::{child, clock, errno, fifo, file, lock, process};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The locks held by the commands this one is called from, separated by blanks:
/// `DEVICE:INODE:PID`, device and inode of the control FIFO and the process that
/// holds the lock. It only counts in a descendant of that: what a script has
/// left behind waits like anybody else.
pub const HELD: &str = "SVC_HELD";

/// Nobody who holds the lock needs longer: a stop script and a start script, each to its limit.
const LONGEST: Duration = Duration::from_secs(600);

/// But who is called from a script holds a lock already: two services whose
/// scripts start each other would wait for each other for ever.
const LONGEST_NESTED: Duration = Duration::from_secs(20);

/// The lock, held until it is dropped.
pub enum Lock {
    /// We hold it.
    Ours(File, String),
    /// It is held by the command from whose script this one is called.
    Callers,
}

impl Lock {
    /// Waits for the lock of the service in `directory`.
    ///
    /// # Errors
    /// [`Failure::Busy`] if another holds it for longer than anybody should.
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
        let metadata = file.metadata().map_err(unable)?;
        let id = format!("{}:{}", metadata.dev(), metadata.ino());
        let held: Vec<String> = std::env::var(HELD)
            .unwrap_or_default()
            .split(' ')
            .filter_map(held_by_ancestor)
            .collect();
        if held.contains(&id) {
            return Ok(Lock::Callers);
        }
        match lock::try_exclusive(&file) {
            Ok(()) => return Ok(Lock::Ours(file, id)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(unable(error).into()),
        }
        let longest = if held.is_empty() {
            longest.unwrap_or_default().max(LONGEST)
        } else {
            LONGEST_NESTED
        };
        let deadline = clock::monotonic() + longest;
        let mut helper = child::spawn_lock_waiter(&file).ok();
        loop {
            let wake = match waiter.wait([None, None, None], Some(deadline)) {
                Ok(wake) => wake,
                Err(stop) => {
                    end(helper);
                    return Err(stop);
                }
            };
            if helper.is_some_and(|helper| wake.ended.iter().any(|(pid, _)| *pid == helper)) {
                helper = None;
            }
            // It has ended: with the lock, which is ours then, too; or somebody has
            // killed it, or there never was one, and we ask again with each dot.
            if helper.is_none() {
                match lock::try_exclusive(&file) {
                    Ok(()) => return Ok(Lock::Ours(file, id)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(unable(error).into()),
                }
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

    /// What [`HELD`] is to say to a script.
    pub fn held(&self) -> OsString {
        let mut held = std::env::var_os(HELD).unwrap_or_default();
        if let Lock::Ours(_, id) = self {
            if !held.is_empty() {
                held.push(" ");
            }
            held.push(format!("{id}:{}", std::process::id()));
        }
        held
    }
}

/// Ends the child that waits for the lock.
fn end(helper: Option<Pid>) {
    if let Some(helper) = helper {
        child::send(helper, Number::KILL);
    }
}

/// `DEVICE:INODE` of an entry of [`HELD`], if the process that holds it is one
/// that this one descends from.
fn held_by_ancestor(entry: &str) -> Option<String> {
    let (id, pid) = entry.rsplit_once(':')?;
    process::is_ancestor(pid.parse().ok()?).then(|| id.to_owned())
}
