//! `envdir dir child`: run a program with an environment read from files.

use super::chain::Next;
use crate::envdir::{self, Environment};
use crate::error::{Error, TEMPORARY};
use crate::sys::{directory, errno, exec, output};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest first line that is read, in bytes. Linux accepts no environment entry over
/// 128 KiB (execve(2)), but trailing blanks are removed first.
const LONGEST: u64 = 16 << 20;

/// The program. As in 0.76 the exit status of a wrong command line is 111, not 100.
pub fn main() -> u8 {
    super::main("envdir", |arguments| {
        let [_, directory, child @ ..] = arguments else {
            return Ok(usage());
        };
        if child.is_empty() {
            return Ok(usage());
        }
        let mut environment = Environment::new(exec::environment());
        read(directory, &mut environment)?;
        let next = Next::new(child).with_environment(environment.entries());
        Err(next.run())
    })
}

fn usage() -> u8 {
    output::err(b"envdir: usage: envdir dir child\n");
    TEMPORARY
}

/// Applies the files in `directory` to the environment, in the order of the directory.
fn read(directory: &OsStr, environment: &mut Environment) -> Result<(), Error> {
    let unable = |doing| move |error| Error::unable(doing, directory, "", error);
    let dirfd =
        directory::open_to_pass(Path::new(directory)).map_err(unable("switch to directory"))?;
    let names = directory::names(&dirfd).map_err(unable("read directory"))?;
    for name in names {
        if name.as_bytes().starts_with(b".") {
            continue;
        }
        let value = first_line(&dirfd, &name).map_err(|error| {
            let path = [directory.as_bytes(), b"/", name.as_bytes()].concat();
            Error::unable("read", OsStr::from_bytes(&path), "", error)
        })?;
        let value = envdir::value(&value);
        environment.change(name.as_bytes(), value.as_deref());
    }
    Ok(())
}

/// The file up to its first newline, and perhaps more. A file that does not exist counts
/// as empty: it may have been removed just now.
fn first_line(dirfd: &File, name: &OsStr) -> io::Result<Vec<u8>> {
    let mut file = match directory::open_file(dirfd, name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    loop {
        let before = text.len();
        let read = (&mut file).take(4096).read_to_end(&mut text)?;
        let newest = text.get(before..).unwrap_or_default();
        if read < 4096 || newest.contains(&b'\n') {
            return Ok(text);
        }
        if text.len() as u64 > LONGEST {
            return Err(errno::too_big());
        }
    }
}
