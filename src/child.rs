//! Plain facts about a child process, shared by all modules.

/// A process id; never 0.
pub type Pid = std::num::NonZeroU32;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It exited with this code.
    Exited(u8),
    /// The signal of this number killed it.
    Killed(u8),
}

/// What a process prints on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Its stdout.
    Out,
    /// Its stderr.
    Err,
}
