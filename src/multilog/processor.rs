//! The processor of a directory: a command through which a full file is sent.

use super::files::Files;
use crate::error::Error;
use crate::sys::file::Identity;
use crate::sys::{child, errno, file, output, signals};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const SHELL: &str = "/bin/sh";

/// In a child, in the log directory called `name`, with these `files`: becomes the
/// processor `command`, with `previous`, which is the file `id`, as descriptor 0,
/// `processed` as 1, `state` as 4 and `newstate` as 5, as multilog(8) says. Gives the
/// exit code if that fails, and says why.
pub fn become_processor(command: &[u8], id: Identity, files: Files, name: &OsStr) -> u8 {
    let command = OsStr::from_bytes(command);
    let arguments = [OsStr::new("sh"), OsStr::new("-c"), command];
    let error = match connect(id, files, name) {
        Ok(()) => child::exec(OsStr::new(SHELL), &arguments),
        Err(error) => error,
    };
    let error = Error::unable("run", command, "", error);
    output::err_without_waiting(&error.line(super::waiter::PROGRAM));
    error.code()
}

fn connect(id: Identity, files: Files, name: &OsStr) -> io::Result<()> {
    // One after the other: each may be opened under the number of a later one.
    let place = |file: File, number| {
        file::set_blocking(&file)?;
        child::set_descriptor(file, number)
    };
    place(open_previous(id)?, 0)?;
    place(files.open_truncate(name, "processed")?, 1)?;
    place(files.open_read("state")?, 4)?;
    place(files.open_truncate(name, "newstate")?, 5)?;
    signals::restore_default(signals::Number::TERM);
    signals::restore_default(signals::Number::ALRM);
    Ok(())
}

/// Opens `previous` for reading, if it is the file `id`.
fn open_previous(id: Identity) -> io::Result<File> {
    let previous = file::open_read(Path::new("previous"))?;
    match file::identity(&previous.metadata()?) == id {
        true => Ok(previous),
        false => Err(errno::not_own()),
    }
}
