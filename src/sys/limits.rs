//! Limits on what a process may use (getrlimit(2)).

use nix::sys::resource::Resource;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

/// A limit as the kernel keeps it, on processors of 32 bits, too, where the C
/// library's `rlim_t` cannot hold it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Limit {
    soft: u64,
    hard: u64,
}

/// Makes `new`, if there is one, the limit on `resource`, and returns the one that was
/// in force (prlimit(2), which has 64 bits everywhere).
fn prlimit(resource: Resource, new: Option<Limit>) -> io::Result<Limit> {
    let mut old = Limit { soft: 0, hard: 0 };
    let new = new.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the kernel reads one `struct rlimit64`, if `new` is not null, and writes
    // one; both have this layout and live through the call. Process 0 is the caller.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource as libc::c_int,
            new,
            ptr::from_mut(&mut old),
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(old)
}

/// A limit on open files that was in force before [`raise_open_files`].
#[derive(Clone, Copy)]
pub struct OpenFiles(Limit);

/// Raises the soft limit on open files to the hard one and gives the limit that
/// was in force, for [`OpenFiles::restore`]; None if nothing was changed.
pub fn raise_open_files() -> Option<OpenFiles> {
    let old = prlimit(Resource::RLIMIT_NOFILE, None).ok()?;
    if old.soft == old.hard {
        return None;
    }
    let soft = old.hard;
    prlimit(Resource::RLIMIT_NOFILE, Some(Limit { soft, ..old })).ok()?;
    Some(OpenFiles(old))
}

impl OpenFiles {
    /// Puts this limit in force again: in a child, before it becomes another program.
    pub fn restore(self) {
        // Lowering a soft limit cannot fail.
        let _ = prlimit(Resource::RLIMIT_NOFILE, Some(self.0));
    }
}

/// Whether `file` has a number in the first quarter of those that this process may use.
pub fn is_in_first_quarter(file: &File) -> bool {
    let number = u64::try_from(file.as_raw_fd()).unwrap_or(u64::MAX);
    prlimit(Resource::RLIMIT_NOFILE, None).is_ok_and(|limit| number < limit.soft / 4)
}

/// Whether a process that has just opened `file` can open at least `count` more.
pub fn leaves_descriptors(file: &File, count: u64) -> bool {
    let used = u64::try_from(file.as_raw_fd()).unwrap_or(0) + 1;
    // The kernel gives the lowest number that is free.
    prlimit(Resource::RLIMIT_NOFILE, None)
        .is_ok_and(|limit| used.saturating_add(count) <= limit.soft)
}

impl crate::softlimit::Resource {
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
pub fn soft(resource: crate::softlimit::Resource) -> io::Result<u64> {
    Ok(prlimit(resource.nix(), None)?.soft)
}

/// The hard limit on `resource`; all bits set means none.
///
/// # Errors
/// See getrlimit(2).
pub fn hard(resource: crate::softlimit::Resource) -> io::Result<u64> {
    Ok(prlimit(resource.nix(), None)?.hard)
}

/// Makes `soft` the soft limit on `resource`; the hard one stays `hard`.
///
/// # Errors
/// See setrlimit(2).
pub fn set_soft(resource: crate::softlimit::Resource, soft: u64, hard: u64) -> io::Result<()> {
    prlimit(resource.nix(), Some(Limit { soft, hard })).map(|_| ())
}
