//! `svcstart`, `svcstop`, `svcreset`, `svcrestart`: perform the task, wait, verify the result.
//!
//! `verdict` decides (statuses in, verdict out), `progress` makes the progress line, `act` has
//! the steps of each command; the rest waits: `wait` for events, `watcher` for a service,
//! `script` for its `./start` and `./stop`, `lock` for the lock. `owner` checks the user of a
//! supervise, `down_file` manages `down`.

pub mod act;
mod down_file;
pub mod failure;
pub mod lock;
pub mod owner;
pub mod progress;
pub mod script;
pub mod verdict;
pub mod wait;
pub mod watcher;

use crate::child::End;
use crate::sys::pidfd::Proc;
use crate::sys::signals::{Signal, Signals, is_ignored, raise_with_default_action};
use crate::sys::spawn::Spawn;
use crate::sys::{child, output, poll};
use failure::{Aborted, Failure};
use progress::Progress;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Exit status: at least one service is not in the requested state.
pub const FAILED: u8 = 1;

/// The task for a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// `svcstart`.
    Start,
    /// `svcstop`.
    Stop,
    /// `svcreset`: start it, or stop it if it has a `down` file.
    Reset,
    /// `svcrestart`: stop and start it if it runs.
    Restart,
}

/// The options.
#[derive(Clone, Debug)]
pub struct Options {
    /// Print errors only.
    pub quiet: bool,
    /// Handle all services in parallel.
    pub parallel: bool,
    /// The timeout of a script, a start or a stop; None: the default of each.
    pub timeout: Option<Duration>,
    /// The settling time: how long a service without a `start` script must stay up.
    pub settle: Duration,
    /// Send KILL to a service that has not stopped in time.
    pub kill: bool,
    /// Make it persistent: remove `down` after a start, create it after a stop.
    pub persist: bool,
}

/// Performs `task` for each of `names`, in order or, with [`Options::parallel`], in parallel.
/// Returns the exit status of `program`: 0 only if all succeeded.
pub fn run(program: &str, task: Task, names: &[OsString], options: &Options) -> u8 {
    let caught: Vec<Signal> = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT]
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .chain([Signal::CHLD])
        .collect();
    let signals = match Signals::new(&caught) {
        Ok(signals) => signals,
        Err(error) => {
            let error = crate::error::Error::unable_to("wait for signals", error);
            output::err(&error.line(program));
            return error.code();
        }
    };
    let one = |name: &OsStr| one(program, task, name, options, &signals);
    if options.parallel && names.len() > 1 {
        return all_at_once(program, names, &signals, one);
    }
    let mut code = 0;
    for name in names {
        code = code.max(one(name));
    }
    code
}

/// Performs `task` for one service and reports the result.
fn one(program: &str, task: Task, name: &OsStr, options: &Options, signals: &Signals) -> u8 {
    let shown = output::for_terminal(std::io::stdout(), name.as_bytes());
    let mut progress = Progress::new(&shown, options.quiet, options.parallel);
    match act::perform(task, name, options, signals, &mut progress) {
        Ok(()) => 0,
        Err(Aborted::Failed(failure)) => {
            let _ = output::out(&progress.end(task, false));
            output::err(&failure.line(program, name));
            FAILED
        }
        Err(Aborted::Interrupted(signal)) => {
            let _ = output::out(&progress.break_off());
            raise_with_default_action(signal.raw());
            FAILED
        }
    }
}

/// Starts a child for each name. A signal that terminates this process terminates them, too,
/// even KILL.
fn all_at_once(
    program: &str,
    names: &[OsString],
    signals: &Signals,
    one: impl Fn(&OsStr) -> u8,
) -> u8 {
    let mut code = 0;
    let mut workers: Vec<(Proc, &OsStr)> = Vec::new();
    let mut left_over: Vec<&OsStr> = Vec::new();
    for name in names {
        match Spawn::new().dies_with_parent().start(|_| one(name)) {
            Ok(worker) => workers.push((worker, name)),
            Err(_) => left_over.push(name),
        }
    }
    let mut interrupted = None;
    while !workers.is_empty() {
        poll::wait([Some(signals.as_fd())], None);
        while let Some(signal) = signals.next() {
            if signal != Signal::CHLD {
                workers
                    .iter()
                    .for_each(|(worker, _)| worker.send_signal(signal));
                interrupted = Some(signal);
            }
        }
        while let Some((pid, end)) = child::reap() {
            let Some(index) = workers.iter().position(|(worker, _)| worker.pid() == pid) else {
                continue;
            };
            let (_, name) = workers.swap_remove(index);
            if end != End::Exited(0) {
                code = FAILED;
            }
            if let (End::Killed(number), None) = (end, interrupted) {
                output::err(&Failure::Killed { signal: number }.line(program, name));
            }
        }
    }
    if let Some(signal) = interrupted {
        raise_with_default_action(signal.raw());
        return FAILED;
    }
    // No process could be forked for these: they are handled here, when no end of a worker can
    // be misinterpreted any more.
    for name in left_over {
        code = code.max(one(name));
    }
    code
}
