//! The driver of svscanboot: wait, convert what happened to events, let the machine decide,
//! perform its actions.

use super::machine::{BootAction, BootEvent, BootMachine, Role, SuperviseState, Supervises};
use crate::child::Pid;
use crate::error::{Error, TEMPORARY};
use crate::formats::status::Want;
use crate::service::{self, Supervised};
use crate::svscan::service::SuperviseKind;
use crate::sys::exec::Program;
use crate::sys::file::FileId;
use crate::sys::oom::OomScoreAdj;
use crate::sys::pidfd::Proc;
use crate::sys::signals::{Signal, Signals};
use crate::sys::spawn::{Fd, STDERR, STDIN, STDOUT, Spawn};
use crate::sys::{child, clock, descriptors, file, limits, poll, process};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PROGRAM: &str = "svscanboot";

/// PATH of svscan and readproctitle, and so of all services: that of 0.76's script.
pub const PATH: &str = "/command:/usr/local/bin:/usr/local/sbin:\
/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin";

/// The number of dots in the command line of readproctitle, as in 0.76's script.
pub const DOTS: usize = 400;

/// The time to wait for the processes of an earlier svscanboot. A supervise that takes longer
/// is replaced later: svscan retries every five seconds.
const OLD: Duration = Duration::from_secs(5);

/// One running svscanboot.
struct Shell<'a> {
    directory: &'a OsStr,
    /// The options of svscan.
    options: ScannerOptions,
    machine: BootMachine,
    signals: Signals,
    /// The pipe from the services and svscan to readproctitle. Both ends stay open here, so
    /// that either program can be restarted.
    pipe: Option<(PipeReader, PipeWriter)>,
    /// svscan in the directory of svscanboot, which is tried before PATH.
    scanner: Option<OsString>,
    /// readproctitle, likewise.
    title: Option<OsString>,
    dots: OsString,
    /// The value to restore in svscan and readproctitle.
    oom_score_adj: Option<OomScoreAdj>,
    /// All services, once the shutdown has begun.
    services: Option<Services>,
}

/// All services that may be running after the end of svscan.
struct Services {
    directories: Vec<ServiceDirectory>,
    /// Their directories, and those of their logs.
    known: HashSet<FileId>,
}

/// A service directory.
struct ServiceDirectory {
    path: PathBuf,
    /// Kept open if the path leads through its descriptor.
    _directory: Option<File>,
}

/// The options of svscan, as words of its command line.
#[derive(Debug)]
pub struct ScannerOptions {
    /// The options of the next svscan.
    pub next: Vec<OsString>,
    /// The options of all later ones.
    pub later: Vec<OsString>,
}

/// Runs svscanboot over `directory`, with these `options` of svscan; returns when it has been
/// told to end and everything has ended. False: something had to be left running.
///
/// # Errors
/// Those of the set-up.
pub fn run(directory: &OsStr, options: ScannerOptions) -> Result<bool, Error> {
    // An inherited lock is held by svscanboot alone.
    descriptors::close_all_on_exec();
    let mut signals = Signals::new(&[Signal::CHLD, Signal::TERM, Signal::INT])
        .map_err(|error| Error::unable_to("hear signals", error))?;
    // svscan would retry and report it indefinitely.
    let unusable = |error| Error::unable("read", directory, "", error);
    drop(std::fs::read_dir(directory).map_err(unusable)?);
    let pipe = io::pipe().map_err(|error| Error::unable_to("create pipe", error))?;
    redirect_to_null()
        .map_err(|error| Error::unable("open", OsStr::new("/dev/null"), "", error))?;
    child::become_subreaper();
    let commanded = stop_leftovers(Path::new(directory), &mut signals);
    let mut shell = Shell {
        directory,
        options,
        machine: BootMachine::default(),
        signals,
        pipe: Some(pipe),
        scanner: child::sibling_program("svscan"),
        title: child::sibling_program("readproctitle"),
        dots: ".".repeat(DOTS).into(),
        oom_score_adj: OomScoreAdj::spare(),
        services: None,
    };
    let mut left = shell.step(if commanded {
        BootEvent::Signalled
    } else {
        BootEvent::Boot
    });
    while left.is_none() {
        left = shell.run_once();
    }
    Ok(left.unwrap_or(false))
}

/// Redirects stdin, stdout and stderr to `/dev/null`.
fn redirect_to_null() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let mut numbers = [STDIN, STDOUT, STDERR].into_iter();
    numbers.try_for_each(|number| descriptors::dup2(null.as_fd(), number))
}

/// Stops what an earlier svscanboot left: its svscan, then the services, as `svc -dx
/// directory/* directory/*/log` in 0.76's script. Returns whether this svscanboot was told to
/// end meanwhile.
fn stop_leftovers(directory: &Path, signals: &mut Signals) -> bool {
    let deadline = clock::monotonic() + OLD;
    let scanners = process::by_directory(&own(process::named("svscan"), "svscan"));
    let scanners = file::id_at(directory).and_then(|id| scanners.get(&id));
    let scanners = scanners.map_or(&[][..], Vec::as_slice);
    for pid in scanners {
        // The owner of the pid is checked once no other process can receive the signal.
        if let Ok(scanner) = Proc::open(*pid)
            && process::is_own(*pid, "svscan")
        {
            scanner.send_signal(Signal::TERM);
        }
    }
    if wait_for_all("svscan", scanners, deadline, signals) {
        return true;
    }
    let mut directories = directories(directory);
    directories.retain(|path| !path.file_name().is_some_and(service::is_hidden));
    let logs: Vec<PathBuf> = directories.iter().map(|path| path.join("log")).collect();
    let supervises = process::by_directory(&own(process::named("supervise"), "supervise"));
    let mut commanded = Vec::new();
    for path in directories.iter().chain(&logs) {
        if matches!(service::is_supervised(path), Supervised::Yes) {
            // There is nowhere to report an error.
            let _ = service::send(path, b"dx", false);
            let there = file::id_at(path).and_then(|id| supervises.get(&id));
            commanded.extend(there.into_iter().flatten());
        }
    }
    wait_for_all("supervise", &commanded, deadline, signals)
}

/// Those of `pids` that are named `name` and belong to this user.
fn own(mut pids: Vec<Pid>, name: &str) -> Vec<Pid> {
    pids.retain(|pid| process::is_own(*pid, name));
    pids
}

/// Waits until those of `pids` have ended that are named `name` and belong to this user, one
/// after another: pidfds for all of them could exceed the limit. Returns whether this
/// svscanboot was told to end meanwhile.
fn wait_for_all(name: &str, pids: &[Pid], deadline: Instant, signals: &mut Signals) -> bool {
    for pid in pids {
        let proc = Proc::open(*pid).ok();
        let Some(end) = proc.as_ref().and_then(Proc::end) else {
            continue;
        };
        let mut runs = process::is_own(*pid, name);
        while runs && clock::monotonic() < deadline {
            let [ended, signal] = poll::wait([Some(end), Some(signals.as_fd())], Some(deadline));
            if signal && is_signalled(signals) {
                return true;
            }
            runs = !ended;
        }
    }
    false
}

/// Takes all pending signals; returns whether one of them requests the shutdown.
fn is_signalled(signals: &mut Signals) -> bool {
    let mut commanded = false;
    while let Some(signal) = signals.next() {
        commanded |= signal != Signal::CHLD;
    }
    commanded
}

/// All directories in `directory`, sorted by name.
fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    let paths = names.into_iter().map(|name| directory.join(name));
    paths.filter(|path| path.is_dir()).collect()
}

impl Services {
    /// The directories in `directory`, hidden ones included.
    fn of(directory: &Path) -> Services {
        // Each removed entry needs a descriptor.
        let _ = limits::raise_open_files();
        let id = |path: &Path| file::id_at(path);
        let mut paths = directories(directory);
        // Two links to one directory are one service, which must not get TERM twice.
        let mut known = HashSet::new();
        paths.retain(|path| id(path).is_none_or(|id| known.insert(id)));
        // A logger is stopped with its service.
        known.extend(paths.iter().filter_map(|path| id(&path.join("log"))));
        let keep = |path| ServiceDirectory {
            path,
            _directory: None,
        };
        let directories = paths.into_iter().map(keep).collect();
        Services { directories, known }
    }

    /// Adds the services of these supervises, which are children of ours now and whose entries
    /// were removed.
    fn add(&mut self, supervises: &[Pid]) {
        let id = |path: &Path| file::id_at(path);
        let mut links: Vec<PathBuf> = supervises
            .iter()
            .map(|pid| process::directory_link(*pid))
            .filter(|link| id(link).is_some_and(|id| !self.known.contains(&id)))
            .collect();
        self.known
            .extend(links.iter().filter_map(|link| id(&link.join("log"))));
        links.retain(|link| id(link).is_some_and(|id| self.known.insert(id)));
        for link in links {
            // Kept open: the link in `/proc` disappears with the supervise, before the
            // supervise of the logger is stopped.
            if let Ok(directory) = file::open_read(&link) {
                self.directories.push(ServiceDirectory {
                    path: format!("/proc/self/fd/{}", directory.as_raw_fd()).into(),
                    _directory: Some(directory),
                });
            }
        }
    }

    /// Examines which supervises run.
    fn poll(&self) -> Vec<Supervises> {
        let state = |service: &ServiceDirectory| Supervises {
            main: examine(&service.path),
            log: examine(&service.path.join("log")),
        };
        self.directories.iter().map(state).collect()
    }
}

impl Shell<'_> {
    /// Waits for events and handles all of them. Some: svscanboot is to exit.
    fn run_once(&mut self) -> Option<bool> {
        let deadline = self.machine.deadline();
        let [signal] = poll::wait([Some(self.signals.as_fd())], deadline);
        if signal
            && is_signalled(&mut self.signals)
            && let Some(left) = self.step(BootEvent::Signalled)
        {
            return Some(left);
        }
        while let Some((pid, end)) = child::reap() {
            if let Some(left) = self.step(BootEvent::Ended(pid, end)) {
                return Some(left);
            }
        }
        let deadline = self.machine.deadline();
        if deadline.is_some_and(|at| at <= clock::monotonic()) {
            return self.step(BootEvent::Timer);
        }
        None
    }

    fn step(&mut self, event: BootEvent) -> Option<bool> {
        for action in self.machine.step(event, clock::monotonic()) {
            let answer = match action {
                BootAction::Start(role) => match self.start(role) {
                    Ok(pid) => {
                        if role == Role::Scanner {
                            self.options.next.clone_from(&self.options.later);
                        }
                        BootEvent::Started(role, pid)
                    }
                    Err(error) => {
                        self.warn(&Error::unable("fork for", name(role), "", error));
                        BootEvent::StartFailed(role)
                    }
                },
                BootAction::Poll => self.poll(),
                BootAction::Term(pid) => {
                    child::kill(pid, Signal::TERM);
                    continue;
                }
                BootAction::Kill(pid) => {
                    child::kill(pid, Signal::KILL);
                    continue;
                }
                BootAction::Drain => {
                    self.drain();
                    continue;
                }
                BootAction::Send(index, kind, bytes) => {
                    self.send(index, kind, bytes);
                    continue;
                }
                BootAction::Close => {
                    self.pipe = None;
                    continue;
                }
                BootAction::Leave(all) => return Some(all),
            };
            if let Some(left) = self.step(answer) {
                return Some(left);
            }
        }
        None
    }

    /// Starts svscan or readproctitle as a session leader: signals that a terminal or an init
    /// sends to the process group of svscanboot are for svscanboot alone.
    fn start(&self, role: Role) -> io::Result<Pid> {
        let Some((reader, writer)) = &self.pipe else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let errors = Fd::Copy(writer.as_fd());
        let (scanner, title) = (
            [(STDOUT, errors), (STDERR, errors)],
            [(STDIN, Fd::Copy(reader.as_fd()))],
        );
        let child = Spawn::new()
            .session()
            .oom_score_adj(self.oom_score_adj.as_ref())
            .descriptors(match role {
                Role::Scanner => &scanner,
                Role::Title => &title,
            });
        let started = child.exec(&self.programs(role)?, |error| {
            self.warn(&Error::unable("start", name(role), "", error.source));
            TEMPORARY
        });
        started.map(|child| child.pid())
    }

    /// The program in the directory of svscanboot, if there is one, and the one in PATH.
    fn programs(&self, role: Role) -> io::Result<Vec<Program>> {
        let name = name(role);
        let mut words = vec![name];
        let beside = match role {
            Role::Scanner => {
                words.extend(self.options.next.iter().map(OsString::as_os_str));
                words.push(self.directory);
                &self.scanner
            }
            Role::Title => {
                words.extend([OsStr::new("service"), OsStr::new("errors:"), &self.dots]);
                &self.title
            }
        };
        let path = OsStr::new(PATH);
        let beside = beside.as_ref().map(|beside| Program::at(beside, &words));
        let programs = beside
            .into_iter()
            .chain([Program::in_path(name, &words, path)]);
        programs
            .map(|program| program?.with_path_alone(path))
            .collect()
    }

    /// Examines which supervises run.
    fn poll(&mut self) -> BootEvent {
        let is_first = self.services.is_none();
        let services = self
            .services
            .get_or_insert_with(|| Services::of(Path::new(self.directory)));
        let none_runs = |states: &[Supervises]| {
            let runs = |state: &Supervises| {
                (state.main, state.log) != (SuperviseState::Absent, SuperviseState::Absent)
            };
            !states.iter().any(runs)
        };
        let mut states = services.poll();
        let mut others = false;
        if is_first || none_runs(&states) {
            let children = process::children().unwrap_or_default();
            let supervises = own(children.clone(), "supervise");
            services.add(&supervises);
            states = services.poll();
            // A process that svscan has just forked still has its name.
            let any = !supervises.is_empty() || !own(children, "svscan").is_empty();
            others = any && none_runs(&states);
        }
        BootEvent::Seen { states, others }
    }

    fn send(&self, index: usize, kind: SuperviseKind, bytes: &[u8]) {
        let services = self.services.as_ref();
        if let Some(service) = services.and_then(|services| services.directories.get(index)) {
            let path = match kind {
                SuperviseKind::Main => service.path.clone(),
                SuperviseKind::Log => service.path.join("log"),
            };
            // If that fails, it is retried until the service is abandoned.
            let _ = service::send(&path, bytes, false);
        }
    }

    /// Discards the contents of the pipe.
    fn drain(&mut self) {
        if let Some((reader, _)) = &mut self.pipe
            && poll::wait([Some(reader.as_fd())], Some(clock::monotonic())) == [true]
        {
            let _ = reader.read(&mut [0; 64 * 1024]);
        }
    }

    /// Prints a warning to readproctitle, if the pipe has room.
    fn warn(&self, error: &Error) {
        if let Some((_, writer)) = &self.pipe
            && poll::is_writable(writer.as_fd())
        {
            let mut writer = writer;
            let _ = writer.write_all(&error.warning(PROGRAM));
        }
    }
}

fn examine(path: &Path) -> SuperviseState {
    if !matches!(service::is_supervised(path), Supervised::Yes) {
        return SuperviseState::Absent;
    }
    let unaware = service::read_status(path)
        .is_ok_and(|status| status.pid.is_none() || status.want != Want::Down);
    if unaware {
        SuperviseState::Unaware
    } else {
        SuperviseState::Stopping
    }
}

fn name(role: Role) -> &'static OsStr {
    OsStr::new(match role {
        Role::Scanner => "svscan",
        Role::Title => "readproctitle",
    })
}
