//! The loop of svscan: wait, look at what changed, let the plan decide, do what
//! it says.

use super::plan::{Action, Half, INTERVAL, Id, Look, Plan, Sight};
use crate::child::Pid;
use crate::error::{Error, TEMPORARY};
use crate::sys::limits::{OpenFiles, raise_open_files};
use crate::sys::signals::{Number, Signals};
use crate::sys::watch::{Change, How, Place, Watch};
use crate::sys::{child, clock, file, output, poll, start};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

const PROGRAM: &str = "svscan";

/// How much is read of what the kernel says has changed, before anything else is
/// looked at.
const CHANGE_BUFFERS: usize = 64;

/// One running svscan.
struct Shell {
    plan: Plan,
    signals: Signals,
    /// None: inotify cannot be relied on here.
    watch: Option<Watched>,
    /// When to read the whole directory again; None: never.
    scan_at: Option<Instant>,
    pipes: HashMap<Id, (PipeReader, PipeWriter)>,
    /// The program `supervise` beside this one, which is tried before PATH.
    supervise: Option<OsString>,
    open_files: Option<OpenFiles>,
}

/// What is watched: the scan directory, and the directories in which the
/// targets of its symbolic links lie.
struct Watched {
    watch: Watch,
    here: Place,
    /// For each entry that is a link: where its target lies, and the target's name there.
    targets: HashMap<OsString, (Place, OsString)>,
}

/// Runs svscan in `dir`, or here; never comes back once it has begun.
///
/// # Errors
/// `unable to chdir to DIR`.
pub fn run(dir: Option<&OsStr>) -> Result<(), Error> {
    start::hand_on_descriptors();
    if let Some(dir) = dir {
        std::env::set_current_dir(dir)
            .map_err(|error| Error::unable("chdir to", dir, "", error))?;
    }
    // 0.76 needs none; without it, dead supervises would go unnoticed.
    let signals =
        Signals::new(&[Number::CHLD]).map_err(|error| Error::unable_to("create pipe", error))?;
    let mut shell = Shell {
        plan: Plan::default(),
        signals,
        watch: Watched::start(),
        scan_at: None,
        pipes: HashMap::new(),
        supervise: child::beside("supervise"),
        open_files: raise_open_files(),
    };
    shell.scan();
    loop {
        shell.turn();
    }
}

impl Watched {
    fn start() -> Option<Watched> {
        let here = Path::new(".");
        if file::open_read(here).is_ok_and(|directory| file::is_remote(&directory)) {
            return None;
        }
        let watch = Watch::new().ok()?;
        let place = watch.entries(here).ok()?;
        Some(Watched {
            watch,
            here: place,
            targets: HashMap::new(),
        })
    }

    /// The entries a change in `place` of `name` may concern.
    fn concerned(&self, place: Place, name: &OsStr) -> Vec<OsString> {
        if place == self.here {
            return vec![name.to_owned()];
        }
        self.targets
            .iter()
            .filter(|(_, (target, file))| *target == place && file == name)
            .map(|(entry, _)| entry.clone())
            .collect()
    }

    /// Takes note of where the link `name` leads: its target may be replaced
    /// without a change here. What cannot be watched is no error: it is what
    /// 0.76 would see at its next scan, and we at the end of the supervise.
    fn follow(&mut self, name: &OsStr) {
        let is_link = std::fs::symlink_metadata(name).is_ok_and(|m| m.is_symlink());
        let target = is_link
            .then(|| std::fs::canonicalize(name).ok())
            .flatten()
            .and_then(|path| Some((path.parent()?.to_owned(), path.file_name()?.to_owned())))
            .and_then(|(parent, file)| Some((self.watch.entries(&parent).ok()?, file)));
        match target {
            Some(target) => {
                let old = self.targets.insert(name.to_owned(), target);
                self.drop_unused(old);
            }
            None => self.unfollow(name),
        }
    }

    fn unfollow(&mut self, name: &OsStr) {
        let old = self.targets.remove(name);
        self.drop_unused(old);
    }

    fn drop_unused(&self, old: Option<(Place, OsString)>) {
        if let Some((place, _)) = old
            && place != self.here
            && !self.targets.values().any(|(other, _)| *other == place)
        {
            self.watch.forget(place);
        }
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
        let [died, changed] = poll::wait([Some(self.signals.as_fd()), watch], deadline);
        if died || changed {
            self.look_at_changes();
        }
        if died {
            self.reap();
        }
        let now = clock::monotonic();
        if self.scan_at.is_some_and(|at| at <= now) {
            self.scan();
        }
        let actions = self.plan.tick(now);
        self.perform(actions);
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

    fn examine_changed(&mut self, changes: Vec<Change>) {
        let mut entries = BTreeSet::new();
        for change in changes {
            let Some(watched) = &self.watch else {
                return;
            };
            match change {
                Change::Entry { place, name, how } => {
                    if place == watched.here && !is_hidden(&name) {
                        let now = clock::monotonic();
                        match how {
                            How::DirectoryMade => self.plan.made_in_place(&name, now),
                            How::Made => self.plan.linked(&name, now),
                            How::Moved | How::Opened => self.plan.came_whole(&name),
                        }
                    }
                    entries.extend(watched.concerned(place, &name));
                }
                Change::Lost => return self.scan(),
                Change::Ended(place) if place == watched.here => {
                    // The scan directory is gone or unmounted: look for its entries as 0.76 does.
                    self.watch = None;
                    return self.scan();
                }
                Change::Ended(_) => {}
            }
        }
        for name in entries {
            self.perform(vec![Action::Examine(name)]);
        }
    }

    fn reap(&mut self) {
        while self.signals.next().is_some() {}
        while let Some((pid, end)) = child::reap() {
            let actions = self.plan.ended(pid, end, clock::monotonic());
            self.perform(actions);
        }
    }

    /// Reads the whole scan directory.
    fn scan(&mut self) {
        self.scan_at = self.watch.is_none().then(|| clock::monotonic() + INTERVAL);
        match list() {
            Ok(names) => {
                for name in &names {
                    self.perform(vec![Action::Examine(name.clone())]);
                }
                let actions = self.plan.listed(&names.into_iter().collect());
                self.perform(actions);
            }
            Err(error) => {
                warn(&Error::unable_to("read directory", error));
                self.scan_at = Some(clock::monotonic() + INTERVAL);
            }
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            let next = match action {
                Action::Examine(name) => {
                    if is_hidden(&name) {
                        continue;
                    }
                    let sight = self.examine(&name);
                    self.plan.saw(&name, sight, clock::monotonic())
                }
                Action::Look(name) => self.plan.looked(&name, look(&name), clock::monotonic()),
                Action::MakePipe(id, name) => match io::pipe() {
                    Ok(pipe) => {
                        self.pipes.insert(id, pipe);
                        self.plan.pipe_made(id, clock::monotonic())
                    }
                    Err(error) => {
                        warn(&Error::unable("create pipe for", &name, "", error));
                        self.plan.pipe_failed(id, clock::monotonic())
                    }
                },
                Action::Start { id, half, name } => match self.start(id, half, &name) {
                    Ok(pid) => {
                        self.plan.started(id, half, pid, clock::monotonic());
                        Vec::new()
                    }
                    Err(error) => {
                        warn(&Error::unable("fork for", &name, rest(half), error));
                        self.plan.start_failed(id, half, clock::monotonic())
                    }
                },
                Action::Resume(id, half) => self.plan.resume(id, half, clock::monotonic()),
                Action::Forget(id) => {
                    self.pipes.remove(&id);
                    Vec::new()
                }
            };
            // Its consequences come before what was to follow it.
            next.into_iter().rev().for_each(|a| queue.push_front(a));
        }
    }

    /// What the entry `name` is.
    fn examine(&mut self, name: &OsStr) -> Sight {
        let path = Path::new(name);
        if let Some(watched) = &mut self.watch {
            watched.follow(name);
        }
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                if let Some(watched) = &mut self.watch {
                    watched.unfollow(name);
                }
                let is_there = std::fs::symlink_metadata(path).is_ok();
                if error.kind() == ErrorKind::NotFound && !is_there {
                    return Sight::Nothing;
                }
                warn(&Error::unable("stat", name, "", error));
                return Sight::Trouble;
            }
        };
        if !metadata.is_dir() {
            return Sight::Nothing;
        }
        let id = Id {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        if self.plan.knows(id) {
            return Sight::Directory { id, log: false };
        }
        match std::fs::metadata(path.join("log")) {
            Ok(_) => Sight::Directory { id, log: true },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Sight::Directory { id, log: false }
            }
            Err(error) => {
                warn(&Error::unable("stat", name, "/log", error));
                Sight::Trouble
            }
        }
    }

    fn start(&self, id: Id, half: Half, name: &OsStr) -> io::Result<Pid> {
        let pipe = self.pipes.get(&id);
        child::spawn(|| {
            if let Some(limit) = self.open_files {
                limit.restore();
            }
            let error = become_supervise(half, name, pipe, self.supervise.as_deref());
            // Held up here, it would pass for a supervise.
            output::err_without_waiting(&error.warning(PROGRAM));
            TEMPORARY
        })
    }
}

/// In the child. Comes back only with an error.
fn become_supervise(
    half: Half,
    name: &OsStr,
    pipe: Option<&(PipeReader, PipeWriter)>,
    beside: Option<&OsStr>,
) -> Error {
    let connected = match (half, pipe) {
        (_, None) => Ok(()),
        (Half::Main, Some((_, writer))) => child::set_stdout(writer),
        (Half::Log, Some((reader, _))) => child::set_stdin(reader),
    };
    if let Err(error) = connected {
        return Error::unable("set up descriptors for", name, rest(half), error);
    }
    if half == Half::Log
        && let Err(error) = std::env::set_current_dir(name)
    {
        return Error::unable("switch to", name, "", error);
    }
    let program = OsStr::new("supervise");
    let operand = match half {
        Half::Main => name,
        Half::Log => OsStr::new("log"),
    };
    if let Some(beside) = beside {
        // If it is there no longer, PATH is left.
        child::exec(beside, &[program, operand]);
    }
    let error = child::exec_in_path(program, &[program, operand]);
    Error::unable("start supervise", name, rest(half), error)
}

fn rest(half: Half) -> &'static str {
    match half {
        Half::Main => "",
        Half::Log => "/log",
    }
}

fn warn(error: &Error) {
    output::err_without_waiting(&error.warning(PROGRAM));
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// The entries of the scan directory, in the directory's own order.
fn list() -> io::Result<Vec<OsString>> {
    std::fs::read_dir(".")?
        .map(|entry| Ok(entry?.file_name()))
        .filter(|name| !name.as_ref().is_ok_and(|name: &OsString| is_hidden(name)))
        .collect()
}

/// What a directory that was made in place holds by now.
fn look(name: &OsStr) -> Option<Look> {
    let directory = PathBuf::from(name);
    let changed = |path: &Path| {
        std::fs::metadata(path)
            .map(|m| (m.ctime(), m.ctime_nsec()))
            .ok()
    };
    let run = directory.join("run");
    let parts = [
        run.clone(),
        directory.join("log"),
        directory.join("log/run"),
    ];
    Some(Look {
        has_run: file::may_execute(&run) && !run.is_dir(),
        changed: std::iter::once(changed(&directory)?)
            .chain(parts.iter().filter_map(|part| changed(part)))
            .collect(),
    })
}
