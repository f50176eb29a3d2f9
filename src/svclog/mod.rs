//! svclog: shows the log of a service.
//!
//! `run_script`, `files`, `tail`, `merge` and `title` decide and do no I/O; `locate` finds the
//! log directory, `directory` takes snapshots of it, `start` finds where to begin, `log`
//! follows multilog from there, `reading` reads its files, `printer` writes, `shell` is the
//! main loop; `budget` is `--budget`.

mod budget;
mod directory;
pub(crate) mod files;
mod locate;
mod log;
pub(crate) mod merge;
mod printer;
mod reading;
pub mod run_script;
mod shell;
mod shell_words;
mod start;
pub mod tail;
pub(crate) mod title;

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
pub struct SvclogOptions {
    /// At most this number of the last lines.
    pub lines: Option<u64>,
    /// Only lines since this time.
    pub since: Option<Tai64n>,
    /// Follow the log: continue with new lines.
    pub follow: bool,
    /// Which log directory, if the logger writes to several.
    pub directory: Option<OsString>,
    /// Print control characters unchanged, even to a terminal.
    pub raw: bool,
}

/// The reason why svclog exits early.
#[derive(Debug)]
pub enum SvclogFailure {
    /// There is nothing to show; the message.
    Nothing(Vec<u8>),
    /// A system call failed.
    Unable(Error),
    /// A write to stdout failed: a filter exits without a message.
    Output(io::Error),
}

impl SvclogFailure {
    fn nothing(name: &OsStr, why: &[&[u8]]) -> SvclogFailure {
        SvclogFailure::Nothing([name.as_bytes(), b": ", &why.concat()].concat())
    }

    /// The line to print, newline included; empty if there is no message.
    pub fn line(&self, program: &str) -> Vec<u8> {
        match self {
            SvclogFailure::Nothing(why) => [program.as_bytes(), b": fatal: ", why, b"\n"].concat(),
            SvclogFailure::Unable(error) => error.line(program),
            SvclogFailure::Output(_) => Vec::new(),
        }
    }

    /// The exit status: 1 if there is nothing to show, 111 if a system call failed.
    pub fn code(&self) -> u8 {
        match self {
            SvclogFailure::Nothing(_) => 1,
            SvclogFailure::Unable(_) | SvclogFailure::Output(_) => TEMPORARY,
        }
    }
}

impl From<Error> for SvclogFailure {
    fn from(error: Error) -> SvclogFailure {
        SvclogFailure::Unable(error)
    }
}

/// Whether there is a log of `service` that can be read.
pub fn shows(service: &OsStr) -> bool {
    let current = |logs: locate::Logs| file::open_read_plain(&logs.shown.join("current"));
    locate::find_quietly(service).is_ok_and(|logs| current(logs).is_ok())
}

/// The destination of the bytes of a log.
trait Sink {
    /// The next file begins with `head`. A line that the previous file began continues in
    /// it, unless a crash has truncated that line.
    fn begin(&mut self, head: &[u8]) -> io::Result<()>;

    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Sink for merge::UnshownLines {
    fn begin(&mut self, head: &[u8]) -> io::Result<()> {
        merge::UnshownLines::begin(self, head);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        merge::UnshownLines::put(self, bytes);
        Ok(())
    }
}

/// The bytes of `path`.
fn show(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Prints `what` on stderr.
fn warn(what: &[&[u8]]) {
    output::err(&[b"svclog: warning: ".as_slice(), &what.concat(), b"\n"].concat());
}
