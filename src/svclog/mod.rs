//! svclog: the log of a service, as one would read it.
//!
//! `run_script`, `files`, `tail`, `merge` and `title` decide and do no I/O; `place` finds
//! the log directory, `directory` looks at it, `start` finds where to begin,
//! `log` follows multilog from there, `reading` reads its files, `printer` writes,
//! `shell` puts it together; `budget` is `--budget`.

mod budget;
mod directory;
pub mod files;
mod log;
pub mod merge;
mod place;
mod printer;
mod reading;
pub mod run_script;
mod shell;
mod shell_words;
mod start;
pub mod tail;
pub mod title;

use crate::error::{Error, TEMPORARY};
use crate::formats::tai64n::Tai64n;
use crate::sys::{file, output};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use budget::budget;
pub use shell::{read_title, run};

/// Which lines of a log to show, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Not more than so many of the last lines.
    pub lines: Option<u64>,
    /// Only lines since this moment.
    pub since: Option<Tai64n>,
    /// Then go on with what comes.
    pub follow: bool,
    /// Which log directory, if the logger writes several.
    pub directory: Option<OsString>,
    /// Print control characters to a terminal, too.
    pub raw: bool,
}

/// Why svclog ends early.
#[derive(Debug)]
pub enum Failure {
    /// There is nothing to show; a sentence that says so.
    Nothing(Vec<u8>),
    /// The system refused.
    Unable(Error),
    /// stdout takes nothing: a filter ends without a word then.
    Output(io::Error),
}

impl Failure {
    fn nothing(name: &OsStr, why: &[&[u8]]) -> Failure {
        Failure::Nothing([name.as_bytes(), b": ", &why.concat()].concat())
    }

    /// The line to print, newline included; empty if there is nothing to say.
    pub fn line(&self, program: &str) -> Vec<u8> {
        match self {
            Failure::Nothing(why) => [program.as_bytes(), b": fatal: ", why, b"\n"].concat(),
            Failure::Unable(error) => error.line(program),
            Failure::Output(_) => Vec::new(),
        }
    }

    /// The exit code: 1 if there is nothing to show, 111 if the system failed.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Nothing(_) => 1,
            Failure::Unable(_) | Failure::Output(_) => TEMPORARY,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Unable(error)
    }
}

/// Whether there is a log of `service` that can be read.
pub fn shows(service: &OsStr) -> bool {
    let current = |logs: place::Logs| file::open_read_plain(&logs.shown.join("current"));
    place::find_quietly(service).is_ok_and(|logs| current(logs).is_ok())
}

/// Where the bytes of a log go.
trait Sink {
    /// A file comes that begins with `head`. A line that the file before began goes
    /// on in it, unless a crash has cut that line off.
    fn begin(&mut self, head: &[u8]) -> io::Result<()>;

    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Sink for merge::Lines {
    fn begin(&mut self, head: &[u8]) -> io::Result<()> {
        merge::Lines::begin(self, head);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        merge::Lines::put(self, bytes);
        Ok(())
    }
}

/// The bytes of `path`.
fn show(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Says `what` to whoever reads on.
fn warn(what: &[&[u8]]) {
    output::err(&[b"svclog: warning: ".as_slice(), &what.concat(), b"\n"].concat());
}
