//! The driver of svscan: wait for events, let the plan decide, perform its actions.

use super::ScanOptions;
use super::late::LateFile;
use super::observe;
use super::orphans::Orphans;
use super::plan::{EntryType, INTERVAL, ScanAction, ScanPlan};
use super::reported::{Reported, Topic};
use super::running::Running;
use super::service::{DirectoryId, SuperviseKind};
use super::starter::{Starter, suffix};
use super::watched::Watched;
use crate::child::{End, Pid, ProcessId};
use crate::error::Error;
use crate::formats::svscan_note::NotedEnd;
use crate::formats::timeline::TimelineEvent;
use crate::service::{self, is_hidden};
use crate::supervise;
use crate::sys::exec::Program;
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

/// The maximum number of buffers of inotify events to read before anything else is done.
const CHANGE_BUFFERS: usize = 64;

/// The signals to wait for. ALRM requests a scan, as in s6 and in patched daemontools. USR2
/// requests an upgrade.
const SIGNALS: [Signal; 3] = [Signal::CHLD, Signal::ALRM, Signal::USR2];

/// One running svscan.
struct Shell {
    plan: ScanPlan,
    signals: Signals,
    /// None: inotify is not available (any more).
    watch: Option<Watched>,
    /// `/proc/self/mountinfo`: reports mounts and unmounts, which inotify does not.
    mounts: Option<File>,
    /// During the start-up, existing directories are taken as complete.
    is_starting: bool,
    /// The time of the next full scan, if any.
    scan_at: Option<Instant>,
    pipes: HashMap<DirectoryId, (PipeReader, PipeWriter)>,
    starter: Starter,
    running: Running,
    orphans: Orphans,
    reported: Reported,
    /// The recorder of the start-up; None if it is complete, or without `--timeline`.
    timeline: Option<Recorder>,
    upgrade: Upgrade,
}

/// What svscan needs to become the program now installed.
struct Upgrade {
    /// USR2 has asked for it.
    is_due: bool,
    /// The path of the program; None: unknown.
    program: Option<OsString>,
    /// The command line.
    words: Vec<OsString>,
    /// The directory in which svscan was started.
    origin: io::Result<File>,
}

/// A supervise to be started.
struct Start {
    id: DirectoryId,
    kind: SuperviseKind,
    name: OsString,
}

/// The number of entries to examine before their supervises are started: large enough for these
/// to share most of svscan's memory, small enough for the first to start at once.
const BATCH: usize = 64;

/// Runs svscan in `dir`, or in the current directory; never returns once it has begun. `again` is
/// the command line for an upgrade.
///
/// # Errors
/// `unable to open TIMELINE`, `unable to chdir to DIR`.
pub fn run(
    dir: Option<&OsStr>,
    options: ScanOptions<'_>,
    again: Vec<OsString>,
) -> Result<(), Error> {
    let began = options.timeline.map(|path| (path, Beginning::now()));
    heap::begin();
    start::hand_on_descriptors();
    // Before svscan opens any descriptor, which a supervise must not inherit.
    let starter = Starter::new(options.shared_group);
    // Copied, so that it is all that svscan leaves there.
    let starter = heap::outside(|| starter.clone());
    // Before the current directory changes.
    let timeline = began.map(|(path, began)| heap::outside(|| Recorder::open(path, began)));
    let timeline = timeline.transpose()?;
    let upgrade = Upgrade {
        is_due: false,
        program: child::sibling_program(super::PROGRAM),
        words: again,
        origin: file::open_directory(Path::new(".")),
    };
    if let Some(dir) = dir {
        std::env::set_current_dir(dir)
            .map_err(|error| Error::unable("chdir to", dir, "", error))?;
    }
    // 0.76 uses a pipe; without this, the end of supervises would go unnoticed.
    let signals = Signals::new(&SIGNALS).map_err(|error| Error::unable_to("create pipe", error))?;
    child::become_subreaper();
    let mut shell = Shell {
        plan: ScanPlan::default(),
        signals,
        watch: Watched::start(),
        mounts: file::open_read(Path::new("/proc/self/mountinfo")).ok(),
        is_starting: true,
        scan_at: None,
        pipes: HashMap::new(),
        running: Running::new(starter.started_by()),
        starter,
        orphans: Orphans::default(),
        reported: Reported::default(),
        timeline,
        upgrade,
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
        shell.run_once();
    }
}

impl Shell {
    /// Waits for events and handles all of them: changes of directories before children that
    /// ended, so that a supervise whose entry was removed is not restarted.
    fn run_once(&mut self) {
        let deadline = match (self.plan.deadline(), self.scan_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let watch = self.watch.as_ref().map(|watched| watched.watch.as_fd());
        let mounts = self.mounts.as_ref().map(AsFd::as_fd);
        let [signalled, changed, mounted, ended] = poll::wait_for(
            [
                (Some(self.signals.as_fd()), PollEvent::Input),
                (watch, PollEvent::Input),
                (mounts, PollEvent::News),
                (self.running.as_fd(), PollEvent::Input),
            ],
            deadline,
        );
        if signalled || changed || ended {
            self.take_changes();
        }
        let is_asked = signalled && self.take_signals();
        if ended {
            self.take_ends();
        }
        let now = clock::monotonic();
        if is_asked {
            self.plan.scan_now(now);
        }
        if mounted || is_asked || self.scan_at.is_some_and(|at| at <= now) {
            self.scan();
        }
        let actions = self.plan.tick(now);
        self.perform(actions);
        self.perform(self.plan.check_nameless());
        if std::mem::take(&mut self.upgrade.is_due) {
            let error = self.become_installed();
            let error = Error::unable_to("upgrade", error);
            output::err_nonblocking(&error.warning(super::PROGRAM));
        }
    }

    /// Becomes the program now installed, which finds the supervises as after svscan was killed.
    /// Returns why that is impossible, with everything as before.
    #[cold]
    fn become_installed(&self) -> io::Error {
        let exec = || {
            let path = self.upgrade.program.as_deref().ok_or(ErrorKind::NotFound)?;
            let program = Program::at(path, &self.upgrade.words)?;
            let here = file::open_directory(Path::new("."))?;
            if let Ok(origin) = &self.upgrade.origin {
                file::change_directory(origin)?;
            }
            let error = self.starter.exec(&program);
            let _ = file::change_directory(&here);
            Err(error)
        };
        exec().map_or_else(
            |error| error,
            |never: std::convert::Infallible| match never {},
        )
    }

    /// Handles inotify events, up to [`CHANGE_BUFFERS`] buffers at a time: ended supervises
    /// wait meanwhile.
    fn take_changes(&mut self) {
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

    /// A supervise that has ended no longer keeps the inode number of its directory in use. If
    /// its entry was removed after that, its end must be handled first: a new directory may
    /// have that inode number.
    fn reap_what_was_replaced(&mut self, changes: &[Change]) {
        let Some(watched) = &self.watch else {
            return;
        };
        let is_over = |entry: OsString| {
            let mut running = self.plan.running(&entry).peekable();
            let has_ended = |pid| child::has_ended(pid) || self.running.has_ended(pid);
            running.peek().is_some() && running.all(has_ended)
        };
        let mut replaced = changes.iter().flat_map(|change| match change {
            Change::Entry {
                wd,
                name,
                how: How::Moved,
            } => watched.concerned(*wd, name),
            _ => Vec::new(),
        });
        if replaced.any(is_over) {
            self.reap();
            self.take_ends();
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
                Change::Entry { wd, name, how } => {
                    if wd == watched.here && how == How::Made && !is_hidden(&name) {
                        self.plan.linked(&name, clock::monotonic());
                    }
                    // A link may lead through a hidden entry, which is not examined itself.
                    let mut concerned = watched.concerned(wd, &name);
                    concerned.retain(|entry| !is_hidden(entry));
                    for entry in &concerned {
                        match how {
                            How::DirectoryMovedHere if watched.leads_to(entry, wd, &name) => {
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
                Change::Ended(wd) if wd == watched.here => {
                    // The scan directory was removed or unmounted: scan as 0.76 does.
                    self.watch = None;
                    self.perform(actions);
                    return self.scan();
                }
                Change::Renamed(wd) | Change::Ended(wd) => {
                    entries.extend(watched.through(wd));
                }
            }
        }
        actions.extend(entries.into_iter().map(ScanAction::Examine));
        self.perform(actions);
    }

    /// Takes the pending signals; returns whether ALRM requested a scan.
    fn take_signals(&mut self) -> bool {
        // At most one of each is pending.
        let signals = SIGNALS.map(|_| self.signals.next());
        self.upgrade.is_due |= signals.contains(&Some(Signal::USR2));
        if signals.contains(&Some(Signal::CHLD)) {
            self.reap();
        }
        signals.contains(&Some(Signal::ALRM))
    }

    fn reap(&mut self) {
        while let Some((pid, end)) = child::ended() {
            if !self.plan.has(pid) {
                let start = process::started(pid);
                let ended = self.orphans.ended(ProcessId { pid, start }, end);
                self.note_end(ended);
            }
            // Whoever watches it learns its end only now.
            let _ = child::wait(pid);
            self.take_end(pid, end);
        }
    }

    /// The ends of supervises that are not children.
    fn take_ends(&mut self) {
        for pid in self.running.ended() {
            let known = self.plan.supervised_by(pid);
            let directory = known.map_or_else(PathBuf::new, |(_, kind, name)| path(&name, kind));
            self.take_end(pid, Running::end_of(pid, &directory));
        }
    }

    fn take_end(&mut self, pid: Pid, end: End) {
        let known = self.plan.supervised_by(pid);
        let actions = self.plan.ended(pid, end, clock::monotonic());
        if let Some((id, kind, name)) = known {
            let topic = Topic::Supervise(kind);
            if self.plan.gave_up(id, kind) {
                let what = circumstances(&name, kind);
                self.reported.is_new(&name, topic, what);
            } else {
                self.reported.clear(&name, topic);
            }
            if end != End::Exited(0) {
                self.adopt_orphan(pid, path(&name, kind));
            }
        }
        self.perform(actions);
    }

    /// The process of the service in `directory`, whose `supervise` was killed, is a child now.
    fn adopt_orphan(&mut self, supervise: Pid, directory: PathBuf) {
        let record = service::last_state(&directory);
        let record = record.filter(|record| record.writer.supervise == supervise);
        if let Some(process) = record.and_then(|record| record.state.process) {
            // Not if the supervise was started by an earlier svscan.
            let is_child = child::is_child(process.pid);
            let ended = self.orphans.orphaned(process.pid, directory, is_child);
            self.note_end(ended);
        }
    }

    fn note_end(&self, ended: Option<(PathBuf, NotedEnd)>) {
        if let Some((directory, ended)) = ended {
            supervise::note_svscan(&directory, self.starter.started_by(), Some(ended));
        }
    }

    /// Reads the whole scan directory.
    fn scan(&mut self) {
        let is_fully_watched = self
            .watch
            .as_ref()
            .is_some_and(|watched| watched.is_complete);
        self.scan_at = (!is_fully_watched).then(|| clock::monotonic() + INTERVAL);
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

    /// Performs `actions` and what follows from them, then the starts among them.
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
                    // Before it is examined, so that events report all later changes.
                    let follow = |watched: &mut Watched| watched.follow(&name);
                    let is_followed = self.watch.as_mut().is_none_or(follow);
                    // Where inotify is incomplete, everything is scanned every five seconds.
                    let is_watched = is_followed || self.scan_at.is_some();
                    let entry_type = self.examine(&name);
                    let now = clock::monotonic();
                    let actions = self.plan.examined(&name, entry_type, now);
                    self.plan.set_watched(&name, is_watched, now);
                    actions
                }
                ScanAction::MakePipe(id, name) => match self.make_pipe(&name) {
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
                        self.note(TimelineEvent::Failed, &name, SuperviseKind::Main);
                        self.note(TimelineEvent::Failed, &name, SuperviseKind::Log);
                        self.plan.pipe_failed(id, clock::monotonic())
                    }
                },
                ScanAction::Start { id, kind, name } => {
                    starts.push(Start { id, kind, name });
                    Vec::new()
                }
                ScanAction::Resume(id, kind) => self.plan.resume(id, kind, clock::monotonic()),
                ScanAction::Inspect(id, name) if is_at(id, &name) => {
                    let seen = observe::inspect(Path::new(&name));
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
                    self.wake(pid);
                    Vec::new()
                }
                ScanAction::WakeIfDeleted(pid) => {
                    if file::is_deleted(&process::directory_link(pid)) {
                        self.wake(pid);
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
            // Its consequences come before the actions after it.
            next.into_iter().rev().for_each(|a| queue.push_front(a));
        }
    }

    /// The pipe between the service `name` and its log: that of an earlier svscan, if there is
    /// one.
    fn make_pipe(&mut self, name: &OsStr) -> io::Result<(PipeReader, PipeWriter)> {
        match self.running.pipe(Path::new(name)) {
            Some(pipe) => Ok(pipe),
            None => io::pipe(),
        }
    }

    /// Has this supervise check whether its directory exists.
    fn wake(&self, pid: Pid) {
        if !self.running.send(pid, Signal::CHLD) {
            child::kill(pid, Signal::CHLD);
        }
    }

    /// Forks once for each of `starts`, and writes as little memory as possible between two
    /// forks: each page that changes then is copied for the first of the two children.
    fn start_all(&mut self, starts: Vec<Start>) -> Vec<ScanAction> {
        let mut answers = Vec::with_capacity(starts.len());
        let recorded = self.timeline.as_ref().map_or(0, |_| starts.len());
        let mut begun = Vec::with_capacity(recorded);
        for Start { id, kind, name } in &starts {
            let pipe = self.pipes.get(id);
            let found = (self.running).find(&path(name, *kind), |pid| self.plan.has(pid));
            if recorded > 0 {
                let event = match found {
                    Some(_) => TimelineEvent::Other,
                    None => TimelineEvent::Forked,
                };
                begun.push((event, clock::monotonic()));
            }
            if let Some(pid) = found {
                answers.push((Ok(pid), clock::monotonic()));
                continue;
            }
            let predecessors = self.plan.predecessors(*kind, name);
            let topic = Topic::Supervise(*kind);
            let is_quiet = self.plan.gave_up(*id, *kind)
                && !(self.reported).is_new(name, topic, circumstances(name, *kind));
            let timeline = &mut self.timeline;
            let starter = &self.starter;
            let answer = starter.start(*kind, name, pipe, timeline, &predecessors, is_quiet);
            answers.push((answer, clock::monotonic()));
        }
        if let Some(timeline) = &mut self.timeline {
            for (Start { kind, name, .. }, (event, at)) in starts.iter().zip(begun) {
                timeline.note(event, at, name, *kind == SuperviseKind::Log);
            }
        }
        let mut actions = Vec::new();
        for (Start { id, kind, name }, (answer, at)) in starts.into_iter().zip(answers) {
            match answer {
                Ok(pid) => {
                    self.reported.clear(&name, Topic::Fork(kind));
                    self.plan.started(id, kind, pid, at);
                }
                Err(error) => {
                    let error = Error::unable("fork for", &name, suffix(kind), error);
                    self.warn(&name, Topic::Fork(kind), &error);
                    self.note(TimelineEvent::Failed, &name, kind);
                    actions.extend(self.plan.start_failed(id, kind, at));
                }
            }
        }
        actions
    }

    /// The type of the entry `name`.
    fn examine(&mut self, name: &OsStr) -> EntryType {
        let path = Path::new(name);
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                let is_there = std::fs::symlink_metadata(path).is_ok();
                if error.kind() == ErrorKind::NotFound && !is_there {
                    self.reported.forget(name);
                    return EntryType::Nothing;
                }
                self.warn(name, Topic::Stat, &Error::unable("stat", name, "", error));
                return EntryType::Error;
            }
        };
        if !metadata.is_dir() {
            return EntryType::Nothing;
        }
        let id = DirectoryId {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        if self.plan.knows(id) {
            self.reported.clear(name, Topic::Stat);
            let (log, observation) = (false, None);
            return EntryType::Directory {
                id,
                log,
                observation,
            };
        }
        let needs_observation = !self.is_starting || observe::is_unfinished(path, &metadata);
        let observation = needs_observation.then(|| observe::observe(path, &metadata));
        let log = match std::fs::metadata(path.join("log")) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                let error = Error::unable("stat", name, "/log", error);
                self.warn(name, Topic::Stat, &error);
                return EntryType::Error;
            }
        };
        self.reported.clear(name, Topic::Stat);
        self.note(TimelineEvent::Seen, name, SuperviseKind::Main);
        if log {
            self.note(TimelineEvent::Seen, name, SuperviseKind::Log);
        }
        EntryType::Directory {
            id,
            log,
            observation,
        }
    }

    /// Prints a warning about the entry `name`, unless it is a repetition.
    fn warn(&mut self, name: &OsStr, topic: Topic, error: &Error) {
        let line = error.warning(super::PROGRAM);
        if self.reported.is_new(name, topic, line.clone()) {
            output::err_nonblocking(&line);
        }
    }

    /// Records that this happens now, during the start-up.
    fn note(&mut self, event: TimelineEvent, name: &OsStr, kind: SuperviseKind) {
        if let Some(timeline) = &mut self.timeline {
            timeline.note(event, clock::monotonic(), name, kind == SuperviseKind::Log);
        }
    }
}

/// The circumstances that decide whether a supervise can start in the directory: a failure is
/// printed again only if they have changed.
fn circumstances(name: &OsStr, kind: SuperviseKind) -> Vec<u8> {
    let directory = path(name, kind);
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

/// The directory of this supervise of the service `name`.
fn path(name: &OsStr, kind: SuperviseKind) -> PathBuf {
    match kind {
        SuperviseKind::Main => name.into(),
        SuperviseKind::Log => Path::new(name).join("log"),
    }
}

/// The advice for the layout of daemontools-encore.
const LOG_IS_A_PROGRAM: &str = "log is a program, but must be a directory: move it to log/run";
const DOWN_CAME_LATE: &str = "down appeared after the service was started: stopping it";
const LOG_CAME_LATE: &str = "log appeared after the service was started: restarting it with log";

/// Prints a warning about the service `name`.
fn warn_of(name: &OsStr, what: &str) {
    let (program, name, what) = (super::PROGRAM.as_bytes(), name.as_bytes(), what.as_bytes());
    let line = [program, b": warning: ", name, b": ", what, b"\n"].concat();
    output::err_nonblocking(&line);
}

/// Whether `name` currently refers to the directory `id`.
fn is_at(id: DirectoryId, name: &OsStr) -> bool {
    file::id_at(Path::new(name)) == Some((id.device, id.inode))
}

/// The entries of the scan directory, in readdir(3) order.
fn list() -> io::Result<Vec<OsString>> {
    std::fs::read_dir(".")?
        .map(|entry| Ok(entry?.file_name()))
        .filter(|name| !name.as_ref().is_ok_and(|name: &OsString| is_hidden(name)))
        .collect()
}
