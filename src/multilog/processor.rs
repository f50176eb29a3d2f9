//! The processor of a directory: a command through which a full file is sent.

use crate::error::Error;
use crate::sys::{child, file, output, signals};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

type Open = fn(&Path) -> io::Result<File>;

const SHELL: &str = "/bin/sh";

/// In a child, in the log directory: becomes the processor `command`, with
/// `previous` as descriptor 0, `processed` as 1, `state` as 4 and `newstate` as 5,
/// as multilog(8) says. Gives the exit code if that fails, and says why.
pub fn become_processor(command: &[u8]) -> u8 {
    let command = OsStr::from_bytes(command);
    let arguments = [OsStr::new("sh"), OsStr::new("-c"), command];
    let error = match connect() {
        Ok(()) => child::exec(OsStr::new(SHELL), &arguments),
        Err(error) => error,
    };
    let error = Error::unable("run", command, "", error);
    output::err_without_waiting(&error.line(super::waiter::PROGRAM));
    error.code()
}

fn connect() -> io::Result<()> {
    // One after the other: each may be opened under the number of a later one.
    let places: [(&str, Open, i32); 4] = [
        ("previous", file::open_read, 0),
        ("processed", file::open_truncate, 1),
        ("state", file::open_read, 4),
        ("newstate", file::open_truncate, 5),
    ];
    for (name, open, number) in places {
        let file = open(Path::new(name))?;
        file::set_blocking(&file)?;
        child::set_descriptor(file, number)?;
    }
    signals::restore_default(signals::Number::TERM);
    signals::restore_default(signals::Number::ALRM);
    Ok(())
}
