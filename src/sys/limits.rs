//! The limit on open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

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
