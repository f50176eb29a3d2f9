//! Start children: fork(2), the set-up of the child, and exec.
//!
//! ```text
//! let descriptors = [(STDOUT, Fd::Copy(pipe.as_fd()))];
//! let child = Spawn::new().session().directory(path).descriptors(&descriptors);
//! let proc = child.exec(&[program], |error| report(error))?;
//! ```
//!
//! A child goes through these steps, in this order: it waits at its gate, becomes leader of its
//! process group or session, is bound to its parent, changes to its directory, and sets its
//! descriptors, `oom_score_adj` and default actions of signals. Then it does its work
//! ([`Spawn::start`]) or execs a program ([`Spawn::exec`]) with an empty signal mask. The child
//! handles the first step that fails: the parent need not wait for it. [`Spawn::exec_reported`]
//! reports it to the parent.

use super::exec::Program;
use super::oom::OomScoreAdj;
use super::pidfd::Proc;
use super::signals::{self, Signal};
use super::{descriptors, file, heap};
use crate::child::Pid;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The exit status of a child that does nothing: its parent has ended, or has dropped its
/// handle.
const NOTHING_DONE: u8 = 111;

/// A step of the set-up that can fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Changing the directory.
    Directory,
    /// Setting up the descriptors.
    Descriptors,
    /// Executing the program.
    Exec,
}

/// The error of the set-up of a child.
#[derive(Debug)]
pub struct SpawnError {
    /// The step that failed.
    pub step: Step,
    /// The error of the system call.
    pub source: io::Error,
}

impl SpawnError {
    fn at(step: Step) -> impl Fn(io::Error) -> SpawnError {
        move |source| SpawnError { step, source }
    }

    fn encode(&self) -> [u8; 5] {
        let [a, b, c, d] = self.source.raw_os_error().unwrap_or_default().to_ne_bytes();
        [self.step as u8, a, b, c, d]
    }

    fn decode([step, number @ ..]: [u8; 5]) -> Option<SpawnError> {
        let all = [Step::Directory, Step::Descriptors, Step::Exec];
        let step = all.into_iter().find(|known| *known as u8 == step)?;
        let source = io::Error::from_raw_os_error(i32::from_ne_bytes(number));
        Some(SpawnError { step, source })
    }
}

/// What a child becomes leader of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Led {
    Group,
    Session,
}

#[derive(Clone, Copy)]
enum Directory<'a> {
    At(&'a Path),
    Open(&'a File),
}

/// The source of a descriptor of a child.
#[derive(Clone, Copy)]
pub enum Fd<'a> {
    /// A duplicate of a descriptor of its parent.
    Copy(BorrowedFd<'a>),
    /// A file that the child opens, in its new directory, after the descriptors before it are
    /// set. It is made blocking.
    Open(&'a dyn Fn() -> io::Result<File>),
}

/// The descriptor number of stdin.
pub const STDIN: RawFd = libc::STDIN_FILENO;
/// The descriptor number of stdout.
pub const STDOUT: RawFd = libc::STDOUT_FILENO;
/// The descriptor number of stderr.
pub const STDERR: RawFd = libc::STDERR_FILENO;

/// The builder of a child. By default the child inherits everything.
#[derive(Default)]
pub struct Spawn<'a> {
    gate: Option<(PipeReader, PipeWriter)>,
    led: Option<Led>,
    /// The process whose end kills it.
    parent: Option<u32>,
    directory: Option<Directory<'a>>,
    descriptors: &'a [(RawFd, Fd<'a>)],
    oom_score_adj: Option<&'a OomScoreAdj>,
    defaults: &'a [Signal],
}

impl<'a> Spawn<'a> {
    /// A child that inherits everything.
    pub fn new() -> Spawn<'a> {
        Spawn::default()
    }

    /// It is gated: it waits until [`Proc::open_gate`] before it does anything. If its handle
    /// is dropped or this process ends before, the child ends.
    ///
    /// # Errors
    /// EMFILE, ENFILE: see pipe(2).
    pub fn gated(self) -> io::Result<Spawn<'a>> {
        let gate = Some(io::pipe()?);
        Ok(Spawn { gate, ..self })
    }

    /// It becomes a process group leader.
    pub fn group(self) -> Spawn<'a> {
        let led = Some(Led::Group);
        Spawn { led, ..self }
    }

    /// It becomes a session leader.
    pub fn session(self) -> Spawn<'a> {
        let led = Some(Led::Session);
        Spawn { led, ..self }
    }

    /// It is killed when this process ends (PR_SET_PDEATHSIG).
    pub fn dies_with_parent(self) -> Spawn<'a> {
        let parent = Some(std::process::id());
        Spawn { parent, ..self }
    }

    /// Its current directory is `path`.
    pub fn directory(self, path: &'a Path) -> Spawn<'a> {
        let directory = Some(Directory::At(path));
        Spawn { directory, ..self }
    }

    /// Its current directory is the open `directory`.
    pub fn open_directory(self, directory: &'a File) -> Spawn<'a> {
        let directory = Some(Directory::Open(directory));
        Spawn { directory, ..self }
    }

    /// Its descriptors of these numbers, which are inherited on exec. A source may have a
    /// number that another descriptor gets.
    pub fn descriptors(self, descriptors: &'a [(RawFd, Fd<'a>)]) -> Spawn<'a> {
        Spawn {
            descriptors,
            ..self
        }
    }

    /// Its `oom_score_adj` is the one that its parent inherited.
    pub fn oom_score_adj(self, inherited: Option<&'a OomScoreAdj>) -> Spawn<'a> {
        let oom_score_adj = inherited;
        Spawn {
            oom_score_adj,
            ..self
        }
    }

    /// These signals have their default actions.
    pub fn defaults(self, defaults: &'a [Signal]) -> Spawn<'a> {
        Spawn { defaults, ..self }
    }

    /// Starts it. The child calls `work` with the result of its set-up, and exits with the
    /// returned status, without running any other code of this process.
    ///
    /// # Errors
    /// EAGAIN, ENOMEM: see fork(2).
    pub fn start(mut self, work: impl FnOnce(Result<(), SpawnError>) -> u8) -> io::Result<Proc> {
        let (mut reader, writer) = self.gate.take().unzip();
        // SAFETY: clippy.toml forbids all ways to start a thread, and the child exits below.
        match unsafe { fork()? } {
            Some(pid) => Ok(Proc::of_child(pid, writer)),
            None => {
                heap::end();
                // Its own copy would prevent end of file.
                drop(writer);
                let pass = |reader: &mut PipeReader| reader.read_exact(&mut [0]).is_ok();
                let abort = AbortOnPanic;
                let code = match reader.as_mut().is_none_or(pass) {
                    true => work(self.set_up()),
                    false => NOTHING_DONE,
                };
                std::mem::forget(abort);
                exit(code)
            }
        }
    }

    /// Starts it as the first of `programs` that can be executed, see [`exec_one_of`]. If that
    /// or the set-up fails, the child calls `report` with the error and exits with the returned
    /// status.
    ///
    /// # Errors
    /// As [`Spawn::start`].
    pub fn exec(
        self,
        programs: &[Program],
        report: impl FnOnce(SpawnError) -> u8,
    ) -> io::Result<Proc> {
        self.start(|ready| match ready {
            Ok(()) => report(exec_one_of(programs)),
            Err(error) => report(error),
        })
    }

    /// As [`Spawn::exec`], but an error is reported to the parent.
    ///
    /// # Errors
    /// As [`Spawn::start`]; EMFILE, ENFILE: see pipe(2).
    pub fn exec_reported(self, programs: &[Program]) -> io::Result<(Proc, SpawnErrors)> {
        let (reader, writer) = io::pipe()?;
        let reader = File::from(OwnedFd::from(reader));
        file::set_nonblocking(&reader)?;
        let moved = self.moved_away(writer.as_fd())?;
        let mut writer = File::from(moved.unwrap_or(writer.into()));
        let proc = self.exec(programs, move |error| {
            let _ = writer.write_all(&error.encode());
            NOTHING_DONE
        })?;
        Ok((proc, SpawnErrors(reader)))
    }

    /// In the child.
    fn set_up(&self) -> Result<(), SpawnError> {
        match self.led {
            Some(Led::Group) => lead_group(),
            Some(Led::Session) => super::child::setsid(),
            None => {}
        }
        if let Some(parent) = self.parent {
            die_with_parent(parent);
        }
        match self.directory {
            Some(Directory::At(path)) => std::env::set_current_dir(path),
            Some(Directory::Open(directory)) => file::change_directory(directory),
            None => Ok(()),
        }
        .map_err(SpawnError::at(Step::Directory))?;
        self.place_descriptors()
            .map_err(SpawnError::at(Step::Descriptors))?;
        if let Some(inherited) = self.oom_score_adj {
            inherited.restore();
        }
        for signal in self.defaults {
            signals::restore_default(*signal);
        }
        Ok(())
    }

    /// In the child: sets the descriptors. A source that has the number of another descriptor
    /// is duplicated elsewhere first.
    fn place_descriptors(&self) -> io::Result<()> {
        let mut moved = Vec::new();
        for (number, fd) in self.descriptors {
            if let Fd::Copy(fd) = fd
                && fd.as_raw_fd() != *number
                && let Some(elsewhere) = self.moved_away(*fd)?
            {
                moved.push((*number, elsewhere));
            }
        }
        for (number, fd) in self.descriptors {
            let elsewhere = moved.iter().find(|(of, _)| of == number);
            match (elsewhere, fd) {
                (Some((_, fd)), _) => descriptors::dup2(fd.as_fd(), *number)?,
                (None, Fd::Copy(fd)) => descriptors::dup2(*fd, *number)?,
                (None, Fd::Open(open)) => {
                    let file = open()?;
                    file::set_blocking(&file)?;
                    descriptors::dup2(file.as_fd(), *number)?;
                    if file.as_raw_fd() == *number {
                        std::mem::forget(file);
                    }
                }
            }
        }
        Ok(())
    }

    /// A duplicate of `fd` elsewhere, if a descriptor of the child gets its number.
    fn moved_away(&self, fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
        let numbers = || self.descriptors.iter().map(|(number, _)| *number);
        if !numbers().any(|number| number == fd.as_raw_fd()) {
            return Ok(None);
        }
        let above = numbers().max().unwrap_or_default().saturating_add(1);
        let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(above)).map_err(super::io)?;
        // SAFETY: a new descriptor that has no other owner.
        Ok(Some(unsafe { OwnedFd::from_raw_fd(copy) }))
    }
}

/// The pipe by which a child reports the error of its set-up.
#[derive(Debug)]
pub struct SpawnErrors(File);

impl SpawnErrors {
    /// The error of its set-up; to be called when the child has ended. None: it called exec
    /// successfully, or was killed before.
    pub fn read(&mut self) -> Option<SpawnError> {
        let mut bytes = [0; 5];
        self.0.read_exact(&mut bytes).ok()?;
        SpawnError::decode(bytes)
    }
}

/// In a child: execs the first of `programs` that can be executed, with an empty signal mask.
/// The ignored signals are those that were ignored when this process started.
pub fn exec_one_of(programs: &[Program]) -> SpawnError {
    signals::restore_for_child();
    let mut source = io::Error::from_raw_os_error(libc::ENOENT);
    for program in programs {
        source = program.exec();
    }
    SpawnError::at(Step::Exec)(source)
}

/// fork(2): the pid of the child in this process, None in the child.
///
/// # Safety
/// Either this process is single-threaded, or the child calls only async-signal-safe functions
/// (signal-safety(7)): locks that other threads hold are never released there. The child does
/// not return into the code of its parent: it calls [`exit`] or exec. Otherwise the parent's
/// values would be dropped, and its buffers written, twice.
unsafe fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the caller guarantees both.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(u32::try_from(pid).ok().and_then(Pid::new)),
    }
}

/// Where a panic unwinds (the tests), it would leave the child's part of the code and go on
/// as the parent, or end a thread and exit with 0.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// Ends a child without running any other code of this process (_exit(2)).
fn exit(code: u8) -> ! {
    // SAFETY: _exit does not return and runs no exit handler of the parent.
    unsafe { libc::_exit(code.into()) }
}

fn lead_group() {
    let zero = nix::unistd::Pid::from_raw(0);
    // This cannot fail in a new child.
    let _ = nix::unistd::setpgid(zero, zero);
}

fn die_with_parent(parent: u32) {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // The parent may have ended before that.
    if std::os::unix::process::parent_id() != parent {
        exit(NOTHING_DONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::sys::child::wait;
    use std::ffi::OsStr;

    fn shell(script: &str) -> Program {
        Program::at(OsStr::new("/bin/sh"), &["sh", "-c", script]).unwrap()
    }

    /// What a shell prints that is started as `child`, and how it ends.
    fn said(child: Spawn<'_>, script: &str) -> (String, End) {
        let (mut reader, writer) = io::pipe().unwrap();
        let descriptors = [(STDOUT, Fd::Copy(writer.as_fd()))];
        let child = child.descriptors(&descriptors);
        let proc = child.exec(&[shell(script)], |_| 99).unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, wait(proc.pid()).unwrap())
    }

    #[test]
    fn a_child_is_where_it_was_sent_and_leads_what_it_is_to_lead() {
        // Its pid, its process group, its session.
        let script = "pwd; cut -d' ' -f1,5,6 /proc/$$/stat";
        let words = |child: Spawn<'_>| {
            let (text, end) = said(child, script);
            assert_eq!(end, End::Exited(0));
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            <[String; 4]>::try_from(words).unwrap()
        };
        let [place, pid, group, session] = words(Spawn::new().group().directory(Path::new("/")));
        assert_eq!((place.as_str(), &group), ("/", &pid));
        assert_ne!(session, pid);
        let proc = File::open("/proc").unwrap();
        let [place, pid, _, session] = words(Spawn::new().session().open_directory(&proc));
        assert_eq!((place.as_str(), session), ("/proc", pid));
    }

    #[test]
    fn descriptors_that_change_places_are_what_they_were_called() {
        let (mut first, first_end) = io::pipe().unwrap();
        let (mut second, second_end) = io::pipe().unwrap();
        let [one, two] = [&first_end, &second_end].map(AsRawFd::as_raw_fd);
        let opened = || file::open_read(Path::new("/dev/null"));
        let descriptors = [
            (one, Fd::Copy(second_end.as_fd())),
            (two, Fd::Copy(first_end.as_fd())),
            (STDIN, Fd::Open(&opened)),
        ];
        let child = Spawn::new().descriptors(&descriptors);
        let script = format!("cat; echo 1 >/proc/self/fd/{one}; echo 2 >/proc/self/fd/{two}");
        let proc = child.exec(&[shell(&script)], |_| 99).unwrap();
        drop((first_end, second_end));
        assert_eq!(wait(proc.pid()).unwrap(), End::Exited(0));
        let mut text = String::new();
        second.read_to_string(&mut text).unwrap();
        first.read_to_string(&mut text).unwrap();
        assert_eq!(text, "1\n2\n");
    }

    #[test]
    fn the_parent_is_told_which_step_failed_and_that_is_no_exit_code() {
        let (nowhere, no_file) = (Path::new("/nowhere"), || File::open("/nowhere"));
        let descriptors = [(STDIN, Fd::Open(&no_file))];
        let told = |child: Spawn<'_>, program: &Program| {
            let (proc, mut errors) = child.exec_reported(std::slice::from_ref(program)).unwrap();
            let end = wait(proc.pid()).unwrap();
            let error = errors.read().map(|e| (e.step, e.source.raw_os_error()));
            (end, error)
        };
        let exits = shell("exit 111");
        let of = |step| (End::Exited(111), Some((step, Some(libc::ENOENT))));
        let child = Spawn::new;
        assert_eq!(told(child(), &exits), (End::Exited(111), None));
        assert_eq!(
            told(child().directory(nowhere), &exits),
            of(Step::Directory)
        );
        assert_eq!(
            told(child().descriptors(&descriptors), &exits),
            of(Step::Descriptors)
        );
        let nothing = Program::at(nowhere.as_os_str(), &["nothing"]).unwrap();
        assert_eq!(told(child(), &nothing), of(Step::Exec));
        // Whatever the number of the descriptor that reports it.
        let (_, end) = io::pipe().unwrap();
        let all: Vec<_> = (3..40)
            .map(|number| (number, Fd::Copy(end.as_fd())))
            .collect();
        assert_eq!(told(child().descriptors(&all), &nothing), of(Step::Exec));
    }

    #[test]
    fn the_first_program_that_can_be_executed_is() {
        let nothing = Program::at(OsStr::new("/nowhere"), &["nothing"]).unwrap();
        let programs = [nothing, shell("exit 7"), shell("exit 8")];
        let proc = Spawn::new().exec(&programs, |_| 99).unwrap();
        assert_eq!(wait(proc.pid()).unwrap(), End::Exited(7));
    }

    #[test]
    fn a_held_child_begins_when_it_is_let_go_and_else_never() {
        let held = || Spawn::new().gated().unwrap().start(|_| 7).unwrap();
        let mut proc = held();
        proc.open_gate();
        assert_eq!(wait(proc.pid()).unwrap(), End::Exited(7));
        let proc = held();
        let pid = proc.pid();
        drop(proc);
        assert_eq!(wait(pid).unwrap(), End::Exited(111));
    }

    #[test]
    fn the_next_program_has_an_empty_mask_and_the_signals_it_is_to_have() {
        let script = "grep '^Sig[BI]' /proc/self/status";
        let child = Spawn::new().start(|_| {
            let _blocked = signals::Signals::new(&[Signal::CHLD, Signal::TERM]).unwrap();
            signals::ignore(Signal::ALRM);
            signals::ignore(Signal::HUP);
            let (text, end) = said(Spawn::new().defaults(&[Signal::ALRM]), script);
            let ignored = text.split("SigIgn:\t").nth(1).unwrap().trim();
            let ignored = u64::from_str_radix(ignored, 16).unwrap();
            let is_ignored = |signal: Signal| ignored & (1 << (signal.raw() - 1)) != 0;
            let is_right = text.contains("SigBlk:\t0000000000000000")
                && is_ignored(Signal::PIPE) == crate::sys::start::sigpipe_was_ignored()
                && is_ignored(Signal::HUP)
                && !is_ignored(Signal::ALRM);
            u8::from(!is_right || end != End::Exited(0))
        });
        assert_eq!(wait(child.unwrap().pid()).unwrap(), End::Exited(0));
    }

    #[test]
    fn a_child_that_is_bound_to_its_parent_ends_with_it() {
        let (mut reader, writer) = io::pipe().unwrap();
        let parent = Spawn::new().start(|_| {
            let bound = Spawn::new().dies_with_parent().start(|_| {
                let _ = (&writer).write_all(b".");
                // For ever: its own end of this pipe is open.
                let (mut reader, _writer) = io::pipe().unwrap();
                reader.read(&mut [0]).map_or(1, |_| 2)
            });
            let (reader, begun) = (&mut reader, bound.is_ok());
            u8::from(!begun || reader.read_exact(&mut [0]).is_err())
        });
        drop(writer);
        assert_eq!(wait(parent.unwrap().pid()).unwrap(), End::Exited(0));
        // It had the last other end.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}
