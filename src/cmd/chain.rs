//! The shared end of the run-script tools: the exec of the next program.

use crate::error::Error;
use crate::sys::exec::Program;
use crate::sys::start;
use std::ffi::{OsStr, OsString};
use std::io;

/// A program to execute, prepared before anything about the process changes: then the
/// exec needs no memory, and uses the PATH this program was given.
pub(super) struct Next {
    name: OsString,
    program: io::Result<Program>,
}

impl Next {
    /// The program that `words` name, which gets this program's environment.
    pub(super) fn new(words: &[OsString]) -> Next {
        let name = words.first().cloned().unwrap_or_default();
        let program = Program::new(&name, words);
        Next { name, program }
    }

    /// The program at `path`, called by the first of `words`.
    pub(super) fn at(path: &OsStr, words: &[OsString]) -> Next {
        let program = Program::at(path, words);
        let name = path.to_owned();
        Next { name, program }
    }

    /// The same, with the environment `entries`.
    pub(super) fn with_environment(self, entries: &[Vec<u8>]) -> Next {
        let program = self.program.and_then(|next| next.with_environment(entries));
        Next { program, ..self }
    }

    /// Executes the program. Returns only if that fails: `unable to run NAME: REASON`, exit
    /// status 111, as in all of daemontools' tools.
    pub(super) fn run(self) -> Error {
        start::hand_on_descriptors();
        let error = match self.program {
            Ok(program) => program.exec(),
            Err(error) => error,
        };
        Error::unable("run", &self.name, "", error)
    }
}
