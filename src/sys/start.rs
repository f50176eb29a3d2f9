//! What this process was given at its start and Rust's runtime then changed.
//!
//! Before `main`, Rust's runtime ignores SIGPIPE and opens `/dev/null` on each of
//! the descriptors 0 to 2 that is closed. daemontools does neither, and a service
//! must get what its supervise got. So these two facts are noted before the runtime
//! starts, by a function in `.init_array`, and [`hand_on_descriptors`] and
//! `signals::restore_for_child` put them back for children.
//!
//! The third fact noted is where the last argument stands, for `sys::title`: what
//! Rust gives of the command line are copies.
//!
//! These are the only statics of the crate: written once, before `main` (the last
//! argument is handed out once, too).

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::ffi::{c_char, c_int};
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};

/// Bit N is set if descriptor N (0 to 2) was closed when the process started.
static CLOSED: AtomicU8 = AtomicU8::new(0);
/// Whether SIGPIPE was ignored when the process started.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
/// The last argument, if there is one behind the program's own name.
static LAST_ARGUMENT: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

// SAFETY: glibc and musl call each entry of .init_array once, in the only thread,
// before main; `note` uses nothing that a runtime would have to set up first. It
// looks at its parameters with glibc only, which gives those of main; musl gives none.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn(c_int, *const *mut c_char) = note;

extern "C" fn note(count: c_int, arguments: *const *mut c_char) {
    if cfg!(target_env = "gnu")
        && let Ok(last @ 1..) = usize::try_from(count.saturating_sub(1))
    {
        // SAFETY: main's argv has `count` entries.
        LAST_ARGUMENT.store(unsafe { *arguments.add(last) }, Ordering::Relaxed);
    }
    let mut closed = 0;
    for fd in 0..3 {
        // SAFETY: F_GETFD only asks; any number is allowed.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            closed |= 1 << fd;
        }
    }
    CLOSED.store(closed, Ordering::Relaxed);
    let ignored = super::signals::is_ignored(super::signals::Number::PIPE);
    SIGPIPE_IGNORED.store(ignored, Ordering::Relaxed);
}

/// Where the last argument stands, the first time this is asked; null if there is
/// none behind the program's own name, or where libc does not tell.
pub(crate) fn take_last_argument() -> *mut c_char {
    LAST_ARGUMENT.swap(ptr::null_mut(), Ordering::Relaxed)
}

/// Whether SIGPIPE was ignored when this process started.
pub(crate) fn sigpipe_was_ignored() -> bool {
    SIGPIPE_IGNORED.load(Ordering::Relaxed)
}

/// Whether descriptor `fd` (0 to 2) was closed when this process started.
pub(crate) fn was_closed(fd: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// Makes sure that those of the descriptors 0 to 2 that were closed when this
/// process started are closed in the programs it starts, too.
pub fn hand_on_descriptors() {
    for fd in 0..3 {
        if was_closed(fd) {
            // SAFETY: the runtime opened /dev/null here before main, and nobody closes it.
            let place = unsafe { BorrowedFd::borrow_raw(fd.into()) };
            // If it cannot be marked it is not open, which is what is wanted.
            let _ = fcntl(place, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
}
