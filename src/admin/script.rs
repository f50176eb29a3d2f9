//! A service's own `./start` and `./stop`.
//!
//! A script is run in the service directory, as the leader of a process group
//! of its own, with no input and with its output through us, so that it and the
//! progress line stay readable and nothing it leaves behind can hold us up.

use super::failure::{Failure, Stop};
use super::progress::Stream;
use super::wait::{Waiter, say};
use crate::child::End;
use crate::sys::exec::Program;
use crate::sys::fifo::{self, Input};
use crate::sys::pidfd::Proc;
use crate::sys::signals::Number;
use crate::sys::spawn::{Fd, STDERR, STDIN, STDOUT, Spawn, SpawnError, SpawnErrors, Step};
use crate::sys::{child, clock, errno, file, output, process};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// How long a script that has not ended in time may take to end at TERM.
const GRACE: Duration = Duration::from_secs(2);

/// How much a script's output is read on after its end, in pieces of
/// [`PIECE`] bytes: what it left behind might print for ever.
const LAST_PIECES: usize = 256;

/// How much of a script's output is passed on at a time.
const PIECE: usize = 4096;

/// No `./run` is looked at beyond so many bytes.
const LONGEST_RUN: usize = 1 << 20;

/// A script of a service's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    /// `./start`
    Start,
    /// `./stop`
    Stop,
}

impl Script {
    /// Its file name.
    pub fn name(self) -> &'static str {
        match self {
            Script::Start => "start",
            Script::Stop => "stop",
        }
    }

    /// Whether the service in `directory` has this script.
    ///
    /// # Errors
    /// It is there, but cannot be one.
    pub fn exists(self, directory: &Path) -> Result<bool, Failure> {
        is_executable(self.name(), directory)
    }

    /// Runs it in `home`, which is `directory`, and gives its verdict.
    ///
    /// # Errors
    /// It could not be run, did not exit 0, or not within `limit`; then its
    /// process group is ended. `state` says what the service does then.
    pub fn run(
        self,
        home: &File,
        directory: &Path,
        limit: Duration,
        waiter: &mut Waiter<'_>,
        state: impl FnOnce() -> String,
    ) -> Result<(), Stop> {
        let script = self.name();
        let failed = |source| Failure::NotRun { script, source };
        let mut running = Running::start(self, home).map_err(failed)?;
        let deadline = clock::monotonic() + limit;
        let end = loop {
            match running.turn(None, waiter, deadline) {
                Ok(Some(end)) => break end,
                Ok(None) if clock::monotonic() >= deadline => {
                    running.end_group(waiter);
                    return Err(Failure::Hung {
                        script,
                        waited: limit,
                        state: state(),
                    }
                    .into());
                }
                Ok(None) => {}
                Err(stop) => {
                    running.end_group(waiter);
                    return Err(stop);
                }
            }
        };
        running.pass_on_the_rest(waiter);
        match running.errors.read() {
            Some(SpawnError {
                step: Step::Exec,
                source,
            }) => return Err(explain(self, directory, source).into()),
            Some(SpawnError { source, .. }) => return Err(failed(source).into()),
            None => {}
        }
        match end {
            End::Exited(0) => Ok(()),
            End::Exited(code) => {
                let log = None;
                Err(Failure::Refused { script, code, log }.into())
            }
            End::Killed(number) => Err(Failure::ScriptKilled { script, number }.into()),
        }
    }
}

/// A script that runs.
struct Running {
    proc: Proc,
    out: Option<File>,
    err: Option<File>,
    /// Why it could not be executed.
    errors: SpawnErrors,
}

impl Running {
    fn start(script: Script, home: &File) -> io::Result<Running> {
        let (out, out_writer) = io::pipe()?;
        let (err, err_writer) = io::pipe()?;
        let stdin = || file::open_read(Path::new("/dev/null"));
        let descriptors = [
            (STDIN, Fd::Open(&stdin)),
            (STDOUT, Fd::Copy(out_writer.as_fd())),
            (STDERR, Fd::Copy(err_writer.as_fd())),
        ];
        let path = path_with_our_programs();
        let name = OsString::from(format!("./{}", script.name()));
        let program = Program::at(&name, &[&name])?.with_changes(&[(OsStr::new("PATH"), &path)])?;
        // Without us there is no lock, and nobody who wants its verdict.
        let child = Spawn::new().group().dies_with_parent();
        let child = child.open_directory(home).descriptors(&descriptors);
        let (proc, errors) = child.exec_told(&[program])?;
        child::make_group(proc.pid());
        let file = |end: io::PipeReader| {
            let file = File::from(OwnedFd::from(end));
            file::set_nonblocking(&file).map(|()| file)
        };
        Ok(Running {
            proc,
            out: Some(file(out)?),
            err: Some(file(err)?),
            errors,
        })
    }

    /// Waits for something to happen, `other` being one more thing to wait for;
    /// how the script ended, if it has.
    fn turn(
        &mut self,
        other: Option<BorrowedFd<'_>>,
        waiter: &mut Waiter<'_>,
        deadline: std::time::Instant,
    ) -> Result<Option<End>, Stop> {
        let [out, err] = [&self.out, &self.err].map(|fd| fd.as_ref().map(AsFd::as_fd));
        let wake = waiter.wait([out, err, other], Some(deadline))?;
        let [out, err, _] = wake.ready;
        if out {
            pass_on(&mut self.out, Stream::Out, waiter);
        }
        if err {
            pass_on(&mut self.err, Stream::Err, waiter);
        }
        Ok(wake
            .ended
            .iter()
            .find(|(pid, _)| *pid == self.proc.pid())
            .map(|(_, end)| *end))
    }

    fn pass_on_the_rest(&mut self, waiter: &mut Waiter<'_>) {
        for _ in 0..LAST_PIECES {
            let more = [
                pass_on(&mut self.out, Stream::Out, waiter),
                pass_on(&mut self.err, Stream::Err, waiter),
            ];
            if more == [false, false] {
                return;
            }
        }
    }

    /// Ends the script, even one that has left the process group it was made
    /// leader of, and all that is in that group: TERM, and KILL for what is left
    /// after a moment. Another signal to us does not cut it short.
    fn end_group(&mut self, waiter: &mut Waiter<'_>) {
        self.send(Number::TERM);
        self.send(Number::CONT);
        let mut ended = self.ends_within(GRACE, waiter);
        // The others are no children of ours: they are waited for one after the
        // other. One of them may be one of our own commands, which takes this long
        // to end a script of its own.
        let deadline = clock::monotonic() + 2 * GRACE;
        while ended && clock::monotonic() < deadline {
            let Some(member) = process::one_of_group(self.proc.pid()) else {
                break;
            };
            // Without a pidfd, it is looked at again at the next dot.
            let member = match Proc::open(member) {
                Err(error) if errno::is_no_process(&error) => continue,
                opened => opened.ok(),
            };
            let end = member.as_ref().and_then(Proc::end);
            let _ = self.turn(end, waiter, deadline);
        }
        self.send(Number::KILL);
        if !ended {
            ended = self.ends_within(GRACE, waiter);
        }
        if ended {
            self.pass_on_the_rest(waiter);
        }
    }

    fn send(&self, number: Number) {
        child::send_group(self.proc.pid(), number);
        if child::has_left_group(self.proc.pid()) {
            self.proc.send(number);
        }
    }

    fn ends_within(&mut self, limit: Duration, waiter: &mut Waiter<'_>) -> bool {
        let deadline = clock::monotonic() + limit;
        while clock::monotonic() < deadline {
            if let Ok(Some(_)) = self.turn(None, waiter, deadline) {
                return true;
            }
        }
        false
    }
}

/// Passes a piece of output on; whether there was any.
fn pass_on(from: &mut Option<File>, stream: Stream, waiter: &mut Waiter<'_>) -> bool {
    let Some(file) = from else {
        return false;
    };
    let mut piece = [0; PIECE];
    let count = match fifo::read(file, &mut piece) {
        Input::Bytes(count) => count,
        Input::Nothing => return false,
        Input::End => {
            *from = None;
            return false;
        }
    };
    let bytes = piece.get(..count).unwrap_or_default();
    let (before, said) = waiter.progress.script(stream, bytes);
    say(&before);
    match stream {
        Stream::Out => say(&said),
        Stream::Err => output::err_bytes(&said),
    }
    true
}

/// PATH with the directory of this program behind it, so that a script finds
/// the `svc` that belongs to it wherever that stands.
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

/// Whether the file `script` is there and may be executed.
fn is_executable(script: &'static str, directory: &Path) -> Result<bool, Failure> {
    let path = directory.join(script);
    match std::fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => Err(Failure::NotAFile { script }),
        Ok(_) if !file::may_execute(&path) => Err(Failure::NotExecutable { script }),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match std::fs::symlink_metadata(&path) {
                Ok(_) => Err(Failure::Dangling { script }),
                Err(_) => Ok(false),
            }
        }
        Err(source) => Err(Failure::Unable {
            doing: format!("examine ./{script}"),
            source,
        }),
    }
}

/// Why supervise cannot have executed `./run` in `directory`, if that is plain
/// to see.
pub fn fault_of_run(directory: &Path) -> Option<Failure> {
    let script = "run";
    match is_executable(script, directory) {
        Err(failure) => return Some(failure),
        Ok(false) => return Some(Failure::NoRun),
        Ok(true) => {}
    }
    let start = beginning(script, directory)?;
    if start.starts_with(b"\x7fELF") {
        return None;
    }
    match interpreter(&start) {
        None => Some(Failure::NoShebang { script }),
        Some(name) => fault_of_interpreter(script, directory, name),
    }
}

/// Why execve(2) failed, in words that name what to mend.
fn explain(script: Script, directory: &Path, source: io::Error) -> Failure {
    let script = script.name();
    let start = beginning(script, directory).unwrap_or_default();
    match interpreter(&start) {
        Some(name) => fault_of_interpreter(script, directory, name)
            .unwrap_or(Failure::NotRun { script, source }),
        None if errno::is_no_program(&source) => Failure::NoShebang { script },
        None => Failure::NotRun { script, source },
    }
}

/// Why the interpreter `name` of a script cannot be executed, if that is plain to see.
fn fault_of_interpreter(script: &'static str, directory: &Path, name: &[u8]) -> Option<Failure> {
    let path = directory.join(OsStr::from_bytes(name));
    let interpreter = shown(name);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() && file::may_execute(&path) => None,
        Ok(_) => Some(Failure::DeadInterpreter {
            script,
            interpreter,
        }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Some(Failure::NoInterpreter {
                script,
                interpreter,
            })
        }
        Err(source) => Some(Failure::NoWayToInterpreter {
            script,
            interpreter,
            source,
        }),
    }
}

/// Whether `./run` in `directory` has an `svc -d` for itself in it.
pub fn takes_itself_down(directory: &Path) -> bool {
    let run = file::read_start(&directory.join("run"), LONGEST_RUN);
    has_svc_down(&run.unwrap_or_default())
}

/// Whether a line of `script` that is no comment has `svc` with an option `d` or `x`.
fn has_svc_down(script: &[u8]) -> bool {
    let is_svc = |word: &[u8]| word == b"svc" || word.ends_with(b"/svc");
    let goes_down = |word: &[u8]| word.starts_with(b"-") && word.contains(&b'd');
    script.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        let mut words = line.split(|byte| byte.is_ascii_whitespace() || b";&|({`".contains(byte));
        !line.starts_with(b"#") && words.any(is_svc) && words.next().is_some_and(goes_down)
    })
}

/// As much of a script as execve(2) looks at.
fn beginning(script: &str, directory: &Path) -> Option<Vec<u8>> {
    file::read_start(&directory.join(script), 256).ok()
}

/// The interpreter that the first line of a script names.
fn interpreter(script: &[u8]) -> Option<&[u8]> {
    let line = script.split(|byte| *byte == b'\n').next()?;
    let line = line.strip_prefix(b"#!")?.trim_ascii_start();
    line.split(|byte| *byte == b' ' || *byte == b'\t').next()
}

/// A name with what cannot be seen in it, above all the carriage return of a
/// file from another system.
fn shown(name: &[u8]) -> String {
    let text = |name| String::from_utf8_lossy(name).escape_debug().to_string();
    match name.strip_suffix(b"\r") {
        Some(name) => format!(
            "{} followed by a carriage return (its lines end in CR LF)",
            text(name)
        ),
        None => text(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_named_with_a_carriage_return_shown() {
        assert_eq!(interpreter(b"#! /bin/sh -e\nx").unwrap(), b"/bin/sh");
        assert_eq!(
            shown(interpreter(b"#!/bin/sh\r\n").unwrap()),
            "/bin/sh followed by a carriage return (its lines end in CR LF)"
        );
        assert_eq!(interpreter(b"echo"), None);
    }

    #[test]
    fn an_svc_that_takes_a_service_down_is_found() {
        for script in [
            "#!/bin/sh\n./job\nsvc -d .\n",
            "x=1; /usr/bin/svc -dx . log",
            "(svc -od .)",
        ] {
            assert!(has_svc_down(script.as_bytes()), "{script}");
        }
        for script in ["# svc -d .", "svc -u .", "svcx -d", "echo svc", "svc\n-d"] {
            assert!(!has_svc_down(script.as_bytes()), "{script}");
        }
    }
}
