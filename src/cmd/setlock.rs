//! `setlock [-nNxX] file program [arg...]`: run a program with a file locked.

use super::chain::Next;
use super::getopt::{self, Parsed};
use crate::error::Error;
use crate::sys::{file, lock, output};
use std::ffi::{OsStr, OsString};
use std::path::Path;

const USAGE_TEXT: &str = "usage: setlock [ -nNxX ] file program [ arg ... ]";

/// The program.
pub fn main() -> u8 {
    super::main("setlock", run)
}

fn run(arguments: &[OsString]) -> Result<u8, Error> {
    let (called, words) = super::split(arguments, "setlock");
    let parsed = match getopt::parse(words, b"nNxX") {
        Ok(parsed) => parsed,
        Err(bad) => {
            output::err(&bad.line(called));
            return Err(Error::Usage(USAGE_TEXT));
        }
    };
    let [file, program @ ..] = parsed.operands else {
        return Err(Error::Usage(USAGE_TEXT));
    };
    if program.is_empty() {
        return Err(Error::Usage(USAGE_TEXT));
    }
    let next = Next::new(program);
    match hold(file, !is_last(&parsed, b'n', b'N')) {
        Ok(()) => Err(next.run()),
        Err(_) if is_last(&parsed, b'x', b'X') => Ok(0),
        Err(error) => Err(error),
    }
}

/// Whether the last one of the letters `yes` and `no` is `yes`.
fn is_last(parsed: &Parsed<'_>, yes: u8, no: u8) -> bool {
    let mut letters = parsed.letters.iter().rev();
    letters.find(|letter| [yes, no].contains(letter)) == Some(&yes)
}

/// Locks `name` for this process and the program that it executes.
fn hold(name: &OsStr, wait: bool) -> Result<(), Error> {
    let file = file::open_append(Path::new(name))
        .map_err(|error| Error::unable("open", name, "", error))?;
    let locked = if wait {
        file.lock()
    } else {
        lock::try_exclusive(&file)
    };
    locked
        .and_then(|()| file::leave_open(file))
        .map_err(|error| Error::unable("lock", name, "", error))
}
