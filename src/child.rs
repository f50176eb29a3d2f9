//! Types for processes, used by all modules.

/// A process id; never 0.
pub type Pid = std::num::NonZeroU32;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It exited with this status.
    Exited(u8),
    /// The signal with this number killed it.
    Killed(u8),
}

/// The identity of a process, which another process that gets its pid later does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessId {
    /// Its pid.
    pub pid: Pid,
    /// Its start time, in clock ticks since the kernel was booted; None: unknown.
    pub start: Option<u64>,
}

/// The scope of a [`ProcessId`]: one boot of one machine, and one pid namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PidSpace {
    /// The kernel's boot id.
    pub boot: [u8; 16],
    /// The inode of the pid namespace; never 0.
    pub namespace: u64,
}

/// An output stream of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Its stdout.
    Out,
    /// Its stderr.
    Err,
}
