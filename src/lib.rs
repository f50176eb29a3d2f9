//! daemontools for Linux, in Rust: the library under the commands.
//!
//! What is on disk is in [`formats`], what decides in `machine` and `plan`
//! modules that do no I/O, what acts in the shells beside them, what people
//! type in [`cmd`]. Dependencies point one way: `bin` → `cmd` → the rest → `sys`.

/// Who is meant by the name of an account.
pub mod account;
/// How `svcstart`, `svcstop`, `svcreset` and `svcrestart` do what they promise.
pub(crate) mod admin;
/// Run a script of a service's, with a limit and under the service's lock.
pub(crate) mod checks;
/// Plain facts about a child process: its id, how it ended.
pub(crate) mod child;
/// Plain facts about a date and time.
pub(crate) mod civil;
/// One module per command: its arguments, its lines of output, its exit code.
pub mod cmd;
/// The environment of the next program.
pub(crate) mod envdir;
/// The one error type, with daemontools' sentences and exit codes.
pub(crate) mod error;
/// Wait for a daemon that goes into the background, and for all it leaves.
pub(crate) mod fghack;
/// Which file systems can be trusted with inotify and with times.
pub(crate) mod file_systems;
/// Bytes on disk and in pipes, and the types they stand for.
pub mod formats;
/// Write lines to log files that are kept from growing.
pub mod multilog;
/// Numbers that look random, for the tests.
#[cfg(test)]
#[path = "../tests/harness/numbers.rs"]
mod numbers;
/// Show the newest bytes in the own command line.
pub(crate) mod readproctitle;
/// A service directory seen from outside: its status, its control FIFO, its name.
pub mod service;
/// Soft resource limits, as softlimit sets them.
pub(crate) mod softlimit;
/// Keep one service running.
pub(crate) mod supervise;
/// Show the logs of services.
pub mod svclog;
/// Keep one supervise running for each directory here.
pub(crate) mod svscan;
/// Start everything at boot, and end it in order.
pub mod svscanboot;
/// The system calls: the only place with unsafe.
pub mod sys;
/// Stamps before lines, put there and made readable.
pub mod tai64n;
/// Record how services start, and draw it.
pub mod timeline;

pub(crate) mod visible;
