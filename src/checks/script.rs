//! A script that runs in the service directory, as a process group leader, with `/dev/null` as
//! stdin, and with its output through pipes: nothing that it leaves in the background can block
//! the caller, whose loop calls [`Running::advance`].

use super::machine::{CheckAction, CheckEvent, Machine, Over};
use crate::child::{End, Pid, Stream};
use crate::sys::exec::Program;
use crate::sys::fifo::{self, Input};
use crate::sys::pidfd::Proc;
use crate::sys::signals::Signal;
use crate::sys::spawn::{Fd, STDERR, STDIN, STDOUT, Spawn, SpawnError, SpawnErrors};
use crate::sys::{child, clock, errno, file, process};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// The maximum number of pieces of [`PIECE`] bytes of output to read after the end of a script:
/// processes that it left in the background might never stop printing.
const LAST_PIECES: usize = 256;

/// The number of bytes of output to forward at a time.
const PIECE: usize = 4096;

/// The outcome of a script.
#[derive(Debug)]
pub enum Outcome {
    /// It could not be executed, or its set-up failed.
    NotExecuted(SpawnError),
    /// Everything else.
    Over(Over),
}

/// A running script.
pub struct Running {
    proc: Proc,
    out: Option<File>,
    err: Option<File>,
    errors: SpawnErrors,
    machine: Machine,
    has_ended: bool,
    /// Another member of its process group, whose end is awaited.
    member: Option<Proc>,
}

impl Running {
    /// Starts `./NAME` in `home` with the timeout `limit`. It is killed when this process ends.
    ///
    /// # Errors
    /// Those of pipe(2) and fork(2).
    pub fn start(name: &str, home: &File, limit: Duration) -> io::Result<Running> {
        let ([out, err], [out_writer, err_writer]) = pipes()?;
        let stdin = || file::open_read(Path::new("/dev/null"));
        let descriptors = [
            (STDIN, Fd::Open(&stdin)),
            (STDOUT, Fd::Copy(out_writer.as_fd())),
            (STDERR, Fd::Copy(err_writer.as_fd())),
        ];
        let path = path_with_our_programs();
        let name = OsString::from(format!("./{name}"));
        let program = Program::at(&name, &[&name])?.with_changes(&[(OsStr::new("PATH"), &path)])?;
        // If this process ends, the lock is released, and the result is not needed.
        let child = Spawn::new().group().dies_with_parent();
        let child = child.open_directory(home).descriptors(&descriptors);
        let (proc, errors) = child.exec_reported(&[program])?;
        child::make_group(proc.pid());
        // A pidfd, because the handle is still used after the child has been reaped.
        let proc = proc.with_pidfd();
        Ok(Running {
            proc,
            out: Some(out),
            err: Some(err),
            errors,
            machine: Machine::new(limit, clock::monotonic()),
            has_ended: false,
            member: None,
        })
    }

    /// Its pid, for waitpid(2).
    pub fn pid(&self) -> Pid {
        self.proc.pid()
    }

    /// The descriptors to poll for input.
    pub fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 3] {
        let [out, err] = [&self.out, &self.err].map(|file| file.as_ref().map(AsFd::as_fd));
        [out, err, self.member.as_ref().and_then(Proc::end)]
    }

    /// The deadline of [`Running::advance`], if any.
    pub fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    /// Ends it: its result is no longer needed.
    pub fn stop(&mut self) {
        let _ = self.step(CheckEvent::Stop);
    }

    /// Handles events: which of the [descriptors](Running::descriptors) are readable, and how
    /// the script `ended`, if it has. Calls `show` with its output. Some: the script is done.
    pub fn advance(
        &mut self,
        [out, err, member]: [bool; 3],
        ended: Option<End>,
        mut show: impl FnMut(Stream, &[u8]),
    ) -> Option<Outcome> {
        if out {
            pass_on(&mut self.out, Stream::Out, &mut show);
        }
        if err {
            pass_on(&mut self.err, Stream::Err, &mut show);
        }
        if member {
            self.member = None;
        }
        self.has_ended |= ended.is_some();
        let over = self.step(ended.map_or(CheckEvent::Woken, CheckEvent::Ended))?;
        if self.has_ended {
            self.pass_on_the_rest(&mut show);
        }
        Some(match (over, self.errors.read()) {
            (Over::Ended(_), Some(error)) => Outcome::NotExecuted(error),
            _ => Outcome::Over(over),
        })
    }

    fn step(&mut self, event: CheckEvent) -> Option<Over> {
        for action in self.machine.step(event, clock::monotonic()) {
            match action {
                CheckAction::Term => {
                    self.send(Signal::TERM);
                    self.send(Signal::CONT);
                }
                CheckAction::Kill => self.send(Signal::KILL),
                CheckAction::FindMember => return self.find_member(),
                CheckAction::Leave(over) => return Some(over),
            }
        }
        None
    }

    /// The other members of its group are not children of this process: their ends are awaited
    /// one after another (pidfd), or polled where there are no pidfds.
    fn find_member(&mut self) -> Option<Over> {
        while let Some(member) = process::one_of_group(self.pid()) {
            self.member = match Proc::open(member) {
                Err(error) if errno::is_no_process(&error) => continue,
                opened => opened.ok(),
            };
            return self.step(CheckEvent::Members(true));
        }
        self.step(CheckEvent::Members(false))
    }

    /// Sends `signal` to its group, and to the script itself if it has left that.
    fn send(&self, signal: Signal) {
        child::killpg(self.pid(), signal);
        if child::has_left_group(self.pid()) {
            self.proc.send_signal(signal);
        }
    }

    fn pass_on_the_rest(&mut self, show: &mut impl FnMut(Stream, &[u8])) {
        for _ in 0..LAST_PIECES {
            let more = [
                pass_on(&mut self.out, Stream::Out, show),
                pass_on(&mut self.err, Stream::Err, show),
            ];
            if more == [false, false] {
                return;
            }
        }
    }
}

/// Two pipes with non-blocking reading ends.
fn pipes() -> io::Result<([File; 2], [io::PipeWriter; 2])> {
    let (out, out_writer) = io::pipe()?;
    let (err, err_writer) = io::pipe()?;
    let readers = [out, err].map(|reader| File::from(OwnedFd::from(reader)));
    readers.iter().try_for_each(file::set_nonblocking)?;
    Ok((readers, [out_writer, err_writer]))
}

/// Forwards a piece of output; returns whether there was any.
fn pass_on(from: &mut Option<File>, stream: Stream, show: &mut impl FnMut(Stream, &[u8])) -> bool {
    let Some(file) = from else {
        return false;
    };
    let mut piece = [0; PIECE];
    match fifo::read(file, &mut piece) {
        Input::Bytes(count) => show(stream, piece.get(..count).unwrap_or_default()),
        Input::Nothing => return false,
        Input::End => {
            *from = None;
            return false;
        }
    }
    true
}

/// PATH with the directory of this program appended, so that a script finds the `svc` of this
/// suite.
fn path_with_our_programs() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    if let Some(directory) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
        && !std::env::split_paths(&path).any(|element| element == directory)
    {
        path.push(":");
        path.push(directory);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll;
    use crate::sys::spawn::Step;
    use std::os::unix::fs::PermissionsExt;

    /// Runs `script` as `./check` in a new directory, and stops it when it has printed a line.
    /// Returns its outcome, its pid, and its output.
    fn run(name: &str, script: &str) -> (Outcome, Pid, String) {
        let place = std::env::temp_dir().join(format!("check-{name}-{}", std::process::id()));
        std::fs::create_dir(&place).unwrap();
        let file = place.join("check");
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        let home = File::open(&place).unwrap();
        let mut running = Running::start("check", &home, Duration::from_secs(600)).unwrap();
        let (pid, mut end) = (running.pid(), Proc::open(running.pid()).ok());
        let mut printed = Vec::new();
        let outcome = loop {
            let [out, err, member] = running.descriptors();
            let ended = end.as_ref().and_then(Proc::end);
            let [out, err, member, has_ended] =
                poll::wait([out, err, member, ended], running.deadline());
            let ended = has_ended.then(|| child::wait(pid).unwrap());
            end = end.filter(|_| !has_ended);
            let show = |_, bytes: &[u8]| printed.extend_from_slice(bytes);
            let outcome = running.advance([out, err, member], ended, show);
            if let Some(outcome) = outcome {
                break outcome;
            }
            if printed.ends_with(b"\n") {
                running.stop();
            }
        };
        std::fs::remove_dir_all(&place).unwrap();
        (outcome, pid, String::from_utf8(printed).unwrap())
    }

    #[test]
    fn a_script_that_cannot_be_executed_is_told_from_one_that_exits_111() {
        let (outcome, ..) = run("111", "#!/bin/sh\nprintf out; printf err >&2; exit 111");
        let end = Over::Ended(End::Exited(111));
        assert!(
            matches!(outcome, Outcome::Over(over) if over == end),
            "{outcome:?}"
        );
        let (outcome, ..) = run("nothing", "#!/no/such/interpreter\n");
        let Outcome::NotExecuted(error) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(error.step, Step::Exec);
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_script_that_is_stopped_ends_with_all_of_its_group() {
        // The background process ignores TERM.
        let script = "#!/bin/sh\n(trap '' TERM; exec sleep 1000) & echo begun; wait\n";
        let (outcome, pid, printed) = run("stopped", script);
        assert!(
            matches!(outcome, Outcome::Over(Over::Stopped)),
            "{outcome:?}"
        );
        assert_eq!(printed, "begun\n");
        let deadline = clock::monotonic() + Duration::from_secs(60);
        while process::one_of_group(pid).is_some() {
            assert!(clock::monotonic() < deadline);
            std::thread::yield_now();
        }
    }
}
