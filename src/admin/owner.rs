//! The user whose supervise runs for a service: only that user runs its scripts.
//!
//! Those who can write to a service directory are trusted with the rights of the user whose
//! supervise runs it, and with no others. That user is determined from the process that holds
//! `supervise/lock`, because files can be given to others and links can be redirected.

use super::failure::Failure;
use crate::sys::directory;
use crate::sys::file::{self, FileId};
use crate::sys::lock::{self, LockId};
use crate::sys::process::Process;
use std::fs::File;

/// The process name of every supervise, also of those of 0.76 and daemontools-encore.
const SUPERVISE: &str = "supervise";

/// The user of a supervise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// Our effective user.
    Ours,
    /// Another user.
    Another(u32),
    /// Unknown.
    Unknown,
}

/// Whether `./SCRIPT` of the service in `directory` may be run.
///
/// # Errors
/// Its supervise belongs to another user; or we are root and its user cannot be determined.
pub fn check(directory: &File, script: &'static str) -> Result<(), Failure> {
    let user = file::euid();
    match owner(directory, user) {
        Owner::Another(owner) => Err(Failure::Foreign {
            script,
            owner,
            user,
        }),
        Owner::Unknown if user == 0 => Err(Failure::Unowned { script }),
        Owner::Ours | Owner::Unknown => Ok(()),
    }
}

fn owner(directory: &File, user: u32) -> Owner {
    let metadata = directory.metadata();
    let lock = directory::open_file_to_name(directory, "supervise/lock");
    let id = lock.ok().as_ref().and_then(lock::id);
    let (Ok(metadata), Some(id)) = (metadata, id) else {
        return Owner::Unknown;
    };
    let place = file::id(&metadata);
    let mut locks = lock::all().into_iter();
    let holder = locks.find(|lock| lock.id == id && !lock.waits);
    let process = holder.and_then(|lock| Process::open(lock.pid?).ok());
    process.map_or(Owner::Unknown, |process| {
        judge(&process, id, place, user, SUPERVISE)
    })
}

/// A lock that other processes have inherited outlives the process that took it, whose pid may
/// be reused then; and a program that becomes root may have inherited one. So all user ids of
/// the process count, and it must hold the lock and have the service directory as its current
/// directory, as every supervise has. These are also true for root's multilog if `supervise`
/// links to its log directory, and for a set-user-ID program that sets all its ids to root, so
/// it must also be a program named [`SUPERVISE`].
fn judge(process: &Process, id: LockId, place: FileId, user: u32, name: &str) -> Owner {
    let Some(users) = process.users() else {
        return Owner::Unknown;
    };
    if let Some(other) = users.into_iter().find(|other| *other != user) {
        return Owner::Another(other);
    }
    let is_there = process.directory() == Some(place);
    match is_there && process.holds(id) && process.is_program(name) {
        true => Owner::Ours,
        false => Owner::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Pid;
    use std::path::Path;

    #[test]
    fn a_process_must_be_ours_have_the_lock_and_be_there() {
        let path = std::env::temp_dir().join(format!("owner-{}", std::process::id()));
        let file = file::open_lock(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let id = lock::id(&file).unwrap();
        let own = Process::open(Pid::new(std::process::id()).unwrap()).unwrap();
        let here = file::id_at(Path::new(".")).unwrap();
        let elsewhere = file::id_at(Path::new("/proc")).unwrap();
        let user = file::euid();
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        let name = comm.trim_end();
        let judge = |place, user, name| judge(&own, id, place, user, name);
        // The pid alone, which may be that of a process that had the lock, is not enough.
        assert_eq!(judge(here, user, name), Owner::Unknown);
        lock::try_exclusive(&file).unwrap();
        assert_eq!(judge(here, user, name), Owner::Ours);
        assert_eq!(judge(here, user, SUPERVISE), Owner::Unknown);
        assert_eq!(judge(elsewhere, user, name), Owner::Unknown);
        assert_eq!(judge(here, user + 1, name), Owner::Another(user));
    }
}
