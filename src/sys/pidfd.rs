//! Process handles. A pid is reused after its process has been reaped; a pidfd (pidfd_open(2))
//! refers to one process.

use super::signals::Signal;
use super::{errno, process};
use crate::child::{End, Pid};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A handle of a process: signals sent through it never reach another process.
///
/// The handle of a child ([`super::spawn::Spawn`]) costs no system call and no descriptor: the
/// pid is not reused until the child has been reaped. Drop the handle then. The handle of any
/// other process ([`Proc::open`]) has a pidfd, if the kernel supports it.
#[derive(Debug)]
pub struct Proc {
    pid: Pid,
    pidfd: Option<OwnedFd>,
    /// The writing end of the pipe that a gated child reads from first.
    gate: Option<PipeWriter>,
}

impl Proc {
    pub(super) fn of_child(pid: Pid, gate: Option<PipeWriter>) -> Proc {
        let pidfd = None;
        Proc { pid, pidfd, gate }
    }

    /// The same handle as in the last program of this process: of a child, or with the `pidfd`
    /// of another process.
    pub fn handed_on(pid: Pid, pidfd: Option<OwnedFd>) -> Proc {
        let gate = None;
        Proc { pid, pidfd, gate }
    }

    /// A handle of the process `pid`, of whatever parent. Before Linux 5.3, or if a seccomp
    /// filter forbids it, there is no pidfd, and signals go to the pid.
    ///
    /// # Errors
    /// ESRCH if it does not exist; EMFILE; see pidfd_open(2).
    pub fn open(pid: Pid) -> io::Result<Proc> {
        let pidfd = match open(pid) {
            Ok(pidfd) => Some(pidfd),
            Err(error) if errno::is_not_available(&error) => None,
            Err(error) => return Err(error),
        };
        let gate = None;
        Ok(Proc { pid, pidfd, gate })
    }

    /// The same handle for a child that may be reaped before the handle is dropped: it gets a
    /// pidfd, if the kernel supports it and a descriptor is left.
    pub fn with_pidfd(self) -> Proc {
        let pidfd = open(self.pid).ok();
        Proc { pidfd, ..self }
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its start time, in clock ticks since boot: start time and pid identify a process until
    /// the next boot. None if it does not exist, or `/proc` does not show it.
    pub fn started(&self) -> Option<u64> {
        let started = process::started(self.pid);
        // Otherwise the start time may be that of another process that got its pid.
        started.filter(|_| self.exists())
    }

    /// Whether it exists, also as a zombie. It may be another user's.
    pub fn exists(&self) -> bool {
        let signalled = self.signal(0);
        !signalled.is_err_and(|error| errno::is_no_process(&error))
    }

    /// A descriptor that becomes readable when it ends; None for a child, whose end SIGCHLD
    /// reports, and without pidfds.
    pub fn end(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// How it ended, whoever's child it was, once its parent has waited for it. None: that
    /// has not happened, or the kernel does not tell (before Linux 6.15).
    pub fn how_it_ended(&self) -> Option<End> {
        let mut info = PidfdInfo {
            mask: PIDFD_INFO_EXIT,
            ..PidfdInfo::default()
        };
        let pidfd = self.pidfd.as_ref()?.as_raw_fd();
        // SAFETY: `info` is a struct of the size that is part of the request, to be written
        // to.
        let told = unsafe { libc::ioctl(pidfd, PIDFD_GET_INFO, &raw mut info) } == 0;
        (told && info.mask & PIDFD_INFO_EXIT != 0).then(|| super::child::end(info.exit_code))
    }

    /// Sends `signal` to it, if it exists (pidfd_send_signal(2), kill(2)).
    pub fn send_signal(&self, signal: Signal) {
        let _ = self.signal(signal.raw());
    }

    fn signal(&self, number: i32) -> io::Result<()> {
        // SAFETY: they take numbers, and a null pointer, which means the siginfo of kill(2).
        let sent = unsafe {
            match &self.pidfd {
                Some(pidfd) => libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    pidfd.as_raw_fd(),
                    number,
                    std::ptr::null::<libc::siginfo_t>(),
                    0,
                ),
                None => libc::kill(self.pid.get().cast_signed(), number).into(),
            }
        };
        match sent {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Lets a gated child begin. If the handle is dropped before that, the child ends without
    /// having done anything.
    pub fn open_gate(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            // If it has ended, SIGCHLD reports that.
            let _ = gate.write_all(&[0]);
        }
    }
}

/// Reports which of many processes have ended (epoll(7)); readable when one has.
pub struct Ends(Epoll);

impl Ends {
    /// Watches none yet.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM: see epoll_create(2).
    pub fn new() -> io::Result<Ends> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        epoll.map(Ends).map_err(super::io)
    }

    /// Watches `proc` until it is dropped.
    ///
    /// # Errors
    /// EBADF if it has no pidfd; ENOMEM, ENOSPC: see epoll_ctl(2).
    pub fn add(&self, proc: &Proc) -> io::Result<()> {
        let pidfd = proc
            .end()
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, proc.pid().get().into());
        self.0.add(pidfd, event).map_err(super::io)
    }

    /// Some of those that have ended; drop their handles. It does not block.
    pub fn ended(&self) -> Vec<Pid> {
        let mut events = [EpollEvent::empty(); 64];
        let count = self.0.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let ended = events.iter().take(count);
        let pids = ended.filter_map(|event| u32::try_from(event.data()).ok());
        pids.filter_map(Pid::new).collect()
    }
}

impl AsFd for Ends {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

/// `struct pidfd_info` of linux/pidfd.h, as Linux 6.13 has begun with it.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    _cgroup: u64,
    _ids: [u32; 11],
    /// As waitpid(2) gives it.
    exit_code: i32,
}

/// Of `mask`: the exit code is known.
const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::Ioctl =
    ((3 << 30) | (size_of::<PidfdInfo>() << 16) | (0xff << 8) | 11) as libc::Ioctl;

/// Opens a pidfd of the process `pid`, closed on exec.
pub fn open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.get(), 0) };
    match i32::try_from(fd) {
        // SAFETY: a new descriptor that has no other owner.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::sys::child::wait;
    use crate::sys::poll::PollEvent;
    use crate::sys::spawn::Spawn;

    fn held() -> Proc {
        Spawn::new().gated().unwrap().start(|_| 0).unwrap()
    }

    #[test]
    fn a_process_gets_its_signals_and_has_its_start_whoever_started_it() {
        let (first, second, third) = (held(), held(), held().with_pidfd());
        let opened = Proc::open(second.pid()).unwrap();
        assert!(first.end().is_none() && third.end().is_some());
        for proc in [&first, &opened, &third] {
            let started = proc.started();
            assert!(started.is_some() && started == process::started(proc.pid()));
            proc.send_signal(Signal::KILL);
            assert_eq!(wait(proc.pid()).unwrap(), End::Killed(9));
        }
        // They have ended, and no other process gets their signals.
        for proc in [opened, third] {
            assert!(proc.signal(0).is_err() && proc.started().is_none());
        }
    }

    #[test]
    fn a_process_that_must_not_be_sent_signals_has_a_start() {
        let proc = Proc::open(Pid::MIN).unwrap();
        let started = || u8::from(!proc.exists() || proc.started() != process::started(Pid::MIN));
        let child = Spawn::new().start(|_| {
            if crate::sys::file::is_root() {
                nix::unistd::setuid(65534.into()).unwrap();
            }
            started()
        });
        assert_eq!(wait(child.unwrap().pid()).unwrap(), End::Exited(0));
    }

    #[test]
    fn the_end_of_a_process_can_be_waited_for_before_and_after_it() {
        let deadline = crate::sys::clock::monotonic() + std::time::Duration::from_secs(60);
        let pid = Spawn::new().start(|_| 5).unwrap().pid();
        for _ in 0..2 {
            let proc = Proc::open(pid).unwrap();
            let ended = crate::sys::poll::wait([proc.end()], Some(deadline));
            assert_eq!(ended, [true]);
        }
        let proc = Proc::open(pid).unwrap();
        assert_eq!(proc.how_it_ended(), None);
        wait(pid).unwrap();
        let ended = crate::sys::poll::wait_for([(proc.end(), PollEvent::Gone)], Some(deadline));
        assert_eq!(ended, [true]);
        // Before Linux 6.15, nobody can tell.
        assert!(proc.how_it_ended().is_none_or(|end| end == End::Exited(5)));
        let gone = Proc::open(pid).unwrap_err();
        assert!(errno::is_no_process(&gone));
    }
}
