//! Facts about other processes, from `/proc` (proc(5)).

use crate::child::Pid;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// How long the process `pid` has existed, by a clock that nobody can set; None
/// if it is gone or hidden from us. Good to a hundredth of a second.
pub fn age(pid: Pid) -> Option<Duration> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // When it was started, in ticks since boot.
    let ticks = field(&stat, 22)?;
    // SAFETY: sysconf only asks.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    let started = Duration::from_millis(ticks.checked_mul(1000)?.checked_div(per_second)?);
    Some(super::clock::since_boot().saturating_sub(started))
}

/// From now on, orphans below this process become its children (prctl(2),
/// PR_SET_CHILD_SUBREAPER; Linux 3.4).
pub fn take_in_orphans() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// From now on, this process leaves no core file.
pub fn leave_no_core() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

/// This process's children that have not ended.
///
/// # Errors
/// `/proc` cannot be read; ESRCH if it is that of another pid namespace: the numbers
/// in it are not ours, and who has them here is somebody else.
pub fn children() -> std::io::Result<Vec<Pid>> {
    let own = u64::from(std::process::id());
    let shown = std::fs::read_link("/proc/self")?;
    if shown.to_str() != Some(&own.to_string()) {
        return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
    }
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
            continue;
        };
        let stat = std::fs::read(entry.path().join("stat")).unwrap_or_default();
        if field(&stat, 4) == Some(own) && !has_ended(&stat) {
            children.push(pid);
        }
    }
    // Where `/proc` hides the processes of others (hidepid), it hides what changed
    // its user, too; this list has it, but may lack some while others end (proc(5)).
    let listed = std::fs::read_to_string(format!("/proc/self/task/{own}/children"));
    for pid in listed.unwrap_or_default().split_ascii_whitespace() {
        let Ok(pid) = pid.parse::<Pid>() else {
            continue;
        };
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        if !children.contains(&pid) && !has_ended(&stat) {
            children.push(pid);
        }
    }
    Ok(children)
}

/// Whether this process descends from the process `pid`.
pub fn is_ancestor(pid: Pid) -> bool {
    let mut child = std::process::id();
    // No tree of processes is deeper; the kernel's own pid 0 ends it.
    for _ in 0..1000 {
        let stat = std::fs::read(format!("/proc/{child}/stat")).unwrap_or_default();
        match field(&stat, 4) {
            Some(parent) if parent == u64::from(pid.get()) => return true,
            Some(parent @ 1..) => match u32::try_from(parent) {
                Ok(parent) => child = parent,
                Err(_) => return false,
            },
            _ => return false,
        }
    }
    false
}

/// A process of the group `leader` that has not ended yet, if there is one that
/// `/proc` shows.
pub fn one_of_group(leader: Pid) -> Option<Pid> {
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<Pid>().ok())
        .find(|pid| {
            let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
            field(&stat, 5) == Some(leader.get().into()) && !has_ended(&stat)
        })
}

/// Whether `/proc/PID/stat` is that of a process nobody has waited for yet.
fn has_ended(stat: &[u8]) -> bool {
    let name_end = stat.iter().rposition(|byte| *byte == b')');
    let state = name_end.and_then(|end| stat.get(end + 2));
    matches!(state, Some(b'Z' | b'X'))
}

/// A number in `/proc/PID/stat`, by its place as proc(5) counts, from 4. The name
/// in field 2 may hold spaces and parentheses, so count from its last one.
fn field(stat: &[u8], place: usize) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    rest.split_ascii_whitespace()
        .nth(place.checked_sub(3)?)?
        .parse()
        .ok()
}

/// Whether a process named `name` runs whose current directory is `directory`.
/// None if `/proc` cannot tell.
pub fn runs_in(name: &str, directory: &Path) -> Option<bool> {
    let wanted = std::fs::metadata(directory).ok()?;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let comm = std::fs::read(entry.path().join("comm")).unwrap_or_default();
        if comm.strip_suffix(b"\n") != Some(name.as_bytes()) {
            continue;
        }
        let Ok(cwd) = std::fs::metadata(entry.path().join("cwd")) else {
            continue;
        };
        if (cwd.dev(), cwd.ino()) == (wanted.dev(), wanted.ino()) {
            return Some(true);
        }
    }
    Some(false)
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
    fn of_a_group_only_those_count_that_have_not_ended() {
        use crate::sys::child;
        assert!(has_ended(b"7 (a) b) Z 1 7 7 0 -1 4 1 2"));
        assert!(!has_ended(b"7 (Z) Z) S 1 7 7 0 -1 4 1 2"));
        let (reader, writer) = std::io::pipe().unwrap();
        let leader = child::spawn(|| {
            use std::io::Read;
            child::lead_group();
            let mut byte = [0];
            let _ = (&reader).read(&mut byte);
            0
        })
        .unwrap();
        child::make_group(leader);
        assert_eq!(one_of_group(leader), Some(leader));
        use std::io::Write;
        (&writer).write_all(b".").unwrap();
        let end = child::end_of(leader).unwrap();
        crate::sys::poll::wait([Some(std::os::fd::AsFd::as_fd(&end))], None);
        assert_eq!(one_of_group(leader), None);
        child::wait_for(leader);
    }

    #[test]
    fn a_parent_is_an_ancestor_and_a_child_is_not() {
        let parent = Pid::new(std::os::unix::process::parent_id()).unwrap();
        assert!(is_ancestor(parent));
        let child = crate::sys::child::spawn(|| 0).unwrap();
        assert!(!is_ancestor(child));
        crate::sys::child::wait_for(child);
    }

    #[test]
    fn this_process_is_younger_than_the_machine() {
        let own = Pid::new(std::process::id()).unwrap();
        assert!(age(own).unwrap() <= crate::sys::clock::since_boot());
        assert_eq!(runs_in("no such program", Path::new("/")), Some(false));
    }
}
