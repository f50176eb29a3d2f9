//! The only place with `unsafe`, `nix` or `libc`; safe functions and plain types come out.
//!
//! Rules of this directory: one file per subject; every descriptor is opened
//! close-on-exec; errors are [`std::io::Error`] and keep their number; nothing
//! here decides anything: wordings, lists of file systems and policies are elsewhere.
#![allow(
    unsafe_code,
    reason = "system calls live here, each with its SAFETY line"
)]

pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod command_line;
pub(crate) mod descriptors;
pub(crate) mod directory;
pub(crate) mod errno;
pub(crate) mod exec;
pub(crate) mod fifo;
pub(crate) mod file;
pub(crate) mod heap;
pub(crate) mod ids;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod oom;
pub(crate) mod output;
pub(crate) mod pidfd;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod shared;
pub(crate) mod signals;
pub(crate) mod source;
pub(crate) mod spawn;
pub mod start;
pub(crate) mod stat;
pub(crate) mod stream;
pub(crate) mod terminal;
pub(crate) mod title;
pub(crate) mod walk;
pub(crate) mod watch;
pub mod zone;

/// A `nix` error as an [`std::io::Error`] of the same number.
pub(crate) fn io(error: nix::Error) -> std::io::Error {
    std::io::Error::from_raw_os_error(error as i32)
}
