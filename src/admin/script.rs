//! Runs a service's own `./start` and `./stop` with progress dots, and describes their
//! failures. Both the script's output and the progress line stay readable.

use super::failure::{Aborted, Failure};
use super::wait::{WaitLoop, say};
use crate::checks::Over;
use crate::checks::script::{Outcome, Running};
use crate::child::{End, Stream};
use crate::sys::spawn::Step;
use crate::sys::{errno, file, output};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// The maximum number of bytes of `./run` to examine.
const LONGEST_RUN: usize = 1 << 20;

/// A script of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceScript {
    /// `./start`
    Start,
    /// `./stop`
    Stop,
}

impl ServiceScript {
    /// Its file name.
    pub fn name(self) -> &'static str {
        match self {
            ServiceScript::Start => "start",
            ServiceScript::Stop => "stop",
        }
    }

    /// Whether the service in `directory` has this script.
    ///
    /// # Errors
    /// It exists, but is not executable, or not a file.
    pub fn exists(self, directory: &Path) -> Result<bool, Failure> {
        is_executable(self.name(), directory)
    }

    /// Runs it in `home`, which is `directory`.
    ///
    /// # Errors
    /// It could not be run, did not exit with 0, or timed out after `limit`; then its process
    /// group is ended. `state` describes the state of the service then.
    pub fn run(
        self,
        home: &File,
        directory: &Path,
        limit: Duration,
        waiter: &mut WaitLoop<'_>,
        state: impl FnOnce() -> String,
    ) -> Result<(), Aborted> {
        let script = self.name();
        let failed = |source| Failure::NotRun { script, source };
        let mut running = Running::start(script, home, limit).map_err(failed)?;
        let mut told = None;
        let outcome = loop {
            let woken = waiter.wait(running.descriptors(), running.deadline());
            let (ready, ended) = match woken {
                Ok(wake) => (wake.ready, wake.end_of(running.pid())),
                Err(stop) => {
                    running.stop();
                    told.get_or_insert(stop);
                    ([false; 3], None)
                }
            };
            let outcome = running.advance(ready, ended, |stream, bytes| {
                let (before, said) = waiter.progress.script(stream, bytes);
                say(&before);
                match stream {
                    Stream::Out => say(&said),
                    Stream::Err => output::err_bytes(&said),
                }
            });
            if let Some(outcome) = outcome {
                break outcome;
            }
        };
        let failure = match (outcome, told) {
            (Outcome::Over(Over::Stopped), Some(stop)) => return Err(stop),
            (Outcome::NotExecuted(error), _) => match error.step {
                Step::Exec => explain(self, directory, error.source),
                Step::Directory | Step::Descriptors => failed(error.source),
            },
            (Outcome::Over(Over::Ended(End::Exited(0))), _) => return Ok(()),
            (Outcome::Over(Over::Ended(End::Exited(code))), _) => {
                let log = None;
                Failure::Refused { script, code, log }
            }
            (Outcome::Over(Over::Ended(End::Killed(number))), _) => Failure::ScriptKilled {
                script,
                signal: number,
            },
            (Outcome::Over(Over::TimedOut | Over::Stopped), _) => Failure::Hung {
                script,
                waited: limit,
                state: state(),
            },
        };
        Err(failure.into())
    }
}

/// Whether the file `script` exists and is executable.
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

/// Why supervise cannot have executed `./run` in `directory`, if that is evident.
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

/// Why execve(2) failed, naming what to repair.
fn explain(script: ServiceScript, directory: &Path, source: io::Error) -> Failure {
    let script = script.name();
    let start = beginning(script, directory).unwrap_or_default();
    match interpreter(&start) {
        Some(name) => fault_of_interpreter(script, directory, name)
            .unwrap_or(Failure::NotRun { script, source }),
        None if errno::is_no_program(&source) => Failure::NoShebang { script },
        None => Failure::NotRun { script, source },
    }
}

/// Why the interpreter `name` of a script cannot be executed, if that is evident.
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

/// Whether `./run` in `directory` contains an `svc -d`.
pub fn takes_itself_down(directory: &Path) -> bool {
    let run = file::read_start(&directory.join("run"), LONGEST_RUN);
    has_svc_down(&run.unwrap_or_default())
}

/// Whether a line of `script` that is not a comment contains `svc` with an option `d` or `x`.
fn has_svc_down(script: &[u8]) -> bool {
    let is_svc = |word: &[u8]| word == b"svc" || word.ends_with(b"/svc");
    let goes_down = |word: &[u8]| word.starts_with(b"-") && word.contains(&b'd');
    script.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        let mut words = line.split(|byte| byte.is_ascii_whitespace() || b";&|({`".contains(byte));
        !line.starts_with(b"#") && words.any(is_svc) && words.next().is_some_and(goes_down)
    })
}

/// The beginning of a script, as far as execve(2) reads it.
fn beginning(script: &str, directory: &Path) -> Option<Vec<u8>> {
    file::read_start(&directory.join(script), 256).ok()
}

/// The interpreter in the first line of a script.
fn interpreter(script: &[u8]) -> Option<&[u8]> {
    let line = script.split(|byte| *byte == b'\n').next()?;
    let line = line.strip_prefix(b"#!")?.trim_ascii_start();
    line.split(|byte| *byte == b' ' || *byte == b'\t').next()
}

/// A name with invisible characters escaped, above all the carriage return of a DOS file.
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
