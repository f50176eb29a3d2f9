//! The main loop of svclog: finds the logs, shows their lines, and waits for more.

use super::locate::{self, Logs};
use super::log::Log;
use super::merge::{self, UnshownLines};
use super::printer::Printer;
use super::{SvclogFailure, SvclogOptions, show, title};
use crate::error::Error;
use crate::file_systems;
use crate::formats::tai64n::Tai64n;
use crate::sys::poll::{self, PollEvent};
use crate::sys::watch::Watch;
use crate::sys::{clock, file, output, process, signals};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The default number of lines, as in tail(1).
const LINES: u64 = 10;

/// The interval of polling where inotify does not report all changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows the logs of the services `names`, which [`crate::service::locate`] finds; without
/// a name, the log in the directory that `options` name. The lines of several logs come in
/// the order of their timestamps, each with the name before it; a log that cannot be shown
/// is reported. Returns the exit status.
///
/// # Errors
/// [`SvclogFailure`]: no log can be shown any more.
pub fn run(names: &[OsString], options: &SvclogOptions) -> Result<u8, SvclogFailure> {
    let mut viewer = Viewer {
        printer: Printer::new(options.raw),
        sources: Vec::new(),
        watch: None,
        code: 0,
    };
    if options.follow {
        viewer.watch = Watch::new().ok();
    }
    let names: Vec<Option<&OsStr>> = match names {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_os_str())).collect(),
    };
    let is_alone = names.len() == 1;
    for name in names {
        match Source::find(name, options) {
            Ok(source) => viewer.sources.push(source),
            Err(failure) if is_alone => return Err(failure),
            Err(failure) => viewer.report(&failure),
        }
    }
    loop {
        // Their events first: later changes wake us again.
        if let Some(watch) = &viewer.watch {
            while !watch.changes().is_empty() {}
        }
        viewer.each(is_alone, |source, watch| source.refresh(options, watch))?;
        if is_alone {
            viewer.show()?;
        } else {
            viewer.merge(options.follow)?;
        }
        if viewer.sources.is_empty() {
            return Ok(viewer.code);
        }
        if !options.follow {
            viewer.printer.end_line().map_err(SvclogFailure::Output)?;
            return Ok(viewer.code);
        }
        let must_look = viewer.sources.iter().any(Source::must_look);
        let deadline = must_look.then(|| clock::monotonic() + LOOK_EVERY);
        wait(viewer.watch.as_ref(), deadline)?;
    }
}

/// All sources.
struct Viewer {
    printer: Printer,
    sources: Vec<Source>,
    watch: Option<Watch>,
    /// The exit status so far.
    code: u8,
}

impl Viewer {
    /// Prints on stderr why a log is not shown, or not any more.
    fn report(&mut self, failure: &SvclogFailure) {
        output::err(&failure.line("svclog"));
        self.code = self.code.max(failure.code());
    }

    /// Does `work` for each source; a source that fails is dropped, and the only one ends
    /// the program.
    fn each(
        &mut self,
        is_alone: bool,
        mut work: impl FnMut(&mut Source, Option<&Watch>) -> Result<(), SvclogFailure>,
    ) -> Result<(), SvclogFailure> {
        for mut source in std::mem::take(&mut self.sources) {
            match work(&mut source, self.watch.as_ref()) {
                Ok(()) => self.sources.push(source),
                Err(failure @ SvclogFailure::Output(_)) => return Err(failure),
                Err(failure) if is_alone => {
                    self.printer.end_line().map_err(SvclogFailure::Output)?;
                    return Err(failure);
                }
                Err(failure) => self.report(&failure),
            }
        }
        Ok(())
    }

    /// Shows the new lines of the only log.
    fn show(&mut self) -> Result<(), SvclogFailure> {
        for source in &mut self.sources {
            for log in &mut source.logs {
                while log.step(&mut self.printer)? {}
            }
        }
        Ok(())
    }

    /// Shows the new lines of all logs.
    fn merge(&mut self, follow: bool) -> Result<(), SvclogFailure> {
        loop {
            if self.sources.iter().any(Source::must_read) {
                self.each(false, |source, _| source.read(follow))?;
            }
            let lines = self.sources.iter().map(|source| &source.lines);
            let Some(index) = merge::oldest(lines) else {
                return self.printer.flush().map_err(SvclogFailure::Output);
            };
            if let Some(source) = self.sources.get_mut(index) {
                let line = source.lines.take();
                let named = self.printer.put_named(source.name.as_bytes(), &line);
                named.map_err(SvclogFailure::Output)?;
            }
        }
    }
}

/// The log of one service.
struct Source {
    name: OsString,
    path: PathBuf,
    /// The directories that are followed: at most the one that `path` led to before, to
    /// which a multilog may still write, and the one that it leads to now.
    logs: Vec<Log>,
    lines: UnshownLines,
    /// Everything in its logs has been read.
    is_read: bool,
    /// When `path` was resolved last.
    checked: Tai64n,
    /// The message that svclog waits for the directory was printed.
    is_told: bool,
    /// `path` leads to the last of `logs`.
    is_settled: bool,
    /// All changes there wake us.
    is_watched: bool,
}

impl Source {
    /// Finds the log of the service `name`, and opens it; with `-f` it may be created
    /// later: the multilog of a new service has not created it yet.
    fn find(name: Option<&OsStr>, options: &SvclogOptions) -> Result<Source, SvclogFailure> {
        let Logs { shown, others } = locate::find(name, options.directory.as_deref())?;
        for other in &others {
            let what: [&[u8]; 5] = [
                b"svclog: showing ",
                show(&shown),
                b"; there is also ",
                show(other),
                b" (--dir)\n",
            ];
            output::err(&what.concat());
        }
        let mut source = Source {
            name: name.unwrap_or(shown.as_os_str()).to_owned(),
            path: shown,
            logs: Vec::new(),
            lines: UnshownLines::default(),
            is_read: false,
            checked: now(),
            is_told: false,
            is_settled: false,
            is_watched: false,
        };
        if options.follow {
            return Ok(source);
        }
        let mut log = Log::open(&source.path)?;
        if log.is_empty() {
            let why = b"there is no log in it yet: neither current nor a finished file";
            return Err(SvclogFailure::nothing(source.path.as_os_str(), &[why]));
        }
        log.end_here();
        begin(&mut log, options.since, options.lines)?;
        source.logs.push(log);
        Ok(source)
    }

    /// With `-f`: resolves the path again.
    fn refresh(
        &mut self,
        options: &SvclogOptions,
        watch: Option<&Watch>,
    ) -> Result<(), SvclogFailure> {
        self.is_read = false;
        if !options.follow {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.checked, now());
        let there = file::id_at(&self.path);
        self.is_settled = self
            .logs
            .last()
            .is_some_and(|log| log.directory().identity() == there);
        if self.is_settled {
            return Ok(());
        }
        // inotify reports all changes from here on, before the first read.
        let is_watched = watch.is_some_and(|watch| watch_path(watch, &self.path));
        let mut log = match Log::open(&self.path) {
            // The new directory of a replaced link may have no log yet: the old one continues.
            Ok(log) if self.logs.is_empty() || !log.is_empty() => log,
            Ok(_) => return Ok(()),
            Err(SvclogFailure::Unable(Error::Unable { source, .. }))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                return self.wait_for_path();
            }
            Err(failure) if self.logs.is_empty() => return Err(failure),
            // It changes just now.
            Err(_) => return Ok(()),
        };
        if self.logs.is_empty() {
            begin(&mut log, options.since, options.lines)?;
        } else {
            begin(&mut log, Some(before), None)?;
        }
        self.is_settled = log.directory().identity() == file::id_at(&self.path);
        self.is_watched = is_watched;
        self.is_told = false;
        self.logs.drain(..self.logs.len().saturating_sub(1));
        self.logs.push(log);
        Ok(())
    }

    /// The path does not exist. If its directory was only moved away, its log continues
    /// there.
    fn wait_for_path(&mut self) -> Result<(), SvclogFailure> {
        let removed = self.logs.last().map(|log| log.directory().is_removed());
        if removed == Some(false) || self.is_told {
            return Ok(());
        }
        let parent = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        if removed == Some(true) && parent.is_some_and(|parent| !parent.is_dir()) {
            let why = b"this directory was removed";
            return Err(SvclogFailure::nothing(self.path.as_os_str(), &[why]));
        }
        output::err(&[b"svclog: waiting for ", show(&self.path), b"\n"].concat());
        self.is_told = true;
        Ok(())
    }

    /// Whether inotify may miss a change.
    fn must_look(&self) -> bool {
        // Without a `current`, even the directory may be removed without an event.
        let is_idle = self.logs.last().is_none_or(Log::is_idle);
        !self.is_settled || !self.is_watched || is_idle
    }

    /// Whether it has no line to show, and there may be more to read.
    fn must_read(&self) -> bool {
        !self.is_read && !self.lines.has_line()
    }

    /// Reads on until there is a line, or nothing more to read.
    fn read(&mut self, follow: bool) -> Result<(), SvclogFailure> {
        while self.must_read() {
            let mut any = false;
            for log in &mut self.logs {
                any = any || log.step(&mut self.lines)?;
            }
            self.is_read = !any;
            if self.is_read && !follow {
                self.lines.end();
            }
        }
        Ok(())
    }
}

/// Has `log` begin at the last `lines` lines since `since`.
fn begin(log: &mut Log, since: Option<Tai64n>, lines: Option<u64>) -> Result<(), SvclogFailure> {
    let files = log.files();
    let start = match (since, lines) {
        (Some(moment), None) => files.since(moment)?,
        (Some(moment), Some(lines)) => files.since(moment)?.later(files.last_lines(lines)?),
        (None, lines) => files.last_lines(lines.unwrap_or(LINES))?,
    };
    log.begin(start);
    Ok(())
}

fn now() -> Tai64n {
    Tai64n::from_unix(clock::wall())
}

/// Waits for a change or until the deadline.
///
/// # Errors
/// The reader of stdout is gone. That is noticed at once, not only at the next line,
/// which may come tomorrow.
fn wait(watch: Option<&Watch>, deadline: Option<Instant>) -> Result<(), SvclogFailure> {
    let stdout = io::stdout();
    let fds = [
        (watch.map(AsFd::as_fd), PollEvent::Input),
        (Some(stdout.as_fd()), PollEvent::Gone),
    ];
    let [_, is_gone] = poll::wait_for(fds, deadline);
    if is_gone {
        signals::raise_with_default_action(signals::Signal::PIPE.raw());
        return Err(SvclogFailure::Output(io::ErrorKind::BrokenPipe.into()));
    }
    Ok(())
}

/// Watches the directory `path` and everything that it leads through: directories that may
/// be moved, links that may be replaced. False if inotify may miss changes.
fn watch_path(watch: &Watch, path: &Path) -> bool {
    let is_watched = !file_systems::is_remote_at(path) && watch.entries_and_writes(path).is_ok();
    is_watched
        && steps(path, LINKS)
            .iter()
            .all(|step| watch.moves_of(step).is_ok())
}

/// The maximum number of symbolic links in a path, as in the kernel.
const LINKS: usize = 40;

/// The directories and the links that `path` leads through.
fn steps(path: &Path, links: usize) -> Vec<PathBuf> {
    let mut steps = Vec::new();
    let mut step = PathBuf::new();
    for component in path.components() {
        let before = step.clone();
        step.push(component);
        steps.push(step.clone());
        if let Ok(target) = std::fs::read_link(&step)
            && let Some(links) = links.checked_sub(1)
        {
            steps.extend(self::steps(&before.join(target), links));
        }
    }
    steps
}

/// Shows the contents of every readproctitle of root or of this user. The title of another
/// user's process may be forged.
///
/// # Errors
/// [`SvclogFailure`]: none runs, or `/proc` cannot be read.
pub fn read_title() -> Result<(), SvclogFailure> {
    let titles: Vec<_> = process::named("readproctitle")
        .into_iter()
        .filter(|pid| process::is_trusted(*pid))
        .filter_map(|pid| Some((pid, process::arguments(pid).pop()?)))
        .collect();
    if titles.is_empty() {
        let why = "no readproctitle runs that is root's or yours, or /proc hides it; name a service to see its log";
        return Err(SvclogFailure::Nothing(why.into()));
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
    output::out_text(&out).map_err(SvclogFailure::Output)
}
