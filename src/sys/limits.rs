//! Resource limits (getrlimit(2)).

use nix::sys::resource::Resource;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

/// A limit in 64 bits, as the kernel represents it, also on 32-bit processors, where the C
/// library's `rlim_t` is too small.
#[derive(Clone, Copy)]
#[repr(C)]
struct Limit {
    soft: u64,
    hard: u64,
}

/// Sets the limit on `resource` to `new`, if given, and returns the previous limit (prlimit(2),
/// which uses 64 bits everywhere).
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

/// The limit on open files from before [`raise_open_files`].
#[derive(Clone, Copy)]
pub struct OpenFiles(Limit);

/// Raises the soft limit on open files to the hard limit and returns the previous limit, for
/// [`OpenFiles::restore`]; None if nothing changed.
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
    /// Restores this limit: in a child, before exec.
    pub fn restore(self) {
        // Lowering a soft limit cannot fail.
        let _ = prlimit(Resource::RLIMIT_NOFILE, Some(self.0));
    }
}

/// Whether a process that has just opened `file` can open at least `count` more.
pub fn leaves_descriptors(file: &File, count: u64) -> bool {
    let used = u64::try_from(file.as_raw_fd()).unwrap_or(0) + 1;
    // The kernel allocates the lowest free descriptor.
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

/// The soft limit on `resource`; all bits set: unlimited.
///
/// # Errors
/// See getrlimit(2).
pub fn soft(resource: crate::softlimit::Resource) -> io::Result<u64> {
    Ok(prlimit(resource.nix(), None)?.soft)
}

/// The hard limit on `resource`; all bits set: unlimited.
///
/// # Errors
/// See getrlimit(2).
pub fn hard(resource: crate::softlimit::Resource) -> io::Result<u64> {
    Ok(prlimit(resource.nix(), None)?.hard)
}

/// Sets the soft limit on `resource` to `soft`; the hard limit stays `hard`.
///
/// # Errors
/// See setrlimit(2).
pub fn set_soft(resource: crate::softlimit::Resource, soft: u64, hard: u64) -> io::Result<()> {
    prlimit(resource.nix(), Some(Limit { soft, hard })).map(|_| ())
}
