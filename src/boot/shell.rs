//! The loop of svscanboot: wait, turn what happened into events, let the machine
//! decide, do what it says.

use super::machine::{Action, Event, Half, Machine, Role, Run, Sight};
use crate::child::Pid;
use crate::error::{Error, TEMPORARY};
use crate::formats::status::Want;
use crate::service::{self, Supervised};
use crate::svscan::ScanOptions;
use crate::sys::oom::OomScoreAdj;
use crate::sys::signals::{Number, Signals};
use crate::sys::{child, clock, file, limits, poll, process};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PROGRAM: &str = "svscanboot";

/// PATH of svscan, of readproctitle and so of all services: that of 0.76's script.
pub const PATH: &str = "/command:/usr/local/bin:/usr/local/sbin:\
/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin";

/// How many dots readproctitle is given, as in 0.76's script.
pub const DOTS: usize = 400;

/// An option of svscan.
pub const TIMELINE: &str = "--timeline";
/// Another one.
pub const SHARED_GROUP: &str = "--shared-group";

/// How long what an earlier svscanboot left is waited for. A supervise that takes
/// longer is replaced later: svscan tries every five seconds.
const OLD: Duration = Duration::from_secs(5);

/// One running svscanboot.
struct Shell<'a> {
    directory: &'a OsStr,
    /// What svscan is asked for. Only the first one is to record how the services start:
    /// the next one would record nothing but that they run.
    options: ScanOptions<'a>,
    machine: Machine,
    signals: Signals,
    /// From the services and svscan to readproctitle; both ends are held, so that
    /// neither of them is missed while it is started again.
    pipe: Option<(PipeReader, PipeWriter)>,
    scanner: OsString,
    title: OsString,
    dots: OsString,
    /// What svscan and readproctitle are to inherit.
    oom_score_adj: Option<OomScoreAdj>,
    /// Once the end has begun: all services.
    services: Option<Vec<Place>>,
}

/// A service directory.
struct Place {
    path: PathBuf,
    /// Kept open where that is what the path leads through.
    _directory: Option<File>,
}

/// Runs svscanboot over `directory`, with these `options` of svscan; comes back when it
/// was told to end and everything has ended. False: something had to be left running.
///
/// # Errors
/// Those of the set-up.
pub fn run(directory: &OsStr, options: ScanOptions<'_>) -> Result<bool, Error> {
    let signals = Signals::new(&[Number::CHLD, Number::TERM, Number::INT])
        .map_err(|error| Error::unable_to("hear signals", error))?;
    // svscan would try, and say so, for ever.
    let unusable = |error| Error::unable("read", directory, "", error);
    drop(std::fs::read_dir(directory).map_err(unusable)?);
    let pipe = io::pipe().map_err(|error| Error::unable_to("create pipe", error))?;
    become_quiet().map_err(|error| Error::unable("open", OsStr::new("/dev/null"), "", error))?;
    child::adopt_orphans();
    clear_the_way(Path::new(directory));
    let program = |name: &str| child::beside(name).unwrap_or_else(|| name.into());
    let mut shell = Shell {
        directory,
        options,
        machine: Machine::default(),
        signals,
        pipe: Some(pipe),
        scanner: program("svscan"),
        title: program("readproctitle"),
        dots: ".".repeat(DOTS).into(),
        oom_score_adj: OomScoreAdj::spare(),
        services: None,
    };
    let mut left = shell.step(Event::Boot);
    while left.is_none() {
        left = shell.turn();
    }
    Ok(left.unwrap_or(false))
}

/// Takes leave of stdin, stdout and stderr: `/dev/null`.
fn become_quiet() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    child::set_stdin(&null)?;
    child::set_stdout(&null)?;
    child::set_stderr(&null)
}

/// Ends what an earlier svscanboot left: its svscan, then what that started, as
/// `svc -dx directory/* directory/*/log` in 0.76's script.
fn clear_the_way(directory: &Path) {
    let deadline = clock::monotonic() + OLD;
    let scanners = process::by_directory(&process::named("svscan"));
    let scanners = file::identity_at(directory).and_then(|id| scanners.get(&id));
    let scanners = scanners.map_or(&[][..], Vec::as_slice);
    for scanner in scanners {
        child::send(*scanner, Number::TERM);
    }
    wait_for_all("svscan", scanners, deadline);
    let is_hidden = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.as_bytes().starts_with(b"."))
    };
    let mut directories = directories(directory);
    directories.retain(|path| !is_hidden(path));
    let logs: Vec<PathBuf> = directories.iter().map(|path| path.join("log")).collect();
    let supervises = process::by_directory(&process::named("supervise"));
    let mut told = Vec::new();
    for path in directories.iter().chain(&logs) {
        if matches!(service::is_supervised(path), Supervised::Yes) {
            // Nobody would hear a complaint.
            let _ = service::send(path, b"dx", false);
            let there = file::identity_at(path).and_then(|id| supervises.get(&id));
            told.extend(there.into_iter().flatten());
        }
    }
    wait_for_all("supervise", &told, deadline);
}

/// Waits until those of `pids` have ended that are still named `name`, one after the
/// other: a descriptor for each could be more than there may be.
fn wait_for_all(name: &str, pids: &[Pid], deadline: Instant) {
    for pid in pids {
        if let Ok(end) = child::end_of(*pid)
            && process::is_named(*pid, name)
        {
            poll::wait([Some(end.as_fd())], Some(deadline));
        }
    }
}

/// All directories in `directory`, by name.
fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut directories: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    directories.sort();
    directories
}

/// All services that may run, when svscan has ended: the directories in
/// `directory`, with dot names, and those whose entry was removed but whose
/// supervise, which is our child now, is still there.
fn all_services(directory: &Path) -> Vec<Place> {
    // One for each entry that was removed.
    let _ = limits::raise_open_files();
    let id = |path: &Path| file::identity_at(path);
    let log = |path: &Path| id(&path.join("log"));
    let mut paths = directories(directory);
    // Two links to one directory are one service, which must not get TERM twice.
    let mut known = HashSet::new();
    paths.retain(|path| id(path).is_none_or(|id| known.insert(id)));
    // A log is ended with its service.
    known.extend(paths.iter().filter_map(|path| log(path)));
    let place = |path| Place {
        path,
        _directory: None,
    };
    let mut services: Vec<Place> = paths.into_iter().map(place).collect();
    let links = process::children_named("supervise").into_iter();
    let mut links: Vec<PathBuf> = links.map(process::directory_link).collect();
    links.retain(|link| id(link).is_some_and(|id| !known.contains(&id)));
    known.extend(links.iter().filter_map(|link| log(link)));
    for link in links {
        // Kept open: the link ends with the supervise, before that of the log.
        if id(&link).is_some_and(|id| known.insert(id))
            && let Ok(directory) = file::open_read(&link)
        {
            services.push(Place {
                path: format!("/proc/self/fd/{}", directory.as_raw_fd()).into(),
                _directory: Some(directory),
            });
        }
    }
    services
}

impl Shell<'_> {
    /// Waits for something to happen and deals with all of it. Some: it is over.
    fn turn(&mut self) -> Option<bool> {
        let deadline = self.machine.deadline();
        let [signal] = poll::wait([Some(self.signals.as_fd())], deadline);
        let mut told = false;
        while signal && let Some(number) = self.signals.next() {
            told |= number != Number::CHLD;
        }
        if told && let Some(left) = self.step(Event::Told) {
            return Some(left);
        }
        while let Some((pid, end)) = child::reap() {
            if let Some(left) = self.step(Event::Ended(pid, end)) {
                return Some(left);
            }
        }
        let deadline = self.machine.deadline();
        if deadline.is_some_and(|at| at <= clock::monotonic()) {
            return self.step(Event::Timer);
        }
        None
    }

    fn step(&mut self, event: Event) -> Option<bool> {
        for action in self.machine.step(event, clock::monotonic()) {
            let answer = match action {
                Action::Start(role) => match self.start(role) {
                    Ok(pid) => {
                        if role == Role::Scanner {
                            self.options.timeline = None;
                        }
                        Event::Started(role, pid)
                    }
                    Err(error) => {
                        self.warn(&Error::unable("fork for", name(role), "", error));
                        Event::StartFailed(role)
                    }
                },
                Action::Look => Event::Seen(self.look()),
                Action::Term(pid) => {
                    child::send(pid, Number::TERM);
                    continue;
                }
                Action::Kill(pid) => {
                    child::send(pid, Number::KILL);
                    continue;
                }
                Action::Drain => {
                    self.drain();
                    continue;
                }
                Action::Send(number, half, bytes) => {
                    self.send(number, half, bytes);
                    continue;
                }
                Action::Close => {
                    self.pipe = None;
                    continue;
                }
                Action::Leave(all) => {
                    // One whose directory was deleted nobody can tell anything.
                    let left = process::children_named("supervise");
                    return Some(all && left.is_empty());
                }
            };
            if let Some(left) = self.step(answer) {
                return Some(left);
            }
        }
        None
    }

    /// Starts svscan or readproctitle, in a session of its own: what a terminal
    /// or an init sends to the group of svscanboot is for svscanboot.
    fn start(&self, role: Role) -> io::Result<Pid> {
        child::spawn(|| {
            child::lead_session();
            if let Some(inherited) = &self.oom_score_adj {
                inherited.restore();
            }
            let Some((reader, writer)) = &self.pipe else {
                return TEMPORARY;
            };
            let connected = match role {
                Role::Scanner => child::set_stdout(writer).and_then(|()| child::set_stderr(writer)),
                Role::Title => child::set_stdin(reader),
            };
            let error = match connected {
                Ok(()) => self.become_program(role),
                Err(error) => error,
            };
            self.warn(&Error::unable("start", name(role), "", error));
            TEMPORARY
        })
    }

    /// In the child. Comes back only with an error.
    fn become_program(&self, role: Role) -> io::Error {
        let name = name(role);
        let mut words = vec![name];
        let program = match role {
            Role::Scanner => {
                if self.options.shared_group {
                    words.push(OsStr::new(SHARED_GROUP));
                }
                let timeline = self.options.timeline;
                let timeline = timeline.map(|file| [OsStr::new(TIMELINE), file]);
                words.extend(timeline.iter().flatten());
                words.push(self.directory);
                &self.scanner
            }
            Role::Title => {
                words.extend([OsStr::new("service"), OsStr::new("errors:"), &self.dots]);
                &self.title
            }
        };
        let path = OsStr::new(PATH);
        let error = child::exec_alone(program, &words, path);
        if program != name {
            // It was beside svscanboot, and is there no longer: PATH is left.
            return child::exec_alone(name, &words, path);
        }
        error
    }

    /// Which supervises run, of the services that were there when the end began.
    fn look(&mut self) -> Vec<Sight> {
        let services = self
            .services
            .get_or_insert_with(|| all_services(Path::new(self.directory)));
        services
            .iter()
            .map(|service| Sight {
                main: examine(&service.path),
                log: examine(&service.path.join("log")),
            })
            .collect()
    }

    fn send(&self, number: usize, half: Half, bytes: &[u8]) {
        if let Some(service) = self.services.iter().flatten().nth(number) {
            let path = match half {
                Half::Main => service.path.clone(),
                Half::Log => service.path.join("log"),
            };
            // If it fails, the service is looked at again until it is given up.
            let _ = service::send(&path, bytes, false);
        }
    }

    /// Throws away what is in the pipe.
    fn drain(&mut self) {
        if let Some((reader, _)) = &mut self.pipe
            && poll::wait([Some(reader.as_fd())], Some(clock::monotonic())) == [true]
        {
            let _ = reader.read(&mut [0; 64 * 1024]);
        }
    }

    /// Tells readproctitle, if that needs no waiting.
    fn warn(&self, error: &Error) {
        if let Some((_, writer)) = &self.pipe
            && poll::is_writable(writer.as_fd())
        {
            let mut writer = writer;
            let _ = writer.write_all(&error.warning(PROGRAM));
        }
    }
}

fn examine(path: &Path) -> Run {
    if !matches!(service::is_supervised(path), Supervised::Yes) {
        return Run::No;
    }
    let unaware = service::read_status(path)
        .is_ok_and(|status| status.pid.is_none() || status.want != Want::Down);
    if unaware { Run::Unaware } else { Run::Stopping }
}

fn name(role: Role) -> &'static OsStr {
    OsStr::new(match role {
        Role::Scanner => "svscan",
        Role::Title => "readproctitle",
    })
}
