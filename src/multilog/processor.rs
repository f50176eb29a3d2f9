//! The processor of a directory: a command that filters each full file.

use super::files::Files;
use crate::child::Pid;
use crate::error::Error;
use crate::sys::exec::Program;
use crate::sys::file::FileId;
use crate::sys::signals::Signal;
use crate::sys::spawn::{Fd, Spawn};
use crate::sys::{errno, file, output};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;

const SHELL: &str = "/bin/sh";

/// Starts the processor `command` in the current directory, a log directory called `name`, with
/// `previous`, which is the file `id`, as descriptor 0, `processed` as 1, `state` as 4 and
/// `newstate` as 5, as in multilog(8). The child reports its errors.
///
/// # Errors
/// Those of fork(2).
pub fn start(command: &[u8], id: FileId, files: Files, name: &OsStr) -> io::Result<Pid> {
    let command = OsStr::from_bytes(command);
    let shell = [Program::at(
        OsStr::new(SHELL),
        &[OsStr::new("sh"), OsStr::new("-c"), command],
    )?];
    let started = Spawn::new()
        .descriptors(&[
            (0, Fd::Open(&|| open_previous(id, files))),
            (1, Fd::Open(&|| files.open_truncate(name, "processed"))),
            (4, Fd::Open(&|| files.open_read("state"))),
            (5, Fd::Open(&|| files.open_truncate(name, "newstate"))),
        ])
        .defaults(&[Signal::TERM, Signal::ALRM])
        .exec(&shell, |error| {
            let error = Error::unable("run", command, "", error.source);
            output::err_nonblocking(&error.line(super::waiter::PROGRAM));
            error.code()
        });
    started.map(|processor| processor.pid())
}

/// Opens `previous` for reading, if it is the file `id`.
fn open_previous(id: FileId, files: Files) -> io::Result<File> {
    let previous = files.open_previous()?;
    match file::id(&previous.metadata()?) == id {
        true => Ok(previous),
        false => Err(errno::not_own()),
    }
}
