//! svclog at work: finds the log, shows what is there, and waits for more.

use super::log::Log;
use super::place::{self, Logs};
use super::printer::Printer;
use super::{Failure, Options, show, title};
use crate::error::Error;
use crate::sys::poll::{self, Event};
use crate::sys::watch::Watch;
use crate::sys::{clock, file, output, process, signals};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// So many lines are shown if nothing else is asked for, as by tail(1).
const LINES: u64 = 10;

/// How often to look where nobody tells us of changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows the log of the service `name`, which [`crate::service::locate`] finds; without
/// a name, that in the directory which `options` name.
///
/// # Errors
/// [`Failure`].
pub fn run(name: Option<&OsStr>, options: &Options) -> Result<(), Failure> {
    let Logs { shown, others } = place::find(name, options.directory.as_deref())?;
    for other in &others {
        let what: [&[u8]; 5] = [
            b"svclog: shown is ",
            show(&shown),
            b"; there is also ",
            show(other),
            b" (--dir)\n",
        ];
        output::err(&what.concat());
    }
    let mut log = open(&shown, options.follow)?;
    if log.is_empty() && !options.follow {
        let why = b"there is no log in it yet: neither current nor a finished file";
        return Err(Failure::nothing(shown.as_os_str(), &[why]));
    }
    // From here on all changes are seen: before anything is read.
    let watch = options
        .follow
        .then(|| watch(&shown, log.directory().folder()))
        .flatten();
    if !options.follow {
        log.end_here();
    }
    let files = log.files();
    let start = match (options.since, options.lines) {
        (Some(moment), None) => files.since(moment)?,
        (Some(moment), Some(lines)) => files.since(moment)?.later(files.last_lines(lines)?),
        (None, lines) => files.last_lines(lines.unwrap_or(LINES))?,
    };
    let mut printer = Printer::new(options.raw);
    log.show(&start, &mut printer)?;
    if !options.follow {
        return printer.end_line().map_err(Failure::Output);
    }
    follow(&mut log, watch, &mut printer, &shown)
}

/// Opens the log directory `path`. If `waits`, it may be made later: right after a
/// service was put in, its multilog has not made it yet.
fn open(path: &Path, waits: bool) -> Result<Log, Failure> {
    let mut is_told = false;
    loop {
        match Log::open(path) {
            Err(Failure::Unable(Error::Unable { source, .. }))
                if waits && source.kind() == io::ErrorKind::NotFound =>
            {
                if !is_told {
                    output::err(&[b"svclog: waiting for ", show(path), b"\n"].concat());
                }
                is_told = true;
                wait(None, Some(clock::monotonic() + LOOK_EVERY))?;
            }
            result => return result,
        }
    }
}

/// Waits for a change or until the deadline.
///
/// # Errors
/// The reader of stdout is gone. That is seen now, and not at the next line only,
/// which may come tomorrow.
fn wait(watch: Option<&Watch>, deadline: Option<Instant>) -> Result<(), Failure> {
    let stdout = io::stdout();
    let fds = [
        (watch.map(AsFd::as_fd), Event::Input),
        (Some(stdout.as_fd()), Event::Gone),
    ];
    let [_, is_gone] = poll::wait_for(fds, deadline);
    if is_gone {
        signals::die_of(signals::Number::PIPE.raw());
        return Err(Failure::Output(io::ErrorKind::BrokenPipe.into()));
    }
    Ok(())
}

/// Shows what comes, until somebody ends it.
fn follow(
    log: &mut Log,
    watch: Option<Watch>,
    printer: &mut Printer,
    path: &Path,
) -> Result<(), Failure> {
    loop {
        // Their events first: what happens after that wakes us again.
        if let Some(watch) = &watch {
            while !watch.changes().is_empty() {}
        }
        log.catch_up(printer)?;
        if log.directory().is_removed() {
            printer.end_line().map_err(Failure::Output)?;
            let why = b"this directory was removed";
            return Err(Failure::nothing(path.as_os_str(), &[why]));
        }
        // Where there is no `current`, even the directory may go without a sign.
        let deadline = (watch.is_none() || log.is_idle()).then(|| clock::monotonic() + LOOK_EVERY);
        wait(watch.as_ref(), deadline)?;
    }
}

/// Watches the directory `path`, which is open as `folder`. None if changes in it may
/// be missed.
fn watch(path: &Path, folder: &File) -> Option<Watch> {
    if file::is_remote(folder) {
        return None;
    }
    let watch = Watch::new().ok()?;
    watch.entries_and_writes(path).ok()?;
    let open = folder.metadata().ok()?;
    let watched = std::fs::metadata(path).ok()?;
    (file::identity(&open) == file::identity(&watched)).then_some(watch)
}

/// Shows what every readproctitle of root or of this user holds. Another's may claim
/// anything.
///
/// # Errors
/// [`Failure`]: none runs, or `/proc` cannot tell.
pub fn read_title() -> Result<(), Failure> {
    let titles: Vec<_> = process::named("readproctitle")
        .into_iter()
        .filter(|pid| process::is_trusted(*pid))
        .filter_map(|pid| Some((pid, process::arguments(pid).pop()?)))
        .collect();
    if titles.is_empty() {
        let why = "no readproctitle runs that is root's or yours, or /proc hides it; name a service to see its log";
        return Err(Failure::Nothing(why.into()));
    }
    let mut out = Vec::new();
    for (pid, window) in &titles {
        if titles.len() > 1 {
            out.extend_from_slice(format!("readproctitle {pid}:\n").as_bytes());
        }
        out.extend_from_slice(&title::text(window));
    }
    if out.is_empty() {
        output::err(b"svclog: readproctitle holds no errors\n");
    }
    output::out_text(&out).map_err(Failure::Output)
}
