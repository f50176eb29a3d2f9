//! Stay in the foreground for a daemon that goes into the background.
//!
//! `hold_pipe` is daemontools' way: the daemon inherits many copies of a pipe,
//! and as long as one of them is open it is thought to run. `follow` does not
//! rely on that: orphans below this process come back to it (prctl(2),
//! PR_SET_CHILD_SUBREAPER), so it knows who is there, can pass on signals, and is
//! told of every end.
//!
//! Who may be killed must not be the one who kills the rest: `follow` is two
//! processes. The front is what supervise sees; the guard is its child and the
//! ancestor of all else. If the front is killed, the guard kills what is left; if
//! the guard is, the front, which orphans come back to as well, takes its place.

pub(crate) mod family;
mod shell;

pub(crate) use shell::{end_as, follow, hold_pipe};
