//! Start children: fork(2), what a child is given before it begins, and exec.
//!
//! ```text
//! let descriptors = [(STDOUT, Fd::Copy(pipe.as_fd()))];
//! let child = Spawn::new().session().directory(path).descriptors(&descriptors);
//! let proc = child.exec(&[program], |error| report(error))?;
//! ```
//!
//! A child goes through these steps, in this order: it waits at its gate, leads its group or
//! session, is bound to its parent, has its directory, its descriptors, `oom_score_adj`
//! and the default actions of signals; then it does its work ([`Spawn::start`]) or becomes a
//! program ([`Spawn::exec`]) with no signal blocked. The first step that fails is told in the
//! child: the parent need not wait for it. [`Spawn::exec_reported`] tells the parent.

use super::exec::Program;
use super::oom::OomScoreAdj;
use super::pidfd::Proc;
use super::signals::{self, Signal};
use super::{descriptors, file};
use crate::child::Pid;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The exit code of a child that does nothing: its parent is gone, or does not want it.
const NOTHING_DONE: u8 = 111;

/// What a child was given that it could not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Its directory.
    Directory,
    /// One of its descriptors.
    Descriptors,
    /// The program.
    Exec,
}

/// Why a child could not begin.
#[derive(Debug)]
pub struct SpawnError {
    /// Where it happened.
    pub step: Step,
    /// The system's answer.
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

/// What a child is to lead.
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

/// Where a descriptor of a child comes from.
#[derive(Clone, Copy)]
pub enum Fd<'a> {
    /// It is a copy of one that its parent has.
    Copy(BorrowedFd<'a>),
    /// The child opens it, in its new directory, when those before it are in place. Reads
    /// and writes wait.
    Open(&'a dyn Fn() -> io::Result<File>),
}

/// The number of stdin.
pub const STDIN: RawFd = libc::STDIN_FILENO;
/// The number of stdout.
pub const STDOUT: RawFd = libc::STDOUT_FILENO;
/// The number of stderr.
pub const STDERR: RawFd = libc::STDERR_FILENO;

/// A child that is to be started. Without any of what follows it has all that its parent
/// has.
#[derive(Default)]
pub struct Spawn<'a> {
    gate: Option<(PipeReader, PipeWriter)>,
    led: Option<Led>,
    /// Whose end is to be its own.
    parent: Option<u32>,
    directory: Option<Directory<'a>>,
    descriptors: &'a [(RawFd, Fd<'a>)],
    oom_score_adj: Option<&'a OomScoreAdj>,
    defaults: &'a [Signal],
}

impl<'a> Spawn<'a> {
    /// One that has all that its parent has.
    pub fn new() -> Spawn<'a> {
        Spawn::default()
    }

    /// It is gated: it begins only at [`Proc::open_gate`]. Without that, or
    /// if this process ends before, it ends without having done anything.
    ///
    /// # Errors
    /// EMFILE, ENFILE: see pipe(2).
    pub fn gated(self) -> io::Result<Spawn<'a>> {
        let gate = Some(io::pipe()?);
        Ok(Spawn { gate, ..self })
    }

    /// It leads a process group of its own.
    pub fn group(self) -> Spawn<'a> {
        let led = Some(Led::Group);
        Spawn { led, ..self }
    }

    /// It leads a session of its own.
    pub fn session(self) -> Spawn<'a> {
        let led = Some(Led::Session);
        Spawn { led, ..self }
    }

    /// It is killed when this process ends.
    pub fn dies_with_parent(self) -> Spawn<'a> {
        let parent = Some(std::process::id());
        Spawn { parent, ..self }
    }

    /// Its current directory is that at `path`.
    pub fn directory(self, path: &'a Path) -> Spawn<'a> {
        let directory = Some(Directory::At(path));
        Spawn { directory, ..self }
    }

    /// Its current directory is the one open as `directory`.
    pub fn open_directory(self, directory: &'a File) -> Spawn<'a> {
        let directory = Some(Directory::Open(directory));
        Spawn { directory, ..self }
    }

    /// These are its descriptors of these numbers, for the next program, too. What this
    /// process has open under one of them may be what another is a copy of.
    pub fn descriptors(self, descriptors: &'a [(RawFd, Fd<'a>)]) -> Spawn<'a> {
        Spawn {
            descriptors,
            ..self
        }
    }

    /// It has the `oom_score_adj` that its parent inherited.
    pub fn oom_score_adj(self, inherited: Option<&'a OomScoreAdj>) -> Spawn<'a> {
        let oom_score_adj = inherited;
        Spawn {
            oom_score_adj,
            ..self
        }
    }

    /// These signals do in it what they do by default.
    pub fn defaults(self, defaults: &'a [Signal]) -> Spawn<'a> {
        Spawn { defaults, ..self }
    }

    /// Starts it. It does `work`, which is told what it could not have, and ends with the
    /// code that this gives, without running anything else of this process.
    ///
    /// # Errors
    /// EAGAIN, ENOMEM: see fork(2).
    pub fn start(mut self, work: impl FnOnce(Result<(), SpawnError>) -> u8) -> io::Result<Proc> {
        let (mut reader, writer) = self.gate.take().unzip();
        // SAFETY: clippy.toml allows no way to start a thread, and the child ends below.
        match unsafe { fork()? } {
            Some(pid) => Ok(Proc::of_child(pid, writer)),
            None => {
                // Its own copy would keep the pipe from its end.
                drop(writer);
                let pass = |reader: &mut PipeReader| reader.read_exact(&mut [0]).is_ok();
                let code = match reader.as_mut().is_none_or(pass) {
                    true => work(self.set_up()),
                    false => NOTHING_DONE,
                };
                exit(code)
            }
        }
    }

    /// Starts it as the first of `programs` that can be executed, as
    /// [`exec_one_of`] says. If it cannot be, `tell` is told why, in the child, and gives the
    /// exit code.
    ///
    /// # Errors
    /// As [`Spawn::start`].
    pub fn exec(
        self,
        programs: &[Program],
        tell: impl FnOnce(SpawnError) -> u8,
    ) -> io::Result<Proc> {
        self.start(|ready| match ready {
            Ok(()) => tell(exec_one_of(programs)),
            Err(error) => tell(error),
        })
    }

    /// As [`Spawn::exec`]; what is wrong is told to the parent.
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

    /// In the child. What a descriptor is to be a copy of moves away first from where
    /// another one is to stand.
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

    /// A copy of `fd` elsewhere, if a descriptor of the child's is to stand at its number.
    fn moved_away(&self, fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
        let numbers = || self.descriptors.iter().map(|(number, _)| *number);
        if !numbers().any(|number| number == fd.as_raw_fd()) {
            return Ok(None);
        }
        let above = numbers().max().unwrap_or_default().saturating_add(1);
        let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(above)).map_err(super::io)?;
        // SAFETY: a new descriptor that nobody else has.
        Ok(Some(unsafe { OwnedFd::from_raw_fd(copy) }))
    }
}

/// Where the parent is told why a child could not begin.
#[derive(Debug)]
pub struct SpawnErrors(File);

impl SpawnErrors {
    /// Why the child could not begin: to be asked when it has ended. None: it has become
    /// a program, or was killed before.
    pub fn read(&mut self) -> Option<SpawnError> {
        let mut bytes = [0; 5];
        self.0.read_exact(&mut bytes).ok()?;
        SpawnError::decode(bytes)
    }
}

/// In a child: becomes the first of `programs` that can be executed. No signal is blocked
/// then; those that were ignored when this process was started are ignored, and
/// no others.
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
/// Either this process has only one thread, or the child calls nothing but what
/// signal-safety(7) lists: locks that another thread holds are never given back there.
/// The child does not return into the code of its parent: it ends by [`exit`] or becomes a
/// program. Otherwise what the parent owns would be dropped, and its buffers written, twice.
unsafe fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the caller vouches for both.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(u32::try_from(pid).ok().and_then(Pid::new)),
    }
}

/// Ends a child without running anything else of this process.
fn exit(code: u8) -> ! {
    // SAFETY: _exit does not come back and runs no handler of the parent's.
    unsafe { libc::_exit(code.into()) }
}

fn lead_group() {
    let zero = nix::unistd::Pid::from_raw(0);
    // A fresh child of ours can always do this.
    let _ = nix::unistd::setpgid(zero, zero);
}

fn die_with_parent(parent: u32) {
    // SAFETY: PR_SET_PDEATHSIG takes a signal's number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // It may have ended before that.
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
        // Whatever the number of the descriptor by which it is told.
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
