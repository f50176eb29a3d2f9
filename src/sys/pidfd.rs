//! Processes by more than their number, which the kernel gives to another process when
//! one has ended and has been waited for: pidfd_open(2).

use super::signals::Signal;
use super::{errno, process};
use crate::child::Pid;
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A handle of a process: signals that go through it never reach another process.
///
/// That of a child ([`super::spawn::Spawn`]) costs no system call and no descriptor: until
/// the child has been waited for, nobody else gets its pid. Drop the handle then. That
/// of any other process ([`Proc::open`]) holds a pidfd, where the kernel has them.
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

    /// The process `pid`, whoever's child it is. Before Linux 5.3, and where a filter
    /// forbids it, there is no pidfd, and signals go to the pid.
    ///
    /// # Errors
    /// ESRCH if it is gone; EMFILE; see pidfd_open(2).
    pub fn open(pid: Pid) -> io::Result<Proc> {
        let pidfd = match open(pid) {
            Ok(pidfd) => Some(pidfd),
            Err(error) if errno::is_not_available(&error) => None,
            Err(error) => return Err(error),
        };
        let gate = None;
        Ok(Proc { pid, pidfd, gate })
    }

    /// The same, of a child that may have been waited for before its handle is dropped: with
    /// a pidfd, where the kernel has them and there is a descriptor left.
    pub fn with_pidfd(self) -> Proc {
        let pidfd = open(self.pid).ok();
        Proc { pidfd, ..self }
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// When it was started, in ticks since boot: with the pid, that names it as long as the
    /// machine runs. None if it is gone or `/proc` does not show it.
    pub fn started(&self) -> Option<u64> {
        let started = process::started(self.pid);
        // What was read may have been about its successor otherwise.
        started.filter(|_| self.signal(0).is_ok())
    }

    /// A descriptor that can be read when it has ended; None of a child, whose end
    /// SIGCHLD tells, and where there are no pidfds.
    pub fn end(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Sends it `signal`; one that is gone does not mind.
    pub fn send_signal(&self, signal: Signal) {
        let _ = self.signal(signal.raw());
    }

    fn signal(&self, number: i32) -> io::Result<()> {
        // SAFETY: they take numbers, and a null pointer for a signal as kill(2) sends it.
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

    /// Lets a gated child begin. A child whose handle is dropped before ends without
    /// having done anything.
    pub fn open_gate(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            // If it is gone, its end will be told.
            let _ = gate.write_all(&[0]);
        }
    }
}

/// Opens a pidfd of the process `pid`, closed on exec.
pub fn open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.get(), 0) };
    match i32::try_from(fd) {
        // SAFETY: a new descriptor that nobody else has.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::sys::child::wait;
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
        // It is gone, and nobody gets what was for it.
        for proc in [opened, third] {
            assert!(proc.signal(0).is_err() && proc.started().is_none());
        }
    }

    #[test]
    fn the_end_of_a_process_can_be_waited_for_before_and_after_it() {
        let deadline = crate::sys::clock::monotonic() + std::time::Duration::from_secs(60);
        let pid = Spawn::new().start(|_| 0).unwrap().pid();
        for _ in 0..2 {
            let proc = Proc::open(pid).unwrap();
            let ended = crate::sys::poll::wait([proc.end()], Some(deadline));
            assert_eq!(ended, [true]);
        }
        wait(pid).unwrap();
        let gone = Proc::open(pid).unwrap_err();
        assert!(errno::is_no_process(&gone));
    }
}
