//! Limits on what a process may use (getrlimit(2)).

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// A limit on open files that was in force before [`raise_open_files`].
#[derive(Clone, Copy)]
pub struct OpenFiles {
    soft: u64,
    hard: u64,
}

/// Raises the soft limit on open files to the hard one and gives the limit that
/// was in force, for [`OpenFiles::restore`]; None if nothing was changed.
pub fn raise_open_files() -> Option<OpenFiles> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft == hard {
        return None;
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok()?;
    Some(OpenFiles { soft, hard })
}

impl OpenFiles {
    /// Puts this limit in force again: in a child, before it becomes another program.
    pub fn restore(self) {
        // Lowering a soft limit cannot fail.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, self.soft, self.hard);
    }
}

/// Whether `file` has a number in the first quarter of those that this process may use.
pub fn is_in_first_quarter(file: &File) -> bool {
    let number = u64::try_from(file.as_raw_fd()).unwrap_or(u64::MAX);
    getrlimit(Resource::RLIMIT_NOFILE).is_ok_and(|(soft, _)| number < soft / 4)
}

/// Whether a process that has just opened `file` can open at least `count` more.
pub fn leaves_descriptors(file: &File, count: u64) -> bool {
    let used = u64::try_from(file.as_raw_fd()).unwrap_or(0) + 1;
    // The kernel gives the lowest number that is free.
    getrlimit(Resource::RLIMIT_NOFILE).is_ok_and(|(soft, _)| used.saturating_add(count) <= soft)
}

impl crate::limits::Resource {
    fn nix(self) -> Resource {
        match self {
            Self::AddressSpace => Resource::RLIMIT_AS,
            Self::Core => Resource::RLIMIT_CORE,
            Self::Data => Resource::RLIMIT_DATA,
            Self::FileSize => Resource::RLIMIT_FSIZE,
            Self::LockedMemory => Resource::RLIMIT_MEMLOCK,
            Self::OpenFiles => Resource::RLIMIT_NOFILE,
            Self::Processes => Resource::RLIMIT_NPROC,
            Self::Resident => Resource::RLIMIT_RSS,
            Self::Stack => Resource::RLIMIT_STACK,
            Self::ProcessorTime => Resource::RLIMIT_CPU,
        }
    }
}

/// The soft limit on `resource`; all bits set means none.
///
/// # Errors
/// See getrlimit(2).
pub fn soft(resource: crate::limits::Resource) -> io::Result<u64> {
    let (soft, _) = getrlimit(resource.nix()).map_err(super::io)?;
    Ok(soft)
}

/// The hard limit on `resource`; all bits set means none.
///
/// # Errors
/// See getrlimit(2).
pub fn hard(resource: crate::limits::Resource) -> io::Result<u64> {
    let (_, hard) = getrlimit(resource.nix()).map_err(super::io)?;
    Ok(hard)
}

/// Makes `soft` the soft limit on `resource`; the hard one stays `hard`.
///
/// # Errors
/// See setrlimit(2).
pub fn set_soft(resource: crate::limits::Resource, soft: u64, hard: u64) -> io::Result<()> {
    setrlimit(resource.nix(), soft, hard).map_err(super::io)
}
