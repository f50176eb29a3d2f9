//! flock(2) locks, which daemontools uses, and record locks of fcntl(2), whose holder can be
//! queried.

use crate::child::Pid;
use nix::fcntl::{FcntlArg, fcntl};
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// [`File::try_lock`], which is flock(2) on Linux: takes the exclusive lock on `file`, which is
/// held until `file` is closed.
///
/// # Errors
/// EWOULDBLOCK (`temporary failure`) if another process holds it; those of flock(2).
pub fn try_exclusive(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::from_raw_os_error(libc::EWOULDBLOCK),
        TryLockError::Error(error) => error,
    })
}

/// Takes a record lock (fcntl(2)) on the whole of `file`, which must be open for writing. It
/// belongs to this process, not to its children, and is released when the process ends or
/// closes any descriptor of that file.
///
/// # Errors
/// EAGAIN or EACCES if another process holds it; those of fcntl(2).
pub fn claim(file: &File) -> io::Result<()> {
    let lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_SETLK(&lock)).map_err(super::io)?;
    Ok(())
}

/// Takes a record lock for reading, which conflicts with [`claim`].
#[cfg(test)]
pub fn read_lock(file: &File) -> io::Result<()> {
    let lock = whole_file(libc::F_RDLCK);
    fcntl(file, FcntlArg::F_SETLK(&lock)).map_err(super::io)?;
    Ok(())
}

/// The process that holds the record lock of [`claim`] on `file`; None if there is none, or if
/// it is in another pid namespace.
pub fn claimed_by(file: &File) -> Option<Pid> {
    // A read lock conflicts only with write locks.
    let mut lock = whole_file(libc::F_RDLCK);
    fcntl(file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    let is_free = libc::c_int::from(lock.l_type) == libc::F_UNLCK;
    let holder = u32::try_from(lock.l_pid).ok().and_then(Pid::new);
    holder.filter(|_| !is_free)
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    // SAFETY: it contains only numbers; all zeros are valid and mean the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock
}

/// The file of a lock, as `/proc/locks` identifies it: the device of its file system, which can
/// differ from that of stat(2) (overlayfs, btrfs), and its inode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LockId {
    major: u32,
    minor: u32,
    inode: u64,
}

/// The kernel generates `/proc/locks` in chunks of at most this size.
const CHUNK: usize = 4096;
/// The number of reads if it is longer.
const READINGS: usize = 4;

/// A line of `/proc/locks`.
#[derive(PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    /// The process that requested the lock. It may have ended if another process has the file
    /// open, too. None if it is in another pid namespace.
    pub pid: Option<Pid>,
    /// The locked file.
    pub id: LockId,
    /// Whether it is blocked, waiting for the lock.
    pub waits: bool,
}

/// All flocks in the system; none if `/proc` does not show them.
///
/// The kernel generates a long list in chunks, and continues at a line number: if a lock is
/// released between two chunks, another one is missing from the list. So a long list is read
/// several times.
pub fn all() -> HashSet<Entry> {
    all_of(|| std::fs::read_to_string("/proc/locks").unwrap_or_default())
}

fn all_of(mut read: impl FnMut() -> String) -> HashSet<Entry> {
    let mut all = HashSet::new();
    for _ in 0..READINGS {
        let text = read();
        all.extend(text.lines().filter_map(entry));
        if text.len() < CHUNK {
            break;
        }
    }
    all
}

/// The flocks of the open files of the process `process`, a directory in `/proc`, and the paths
/// of these files, as far as they can be read.
pub fn held_by(process: &Path) -> Vec<(LockId, PathBuf)> {
    let mut held = Vec::new();
    let files = std::fs::read_dir(process.join("fdinfo"));
    for file in files.into_iter().flatten().flatten() {
        let info = std::fs::read_to_string(file.path()).unwrap_or_default();
        let locks = info.lines().filter_map(|line| line.strip_prefix("lock:"));
        for lock in locks.filter_map(entry) {
            let path = std::fs::read_link(process.join("fd").join(file.file_name()));
            held.push((lock.id, path.unwrap_or_default()));
        }
    }
    held
}

/// The identity of `file` in `/proc/locks`; None if `/proc` does not show it.
pub fn id(file: &File) -> Option<LockId> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let value = |name| info.lines().find_map(|line| line.strip_prefix(name));
    let metadata = file.metadata().ok()?;
    // Since Linux 5.14.
    let inode = match value("ino:") {
        Some(inode) => inode.trim().parse().ok()?,
        None => metadata.ino(),
    };
    let mount = value("mnt_id:")?.trim();
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    let device = String::from_utf8_lossy(&mounts).lines().find_map(|line| {
        let mut words = line.split(' ');
        let device = (words.next()? == mount).then(|| words.nth(1))??;
        let (major, minor) = device.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    // In a chroot, not all mounts are visible.
    let dev = metadata.dev();
    let (major, minor) = device.unwrap_or((libc::major(dev), libc::minor(dev)));
    Some(LockId {
        major,
        minor,
        inode,
    })
}

/// Parses `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF`, with `->` before FLOCK if the
/// process is blocked; None for other kinds of locks.
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace().skip(1).peekable();
    let waits = words.next_if_eq(&"->").is_some();
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = words.nth(2)?.parse().ok().and_then(Pid::new);
    let mut id = words.next()?.split(':');
    let major = u32::from_str_radix(id.next()?, 16).ok()?;
    let minor = u32::from_str_radix(id.next()?, 16).ok()?;
    let inode = id.next()?.parse().ok()?;
    let id = LockId {
        major,
        minor,
        inode,
    };
    Some(Entry { pid, id, waits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child;
    use crate::sys::spawn::Spawn;

    #[test]
    fn lines_are_understood_and_other_kinds_of_locks_passed_over() {
        let id = LockId {
            major: 0xfe,
            minor: 0x10,
            inode: 77,
        };
        let held = entry("3: FLOCK  ADVISORY  WRITE 19362 fe:10:77 0 EOF").unwrap();
        let pid = Pid::new(19362);
        let waits = false;
        assert_eq!(held, Entry { pid, id, waits });
        let waiting = entry("3:   -> FLOCK  ADVISORY  READ  0 fe:10:77 0 EOF").unwrap();
        let (pid, waits) = (None, true);
        assert_eq!(waiting, Entry { pid, id, waits });
        for line in [
            "",
            "3:",
            "3: POSIX  ADVISORY  WRITE 4 fe:10:77 0 EOF",
            "3: FLOCK  ADVISORY",
            "3: FLOCK  ADVISORY  WRITE 4 fe:77 0 EOF",
        ] {
            assert_eq!(entry(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_missing_from_one_reading_of_a_long_list_is_found() {
        let line = |inode| format!("1: FLOCK  ADVISORY  WRITE 4 fe:10:{inode} 0 EOF\n");
        let list = |missing| -> String { (0..200).filter(|i| *i != missing).map(line).collect() };
        let mut missing = 100..;
        assert_eq!(all_of(|| list(missing.next().unwrap())).len(), 200);
        // A short list is complete, and is read once.
        let mut readings = 0;
        let short = || {
            readings += 1;
            line(1)
        };
        assert_eq!((all_of(short).len(), readings), (1, 1));
    }

    #[test]
    fn a_claim_tells_who_holds_it_and_ends_with_that_process() {
        let path =
            std::env::temp_dir().join(format!("daemontools-rs-claim-{}", std::process::id()));
        let file = crate::sys::file::open_lock(&path).unwrap();
        let shown = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let own = Pid::new(std::process::id());
        assert_eq!(claimed_by(&shown), None);
        let (mut reader, writer) = io::pipe().unwrap();
        let (gate, mut let_go) = io::pipe().unwrap();
        let child = child::spawn(|| {
            use io::{Read, Write};
            claim(&file).unwrap();
            (&writer).write_all(b".").unwrap();
            let _ = (&gate).read_exact(&mut [0]);
            0
        })
        .unwrap();
        io::Read::read_exact(&mut reader, &mut [0]).unwrap();
        assert_eq!(claimed_by(&shown), Some(child));
        assert!(claim(&file).is_err());
        io::Write::write_all(&mut let_go, b".").unwrap();
        child::wait(child).unwrap();
        assert_eq!(claimed_by(&shown), None);
        claim(&file).unwrap();
        // A process does not conflict with its own record lock.
        assert_eq!(claimed_by(&shown), None);
        let child = child::spawn(|| u8::from(claimed_by(&shown) != own));
        let end = child::wait(child.unwrap()).unwrap();
        assert_eq!(end, crate::child::End::Exited(0));
    }

    #[test]
    fn a_lock_and_who_waits_for_it_are_shown() {
        let path = std::env::temp_dir().join(format!("daemontools-rs-lock-{}", std::process::id()));
        let file = crate::sys::file::open_lock(&path).unwrap();
        let again = crate::sys::file::open_lock(&path).unwrap();
        let path = path.canonicalize().unwrap();
        std::fs::remove_file(&path).unwrap();
        let id = id(&file).unwrap();
        let own = || held_by(Path::new("/proc/self"));
        let is_held = || own().iter().any(|(held, _)| *held == id);
        assert!(!is_held());
        try_exclusive(&file).unwrap();
        assert!(is_held());
        let shown = |waits: bool| -> Vec<Option<Pid>> {
            let all = all().into_iter();
            let its = all.filter(|entry| entry.id == id && entry.waits == waits);
            its.map(|entry| entry.pid).collect()
        };
        assert_eq!(shown(false), [Pid::new(std::process::id())]);
        let waiter = Spawn::new().start(|_| u8::from(again.lock().is_err()));
        let waiter = waiter.unwrap();
        let deadline = crate::sys::clock::monotonic() + std::time::Duration::from_secs(60);
        while shown(true) != [Some(waiter.pid())] {
            assert!(crate::sys::clock::monotonic() < deadline);
            std::thread::yield_now();
        }
        waiter.send_signal(crate::sys::signals::Signal::KILL);
        child::wait(waiter.pid()).unwrap();
    }
}
