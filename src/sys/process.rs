//! Information about other processes from `/proc` (proc(5)).

use super::file::{self, FileId};
use super::lock::{self, LockId};
use super::signals::Signal;
use crate::child::{Pid, PidSpace, ProcessId};
use std::collections::HashMap;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The age of the process `pid`, by a clock that cannot be set; None if it does not exist or is
/// hidden. Accurate to 10 ms.
pub fn age(pid: Pid) -> Option<Duration> {
    let started = since_boot(started(pid)?)?;
    Some(super::clock::since_boot().saturating_sub(started))
}

/// A start time in ticks, as the time since boot; less than a tick before the start.
pub fn since_boot(ticks: u64) -> Option<Duration> {
    // SAFETY: sysconf only asks.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    let milliseconds = ticks.checked_mul(1000)?.checked_div(per_second)?;
    Some(Duration::from_millis(milliseconds))
}

/// Disables core dumps of this process (PR_SET_DUMPABLE).
pub fn leave_no_core() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

/// Whether this process has a controlling terminal, according to `/proc`.
pub(super) fn has_controlling_terminal() -> bool {
    let stat = std::fs::read("/proc/self/stat").unwrap_or_default();
    // tty_nr is signed; 0 means none.
    field(&stat, 7) != Some(0)
}

/// The children of this process that have not ended.
///
/// # Errors
/// `/proc` cannot be read; ESRCH if it belongs to another pid namespace, in which the pids are
/// those of other processes.
pub fn children() -> std::io::Result<Vec<Pid>> {
    let own = u64::from(std::process::id());
    let shown = std::fs::read_link("/proc/self")?;
    if shown.to_str() != Some(&own.to_string()) {
        return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
    }
    let is_child = |pid: &Pid| {
        let stat = stat(*pid);
        field(&stat, 4) == Some(own) && !has_ended(&stat)
    };
    let mut children: Vec<Pid> = all()?.filter(is_child).collect();
    // With hidepid, `/proc` also hides children that changed their user. This list contains
    // them, but may lack others while processes end (proc(5)).
    let listed = std::fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let listed = listed.unwrap_or_default();
    for pid in listed.split_ascii_whitespace().flat_map(str::parse) {
        if !children.contains(&pid) && !has_ended(&stat(pid)) {
            children.push(pid);
        }
    }
    Ok(children)
}

/// An open `/proc/PID`: all information is about the same process, even if it ends and its pid
/// is reused.
pub struct Process(std::fs::File);

impl Process {
    /// The process `pid`.
    ///
    /// # Errors
    /// ENOENT if it does not exist or is hidden.
    pub fn open(pid: Pid) -> std::io::Result<Process> {
        std::fs::File::open(format!("/proc/{pid}")).map(Process)
    }

    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Its real, effective, saved and file system user ids.
    pub fn users(&self) -> Option<[u32; 4]> {
        let status = std::fs::read(self.path().join("status")).ok()?;
        ids(&status).try_into().ok()
    }

    /// Its current directory, if readable.
    pub fn directory(&self) -> Option<FileId> {
        file::id_at(&self.path().join("cwd"))
    }

    /// Whether its name is `name` and its program is not set-user-ID: any user could start such
    /// a program under any name.
    pub fn is_program(&self, name: &str) -> bool {
        has_name(&self.path(), name) && runs_set_id(&self.path()) == Some(false)
    }

    /// Whether one of its open files holds the flock `id`.
    pub fn holds(&self, id: LockId) -> bool {
        let held = lock::held_by(&self.path());
        held.iter().any(|(held, _)| *held == id)
    }
}

/// The pid of this process; None if `/proc` is not mounted, or belongs to another pid
/// namespace, in which the pid is that of another process.
pub fn own() -> Option<Pid> {
    let own = std::process::id();
    let shown = std::fs::read_link("/proc/self").ok()?;
    (shown.to_str() == Some(&own.to_string())).then_some(Pid::new(own)?)
}

/// The ancestors of the process `pid`, its parent first, as far as `/proc` shows them.
pub fn ancestors(pid: Pid) -> impl Iterator<Item = Pid> {
    // A limit on the depth.
    std::iter::successors(parent(pid), |child| parent(*child)).take(1000)
}

/// Whether the process `pid` is an ancestor of this process.
pub fn is_ancestor(pid: Pid) -> bool {
    own().is_some_and(|own| ancestors(own).any(|ancestor| ancestor == pid))
}

/// The directory of the process `pid` in `/proc`.
pub fn path(pid: Pid) -> PathBuf {
    format!("/proc/{pid}").into()
}

/// The start time of the process `pid`, in clock ticks since boot.
pub fn started(pid: Pid) -> Option<u64> {
    field(&stat(pid), 22)
}

/// Whether `process` exists and is not a zombie.
pub fn is_running(process: ProcessId) -> bool {
    let stat = stat(process.pid);
    process.start.is_some() && field(&stat, 22) == process.start && !has_ended(&stat)
}

/// The start time of the process `pid`, and whether it has ended (it may be a zombie); None
/// if it is gone or `/proc` does not show it.
pub fn start_and_end(pid: Pid) -> Option<(u64, bool)> {
    let stat = stat(pid);
    Some((field(&stat, 22)?, has_ended(&stat)))
}

/// Whether the process `pid` has stopped, as STOP has it do.
pub fn has_stopped(pid: Pid) -> bool {
    state(&stat(pid)) == Some(b'T')
}

/// The parent of this process, if it is named `name`.
pub fn parent_named(name: &str) -> Option<ProcessId> {
    let pid = Pid::new(std::os::unix::process::parent_id())?;
    let start = started(pid);
    is_named(pid, name).then_some(ProcessId { pid, start })
}

/// The process `of`, or its parent if that is named `name`.
pub fn above(of: ProcessId, name: &str) -> ProcessId {
    let parent = parent(of.pid).filter(|pid| is_named(*pid, name));
    parent.map_or(of, |pid| ProcessId {
        pid,
        start: started(pid),
    })
}

/// The scope of the pids and start times that this process sees; None if `/proc` is not
/// mounted, or belongs to another pid namespace.
pub fn pid_space() -> Option<PidSpace> {
    own()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot = u128::from_str_radix(&boot.trim_end().replace('-', ""), 16).ok()?;
    let namespace = Path::new("/proc/self/ns/pid").metadata().ok()?.ino();
    let boot = boot.to_be_bytes();
    Some(PidSpace { boot, namespace })
}

/// A process of the group `leader` that has not ended, if `/proc` shows one.
pub fn one_of_group(leader: Pid) -> Option<Pid> {
    all().ok()?.find(|pid| {
        let stat = stat(*pid);
        field(&stat, 5) == Some(leader.get().into()) && !has_ended(&stat)
    })
}

/// All processes that `/proc` shows.
fn all() -> std::io::Result<impl Iterator<Item = Pid>> {
    let entries = std::fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// `/proc/PID/stat`; empty if the process does not exist or is hidden.
fn stat(pid: Pid) -> Vec<u8> {
    // The line is shorter than that, and comes in one read.
    let mut bytes = vec![0; 1024];
    let read =
        std::fs::File::open(path(pid).join("stat")).and_then(|mut file| file.read(&mut bytes));
    bytes.truncate(read.unwrap_or(0));
    bytes
}

/// Whether `stat`, a `/proc/PID/stat`, is that of a zombie. A process whose main thread has
/// ended (pthread_exit(3)) is shown as one, but runs as long as it has other threads.
fn has_ended(stat: &[u8]) -> bool {
    matches!(state(stat), Some(b'Z' | b'X')) && field(stat, 20).is_none_or(|threads| threads < 2)
}

/// The letter of a process's state.
fn state(stat: &[u8]) -> Option<u8> {
    let name_end = stat.iter().rposition(|byte| *byte == b')');
    stat.get(name_end? + 2).copied()
}

/// The numeric field `index` of `/proc/PID/stat`, counted from 1 as in proc(5); at least 4.
/// Field 2, the name, may contain spaces and parentheses, so the fields are counted from its
/// last parenthesis.
fn field(stat: &[u8], index: usize) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    rest.split_ascii_whitespace()
        .nth(index.checked_sub(3)?)?
        .parse()
        .ok()
}

/// Whether the process `pid` is named `name` and runs as the effective user of this process
/// alone: another user can choose any name, but not that. A set-user-ID program, which another
/// user may have started, does not count.
pub fn is_own(pid: Pid, name: &str) -> bool {
    is_named(pid, name) && is_of(pid, &[file::euid()]) && runs_set_id(&path(pid)) == Some(false)
}

/// Whether the process `process`, a directory in `/proc`, runs a set-user-ID or set-group-ID
/// program: neither the ids nor the name of such a process show who started it, where, and with
/// which open files. None if that cannot be determined.
fn runs_set_id(process: &Path) -> Option<bool> {
    let program = process.join("exe").metadata().ok()?;
    Some(program.mode() & 0o6000 != 0)
}

/// The processes named `name` (the kernel stores 15 bytes), as far as `/proc` shows them, which
/// lists them by pid.
pub fn named(name: &str) -> Vec<Pid> {
    let all = all().into_iter().flatten();
    all.filter(|pid| is_named(*pid, name)).collect()
}

/// `pids` by current directory, as far as `/proc` shows that.
pub fn by_directory(pids: &[Pid]) -> HashMap<FileId, Vec<Pid>> {
    let mut all: HashMap<_, Vec<Pid>> = HashMap::new();
    for pid in pids {
        if let Some(directory) = file::id_at(&directory_link(*pid)) {
            all.entry(directory).or_default().push(*pid);
        }
    }
    all
}

/// Whether the process `pid` is named `name`.
pub fn is_named(pid: Pid, name: &str) -> bool {
    has_name(&path(pid), name)
}

fn has_name(process: &Path, name: &str) -> bool {
    let comm = std::fs::read(process.join("comm")).unwrap_or_default();
    comm.strip_suffix(b"\n") == Some(name.as_bytes())
}

/// Whether the process `pid` runs as root or the effective user alone, and was started by one
/// of them. Any user can choose any name and arguments, also for a set-user-ID program of root.
/// The owner of `/proc/PID` does not count: it is root for every process that is not dumpable.
pub fn is_trusted(pid: Pid) -> bool {
    is_of(pid, &[0, super::file::euid()])
}

/// Whether all ids of the process `pid` are among `users`. A set-user-ID program, which any
/// user may have started, does not count, as far as it can be recognized.
pub fn is_of(pid: Pid, users: &[u32]) -> bool {
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    are_all_of(&ids(&status), users) && runs_set_id(&path(pid)) != Some(true)
}

/// Whether the four ids (real, effective, saved, file system) are all among `users`.
fn are_all_of(ids: &[u32], users: &[u32]) -> bool {
    ids.len() == 4 && ids.iter().all(|id| users.contains(id))
}

/// Whether the process `pid` blocks `signal`.
pub fn blocks(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(path(pid).join("status")).unwrap_or_default();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigBlk:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.raw() - 1)) != 0)
}

/// The user ids in `/proc/PID/status`.
fn ids(status: &[u8]) -> Vec<u32> {
    let status = String::from_utf8_lossy(status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let ids = line.unwrap_or_default().split_ascii_whitespace();
    ids.flat_map(str::parse).collect()
}

/// The parent of the process `pid`, if `/proc` shows one.
pub fn parent(pid: Pid) -> Option<Pid> {
    Pid::new(field(&stat(pid), 4)?.try_into().ok()?)
}

/// The current arguments of the process `pid`, `argv[0]` first; none if it has ended or hides
/// them.
pub fn arguments(pid: Pid) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    match bytes.strip_suffix(b"\0").unwrap_or(&bytes) {
        b"" => Vec::new(),
        bytes => bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect(),
    }
}

/// The paths of the open files of the process `pid`, in the order of `/proc`, by descriptor;
/// none if they are hidden.
pub fn open_files(pid: Pid) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"));
    let entries = entries.into_iter().flatten().flatten();
    let paths = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    paths.collect()
}

/// The current directory of the process `pid`, if readable.
pub fn directory(pid: Pid) -> Option<PathBuf> {
    std::fs::read_link(directory_link(pid)).ok()
}

/// The `/proc` link to the current directory of the process `pid`, which works also if the
/// directory has no path any more.
pub fn directory_link(pid: Pid) -> PathBuf {
    format!("/proc/{pid}/cwd").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_a_name_with_parentheses() {
        let stat = b"7 (a) b (c)) S 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(field(stat, 22), Some(4242));
        assert_eq!(field(stat, 4), Some(1));
        assert_eq!(field(b"7 a S 1", 4), None);
    }

    #[test]
    fn whose_a_process_is_its_ids_tell_and_not_its_name() {
        let status = b"Name:\tUid:\\n\nUid:\t1000\t0\t0\t0\nGid:\t0\t0\t0\t0\n";
        assert_eq!(ids(status), [1000, 0, 0, 0]);
        assert!(ids(b"").is_empty());
        assert!(are_all_of(&[0; 4], &[0]) && are_all_of(&[0, 7, 7, 0], &[0, 7]));
        for ids in [[7, 0, 0, 0], [0, 0, 0, 7], [7; 4]] {
            assert!(!are_all_of(&ids, &[0]), "{ids:?}");
        }
        assert!(!are_all_of(&[], &[0]));
        let own = Pid::new(std::process::id()).unwrap();
        assert!(is_trusted(own) && !is_of(own, &[]));
        assert!(!is_trusted(Pid::MAX));
    }

    #[test]
    fn a_process_has_four_users() {
        let own = Process::open(Pid::new(std::process::id()).unwrap()).unwrap();
        assert_eq!(own.users().unwrap()[1], file::euid());
        assert_eq!(own.directory(), file::id_at(Path::new(".")));
        let child = crate::sys::child::spawn(|| 0).unwrap();
        let gone = Process::open(child).unwrap();
        crate::sys::child::wait(child).unwrap();
        assert_eq!((gone.users(), gone.directory()), (None, None));
    }

    #[test]
    fn of_a_group_only_those_count_that_have_not_ended() {
        use crate::sys::child;
        use crate::sys::spawn::Spawn;
        assert!(has_ended(b"7 (a) b) Z 1 7 7 0 -1 4 1 2"));
        assert!(!has_ended(b"7 (Z) Z) S 1 7 7 0 -1 4 1 2"));
        let main_thread = b"7 (a) Z 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 2 0 4242 9 9";
        assert!(!has_ended(main_thread));
        let (reader, writer) = std::io::pipe().unwrap();
        let leader = Spawn::new().group().start(|_| {
            use std::io::Read;
            let mut byte = [0];
            let _ = (&reader).read(&mut byte);
            0
        });
        let leader = leader.unwrap().pid();
        child::make_group(leader);
        assert_eq!(one_of_group(leader), Some(leader));
        use std::io::Write;
        (&writer).write_all(b".").unwrap();
        let end = crate::sys::pidfd::open(leader).unwrap();
        crate::sys::poll::wait([Some(std::os::fd::AsFd::as_fd(&end))], None);
        assert_eq!(one_of_group(leader), None);
        child::wait(leader).unwrap();
    }

    #[test]
    fn a_parent_is_an_ancestor_and_a_child_is_not() {
        let parent = Pid::new(std::os::unix::process::parent_id()).unwrap();
        assert!(is_ancestor(parent));
        let child = crate::sys::child::spawn(|| 0).unwrap();
        assert!(!is_ancestor(child));
        crate::sys::child::wait(child).unwrap();
    }

    #[test]
    fn the_arguments_of_this_process_are_those_it_was_given() {
        use std::os::unix::ffi::OsStrExt;
        let own = Pid::new(std::process::id()).unwrap();
        let given: Vec<Vec<u8>> = std::env::args_os().map(|a| a.as_bytes().to_vec()).collect();
        assert_eq!(arguments(own), given);
        let open = std::fs::File::open("/proc/self/stat").unwrap();
        let path = PathBuf::from(format!("/proc/{own}/stat"));
        assert!(open_files(own).contains(&path));
        drop(open);
        assert_eq!(directory(own), std::env::current_dir().ok());
        assert_eq!(parent(own), Pid::new(std::os::unix::process::parent_id()));
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert!(named(name.trim_end()).contains(&own));
        assert!(!is_named(own, "no such program"));
    }

    #[test]
    fn a_child_is_found_by_its_name_and_its_directory() {
        use std::io::{Read, Write};
        let (reader, writer) = std::io::pipe().unwrap();
        let child = crate::sys::child::spawn(|| {
            let mut byte = [0];
            let _ = (&reader).read(&mut byte);
            0
        })
        .unwrap();
        let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap();
        let name = name.trim_end();
        let here = std::env::current_dir().unwrap();
        assert!(children().unwrap().contains(&child) && is_own(child, name));
        let by_directory = by_directory(&named(name));
        let at = |path: &Path| &by_directory[&file::id_at(path).unwrap()];
        assert!(at(&here).contains(&child));
        assert!(!is_own(child, "no such program"));
        (&writer).write_all(b".").unwrap();
        crate::sys::child::wait(child).unwrap();
        assert!(!is_own(child, name));
    }

    #[test]
    fn a_process_is_told_by_its_start_where_pids_mean_the_same() {
        let space = pid_space().unwrap();
        assert!(pid_space() == Some(space) && space.boot != [0; 16]);
        let child = crate::sys::child::spawn(|| {
            let parent = std::os::unix::process::parent_id();
            let comm = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap();
            let parent = parent_named(comm.trim_end()).unwrap();
            let same = pid_space() == Some(space) && is_running(parent);
            u8::from(!same || parent_named("no such program").is_some())
        })
        .unwrap();
        let start = started(child);
        let child = ProcessId { pid: child, start };
        let end = crate::sys::pidfd::open(child.pid).unwrap();
        crate::sys::poll::wait([Some(std::os::fd::AsFd::as_fd(&end))], None);
        assert!(!is_running(child), "a zombie");
        let code = crate::sys::child::wait(child.pid).unwrap();
        assert_eq!(code, crate::child::End::Exited(0));
        let own = Pid::new(std::process::id()).unwrap();
        let start = started(own);
        assert!(is_running(ProcessId { pid: own, start }));
        for start in [None, start.map(|start| start + 1)] {
            assert!(!is_running(ProcessId { pid: own, start }));
        }
    }

    #[test]
    fn this_process_is_younger_than_the_machine() {
        let own = Pid::new(std::process::id()).unwrap();
        assert!(age(own).unwrap() <= crate::sys::clock::since_boot());
        assert!(named("no such program").is_empty());
    }
}
