//! Start children, become other programs, reap and signal.
//!
//! Every program of this crate has one thread, which is what makes [`spawn`] safe.

use crate::child::{End, Pid};
use crate::sys::exec::{self, Program};
use crate::sys::signals::{self, Number};
use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Forks, does `work` in the child and ends the child with the code that `work`
/// gives, without running anything else of this process.
///
/// # Errors
/// EAGAIN, ENOMEM: see fork(2).
pub fn spawn(work: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: clippy.toml forbids threads, so the child may do what this process may.
    match unsafe { libc::fork() } {
        0 => {
            let code = work();
            // SAFETY: _exit does not come back and runs no handler of the parent's.
            unsafe { libc::_exit(code.into()) }
        }
        pid => match u32::try_from(pid).ok().and_then(Pid::new) {
            Some(pid) => Ok(pid),
            None => Err(io::Error::last_os_error()),
        },
    }
}

/// Has the child `pid` run on another processor than this process does now, if it
/// may use another: left to itself, the kernel begins it here, after this process.
pub fn run_elsewhere(pid: Pid) {
    let Ok(pid) = i32::try_from(pid.get()) else {
        return;
    };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: a zeroed set is a valid one to be written to, CPU_CLR is given the
    // number of a processor, and the rest takes numbers. A set that is empty then
    // is refused, and nothing changes.
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

/// What a child of [`spawn_held`] waits at.
pub struct Gate(PipeReader, PipeWriter);

impl Gate {
    /// A closed one.
    ///
    /// # Errors
    /// EMFILE, ENFILE: see pipe(2).
    pub fn new() -> io::Result<Gate> {
        io::pipe().map(|(reader, writer)| Gate(reader, writer))
    }
}

/// A child of [`spawn_held`] that has not begun.
pub struct Held(PipeWriter);

impl Held {
    /// Lets it begin.
    pub fn let_go(mut self) {
        // If it is gone, its end will be told.
        let _ = self.0.write_all(&[0]);
    }
}

/// As [`spawn`], but the child begins with `work` only when it is let go. Without
/// that, or if this process ends before, it ends without having done anything.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_held(gate: Gate, work: impl FnOnce() -> u8) -> io::Result<(Pid, Held)> {
    let Gate(mut reader, writer) = gate;
    let mut writer = Some(writer);
    let pid = spawn(|| {
        // Its own copy would keep the pipe from its end.
        writer = None;
        match reader.read_exact(&mut [0]) {
            Ok(()) => work(),
            Err(_) => 111,
        }
    })?;
    match writer {
        Some(writer) => Ok((pid, Held(writer))),
        None => Err(io::Error::from_raw_os_error(libc::EBADF)),
    }
}

/// A child that has ended, if there is one; it is gone then.
///
/// Uses waitpid(2) itself: a wrapper that cannot name a real-time signal would
/// lose the child that one killed.
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

fn end(status: i32) -> End {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    if libc::WIFSIGNALED(status) {
        End::Killed(byte(libc::WTERMSIG(status)))
    } else {
        End::Exited(byte(libc::WEXITSTATUS(status)))
    }
}

/// Sends `signal` to the process `pid`; one that is gone does not mind.
pub fn send(pid: Pid, signal: Number) {
    if let Ok(pid) = i32::try_from(pid.get()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal.nix());
    }
}

/// Sends `signal` to the process group `leader`, if there is anybody in it.
pub fn send_group(leader: Pid, signal: Number) {
    if let Ok(leader) = i32::try_from(leader.get()) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader), signal.nix());
    }
}

/// In a child: makes it the leader of a process group of its own.
pub fn lead_group() {
    let zero = nix::unistd::Pid::from_raw(0);
    // A fresh child of ours can always do this.
    let _ = nix::unistd::setpgid(zero, zero);
}

/// Whether this process leads its process group.
pub fn leads_group() -> bool {
    nix::unistd::getpgrp() == nix::unistd::getpid()
}

/// Whether `pid` is another process of this process's group, one that has ended but was
/// not waited for included.
pub fn is_in_own_group(pid: Pid) -> bool {
    i32::try_from(pid.get()).is_ok_and(|pid| {
        let pid = nix::unistd::Pid::from_raw(pid);
        let group = nix::unistd::getpgid(Some(pid));
        pid != nix::unistd::getpid() && group == Ok(nix::unistd::getpgrp())
    })
}

/// Makes this process the leader of a session and of a process group of its own,
/// unless it is the leader of a group.
pub fn lead_session() {
    let _ = nix::unistd::setsid();
}

/// From now on, children of descendants whose own parent has ended become this
/// process's children, as they become those of pid 1 by default.
pub fn adopt_orphans() {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// In a child: leaves `fd`, and `copies` copies of it, open for the next program:
/// as many as there are descriptors for.
pub fn give_copies(fd: BorrowedFd<'_>, copies: usize) {
    // SAFETY: they take and give numbers. The copies are nobody's here; they are
    // for the next program.
    unsafe {
        for _ in 0..copies {
            libc::dup(fd.as_raw_fd());
        }
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0);
    }
}

/// Waits for the child `pid` to end.
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

/// Whether this process has any child, ended or not.
pub fn is_any() -> bool {
    // SAFETY: a null pointer is where no facts are written to.
    let found = unsafe {
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), flags)
    };
    found == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ECHILD)
}

/// In a child: has it killed when its parent ends, `parent` being that.
pub fn die_with_parent(parent: u32) {
    // SAFETY: PR_SET_PDEATHSIG takes a signal's number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // It may have ended before that.
    if std::os::unix::process::parent_id() != parent {
        // SAFETY: _exit does not come back and runs no handler of the parent's.
        unsafe { libc::_exit(111) };
    }
}

/// A descriptor that can be read when the process `pid` has ended, whoever's
/// child it is: a pidfd.
///
/// # Errors
/// ESRCH if it is gone; ENOSYS before Linux 5.3; see pidfd_open(2).
pub fn end_of(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.get(), 0) };
    match i32::try_from(fd) {
        // SAFETY: a new descriptor, closed on exec, that nobody else has.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the process `leader` is in another group than the one it was made
/// leader of. One that is gone is in none.
pub fn has_left_group(leader: Pid) -> bool {
    i32::try_from(leader.get()).is_ok_and(|leader| {
        let leader = nix::unistd::Pid::from_raw(leader);
        nix::unistd::getpgid(Some(leader)).is_ok_and(|group| group != leader)
    })
}

/// In a parent: as [`lead_group`] for the child `pid`, so that the group exists
/// whichever of the two runs first.
pub fn make_group(pid: Pid) {
    if let Ok(pid) = i32::try_from(pid.get()) {
        let pid = nix::unistd::Pid::from_raw(pid);
        // EACCES: it has become another program, and did it itself before that.
        let _ = nix::unistd::setpgid(pid, pid);
    }
}

/// In a child: makes a copy of `fd` its stdin.
///
/// # Errors
/// What dup2(2) says.
pub fn set_stdin(fd: impl AsFd) -> io::Result<()> {
    nix::unistd::dup2_stdin(fd).map_err(super::io)
}

/// In a child: makes a copy of `fd` its stdout.
///
/// # Errors
/// What dup2(2) says.
pub fn set_stdout(fd: impl AsFd) -> io::Result<()> {
    nix::unistd::dup2_stdout(fd).map_err(super::io)
}

/// In a child: makes a copy of `fd` its stderr.
///
/// # Errors
/// What dup2(2) says.
pub fn set_stderr(fd: impl AsFd) -> io::Result<()> {
    nix::unistd::dup2_stderr(fd).map_err(super::io)
}

/// In a child: makes `file` the descriptor `number`, for the next program, too.
///
/// # Errors
/// What dup2(2) says.
pub fn set_descriptor(file: std::fs::File, number: i32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    if file.as_raw_fd() == number {
        return super::file::leave_open(file);
    }
    // SAFETY: dup2 takes two numbers. What was open as `number` belonged to the
    // parent's code, none of which runs in this child any more.
    match unsafe { libc::dup2(file.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Becomes the program `path` with the given `arguments` (the first is its own
/// name), this process's environment, an empty signal mask and the signal
/// dispositions this process was started with.
///
/// # Errors
/// What execve(2) says; it comes back only then.
pub fn exec(path: &OsStr, arguments: &[&OsStr]) -> io::Error {
    exec_program(Program::at(path, arguments))
}

/// As [`exec()`], with `changes` made to the environment.
///
/// # Errors
/// As [`exec()`].
pub fn exec_with(path: &OsStr, arguments: &[&OsStr], changes: &[(&OsStr, &OsStr)]) -> io::Error {
    let mut entries = exec::environment();
    for (name, value) in changes {
        let start = [name.as_bytes(), b"="].concat();
        entries.retain(|entry| !entry.starts_with(&start));
        entries.push([&start, value.as_bytes()].concat());
    }
    let program = Program::at(path, arguments);
    exec_program(program.and_then(|program| program.with_environment(&entries)))
}

/// As [`exec()`], looking for `name` in PATH, as [`Program::ours`] does.
///
/// # Errors
/// As [`Program::exec`].
pub fn exec_in_path(name: &OsStr, arguments: &[&OsStr]) -> io::Error {
    exec_program(Program::ours(name, arguments))
}

/// As [`exec_in_path`], with nothing but PATH in the environment, which is `path`.
///
/// # Errors
/// As [`Program::exec`].
pub fn exec_alone(name: &OsStr, arguments: &[&OsStr], path: &OsStr) -> io::Error {
    let only = [b"PATH=", path.as_bytes()].concat();
    let program = Program::in_path(name, arguments, path);
    exec_program(program.and_then(|program| program.with_environment(&[only])))
}

fn exec_program(program: io::Result<Program>) -> io::Error {
    match program {
        Ok(program) => exec_prepared(&program),
        Err(error) => error,
    }
}

/// As [`exec()`], for a program that was made ready before: a child that does no more
/// than this becomes it sooner.
///
/// # Errors
/// As [`Program::exec`].
pub fn exec_prepared(program: &Program) -> io::Error {
    signals::restore_for_child();
    program.exec()
}

/// Starts a child that waits for the exclusive lock on `file` in our stead and
/// ends when it has it, with code 0. The lock belongs to the open file, which
/// both share, so it is ours from then on. Without us, it does not wait on.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_lock_waiter(file: &std::fs::File) -> io::Result<Pid> {
    let parent = std::process::id();
    spawn(|| {
        die_with_parent(parent);
        loop {
            match super::lock::exclusive(file) {
                Ok(()) => return 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return 111,
            }
        }
    })
}

/// The path of the program that stands beside this one under `name`, if there
/// is one that may be executed.
pub fn beside(name: &str) -> Option<OsString> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.join(name);
    super::file::may_execute(Path::new(&path)).then(|| path.into_os_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_ends_with_the_code_of_its_work() {
        assert_eq!(wait(spawn(|| 7).unwrap()).unwrap(), End::Exited(7));
    }

    #[test]
    fn a_held_child_begins_when_it_is_let_go_and_else_never() {
        let (pid, held) = spawn_held(Gate::new().unwrap(), || 7).unwrap();
        held.let_go();
        assert_eq!(wait(pid).unwrap(), End::Exited(7));
        let (pid, held) = spawn_held(Gate::new().unwrap(), || 7).unwrap();
        drop(held);
        assert_eq!(wait(pid).unwrap(), End::Exited(111));
    }

    #[test]
    fn the_end_of_a_process_can_be_waited_for_before_and_after_it() {
        let deadline = crate::sys::clock::monotonic() + std::time::Duration::from_secs(60);
        let pid = spawn(|| 0).unwrap();
        for _ in 0..2 {
            let end = end_of(pid).unwrap();
            assert_eq!(
                crate::sys::poll::wait([Some(end.as_fd())], Some(deadline)),
                [true]
            );
        }
        wait(pid).unwrap();
        let gone = end_of(pid).unwrap_err();
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

    #[test]
    fn a_program_can_be_given_nothing_but_path() {
        let (mut reader, writer) = io::pipe().unwrap();
        let pid = spawn(|| {
            set_stdout(&writer).unwrap();
            let path = OsStr::new("/nowhere:/bin:/usr/bin");
            exec_alone(OsStr::new("env"), &[OsStr::new("env")], path);
            111
        });
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(wait(pid.unwrap()).unwrap(), End::Exited(0));
        assert_eq!(text, "PATH=/nowhere:/bin:/usr/bin\n");
    }

    #[test]
    fn the_next_program_has_an_empty_mask_and_does_not_ignore_sigpipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        let pid = spawn(|| {
            let _blocked = signals::Signals::new(&[Number::CHLD, Number::TERM]).unwrap();
            set_stdout(&writer).unwrap();
            exec(
                OsStr::new("/bin/grep"),
                &[
                    OsStr::new("grep"),
                    OsStr::new("^Sig[BI]"),
                    OsStr::new("/proc/self/status"),
                ],
            );
            111
        });
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(wait(pid.unwrap()).unwrap(), End::Exited(0));
        assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
        let ignored = text.split("SigIgn:\t").nth(1).unwrap().trim();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        let was_ignored = crate::sys::start::sigpipe_was_ignored();
        assert_eq!(ignored & (1 << (libc::SIGPIPE - 1)) != 0, was_ignored);
    }
}
