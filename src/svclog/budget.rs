//! `svclog --budget`: the budgets that are in force for a log.

use super::locate::{self, Logs};
use super::{SvclogFailure, SvclogOptions};
use crate::child::Pid;
use crate::error::Error;
use crate::multilog::keeper;
use crate::multilog::script::Script;
use crate::sys::process::Process;
use crate::sys::{directory, file, output, process};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;

/// Prints the budgets for the logs of the services `names`, or without names for the log
/// that `options` name, and the budgets that are not followed, with the reason. Returns
/// the exit status.
///
/// # Errors
/// [`SvclogFailure`].
pub fn budget(names: &[OsString], options: &SvclogOptions) -> Result<u8, SvclogFailure> {
    if names.is_empty() {
        show(None, options)?;
    }
    for name in names {
        show(Some(name), options)?;
    }
    Ok(0)
}

fn show(name: Option<&OsStr>, options: &SvclogOptions) -> Result<(), SvclogFailure> {
    let Logs { shown, .. } = locate::find(name, options.directory.as_deref())?;
    let unable = |error| Error::unable("read", shown.as_os_str(), "", error);
    let directory = file::open_directory(&shown).map_err(unable)?;
    let writers = writers(&shown);
    let file = limit(&writers).unwrap_or_else(|| largest(&directory));
    let report = keeper::report(&directory, file, user(&writers, &directory));
    output::out_text(&report.map_err(unable)?).map_err(SvclogFailure::Output)
}

/// The multilog that writes to the log in `log`, and its children that have not called exec
/// yet, as far as this process may examine them.
fn writers(log: &Path) -> Vec<Pid> {
    let lock = log.canonicalize().map(|log| log.join("lock"));
    let holds = |pid: &Pid| {
        lock.as_ref()
            .is_ok_and(|lock| process::open_files(*pid).contains(lock))
    };
    process::named("multilog")
        .into_iter()
        .filter(holds)
        .collect()
}

/// The maximum size of a file of the log of these `writers`, in bytes, if there are any.
fn limit(writers: &[Pid]) -> Option<u64> {
    let directories = writers.iter().flat_map(|pid| {
        let arguments = process::arguments(*pid);
        Script::parse(arguments.iter().skip(1).map(Vec::as_slice)).directories
    });
    // It is not certain which of its directories is this one.
    directories.map(|directory| directory.size).max()
}

/// The user as whom multilog writes, or last wrote, to `directory`.
fn user(writers: &[Pid], directory: &File) -> u32 {
    let running = writers
        .first()
        .and_then(|pid| Process::open(*pid).ok()?.users());
    let owner = || directory::stat(directory, OsStr::new("lock")).map(|lock| lock.user());
    match running {
        Some([_, effective, ..]) => effective,
        None => owner().unwrap_or_else(|_| file::euid()),
    }
}

/// The size of the largest file in `directory`, in bytes.
fn largest(directory: &File) -> u64 {
    let mut largest = 0;
    let _ = directory::each(directory, |name| {
        let stat = directory::stat(directory, name);
        let size = stat.map_or(0, |stat| if stat.is_file() { stat.size() } else { 0 });
        largest = largest.max(size);
        std::ops::ControlFlow::Continue(())
    });
    largest
}
