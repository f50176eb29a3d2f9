//! One module per command, and their shared code: how a program starts, prints its error
//! and exits. The only place that parses command lines.

mod admin;
mod chain;
pub mod envdir;
pub mod envuidgid;
pub mod fghack;
mod getopt;
pub mod multicall;
pub mod multilog;
mod parse;
pub mod pgrphack;
pub mod readproctitle;
pub mod setlock;
pub mod setuidgid;
pub mod softlimit;
pub mod supervise;
pub mod svc;
pub mod svclog;
pub mod svcreset;
pub mod svcrestart;
pub mod svcstart;
pub mod svcstop;
pub mod svctimeline;
pub mod svok;
pub mod svscan;
pub mod svscanboot;
pub mod svstat;
pub mod tai64n;
pub mod tai64nlocal;
mod who;

use crate::error::{Error, TEMPORARY};
use crate::sys::{output, signals};
use std::ffi::{OsStr, OsString};

/// Runs a program: passes the command line to `run` (the program's own name first), prints its
/// error as `PROGRAM: ...` and converts the result to an exit status.
fn main(program: &str, run: impl FnOnce(&[OsString]) -> Result<u8, Error>) -> u8 {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            output::err(&error.line(program));
            error.code()
        }
    }
}

/// Splits a command line into `argv[0]`, or `program` if it is empty, and the other words.
fn split<'a>(arguments: &'a [OsString], program: &'a str) -> (&'a OsStr, &'a [OsString]) {
    match arguments {
        [called, words @ ..] => (called, words),
        [] => (OsStr::new(program), arguments),
    }
}

/// A program that is only a filter: as in 0.76 it exits without a message when a read or a
/// write fails, and SIGPIPE ends it, too.
fn filter(filter: impl FnMut(&[u8], &mut Vec<u8>)) -> u8 {
    signals::restore_sigpipe();
    match crate::tai64n::run(filter) {
        Ok(()) => 0,
        Err(_) => TEMPORARY,
    }
}
