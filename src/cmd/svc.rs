//! `svc [-udopchaitkx] dir...`: send commands to supervise. `svc --upgrade dir...`: have it become
//! the program that is installed now.

use super::getopt;
use crate::error::{Error, USAGE, reason};
use crate::formats::control::Command;
use crate::service::{self, NotSent, Origin, VisitError};
use crate::sys::output;
use crate::upgrade::{self, NotUpgraded, Probe};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The usage line of 0.76, unchanged: encore's `-1 -2 -q -w` are accepted but not listed.
const OPTIONS: &[u8] = b"svc options: u up, d down, o once, x exit, p pause, c continue, \
h hup, a alarm, i interrupt, t term, k kill\n";

/// The program. As in 0.76, it exits with 0 even if no service could be reached.
pub fn main() -> u8 {
    super::main("svc", run)
}

fn run(arguments: &[OsString]) -> Result<u8, Error> {
    let (called, words) = super::split(arguments, "svc");
    if let [option, names @ ..] = words
        && option == "--upgrade"
    {
        return Ok(upgrade(names));
    }
    let known = Command::ALL.map(|command| command.encode().unwrap_or(0));
    let parsed = match getopt::parse(words, &known) {
        Ok(parsed) => parsed,
        Err(bad) => {
            output::err(&bad.line(called));
            output::err(OPTIONS);
            return Ok(USAGE);
        }
    };
    let commands = each_once(&parsed.letters);
    let origin = Origin::open()?;
    for name in parsed.operands {
        match origin
            .here(name)
            .map(|here| service::send(here, &commands, true))
        {
            Some(Ok(())) => continue,
            Some(Err(error @ NotSent::Write(_))) => {
                output::err(&not_sent(b"svc", name, &error));
                continue;
            }
            _ => {}
        }
        // The error is printed before the chdir back, which may fail.
        let visit = origin.visit(name, || {
            if let Err(error) = service::send(Path::new(""), &commands, true) {
                output::err(&not_sent(b"svc", name, &error));
            }
        });
        match visit {
            Ok(()) => {}
            Err(VisitError::Chdir(error)) => {
                output::err(&Error::unable("chdir to", name, "", error).warning("svc"));
            }
            Err(VisitError::Back(error)) => return Err(error),
        }
    }
    Ok(0)
}

/// Upgrades the supervises of these services, one after the other. 1: not all of them.
fn upgrade(names: &[OsString]) -> u8 {
    let mut probe = Probe::default();
    let mut code = 0;
    for name in names {
        let Err(error) = upgrade::upgrade(Path::new(name), &mut probe) else {
            continue;
        };
        code = 1;
        output::err(&not_upgraded(b"svc", name, error));
    }
    code
}

/// The warning of `program` about the service `name`.
pub(super) fn not_upgraded(program: &[u8], name: &OsStr, error: NotUpgraded) -> Vec<u8> {
    match error {
        NotUpgraded::NotSent(error) => not_sent(program, name, &error),
        NotUpgraded::Version => {
            let what = " runs a version that cannot be upgraded in place";
            warning(program, "", name, what)
        }
        NotUpgraded::Because(why) => {
            warning(program, "unable to upgrade ", name, &format!(": {why}"))
        }
    }
}

/// Each letter once, at its first position.
fn each_once(letters: &[u8]) -> Vec<u8> {
    let mut commands = Vec::new();
    for letter in letters {
        if !commands.contains(letter) {
            commands.push(*letter);
        }
    }
    commands
}

fn not_sent(program: &[u8], name: &OsStr, error: &NotSent) -> Vec<u8> {
    let (before, after) = match error {
        NotSent::NotRunning => ("unable to control ", "supervise not running"),
        NotSent::Open(error) => ("unable to control ", reason(error)),
        NotSent::Write(error) => ("error writing commands to ", reason(error)),
    };
    warning(program, before, name, &[": ", after].concat())
}

fn warning(program: &[u8], before: &str, name: &OsStr, after: &str) -> Vec<u8> {
    [
        program,
        b": warning: ",
        before.as_bytes(),
        name.as_bytes(),
        after.as_bytes(),
        b"\n",
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_letter_is_sent_once_at_its_first_place() {
        assert_eq!(each_once(b"ddu"), b"du");
        assert_eq!(each_once(b"oot"), b"ot");
        assert_eq!(each_once(b"xdx"), b"xd");
    }
}
