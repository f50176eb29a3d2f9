//! Where the log of a service is.

use super::run_script;
use super::{Failure, show};
use crate::child::Pid;
use crate::error::Error;
use crate::service;
use crate::sys::{file, process};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// No `run` is read beyond this, in bytes.
const LONGEST_SCRIPT: u64 = 1 << 20;

/// The log directories of a service.
pub(super) struct Logs {
    /// The one to show.
    pub(super) shown: PathBuf,
    /// The others, as the logger was told of them.
    pub(super) others: Vec<PathBuf>,
}

/// Finds the log of the service `name`; `choice` is which of its log directories is
/// wanted, as the run script has it. Without a name, `choice` is the log directory.
pub(super) fn find(name: Option<&OsStr>, choice: Option<&OsStr>) -> Result<Logs, Failure> {
    let shown = |directory: PathBuf| Logs {
        shown: tidy(&directory),
        others: Vec::new(),
    };
    let Some(name) = name else {
        return Ok(shown(choice.unwrap_or_default().into()));
    };
    let service = service::locate(name);
    let Some(logger) = logger(&service, name)? else {
        return Ok(Logs {
            shown: service,
            others: Vec::new(),
        });
    };
    if let Some(choice) = choice {
        return Ok(shown(logger.join(choice)));
    }
    let found = script(&logger);
    let mut directories: Vec<PathBuf> = found
        .directories
        .into_iter()
        .map(|directory| logger.join(OsString::from_vec(directory)))
        .collect();
    if found.is_uncertain || directories.is_empty() {
        match running(&logger) {
            Some(running) if !running.is_empty() => directories = running,
            // The names may hold variables, but one of them may be there.
            _ => directories.retain(|directory| directory.is_dir()),
        }
    }
    let mut directories: Vec<PathBuf> = directories.iter().map(|d| tidy(d)).collect();
    if directories.is_empty() {
        let usual = logger.join("main");
        if examine(&usual)?.is_some_and(|metadata| metadata.is_dir()) {
            return Ok(shown(usual));
        }
        return Err(Failure::nothing(
            name,
            &[
                b"neither ",
                show(&logger.join("run")),
                b" nor a running multilog tells where its log is; name it with --dir",
            ],
        ));
    }
    let place = directories.iter().position(|directory| directory.is_dir());
    let shown = directories.remove(place.unwrap_or(0));
    Ok(Logs {
        shown,
        others: directories,
    })
}

/// The directory of the logger of the service in `service`, which was called
/// `name`. None: `service` is no service but a log directory.
fn logger(service: &Path, name: &OsStr) -> Result<Option<PathBuf>, Failure> {
    match examine(service)? {
        Some(metadata) if metadata.is_dir() => {}
        Some(_) => return Err(Failure::nothing(name, &[b"this is no directory"])),
        None => {
            let why = b"no such service directory: file does not exist; check its name";
            return Err(Failure::nothing(name, &[why]));
        }
    }
    let log = service.join("log");
    match examine(&log)? {
        Some(metadata) if metadata.is_dir() => return Ok(Some(log)),
        Some(_) => {
            let why: [&[u8]; 3] = [
                b"its log is no directory; move ",
                show(&log),
                b" away, make a directory with a run that starts multilog, and restart svscan",
            ];
            return Err(Failure::nothing(name, &why));
        }
        None => {}
    }
    if examine(&service.join("current"))?.is_some() {
        return Ok(None);
    }
    // What was named is a logger itself, as `squid/log`.
    let found = script(service);
    let is_logger = service.file_name() == Some(OsStr::new("log"));
    if is_logger || found.is_uncertain || !found.directories.is_empty() {
        return Ok(Some(service.to_owned()));
    }
    Err(Failure::nothing(
        name,
        &[
            b"it has no log, so what it says goes where svscan's output goes; make ",
            show(&log.join("run")),
            b" with multilog in it, then take the service out and put it in again",
        ],
    ))
}

/// What the `run` of `logger` says; nothing if it cannot be read.
fn script(logger: &Path) -> run_script::Found {
    let mut script = Vec::new();
    if let Ok(run) = file::open_read(&logger.join("run")) {
        let _ = run.take(LONGEST_SCRIPT).read_to_end(&mut script);
    }
    run_script::read(&script)
}

/// The log directories of the multilog that runs for `logger`. None if none is
/// found, or it is hidden from us.
fn running(logger: &Path) -> Option<Vec<PathBuf>> {
    let pid = multilog_of(logger)?;
    // One of its log directories, usually; it is not told where it was started.
    let now_in = process::directory(pid);
    let arguments = process::arguments(pid);
    let words = arguments.iter().skip(1).map(Vec::as_slice);
    let directories = run_script::directories(words).into_iter().map(|directory| {
        let directory = PathBuf::from(OsString::from_vec(directory));
        let usual = logger.join(&directory);
        match &now_in {
            Some(now_in) if !usual.is_dir() && now_in.ends_with(tidy(&directory)) => now_in.clone(),
            _ => usual,
        }
    });
    Some(directories.collect())
}

/// The multilog that is the process of `logger`, or a child of that, or is in its
/// directory or in one below it.
fn multilog_of(logger: &Path) -> Option<Pid> {
    let started = service::read_status(logger).ok().and_then(|s| s.pid);
    if let Some(pid) = started.filter(|pid| process::is_named(*pid, "multilog")) {
        return Some(pid);
    }
    let folder = logger.canonicalize().ok();
    process::named("multilog").into_iter().find(|pid| {
        let is_child = started.is_some() && process::parent(*pid) == started;
        let directory = folder.as_ref().and_then(|_| process::directory(*pid));
        let is_inside = directory.zip(folder.as_ref());
        is_child || is_inside.is_some_and(|(directory, folder)| directory.starts_with(folder))
    })
}

/// What is at `path`; None if nothing is.
fn examine(path: &Path) -> Result<Option<Metadata>, Failure> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Error::unable("examine", path.as_os_str(), "", error).into()),
    }
}

/// `path` without `.` in it.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}
