//! The loop of svscan: wait, look at what changed, let the plan decide, do what
//! it says.

use super::ScanOptions;
use super::late::LateFile;
use super::look;
use super::plan::{EntrySight, INTERVAL, ScanAction, ScanPlan};
use super::reported::{Reported, Topic};
use super::service::{DirectoryId, Half};
use super::starter::{Starter, rest};
use super::watched::Watched;
use crate::error::Error;
use crate::formats::timeline::Event as Moment;
use crate::service::{self, is_hidden};
use crate::sys::poll::{self, PollEvent};
use crate::sys::signals::{Signal, Signals};
use crate::sys::watch::{Change, How};
use crate::sys::{child, clock, file, heap, output, process, start};
use crate::timeline::recorder::{Beginning, Recorder};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How much is read of what the kernel says has changed, before anything else is
/// looked at.
const CHANGE_BUFFERS: usize = 64;

/// What is waited for. ALRM asks for a scan now, as in s6 and in patched daemontools.
const SIGNALS: [Signal; 2] = [Signal::CHLD, Signal::ALRM];

/// One running svscan.
struct Shell {
    plan: ScanPlan,
    signals: Signals,
    /// None: there is no inotify to be had, or no longer.
    watch: Option<Watched>,
    /// Tells when something is mounted or unmounted, which inotify does not.
    mounts: Option<File>,
    /// What is there when svscan starts needs not be looked at.
    is_starting: bool,
    /// When to read the whole directory again; None: never.
    scan_at: Option<Instant>,
    pipes: HashMap<DirectoryId, (PipeReader, PipeWriter)>,
    starter: Starter,
    reported: Reported,
    /// Where the start-up is written down; None once it is over, or if nobody asked.
    timeline: Option<Recorder>,
}

/// A supervise to be started.
struct Start {
    id: DirectoryId,
    half: Half,
    name: OsString,
}

/// So many entries are looked at before their supervises are started: enough for
/// those to share most of svscan's memory, few enough for the first to start at once.
const BATCH: usize = 64;

/// Runs svscan in `dir`, or here; never comes back once it has begun.
///
/// # Errors
/// `unable to open TIMELINE`, `unable to chdir to DIR`.
pub fn run(dir: Option<&OsStr>, options: ScanOptions<'_>) -> Result<(), Error> {
    let began = options.timeline.map(|path| (path, Beginning::now()));
    heap::begin();
    start::hand_on_descriptors();
    // Before anything is opened here that a supervise is not to have.
    let starter = Starter::new(options.shared_group);
    // Before the way to it is another.
    let timeline = began.map(|(path, began)| Recorder::open(path, began));
    let timeline = timeline.transpose()?;
    if let Some(dir) = dir {
        std::env::set_current_dir(dir)
            .map_err(|error| Error::unable("chdir to", dir, "", error))?;
    }
    // 0.76 needs none; without it, dead supervises would go unnoticed.
    let signals = Signals::new(&SIGNALS).map_err(|error| Error::unable_to("create pipe", error))?;
    let mut shell = Shell {
        plan: ScanPlan::default(),
        signals,
        watch: Watched::start(),
        mounts: file::open_read(Path::new("/proc/self/mountinfo")).ok(),
        is_starting: true,
        scan_at: None,
        pipes: HashMap::new(),
        starter,
        reported: Reported::default(),
        timeline,
    };
    if let Some(timeline) = &mut shell.timeline {
        timeline.begin();
    }
    shell.scan();
    shell.is_starting = false;
    if let Some(timeline) = shell.timeline.take() {
        timeline.end();
    }
    loop {
        shell.turn();
    }
}

impl Shell {
    /// Waits for something to happen and deals with all of it: changes before
    /// deaths, so that a supervise whose entry was removed is not started again.
    fn turn(&mut self) {
        let deadline = match (self.plan.deadline(), self.scan_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let watch = self.watch.as_ref().map(|watched| watched.watch.as_fd());
        let mounts = self.mounts.as_ref().map(AsFd::as_fd);
        let [signalled, changed, mounted] = poll::wait_for(
            [
                (Some(self.signals.as_fd()), PollEvent::Input),
                (watch, PollEvent::Input),
                (mounts, PollEvent::News),
            ],
            deadline,
        );
        if signalled || changed {
            self.look_at_changes();
        }
        let is_asked = signalled && self.take_signals();
        let now = clock::monotonic();
        if is_asked {
            self.plan.scan_now(now);
        }
        if mounted || is_asked || self.scan_at.is_some_and(|at| at <= now) {
            self.scan();
        }
        let actions = self.plan.tick(now);
        self.perform(actions);
        self.perform(self.plan.look_after_nameless());
    }

    /// Up to so many buffers of changes at a time: dead supervises wait meanwhile.
    fn look_at_changes(&mut self) {
        for _ in 0..CHANGE_BUFFERS {
            let changes = match &self.watch {
                Some(watched) => watched.watch.changes(),
                None => return,
            };
            if changes.is_empty() {
                return;
            }
            self.examine_changed(changes);
        }
    }

    /// Supervises that have ended hold their directory no more. If its entry was removed
    /// after that, their end is to be known before: what has taken its place since then may
    /// have its inode number.
    fn reap_what_was_replaced(&mut self, changes: &[Change]) {
        let Some(watched) = &self.watch else {
            return;
        };
        let is_over = |entry: OsString| {
            let mut running = self.plan.running(&entry).peekable();
            running.peek().is_some() && running.all(child::has_ended)
        };
        let mut replaced = changes.iter().flat_map(|change| match change {
            Change::Entry {
                place,
                name,
                how: How::Moved,
            } => watched.concerned(*place, name),
            _ => Vec::new(),
        });
        if replaced.any(is_over) {
            self.reap();
        }
    }

    fn examine_changed(&mut self, changes: Vec<Change>) {
        self.reap_what_was_replaced(&changes);
        let mut entries = BTreeSet::new();
        let mut actions = Vec::new();
        for change in changes {
            let Some(watched) = &self.watch else {
                return;
            };
            match change {
                Change::Entry { place, name, how } => {
                    if place == watched.here && how == How::Made && !is_hidden(&name) {
                        self.plan.linked(&name, clock::monotonic());
                    }
                    // A link may lead through a hidden entry, which itself is none.
                    let mut concerned = watched.concerned(place, &name);
                    concerned.retain(|entry| !is_hidden(entry));
                    for entry in &concerned {
                        match how {
                            How::DirectoryMovedHere if watched.leads_to(entry, place, &name) => {
                                self.plan.renamed(entry);
                            }
                            How::Moved => actions.extend(self.plan.replaced(entry)),
                            How::DirectoryMovedHere
                            | How::DirectoryMade
                            | How::Made
                            | How::Opened => {}
                        }
                    }
                    entries.extend(concerned);
                }
                Change::Lost => {
                    self.perform(actions);
                    return self.scan();
                }
                Change::Ended(place) if place == watched.here => {
                    // The scan directory is gone or unmounted: look for its entries as 0.76 does.
                    self.watch = None;
                    self.perform(actions);
                    return self.scan();
                }
                Change::Renamed(place) | Change::Ended(place) => {
                    entries.extend(watched.through(place));
                }
            }
        }
        actions.extend(entries.into_iter().map(ScanAction::Examine));
        self.perform(actions);
    }

    /// Whether somebody asked for a scan.
    fn take_signals(&mut self) -> bool {
        // Of each kind no two wait.
        let signals = [self.signals.next(), self.signals.next()];
        if signals.contains(&Some(Signal::CHLD)) {
            self.reap();
        }
        signals.contains(&Some(Signal::ALRM))
    }

    fn reap(&mut self) {
        while let Some((pid, end)) = child::reap() {
            let known = self.plan.supervised_by(pid);
            let actions = self.plan.ended(pid, end, clock::monotonic());
            if let Some((id, half, name)) = known {
                let topic = Topic::Supervise(half);
                if self.plan.gave_up(id, half) {
                    let what = circumstances(&name, half);
                    self.reported.is_new(&name, topic, what);
                } else {
                    self.reported.clear(&name, topic);
                }
            }
            self.perform(actions);
        }
    }

    /// Reads the whole scan directory.
    fn scan(&mut self) {
        let is_told_all = self
            .watch
            .as_ref()
            .is_some_and(|watched| watched.is_complete);
        self.scan_at = (!is_told_all).then(|| clock::monotonic() + INTERVAL);
        match list() {
            Ok(names) => {
                for some in names.chunks(BATCH) {
                    self.perform(some.iter().cloned().map(ScanAction::Examine).collect());
                }
                let names = names.into_iter().collect();
                self.reported.listed(&names);
                let actions = self.plan.listed(&names);
                self.perform(actions);
            }
            Err(error) => {
                self.warn(
                    OsStr::new(""),
                    Topic::Stat,
                    &Error::unable_to("read directory", error),
                );
                self.scan_at = Some(clock::monotonic() + INTERVAL);
            }
        }
    }

    /// Does `actions`, what follows from them, and only then the starts among them.
    fn perform(&mut self, actions: Vec<ScanAction>) {
        let mut queue = VecDeque::from(actions);
        let mut starts = Vec::new();
        loop {
            let Some(action) = queue.pop_front() else {
                if starts.is_empty() {
                    return;
                }
                queue.extend(self.start_all(std::mem::take(&mut starts)));
                continue;
            };
            let next = match action {
                ScanAction::Examine(name) => {
                    if is_hidden(&name) {
                        continue;
                    }
                    // Before it is examined: what changes after that is told.
                    let follow = |watched: &mut Watched| watched.follow(&name);
                    let is_followed = self.watch.as_mut().is_none_or(follow);
                    // Where not all is told, all is read again every five seconds.
                    let will_be_told = is_followed || self.scan_at.is_some();
                    let sight = self.examine(&name);
                    let now = clock::monotonic();
                    let actions = self.plan.saw(&name, sight, now);
                    self.plan.will_be_told(&name, will_be_told, now);
                    actions
                }
                ScanAction::MakePipe(id, name) => match io::pipe() {
                    Ok(pipe) => {
                        let log = Path::new(&name).join("log");
                        if service::is_program(&log) {
                            warn_of(&name, LOG_IS_A_PROGRAM);
                        }
                        self.pipes.insert(id, pipe);
                        self.reported.clear(&name, Topic::Pipe);
                        self.plan.pipe_made(id, clock::monotonic())
                    }
                    Err(error) => {
                        let error = Error::unable("create pipe for", &name, "", error);
                        self.warn(&name, Topic::Pipe, &error);
                        self.note(Moment::Failed, &name, Half::Main);
                        self.note(Moment::Failed, &name, Half::Log);
                        self.plan.pipe_failed(id, clock::monotonic())
                    }
                },
                ScanAction::Start { id, half, name } => {
                    starts.push(Start { id, half, name });
                    Vec::new()
                }
                ScanAction::Resume(id, half) => self.plan.resume(id, half, clock::monotonic()),
                ScanAction::Inspect(id, name) if is_at(id, &name) => {
                    let seen = look::inspect(Path::new(&name));
                    self.plan.inspected(id, seen, clock::monotonic())
                }
                ScanAction::Inspect(..) => Vec::new(),
                ScanAction::Obey { id, name, file } => {
                    let (commands, what): (&[u8], _) = match file {
                        LateFile::Down => (b"d", DOWN_CAME_LATE),
                        LateFile::Log => (b"dx", LOG_CAME_LATE),
                    };
                    if service::send(Path::new(&name), commands, false).is_ok() {
                        warn_of(&name, what);
                        self.plan.obeyed(id, file);
                    }
                    Vec::new()
                }
                ScanAction::Forget(id) => {
                    self.pipes.remove(&id);
                    Vec::new()
                }
                ScanAction::Wake(pid) => {
                    // It looks then whether its directory is there.
                    child::kill(pid, Signal::CHLD);
                    Vec::new()
                }
                ScanAction::WakeIfDeleted(pid) => {
                    if file::is_deleted(&process::directory_link(pid)) {
                        child::kill(pid, Signal::CHLD);
                    }
                    Vec::new()
                }
                ScanAction::CloseIfDeleted(id, pid) => {
                    if file::is_deleted(&process::directory_link(pid)) {
                        self.pipes.remove(&id);
                    }
                    Vec::new()
                }
            };
            // Its consequences come before what was to follow it.
            next.into_iter().rev().for_each(|a| queue.push_front(a));
        }
    }

    /// Forks once for each of `starts`, and writes as little as it can between two
    /// forks: each page that changes then is one that only the first of the two
    /// children has.
    fn start_all(&mut self, starts: Vec<Start>) -> Vec<ScanAction> {
        let mut answers = Vec::with_capacity(starts.len());
        let recorded = self.timeline.as_ref().map_or(0, |_| starts.len());
        let mut forked = Vec::with_capacity(recorded);
        for Start { id, half, name } in &starts {
            let pipe = self.pipes.get(id);
            if recorded > 0 {
                forked.push(clock::monotonic());
            }
            let predecessors = self.plan.predecessors(*half, name);
            let topic = Topic::Supervise(*half);
            let is_quiet = self.plan.gave_up(*id, *half)
                && !(self.reported).is_new(name, topic, circumstances(name, *half));
            let timeline = &mut self.timeline;
            let starter = &self.starter;
            let answer = starter.start(*half, name, pipe, timeline, &predecessors, is_quiet);
            answers.push((answer, clock::monotonic()));
        }
        if let Some(timeline) = &mut self.timeline {
            for (Start { half, name, .. }, at) in starts.iter().zip(forked) {
                timeline.note(Moment::Forked, at, name, *half == Half::Log);
            }
        }
        let mut actions = Vec::new();
        for (Start { id, half, name }, (answer, at)) in starts.into_iter().zip(answers) {
            match answer {
                Ok(pid) => {
                    self.reported.clear(&name, Topic::Fork(half));
                    self.plan.started(id, half, pid, at);
                }
                Err(error) => {
                    let error = Error::unable("fork for", &name, rest(half), error);
                    self.warn(&name, Topic::Fork(half), &error);
                    self.note(Moment::Failed, &name, half);
                    actions.extend(self.plan.start_failed(id, half, at));
                }
            }
        }
        actions
    }

    /// What the entry `name` is.
    fn examine(&mut self, name: &OsStr) -> EntrySight {
        let path = Path::new(name);
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                let is_there = std::fs::symlink_metadata(path).is_ok();
                if error.kind() == ErrorKind::NotFound && !is_there {
                    self.reported.forget(name);
                    return EntrySight::Nothing;
                }
                self.warn(name, Topic::Stat, &Error::unable("stat", name, "", error));
                return EntrySight::Trouble;
            }
        };
        if !metadata.is_dir() {
            return EntrySight::Nothing;
        }
        let id = DirectoryId {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        if self.plan.knows(id) {
            self.reported.clear(name, Topic::Stat);
            let (log, look) = (false, None);
            return EntrySight::Directory { id, log, look };
        }
        let needs_look = !self.is_starting || look::is_unfinished(path, &metadata);
        let look = needs_look.then(|| look::look(path, &metadata));
        let log = match std::fs::metadata(path.join("log")) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                let error = Error::unable("stat", name, "/log", error);
                self.warn(name, Topic::Stat, &error);
                return EntrySight::Trouble;
            }
        };
        self.reported.clear(name, Topic::Stat);
        self.note(Moment::Seen, name, Half::Main);
        if log {
            self.note(Moment::Seen, name, Half::Log);
        }
        EntrySight::Directory { id, log, look }
    }

    /// Prints what is wrong with the entry `name`, unless it has been so before.
    fn warn(&mut self, name: &OsStr, topic: Topic, error: &Error) {
        let line = error.warning(super::PROGRAM);
        if self.reported.is_new(name, topic, line.clone()) {
            output::err_nonblocking(&line);
        }
    }

    /// Has it written down that this happens now, as long as the start-up lasts.
    fn note(&mut self, moment: Moment, name: &OsStr, half: Half) {
        if let Some(timeline) = &mut self.timeline {
            timeline.note(moment, clock::monotonic(), name, half == Half::Log);
        }
    }
}

/// What decides whether a supervise of the directory can begin, so that a failure is
/// printed again only if something of it has changed.
fn circumstances(name: &OsStr, half: Half) -> Vec<u8> {
    let mut directory = PathBuf::from(name);
    if half == Half::Log {
        directory.push("log");
    }
    let files = [
        "",
        "down",
        "supervise",
        "supervise/lock",
        "supervise/control",
        "supervise/ok",
    ];
    let of = |file| {
        let path = directory.join(file);
        let metadata = std::fs::metadata(path).ok()?;
        Some((
            metadata.dev(),
            metadata.ino(),
            metadata.mode(),
            metadata.uid(),
        ))
    };
    format!("{:?}", files.map(of)).into_bytes()
}

/// What to do with the form of daemontools-encore.
const LOG_IS_A_PROGRAM: &str = "log is a program, but must be a directory: move it to log/run";
const DOWN_CAME_LATE: &str = "down appeared after the service was started: stopping it";
const LOG_CAME_LATE: &str = "log appeared after the service was started: restarting it with log";

/// Warns of something about the service `name`.
fn warn_of(name: &OsStr, what: &str) {
    let (program, name, what) = (super::PROGRAM.as_bytes(), name.as_bytes(), what.as_bytes());
    let line = [program, b": warning: ", name, b": ", what, b"\n"].concat();
    output::err_nonblocking(&line);
}

/// Whether `name` leads to the directory `id` now.
fn is_at(id: DirectoryId, name: &OsStr) -> bool {
    file::identity_at(Path::new(name)) == Some((id.device, id.inode))
}

/// The entries of the scan directory, in the directory's own order.
fn list() -> io::Result<Vec<OsString>> {
    std::fs::read_dir(".")?
        .map(|entry| Ok(entry?.file_name()))
        .filter(|name| !name.as_ref().is_ok_and(|name: &OsString| is_hidden(name)))
        .collect()
}
