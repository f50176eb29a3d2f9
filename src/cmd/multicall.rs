//! `daemontools-rs`: all commands in one file, installed with one hard link for each name.
//!
//! The name of the executed file selects the command. If that is `daemontools-rs`, or cannot
//! be determined, `argv[0]` selects it, so that a symbolic link works, too.
//!
//! `make install` installs this file, linked statically: it is loaded once for all
//! commands, starts faster and has less private memory than dynamic programs. (`cargo build
//! --features thin` also builds each command as a program of its own, from `src/bin`.)
//! `daemontools-rs-nss`, in the same directory, is a dynamic program with the two commands
//! that look up users: only a dynamic program can load the modules that nsswitch.conf
//! names. The two execute it when a look-up needs them (`cmd/who.rs`).

use super::chain::Next;
use crate::error::{Error, TEMPORARY, USAGE};
use crate::sys::{file, output};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The name of a command and its main function.
type Entry = (&'static str, fn() -> u8);

const ENVUIDGID: Entry = ("envuidgid", super::envuidgid::main);
const SETUIDGID: Entry = ("setuidgid", super::setuidgid::main);

/// The commands that look up users.
const DYNAMIC: [Entry; 2] = [ENVUIDGID, SETUIDGID];

const PROGRAMS: [Entry; 23] = [
    ("envdir", super::envdir::main),
    ENVUIDGID,
    ("fghack", super::fghack::main),
    ("multilog", super::multilog::main),
    ("pgrphack", super::pgrphack::main),
    ("readproctitle", super::readproctitle::main),
    ("setlock", super::setlock::main),
    SETUIDGID,
    ("softlimit", super::softlimit::main),
    ("supervise", super::supervise::main),
    ("svc", super::svc::main),
    ("svclog", super::svclog::main),
    ("svcreset", super::svcreset::main),
    ("svcrestart", super::svcrestart::main),
    ("svcstart", super::svcstart::main),
    ("svcstop", super::svcstop::main),
    ("svctimeline", super::svctimeline::main),
    ("svok", super::svok::main),
    ("svscan", super::svscan::main),
    ("svscanboot", super::svscanboot::main),
    ("svstat", super::svstat::main),
    ("tai64n", super::tai64n::main),
    ("tai64nlocal", super::tai64nlocal::main),
];

/// The program `daemontools-rs`. Called by its own name, it executes the command that its
/// first argument names; without arguments it lists all commands; `--version` prints the
/// version.
pub fn main() -> u8 {
    run("daemontools-rs", &PROGRAMS)
}

/// The program `daemontools-rs-nss`, as [`main`].
pub fn dynamic_main() -> u8 {
    run(super::who::DYNAMIC, &DYNAMIC)
}

/// The program called `own`, which contains `programs`.
fn run(own: &str, programs: &[Entry]) -> u8 {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let (called, words) = super::split(&arguments, "");
    let file = std::env::current_exe().unwrap_or_default();
    let found = find(programs, file.as_os_str()).or_else(|| find(programs, called));
    if let Some((_, program)) = found {
        return program();
    }
    match words {
        [] => list(programs),
        [word] if word == "--version" || word == "-V" => {
            print(&format!("{own} {}\n", env!("CARGO_PKG_VERSION")))
        }
        [word, ..] if let Some((name, _)) = find(programs, word) => {
            let error = exec_program(name, words);
            output::err(&error.line(own));
            error.code()
        }
        [name, ..] => {
            let line = [own.as_bytes(), b": no program ", name.as_bytes(), b"\n"].concat();
            output::err(&line);
            USAGE
        }
    }
}

/// The program whose name is the last component of the path `called`.
fn find<'a>(programs: &'a [Entry], called: &OsStr) -> Option<&'a Entry> {
    let name = Path::new(called).file_name()?;
    programs.iter().find(|(known, _)| name == *known)
}

fn list(programs: &[Entry]) -> u8 {
    let names: String = programs
        .iter()
        .map(|(name, _)| format!("{name}\n"))
        .collect();
    print(&names)
}

fn print(text: &str) -> u8 {
    match output::out(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => TEMPORARY,
    }
}

/// Executes this file as the program `name`, with the command line `words`.
fn exec_program(name: &str, words: &[OsString]) -> Error {
    let this = Path::new("/proc/self/exe");
    // Tools identify a process by the name of its executed file.
    let link = std::fs::read_link(this).map(|file| file.with_file_name(name));
    let link = link
        .ok()
        .filter(|link| file::id_at(link) == file::id_at(this));
    Next::at(link.as_deref().unwrap_or(this).as_os_str(), words).run()
}
