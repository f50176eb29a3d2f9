//! The only place with `unsafe`, `nix` or `libc`; safe functions and plain types come out.
//!
//! Rules of this directory: one file per subject; every descriptor is opened
//! close-on-exec; errors are [`std::io::Error`] and keep their number; nothing
//! here decides anything: wordings, lists of file systems and policies are elsewhere.
#![allow(
    unsafe_code,
    reason = "system calls live here, each with its SAFETY line"
)]

pub mod child;
pub mod clock;
pub mod command_line;
pub mod descriptors;
pub mod directory;
pub mod errno;
pub mod exec;
pub mod fifo;
pub mod file;
pub mod heap;
pub mod ids;
pub mod limits;
pub mod lock;
pub mod memory;
pub mod oom;
pub mod output;
pub mod pidfd;
pub mod poll;
pub mod process;
pub mod shared;
pub mod signals;
pub mod source;
pub mod spawn;
pub mod start;
pub mod stat;
pub mod stream;
pub mod terminal;
pub mod title;
pub mod walk;
pub mod watch;
pub mod zone;

/// A `nix` error as an [`std::io::Error`] of the same number.
pub(crate) fn io(error: nix::Error) -> std::io::Error {
    std::io::Error::from_raw_os_error(error as i32)
}
