//! svscan: keep one supervise running for each directory in the current one, and two with a
//! pipe between them where there is a `log`.
//!
//! `plan`, `settling` and `late` decide, `shell` acts, `observe` examines new directories,
//! `starter` starts supervises, `running` finds those that an earlier svscan started, `orphans`
//! decides whose end is noted, `watched` manages the inotify watches. Source of the rules:
//! <https://cr.yp.to/daemontools/svscan.html>, and Debian's package where that page is silent.
//! Unlike 0.76, which polls every five seconds, this one sleeps until the kernel reports a
//! change (inotify); where inotify is not reliable, it polls every five seconds, too.

pub mod late;
mod observe;
mod orphans;
pub mod plan;
pub mod reported;
mod running;
pub mod service;
pub mod settling;
pub mod shell;
mod starter;
mod watched;

pub use shell::run;

use std::ffi::OsStr;

/// The options of svscan.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanOptions<'a> {
    /// The file in which svscan records the start of the services.
    pub timeline: Option<&'a OsStr>,
    /// Whether all supervises stay in the process group of svscan, as in 0.76.
    pub shared_group: bool,
}

/// The program name in messages.
const PROGRAM: &str = "svscan";
