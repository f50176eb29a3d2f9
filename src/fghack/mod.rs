//! fghack: stay in the foreground for a daemon that puts itself in the background.
//!
//! `hold_pipe` is the method of daemontools: the daemon inherits many copies of a pipe, and it
//! is assumed to run as long as one of them is open. `follow` does not rely on that: it is a
//! subreaper (PR_SET_CHILD_SUBREAPER of prctl(2)), so orphaned descendants become its children;
//! it knows which ones run, forwards signals to them, and gets SIGCHLD for each end.
//!
//! A process that may be killed cannot be the one that kills the rest, so `follow` consists of
//! two processes. The foreground process is the child of supervise; the watchdog is its child,
//! and the ancestor of everything else. If the foreground process is killed, the watchdog kills
//! the rest; if the watchdog is killed, the foreground process, also a subreaper, takes its
//! place.

pub(crate) mod family;
mod shell;

pub(crate) use shell::{end_as, follow, hold_pipe};
