//! Signals: signals, one readable descriptor for those we wait for, and what a
//! child must be given back.
//!
//! The signals are blocked and read from a signalfd. Unlike a handler with a
//! pipe, that leaves no window in which a signal for a new child is answered by
//! its parent's handler; the price, a mask to clear, is paid by
//! `block_none`.

use crate::child::Pid;
use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal as Nix, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A signal, see signal(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(Nix);

impl Signal {
    /// SIGABRT, see signal(7).
    pub const ABRT: Signal = Signal(Nix::SIGABRT);
    /// SIGALRM, see signal(7).
    pub const ALRM: Signal = Signal(Nix::SIGALRM);
    /// SIGCHLD, see signal(7).
    pub const CHLD: Signal = Signal(Nix::SIGCHLD);
    /// SIGCONT, see signal(7).
    pub const CONT: Signal = Signal(Nix::SIGCONT);
    /// SIGHUP, see signal(7).
    pub const HUP: Signal = Signal(Nix::SIGHUP);
    /// SIGINT, see signal(7).
    pub const INT: Signal = Signal(Nix::SIGINT);
    /// SIGKILL, see signal(7).
    pub const KILL: Signal = Signal(Nix::SIGKILL);
    /// SIGPIPE, see signal(7).
    pub const PIPE: Signal = Signal(Nix::SIGPIPE);
    /// SIGQUIT, see signal(7).
    pub const QUIT: Signal = Signal(Nix::SIGQUIT);
    /// SIGSTOP, see signal(7).
    pub const STOP: Signal = Signal(Nix::SIGSTOP);
    /// SIGTERM, see signal(7).
    pub const TERM: Signal = Signal(Nix::SIGTERM);
    /// SIGTSTP, see signal(7).
    pub const TSTP: Signal = Signal(Nix::SIGTSTP);
    /// SIGUSR1, see signal(7).
    pub const USR1: Signal = Signal(Nix::SIGUSR1);
    /// SIGUSR2, see signal(7).
    pub const USR2: Signal = Signal(Nix::SIGUSR2);
    /// SIGWINCH, see signal(7).
    pub const WINCH: Signal = Signal(Nix::SIGWINCH);

    pub(super) fn nix(self) -> Nix {
        self.0
    }

    /// The signal of number `raw`, if there is one of that number with a name.
    pub fn from_raw(raw: i32) -> Option<Signal> {
        Nix::try_from(raw).ok().map(Signal)
    }

    /// Its number.
    pub fn raw(self) -> i32 {
        self.0 as i32
    }

    /// Its name, as `SIGTERM`.
    pub fn name(self) -> &'static str {
        self.0.as_str()
    }
}

/// A readable descriptor on which the signals it was made for arrive. While it
/// lives, and after, they are blocked in this process.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks `signals` and makes the descriptor. SIGCHLD, if among them, is no
    /// longer ignored, and comes for children that end, not for those that stop.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM: see signalfd(2).
    pub fn new(signals: &[Signal]) -> io::Result<Signals> {
        let mut set = SigSet::empty();
        for signal in signals {
            set.add(signal.0);
        }
        if signals.contains(&Signal::CHLD) {
            default_sigchld();
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags).map_err(super::io)?;
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).map_err(super::io)?;
        Ok(Signals(fd))
    }

    /// The next signal that came, if any.
    pub fn next(&self) -> Option<Signal> {
        self.receive().map(|received| received.signal)
    }

    /// As [`Signals::next`], with its sender.
    pub fn receive(&self) -> Option<Received> {
        let info = self.0.read_signal().ok().flatten()?;
        let sender = match info.ssi_code {
            libc::SI_USER => Pid::new(info.ssi_pid).map_or(Sender::Unknown, Sender::Process),
            libc::SI_KERNEL => Sender::Kernel,
            _ => Sender::Unknown,
        };
        Some(Received {
            signal: Signal::from_raw(info.ssi_signo.try_into().ok()?)?,
            sender,
        })
    }
}

/// A signal that was sent to this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its number.
    pub signal: Signal,
    /// Who sent it.
    pub sender: Sender,
}

/// Who sent a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// The kernel itself.
    Kernel,
    /// This process, by kill(2). It may have ended since.
    Process(Pid),
    /// The kernel does not say, or the sender could have lied.
    Unknown,
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// SIGCHLD: default action, no signal for a child that stops or continues. A
/// SIGCHLD inherited as ignored would make the kernel reap our children.
fn default_sigchld() {
    use nix::sys::signal::{SaFlags, SigAction, sigaction};
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::SA_NOCLDSTOP, SigSet::empty());
    // SAFETY: SIG_DFL is no function of ours that could be called.
    let _ = unsafe { sigaction(Nix::SIGCHLD, &action) };
}

/// Those of `signals` that have an effect on this process now: it neither ignores nor
/// blocks them.
pub fn effective(signals: &[Signal]) -> Vec<Signal> {
    let blocked = SigSet::thread_get_mask().unwrap_or(SigSet::empty());
    let has_effect = |signal: &Signal| !blocked.contains(signal.0) && !is_ignored(*signal);
    signals.iter().copied().filter(has_effect).collect()
}

/// Has `number`, which is blocked, do to this process what it does by default, and
/// blocks it again if that was not the end: a signal that stops, and any signal to the
/// first process of a pid namespace.
pub fn raise_default_and_block(signal: Signal) {
    raise_with_default_action(signal.raw());
    let mut set = SigSet::empty();
    set.add(signal.0);
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None);
}

/// Whether this process ignores `number`.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a zeroed sigaction is a valid one to be written to; asking changes nothing.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal.0 as i32, std::ptr::null(), &mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}

/// SIGPIPE as this process was given it: unless it was ignored, a pipe that
/// nobody reads ends a program that writes to it.
pub fn restore_sigpipe() {
    if !super::start::sigpipe_was_ignored() {
        // SAFETY: SIG_DFL is no function of ours that could be called.
        let _ = unsafe { signal::signal(Nix::SIGPIPE, SigHandler::SigDfl) };
    }
}

/// From now on, this process ignores `number`.
pub(super) fn ignore(signal: Signal) {
    // SAFETY: SIG_IGN is no function of ours that could be called.
    let _ = unsafe { signal::signal(signal.0, SigHandler::SigIgn) };
}

/// In a child: `number` does what it does by default.
pub fn restore_default(signal: Signal) {
    // SAFETY: SIG_DFL is no function of ours that could be called.
    let _ = unsafe { signal::signal(signal.0, SigHandler::SigDfl) };
}

/// How this process was given its signals, for a child that is to have the same.
#[derive(Clone, Copy)]
pub struct InheritedSignals {
    mask: Option<SigSet>,
    sigchld_ignored: bool,
}

impl InheritedSignals {
    /// Notes it; then SIGCHLD has its default action, because one inherited as
    /// ignored would make the kernel reap our children.
    pub fn take() -> InheritedSignals {
        let given = InheritedSignals {
            mask: SigSet::thread_get_mask().ok(),
            sigchld_ignored: is_ignored(Signal::CHLD),
        };
        restore_default(Signal::CHLD);
        given
    }

    /// In a child: what was noted.
    pub fn restore(&self) {
        if self.sigchld_ignored {
            ignore(Signal::CHLD);
        }
        if let Some(mask) = &self.mask {
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None);
        }
    }
}

/// In a child, before exec: an empty mask, and SIGCHLD at its default; SIGPIPE is the
/// business of exec itself. Other dispositions are as inherited, because nothing here
/// changes them.
pub(super) fn restore_for_child() {
    // SAFETY: SIG_DFL is no function of ours that could be called.
    let _ = unsafe { signal::signal(Nix::SIGCHLD, SigHandler::SigDfl) };
    block_none();
}

/// In a child: no signal is blocked, as after an exec by this crate.
pub fn block_none() {
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Ends this process by the signal of number `raw`, so that its parent sees what
/// ended it. Comes back if there is no such signal, if it ends nobody by default,
/// and in the first process of a pid namespace, which no signal of its own ends.
pub fn raise_with_default_action(raw: i32) {
    // SAFETY: SIG_DFL is no function of ours that could be called; a zeroed set is a
    // valid one to be written to; the rest takes signals.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        if libc::sigaddset(&mut set, raw) == 0 {
            libc::signal(raw, libc::SIG_DFL);
            libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
            libc::raise(raw);
        }
    }
}
