//! Reap children (waitpid), send signals (kill), process groups and sessions. [`super::spawn`]
//! starts children.

use crate::child::{End, Pid};
use crate::sys::signals::Signal;
#[cfg(test)]
use crate::sys::spawn::Spawn;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// Starts a child that runs `work`: [`Spawn::start`] without any preparation.
///
/// # Errors
/// EAGAIN, ENOMEM: see fork(2).
#[cfg(test)]
pub fn spawn(work: impl FnOnce() -> u8) -> io::Result<Pid> {
    let started = Spawn::new().start(|_| work());
    started.map(|child| child.pid())
}

/// Moves the child `pid` to another processor than the current one, if it may use another
/// (sched_setaffinity(2)). By default the kernel starts a child on the processor of its parent,
/// after the parent.
pub fn run_elsewhere(pid: Pid) {
    let Ok(pid) = i32::try_from(pid.get()) else {
        return;
    };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: a zeroed set is a valid one to be written to, CPU_CLR is given the number of a
    // processor, and the rest takes numbers. The kernel refuses an empty set; nothing changes
    // then.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if let Ok(here @ 0..1024) = usize::try_from(libc::sched_getcpu())
            && libc::sched_getaffinity(0, size, &mut set) == 0
        {
            libc::CPU_CLR(here, &mut set);
            libc::sched_setaffinity(pid, size, &set);
        }
    }
}

/// Reaps a child that has ended, if there is one (waitpid(2)).
///
/// This calls waitpid(2) of libc: nix's wrapper cannot represent a real-time signal and would
/// lose a child that one killed.
pub fn reap() -> Option<(Pid, End)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place to write to.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid == -1 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        let pid = u32::try_from(pid).ok().and_then(Pid::new)?;
        return Some((pid, end(status)));
    }
}

/// A child that has ended, if there is one, without reaping it (WNOWAIT): its pid is not reused
/// until [`wait`] is called for it. Until then, this returns the same child.
pub fn ended() -> Option<(Pid, End)> {
    // SAFETY: a zeroed siginfo_t is a valid one to be written to, and what is read of it
    // is what waitid(2) fills in for a child, or zero.
    let (pid, code, status) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // It does not block, so no signal interrupts it.
        libc::waitid(libc::P_ALL, 0, &mut info, flags);
        (info.si_pid(), info.si_code, info.si_status())
    };
    let pid = u32::try_from(pid).ok().and_then(Pid::new)?;
    let number = u8::try_from(status).unwrap_or(u8::MAX);
    Some(match code {
        libc::CLD_EXITED => (pid, End::Exited(number)),
        _ => (pid, End::Killed(number)),
    })
}

pub(super) fn end(status: i32) -> End {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    if libc::WIFSIGNALED(status) {
        End::Killed(byte(libc::WTERMSIG(status)))
    } else {
        End::Exited(byte(libc::WEXITSTATUS(status)))
    }
}

/// Sends `signal` to the process `pid` (kill(2)), if it exists.
pub fn kill(pid: Pid, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid.get()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal.nix());
    }
}

/// Sends `signal` to the process group `leader` (killpg(3)), if it has members.
pub fn killpg(leader: Pid, signal: Signal) {
    if let Ok(leader) = i32::try_from(leader.get()) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader), signal.nix());
    }
}

/// Whether this process is the leader of its process group.
pub fn is_group_leader() -> bool {
    nix::unistd::getpgrp() == nix::unistd::getpid()
}

/// Whether `pid` is another process in this process's group, including a zombie.
pub fn is_in_own_group(pid: Pid) -> bool {
    i32::try_from(pid.get()).is_ok_and(|pid| {
        let pid = nix::unistd::Pid::from_raw(pid);
        let group = nix::unistd::getpgid(Some(pid));
        pid != nix::unistd::getpid() && group == Ok(nix::unistd::getpgrp())
    })
}

/// Makes this process a session leader and a process group leader (setsid(2)), unless it is a
/// group leader already.
pub fn setsid() {
    let _ = nix::unistd::setsid();
}

/// Makes this process a subreaper (prctl(2)): descendants whose parent has ended become its
/// children, instead of those of pid 1.
pub fn become_subreaper() {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// Waits for the child `pid` to end and reaps it (waitpid(2)).
///
/// # Errors
/// ECHILD: see waitpid(2).
pub fn wait(pid: Pid) -> io::Result<End> {
    let raw = i32::try_from(pid.get()).map_err(|_| io::Error::from_raw_os_error(libc::ECHILD))?;
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place to write to.
        if unsafe { libc::waitpid(raw, &mut status, 0) } == raw {
            return Ok(end(status));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whether the child `pid` is a zombie: it has ended and has not been reaped.
pub fn has_ended(pid: Pid) -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is a valid place to write to; zeroes are valid, and mean no child.
    unsafe {
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid.get(), info.as_mut_ptr(), flags) == 0
            && info.assume_init().si_pid() != 0
    }
}

/// Whether the process `pid` is a child of this process; a zombie is one, too.
pub fn is_child(pid: Pid) -> bool {
    // SAFETY: a null pointer is allowed: nothing is written then.
    unsafe {
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid.get(), std::ptr::null_mut(), flags) == 0
    }
}

/// Whether this process has any children, zombies included.
pub fn has_children() -> bool {
    // SAFETY: a null pointer is allowed: nothing is written then.
    let found = unsafe {
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), flags)
    };
    found == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ECHILD)
}

/// Whether the process `leader` has moved to another group than its own (it is a session leader
/// now, say). False if it does not exist.
pub fn has_left_group(leader: Pid) -> bool {
    i32::try_from(leader.get()).is_ok_and(|leader| {
        let leader = nix::unistd::Pid::from_raw(leader);
        nix::unistd::getpgid(Some(leader)).is_ok_and(|group| group != leader)
    })
}

/// In a parent: puts the child `pid` into a process group of its own (setpgid(2)), so that the
/// group exists whichever of the two runs first ([`super::spawn::Spawn::group`]).
pub fn make_group(pid: Pid) {
    if let Ok(pid) = i32::try_from(pid.get()) {
        let pid = nix::unistd::Pid::from_raw(pid);
        // EACCES: the child has called exec already, after its own setpgid.
        let _ = nix::unistd::setpgid(pid, pid);
    }
}

/// The path of the program `name` in the directory of this program's file, if it exists and is
/// executable.
pub fn sibling_program(name: &str) -> Option<OsString> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.join(name);
    super::file::may_execute(Path::new(&path)).then(|| path.into_os_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pidfd;
    use std::os::fd::AsFd;

    #[test]
    fn a_child_ends_with_the_code_of_its_work() {
        assert_eq!(wait(spawn(|| 7).unwrap()).unwrap(), End::Exited(7));
    }

    #[test]
    fn a_child_that_has_ended_is_seen_and_stays_until_it_is_waited_for() {
        // In a process of its own, whose children belong to no other test.
        let seen = spawn(|| {
            let pid = spawn(|| 7).unwrap();
            let end = pidfd::open(pid).unwrap();
            crate::sys::poll::wait([Some(end.as_fd())], None);
            let seen = [ended(), ended()] == [Some((pid, End::Exited(7))); 2];
            let is_there = wait(pid).unwrap() == End::Exited(7);
            let pid = spawn(|| {
                // SAFETY: raise takes any number.
                unsafe { libc::raise(libc::SIGRTMIN() + 1) };
                0
            });
            let pid = pid.unwrap();
            let end = pidfd::open(pid).unwrap();
            crate::sys::poll::wait([Some(end.as_fd())], None);
            let killed = ended() == Some((pid, wait(pid).unwrap()));
            u8::from(!(seen && is_there && killed && ended().is_none()))
        });
        assert_eq!(wait(seen.unwrap()).unwrap(), End::Exited(0));
    }

    #[test]
    fn the_end_of_a_process_can_be_waited_for_before_and_after_it() {
        let deadline = crate::sys::clock::monotonic() + std::time::Duration::from_secs(60);
        let pid = spawn(|| 0).unwrap();
        for _ in 0..2 {
            let end = pidfd::open(pid).unwrap();
            assert_eq!(
                crate::sys::poll::wait([Some(end.as_fd())], Some(deadline)),
                [true]
            );
        }
        assert!(has_ended(pid));
        wait(pid).unwrap();
        assert!(!has_ended(pid));
        let gone = pidfd::open(pid).unwrap_err();
        assert!(crate::sys::errno::is_no_process(&gone));
    }

    #[test]
    fn a_real_time_signal_is_told_as_its_number() {
        let pid = spawn(|| {
            // SAFETY: raise takes any number.
            unsafe { libc::raise(libc::SIGRTMIN() + 1) };
            0
        });
        let number = u8::try_from(libc::SIGRTMIN() + 1).unwrap();
        assert_eq!(wait(pid.unwrap()).unwrap(), End::Killed(number));
    }
}
