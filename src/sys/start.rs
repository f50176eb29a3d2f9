//! How the programs start, and what they were given.
//!
//! [`run`] stands for Rust's runtime, which reads `/proc/self/maps` and prepares a
//! stack for the report of an overflow: much of what it takes to start one of the
//! run-script tools. What these programs need of it is done here: SIGPIPE is
//! ignored, and `/dev/null` opened on each of the descriptors 0 to 2 that is closed.
//!
//! daemontools does neither, and a service must get what its supervise got. So
//! these two facts are noted before, by a function in `.init_array` (tests run in
//! programs that Rust's runtime starts), and [`hand_on_descriptors`] and
//! `signals::restore_sigpipe` put them back for the next program.
//!
//! The third fact noted is where the last argument stands, for `sys::title`: what
//! Rust gives of the command line are copies.
//!
//! These are the only statics of the crate, beside those of the allocator (`sys::heap`):
//! written once, before `main` (the last argument is handed out once, too).

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
    let ignored = super::signals::is_ignored(super::signals::Signal::PIPE);
    SIGPIPE_IGNORED.store(ignored, Ordering::Relaxed);
}

/// The start of a program: defines the C library's `main`, which calls `$main`, a
/// `fn() -> u8` that gives the exit code, as [`run`] does.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        // SAFETY: no other main is in a program of one such line and `no_main`.
        #[cfg(not(test))]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> i32 {
            $crate::sys::start::run($main)
        }
    };
}

/// Runs `program` with SIGPIPE ignored and the descriptors 0 to 2 open, and gives
/// its exit code; for [`program!`](crate::program) only.
pub fn run(program: fn() -> u8) -> i32 {
    use std::io::Write;
    for fd in 0..3 {
        if was_closed(fd) {
            // SAFETY: opens a file; it gets the lowest number, and is nobody's yet.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        }
    }
    super::signals::ignore(super::signals::Signal::PIPE);
    let code = program();
    // Nobody else does it at the end of a program without Rust's runtime.
    let _ = std::io::stdout().flush();
    code.into()
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
            // SAFETY: /dev/null was opened here at the start, and nobody closes it.
            let place = unsafe { BorrowedFd::borrow_raw(fd.into()) };
            // If it cannot be marked it is not open, which is what is wanted.
            let _ = fcntl(place, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
}
