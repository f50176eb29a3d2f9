//! Finds the log directory of a service.

use super::run_script;
use super::{SvclogFailure, show, warn};
use crate::child::Pid;
use crate::error::Error;
use crate::formats::status::Want;
use crate::service::{self, Supervised};
use crate::sys::{file, process};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The maximum number of bytes that are read of a `run`.
const LONGEST_SCRIPT: usize = 1 << 20;

/// The log directories of a service.
pub(super) struct Logs {
    /// The one to show.
    pub(super) shown: PathBuf,
    /// The others, as the arguments of the logger name them.
    pub(super) others: Vec<PathBuf>,
}

/// Finds the log of the service `name`; `choice` selects one of its log directories, as
/// the run script writes it. Without a name, `choice` is the log directory. Prints a
/// warning if the logger does not run.
pub(super) fn find(name: Option<&OsStr>, choice: Option<&OsStr>) -> Result<Logs, SvclogFailure> {
    search(name, choice, warn_if_silent)
}

/// As [`find`], but prints nothing.
pub(super) fn find_quietly(name: &OsStr) -> Result<Logs, SvclogFailure> {
    search(Some(name), None, |_| {})
}

/// `without_multilog` gets the directory of a logger for which no multilog runs.
fn search(
    name: Option<&OsStr>,
    choice: Option<&OsStr>,
    without_multilog: fn(&Path),
) -> Result<Logs, SvclogFailure> {
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
    let running = running(&logger);
    if running.is_empty() {
        without_multilog(&logger);
    }
    if let Some(choice) = choice {
        return Ok(shown(logger.join(choice)));
    }
    let found = script(&logger);
    let inside = |directories: Vec<Vec<u8>>| {
        let paths = directories.into_iter().map(OsString::from_vec);
        paths.map(|path| tidy(&logger.join(path))).collect()
    };
    let script: Vec<PathBuf> = inside(found.directories);
    let usual = tidy(&logger.join("main"));
    let sources = [running, script, inside(found.guesses), vec![usual.clone()]];
    if let Some(directories) = sources.iter().find(|all| all.iter().any(|d| holds_log(d))) {
        return Ok(Logs::of(directories.clone()).unwrap_or(shown(usual)));
    }
    let [running, mut script, ..] = sources;
    if found.is_uncertain {
        script.retain(|directory| directory.is_dir());
    }
    if let Some(logs) = Logs::of(running).or(Logs::of(script)) {
        return Ok(logs);
    }
    if examine(&usual)?.is_some_and(|metadata| metadata.is_dir()) {
        return Ok(shown(usual));
    }
    Err(SvclogFailure::nothing(
        name,
        &[
            b"neither ",
            show(&logger.join("run")),
            b" nor a running multilog names its log directory; name it with --dir",
        ],
    ))
}

impl Logs {
    /// Of `directories`, the first that holds a log is shown, else the first.
    fn of(mut directories: Vec<PathBuf>) -> Option<Logs> {
        let holds_log = directories
            .iter()
            .position(|directory| holds_log(directory));
        if directories.is_empty() {
            return None;
        }
        Some(Logs {
            shown: directories.remove(holds_log.unwrap_or(0)),
            others: directories,
        })
    }
}

/// Whether a multilog has written to `directory`.
fn holds_log(directory: &Path) -> bool {
    let has = |name: &str| directory.join(name).is_file();
    has("current") || has("previous") || has("lock")
}

/// Prints a warning if the logger of `logger`, which has no multilog, does not run.
fn warn_if_silent(logger: &Path) {
    let why: &[u8] = match service::is_supervised(logger) {
        Supervised::Unknown(error) if error.kind() == ErrorKind::NotFound => {
            b"no supervise; if log was made later than the service, take the service out and put it in again"
        }
        Supervised::No => b"no supervise",
        Supervised::Unknown(_) => return,
        Supervised::Yes => match service::read_status(logger) {
            Ok(status) if status.pid.is_none() && status.want == Want::Up => {
                b"it ends again and again; svclog alone may show why"
            }
            Ok(status) if status.pid.is_none() => b"it is down; svcstart starts it",
            Ok(status) if status.paused => b"it is paused; svc -c continues it",
            _ => return,
        },
    };
    warn(&[show(logger), b": the logger does not run (", why, b")"]);
}

/// The directory of the logger of the service in `service`, which was called
/// `name`. None: `service` is no service but a log directory.
fn logger(service: &Path, name: &OsStr) -> Result<Option<PathBuf>, SvclogFailure> {
    match examine(service)? {
        Some(metadata) if metadata.is_dir() => {}
        Some(_) => return Err(SvclogFailure::nothing(name, &[b"this is no directory"])),
        None => {
            let looked_in = service::where_looked(name);
            let why: [&[u8]; 3] = [
                b"no such service directory: file does not exist",
                looked_in.as_bytes(),
                b"; check its name",
            ];
            return Err(SvclogFailure::nothing(name, &why));
        }
    }
    let log = service.join("log");
    match examine(&log)? {
        Some(metadata) if metadata.is_dir() => return Ok(Some(log)),
        Some(_) => {
            let why: [&[u8]; 3] = [
                b"its log is no directory; move ",
                show(&log),
                b" away, and make a directory of that name with a run that starts multilog",
            ];
            return Err(SvclogFailure::nothing(name, &why));
        }
        None => {}
    }
    let has = |name: &str| Ok::<_, SvclogFailure>(examine(&service.join(name))?.is_some());
    // While multilog finishes `current` there is none.
    if has("current")? || has("lock")? && !has("run")? {
        return Ok(None);
    }
    // The name is that of a logger itself, such as `squid/log`.
    let found = script(service);
    let is_logger = service.file_name() == Some(OsStr::new("log"));
    if is_logger || found.is_uncertain || !found.directories.is_empty() {
        return Ok(Some(service.to_owned()));
    }
    Err(SvclogFailure::nothing(
        name,
        &[
            b"it has no log, so its output goes to that of svscan; make ",
            show(&log.join("run")),
            b" with multilog in it, then take the service out and put it in again",
        ],
    ))
}

/// The log directories that the `run` of `logger` names; none if it cannot be read.
fn script(logger: &Path) -> run_script::LogFound {
    let script = file::read_start(&logger.join("run"), LONGEST_SCRIPT);
    run_script::read(&script.unwrap_or_default())
}

/// The log directories of the multilog that runs for `logger`; none if no multilog is
/// found, or this process may not examine it.
fn running(logger: &Path) -> Vec<PathBuf> {
    let users = users(logger);
    let mut directories = Vec::new();
    for pid in process::named("multilog") {
        if is_below_supervise(pid, logger, &users) || is_inside(pid, logger, &users) {
            written_by(pid, logger, &mut directories);
        }
    }
    directories
}

/// The users whose processes named supervise or multilog count for `logger`: root, the caller,
/// and the owner of the directory. Other users can choose any process name.
fn users(logger: &Path) -> Vec<u32> {
    let owner = std::fs::metadata(logger)
        .ok()
        .map(|metadata| metadata.uid());
    [0, file::euid()].into_iter().chain(owner).collect()
}

/// Whether the process `pid` descends from the supervise of `logger`.
fn is_below_supervise(pid: Pid, logger: &Path, users: &[u32]) -> bool {
    // Enough for a run script with a shell or two that does not use `exec`.
    const GENERATIONS: usize = 8;
    let Some(logger) = file::id_at(logger) else {
        return false;
    };
    std::iter::successors(process::parent(pid), |parent| process::parent(*parent))
        .take(GENERATIONS)
        .any(|ancestor| {
            process::is_named(ancestor, "supervise")
                && file::id_at(&process::directory_link(ancestor)) == Some(logger)
                && process::is_of(ancestor, users)
        })
}

/// Whether the process `pid` is in the directory of `logger` or in one below it, and
/// belongs to one of `users` or to the owner of the directory that it is in.
fn is_inside(pid: Pid, logger: &Path, users: &[u32]) -> bool {
    let (Some(here), Ok(logger)) = (process::directory(pid), logger.canonicalize()) else {
        return false;
    };
    let owner = std::fs::metadata(&here).map_or(0, |metadata| metadata.uid());
    here.starts_with(logger) && process::is_of(pid, &[users, &[owner]].concat())
}

/// Adds the log directories of the multilog `pid` to `directories`: those in which it
/// has `lock` open, in the order of its arguments. They keep the paths that its
/// arguments have, as seen from `logger`, if these lead there.
fn written_by(pid: Pid, logger: &Path, directories: &mut Vec<PathBuf>) {
    let is_same = |a: &Path, b: &Path| file::id_at(a) == file::id_at(b);
    let mut locked: Vec<PathBuf> = Vec::new();
    for file in process::open_files(pid) {
        let directory = file.parent().filter(|directory| directory.is_dir());
        if let Some(directory) = directory
            && file.file_name() == Some(OsStr::new("lock"))
            // A child of multilog that has not yet called exec for the processor has the same
            // open files.
            && !locked.iter().chain(&*directories).any(|known| is_same(directory, known))
        {
            locked.push(directory.to_owned());
        }
    }
    let arguments = process::arguments(pid);
    let words = arguments.iter().skip(1).map(Vec::as_slice);
    for argument in run_script::directories(words) {
        let path = tidy(&logger.join(OsString::from_vec(argument)));
        if let Some(index) = locked.iter().position(|other| is_same(other, &path)) {
            locked.remove(index);
            directories.push(path);
        }
    }
    directories.append(&mut locked);
}

/// The metadata of `path`; None if it does not exist.
fn examine(path: &Path) -> Result<Option<Metadata>, SvclogFailure> {
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
