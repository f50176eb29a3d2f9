//! svclog at work: finds the logs, shows what is there, and waits for more.

use super::log::Log;
use super::merge::{self, Lines};
use super::place::{self, Logs};
use super::printer::Printer;
use super::{Failure, Options, show, title};
use crate::error::Error;
use crate::formats::tai64n::Tai64n;
use crate::sys::poll::{self, Event};
use crate::sys::watch::Watch;
use crate::sys::{clock, file, output, process, signals};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many lines are shown if nothing else is asked for, as by tail(1).
const LINES: u64 = 10;

/// How often to look where nobody tells us of changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows the logs of the services `names`, which [`crate::service::locate`] finds; without
/// a name, that in the directory which `options` name. Of several, the lines come in the
/// order of their timestamps, each with the name before it, and those that cannot be
/// shown are told of. Gives the exit code.
///
/// # Errors
/// [`Failure`]: nothing can be shown any more.
pub fn run(names: &[OsString], options: &Options) -> Result<u8, Failure> {
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
            Err(failure) => viewer.tell(&failure),
        }
    }
    loop {
        // Their events first: what happens after that wakes us again.
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
            viewer.printer.end_line().map_err(Failure::Output)?;
            return Ok(viewer.code);
        }
        let must_look = viewer.sources.iter().any(Source::must_look);
        let deadline = must_look.then(|| clock::monotonic() + LOOK_EVERY);
        wait(viewer.watch.as_ref(), deadline)?;
    }
}

/// All that is shown.
struct Viewer {
    printer: Printer,
    sources: Vec<Source>,
    watch: Option<Watch>,
    /// The exit code as far as is known.
    code: u8,
}

impl Viewer {
    /// Says on stderr why a log is not shown, or not any more.
    fn tell(&mut self, failure: &Failure) {
        output::err(&failure.line("svclog"));
        self.code = self.code.max(failure.code());
    }

    /// Does `work` for each source; one for which that fails is left out from then on,
    /// or ends it all if it is alone.
    fn each(
        &mut self,
        is_alone: bool,
        mut work: impl FnMut(&mut Source, Option<&Watch>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for mut source in std::mem::take(&mut self.sources) {
            match work(&mut source, self.watch.as_ref()) {
                Ok(()) => self.sources.push(source),
                Err(failure @ Failure::Output(_)) => return Err(failure),
                Err(failure) if is_alone => {
                    self.printer.end_line().map_err(Failure::Output)?;
                    return Err(failure);
                }
                Err(failure) => self.tell(&failure),
            }
        }
        Ok(())
    }

    /// Shows what is new in the only log.
    fn show(&mut self) -> Result<(), Failure> {
        for source in &mut self.sources {
            for log in &mut source.logs {
                while log.step(&mut self.printer)? {}
            }
        }
        Ok(())
    }

    /// Shows what is new in all logs.
    fn merge(&mut self, follow: bool) -> Result<(), Failure> {
        loop {
            if self.sources.iter().any(Source::must_read) {
                self.each(false, |source, _| source.read(follow))?;
            }
            let lines = self.sources.iter().map(|source| &source.lines);
            let Some(index) = merge::oldest(lines) else {
                return self.printer.flush().map_err(Failure::Output);
            };
            if let Some(source) = self.sources.get_mut(index) {
                let line = source.lines.take();
                let named = self.printer.put_named(source.name.as_bytes(), &line);
                named.map_err(Failure::Output)?;
            }
        }
    }
}

/// The log of one service.
struct Source {
    name: OsString,
    path: PathBuf,
    /// What is followed: at most the directory that `path` led to before, which a
    /// multilog may go on to write to, and the one that it leads to now.
    logs: Vec<Log>,
    lines: Lines,
    /// What was read of its logs is all that is there now.
    is_read: bool,
    /// When it was looked last where `path` leads.
    checked: Tai64n,
    /// It was said that the directory is waited for.
    is_told: bool,
    /// `path` leads to the last of `logs`.
    is_settled: bool,
    /// All changes there wake us.
    is_watched: bool,
}

impl Source {
    /// Finds the log of the service `name`, and opens it; with `-f` it may be made
    /// later: right after a service was put in, its multilog has not made it yet.
    fn find(name: Option<&OsStr>, options: &Options) -> Result<Source, Failure> {
        let Logs { shown, others } = place::find(name, options.directory.as_deref())?;
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
            lines: Lines::default(),
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
            return Err(Failure::nothing(source.path.as_os_str(), &[why]));
        }
        log.end_here();
        begin(&mut log, options.since, options.lines)?;
        source.logs.push(log);
        Ok(source)
    }

    /// With `-f`: looks where the path leads now.
    fn refresh(&mut self, options: &Options, watch: Option<&Watch>) -> Result<(), Failure> {
        self.is_read = false;
        if !options.follow {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.checked, now());
        let there = file::identity_at(&self.path);
        self.is_settled = self
            .logs
            .last()
            .is_some_and(|log| log.directory().identity() == there);
        if self.is_settled {
            return Ok(());
        }
        // From here on all changes are seen: before anything is read.
        let is_watched = watch.is_some_and(|watch| watch_path(watch, &self.path));
        let mut log = match Log::open(&self.path) {
            // One that was turned may have no log yet, and then the old one goes on.
            Ok(log) if self.logs.is_empty() || !log.is_empty() => log,
            Ok(_) => return Ok(()),
            Err(Failure::Unable(Error::Unable { source, .. }))
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
        self.is_settled = log.directory().identity() == file::identity_at(&self.path);
        self.is_watched = is_watched;
        self.is_told = false;
        self.logs.drain(..self.logs.len().saturating_sub(1));
        self.logs.push(log);
        Ok(())
    }

    /// Nothing is at the path. As long as its directory was only moved away, its log
    /// goes on there.
    fn wait_for_path(&mut self) -> Result<(), Failure> {
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
            return Err(Failure::nothing(self.path.as_os_str(), &[why]));
        }
        output::err(&[b"svclog: waiting for ", show(&self.path), b"\n"].concat());
        self.is_told = true;
        Ok(())
    }

    /// Whether something may happen that does not wake us.
    fn must_look(&self) -> bool {
        // Where there is no `current`, even the directory may go without a sign.
        let is_idle = self.logs.last().is_none_or(Log::is_idle);
        !self.is_settled || !self.is_watched || is_idle
    }

    /// Whether it has no line to show, and there may be more to read.
    fn must_read(&self) -> bool {
        !self.is_read && !self.lines.has_line()
    }

    /// Reads on until there is a line, or nothing more to read.
    fn read(&mut self, follow: bool) -> Result<(), Failure> {
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
fn begin(log: &mut Log, since: Option<Tai64n>, lines: Option<u64>) -> Result<(), Failure> {
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

/// Watches the directory `path` and all that it leads through: directories that may be
/// moved, links that may be turned. False if changes may be missed.
fn watch_path(watch: &Watch, path: &Path) -> bool {
    let is_watched = !file::is_remote_at(path) && watch.entries_and_writes(path).is_ok();
    is_watched
        && steps(path, LINKS)
            .iter()
            .all(|step| watch.moves_of(step).is_ok())
}

/// A path may lead through so many links, as for the kernel.
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
