//! Signals: a signalfd for the signals that a program waits for, and the dispositions and the
//! mask of children.
//!
//! The signals are blocked and read from a signalfd. Unlike with a handler and a self-pipe,
//! there is no window between fork and exec in which the child runs a handler of its parent.
//! The price is that a child must clear its mask: `block_none`.

use crate::child::Pid;
use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal as Nix, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

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

    /// The signal with the number `raw`, if it has a name.
    pub fn from_raw(raw: i32) -> Option<Signal> {
        Nix::try_from(raw).ok().map(Signal)
    }

    /// Its number.
    pub fn raw(self) -> i32 {
        self.0 as i32
    }

    /// Its name, such as `SIGTERM`.
    pub fn name(self) -> &'static str {
        self.0.as_str()
    }
}

/// A signalfd. Its signals are blocked in this process from its creation on, even after it is
/// dropped.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks `signals` and creates the signalfd. If SIGCHLD is among them, it is no longer
    /// ignored, and is sent for children that end, not for those that stop (SA_NOCLDSTOP).
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

    /// The signalfd that the last program of this process has handed on; its signals are still
    /// blocked. None if `fd` is something else.
    pub fn handed_on(fd: OwnedFd) -> Option<Signals> {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
        if link.to_str() != Some("anon_inode:[signalfd]") {
            return None;
        }
        // exec resets the flag.
        default_sigchld();
        // SAFETY: it is a signalfd.
        Some(Signals(unsafe { SignalFd::from_owned_fd(fd) }))
    }

    /// The next pending signal, if any.
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

/// A signal that this process received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Which signal.
    pub signal: Signal,
    /// Its sender.
    pub sender: Sender,
}

/// The sender of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// The kernel itself.
    Kernel,
    /// This process, with kill(2). It may have ended since.
    Process(Pid),
    /// Unknown, or the sender could have forged it (sigqueue(3)).
    Unknown,
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets SIGCHLD to its default action, without signals for children that stop or continue. If
/// it were ignored, as it may be inherited, the kernel would reap our children.
fn default_sigchld() {
    use nix::sys::signal::{SaFlags, SigAction, sigaction};
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::SA_NOCLDSTOP, SigSet::empty());
    // SAFETY: SIG_DFL is not a function.
    let _ = unsafe { sigaction(Nix::SIGCHLD, &action) };
}

/// Those of `signals` that this process neither ignores nor blocks.
pub fn effective(signals: &[Signal]) -> Vec<Signal> {
    let blocked = SigSet::thread_get_mask().unwrap_or(SigSet::empty());
    let has_effect = |signal: &Signal| !blocked.contains(signal.0) && !is_ignored(*signal);
    signals.iter().copied().filter(has_effect).collect()
}

/// Raises `signal`, which is blocked, with its default action, and blocks it again if this
/// process survives: after a signal that stops it, and in the init process of a pid namespace.
pub fn raise_default_and_block(signal: Signal) {
    raise_with_default_action(signal.raw());
    let mut set = SigSet::empty();
    set.add(signal.0);
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None);
}

/// Whether this process ignores `signal`.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a zeroed sigaction is valid and is only written to; a query changes nothing.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal.0 as i32, std::ptr::null(), &mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}

/// Restores the inherited disposition of SIGPIPE: unless it was ignored, a write to a pipe
/// without readers kills the process.
pub fn restore_sigpipe() {
    if !super::start::sigpipe_was_ignored() {
        // SAFETY: SIG_DFL is not a function.
        let _ = unsafe { signal::signal(Nix::SIGPIPE, SigHandler::SigDfl) };
    }
}

/// Ignores `signal`.
pub fn ignore(signal: Signal) {
    // SAFETY: SIG_IGN is not a function.
    let _ = unsafe { signal::signal(signal.0, SigHandler::SigIgn) };
}

/// In a child: restores the default action of `signal`.
pub fn restore_default(signal: Signal) {
    // SAFETY: SIG_DFL is not a function.
    let _ = unsafe { signal::signal(signal.0, SigHandler::SigDfl) };
}

/// The inherited signal mask and disposition of SIGCHLD, to be restored in a child.
#[derive(Clone, Copy)]
pub struct InheritedSignals {
    mask: Option<SigSet>,
    sigchld_ignored: bool,
}

impl InheritedSignals {
    /// Saves them, then sets SIGCHLD to its default action: if it were ignored, the kernel
    /// would reap our children.
    pub fn take() -> InheritedSignals {
        let given = InheritedSignals {
            mask: SigSet::thread_get_mask().ok(),
            sigchld_ignored: is_ignored(Signal::CHLD),
        };
        restore_default(Signal::CHLD);
        given
    }

    /// In a child: restores them.
    pub fn restore(&self) {
        if self.sigchld_ignored {
            ignore(Signal::CHLD);
        }
        if let Some(mask) = &self.mask {
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None);
        }
    }
}

/// In a child, before exec: clears the mask, and sets SIGCHLD to its default action. exec
/// itself restores SIGPIPE. Other dispositions are as inherited: this crate does not change
/// them.
pub(super) fn restore_for_child() {
    // SAFETY: SIG_DFL is not a function.
    let _ = unsafe { signal::signal(Nix::SIGCHLD, SigHandler::SigDfl) };
    block_none();
}

/// In a child: clears the signal mask, as each exec of this crate does.
pub fn block_none() {
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Raises the signal with the number `raw` with its default action, so that the parent sees
/// what killed this process. Returns if there is no such signal, if its default action is not
/// to terminate, and in the init process of a pid namespace.
pub fn raise_with_default_action(raw: i32) {
    // SAFETY: SIG_DFL is not a function; a zeroed set is a valid one to be written to; the rest
    // takes signals.
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
