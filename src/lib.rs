//! daemontools for Linux, in Rust: the library under the commands.
//!
//! [`formats`] has the file formats. State machines that do no I/O (`machine`, `plan` and
//! others) decide; drivers (`shell`) act. [`cmd`] has the command lines. Dependencies point one
//! way: `bin` → `cmd` → the rest → `sys`.

/// The ids of an account, by name.
pub mod account;
/// `svcstart`, `svcstop`, `svcreset` and `svcrestart`.
pub(crate) mod admin;
/// Run a script of a service, with a timeout and under the lock of the service.
pub(crate) mod checks;
/// Types for processes: pids, ends.
pub(crate) mod child;
/// A calendar date and time.
pub(crate) mod civil;
/// One module per command: its arguments, its output, its exit status.
pub mod cmd;
/// The environment of the next program.
pub(crate) mod envdir;
/// The error type, with daemontools' messages and exit statuses.
pub(crate) mod error;
/// fghack: track a daemon that puts itself in the background.
pub(crate) mod fghack;
/// On which file systems inotify and timestamps are reliable.
pub(crate) mod file_systems;
/// The formats of files and pipes.
pub mod formats;
/// multilog: write lines to rotated log files.
pub mod multilog;
/// Pseudo-random numbers, for the tests.
#[cfg(test)]
#[path = "../tests/harness/numbers.rs"]
mod numbers;
/// readproctitle: show the newest bytes of stdin in its own command line.
pub(crate) mod readproctitle;
/// Access to a service directory, for clients: its name, its status, its control FIFO.
pub mod service;
/// Soft resource limits, as softlimit sets them.
pub(crate) mod softlimit;
/// supervise: keep one service running.
pub(crate) mod supervise;
/// svclog: show the logs of services.
pub mod svclog;
/// svscan: keep one supervise running for each service directory.
pub(crate) mod svscan;
/// svscanboot: start everything at boot, and stop it in order.
pub mod svscanboot;
/// System calls: the only module with unsafe code.
pub mod sys;
/// tai64n and tai64nlocal: timestamps before lines.
pub mod tai64n;
/// Record how services start, and draw it.
pub mod timeline;
/// Upgrade in place: have a supervise become the program that is installed now.
pub(crate) mod upgrade;
pub(crate) mod visible;
