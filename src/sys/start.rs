//! The start of a program, and the state that it inherited.
//!
//! [`run`] replaces Rust's runtime, which reads `/proc/self/maps` and sets up a stack for
//! reporting overflows: much of the start-up time of a run-script tool. It does what these
//! programs need of the runtime: it ignores SIGPIPE, and opens `/dev/null` on each of the
//! descriptors 0 to 2 that is closed.
//!
//! daemontools does neither, and a service must inherit what its supervise inherited. So a
//! function in `.init_array` records both before (the tests run in programs that Rust's runtime
//! starts), and [`hand_on_descriptors`] and `signals::restore_sigpipe` restore them for the
//! next program.
//!
//! It also records the address of the last argument, for `sys::title`: Rust only returns copies
//! of the command line.
//!
//! These are the only statics of the crate, apart from those of the allocator (`sys::heap`).
//! They are written once, before `main`; the last argument is also taken once.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::ffi::{c_char, c_int};
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};

/// Bit N is set if descriptor N (0 to 2) was closed when the process started.
static CLOSED: AtomicU8 = AtomicU8::new(0);
/// Whether SIGPIPE was ignored when the process started.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
/// The last argument, if there is one after `argv[0]`.
static LAST_ARGUMENT: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

// SAFETY: glibc and musl call each entry of .init_array once, in the only thread, before main;
// `note` uses nothing that a runtime would have to set up. It reads its parameters only with
// glibc, which passes those of main; musl passes none.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn(c_int, *const *mut c_char) = note;

extern "C" fn note(count: c_int, arguments: *const *mut c_char) {
    if cfg!(target_env = "gnu")
        && let Ok(last @ 1..) = usize::try_from(count.saturating_sub(1))
    {
        // SAFETY: argv has `count` entries.
        LAST_ARGUMENT.store(unsafe { *arguments.add(last) }, Ordering::Relaxed);
    }
    let mut closed = 0;
    for fd in 0..3 {
        // SAFETY: F_GETFD only queries; any number is allowed.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            closed |= 1 << fd;
        }
    }
    CLOSED.store(closed, Ordering::Relaxed);
    let ignored = super::signals::is_ignored(super::signals::Signal::PIPE);
    SIGPIPE_IGNORED.store(ignored, Ordering::Relaxed);
}

/// Defines the C library's `main`, which calls `$main`, a `fn() -> u8` that returns the exit
/// status, through [`run`].
#[macro_export]
macro_rules! program {
    ($main:path) => {
        // SAFETY: a program of one such line and `no_main` has no other main.
        #[cfg(not(test))]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> i32 {
            $crate::sys::start::run($main)
        }
    };
}

/// Runs `program` with SIGPIPE ignored and the descriptors 0 to 2 open, and returns its exit
/// status; only for [`program!`](crate::program).
pub fn run(program: fn() -> u8) -> i32 {
    use std::io::Write;
    for fd in 0..3 {
        if was_closed(fd) {
            // SAFETY: it opens a file, at the lowest free descriptor, which has no owner yet.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        }
    }
    super::signals::ignore(super::signals::Signal::PIPE);
    let code = program();
    // Without Rust's runtime nothing else flushes stdout at exit.
    let _ = std::io::stdout().flush();
    code.into()
}

/// The address of the last argument, on the first call; null if there is none after `argv[0]`, or
/// if the C library does not pass it.
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

/// Marks those of the descriptors 0 to 2 that were closed at the start close-on-exec: they are
/// closed in the programs that this process starts, too.
pub fn hand_on_descriptors() {
    for fd in 0..3 {
        if was_closed(fd) {
            // SAFETY: /dev/null was opened here at the start, and stays open.
            let place = unsafe { BorrowedFd::borrow_raw(fd.into()) };
            // If that fails, it is not open, which is the aim.
            let _ = fcntl(place, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
}
