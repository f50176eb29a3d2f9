//! `svstat dir...`: what services do now, one line each on stdout.

use crate::error::Error;
use crate::formats::status::{Status, Want};
use crate::formats::tai64n::Tai64n;
use crate::service::{self, NoStatus, Origin, Supervised, Trouble};
use crate::sys::errno::reason;
use crate::sys::{clock, output, signals};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Output is written whenever so much of it is there.
const BUFFER: usize = 8192;

/// The program. Beyond 0.76, which says nothing then: without a name, every
/// service in `$SVDIR`, else `/service`, else `/etc/service`.
pub fn main() -> u8 {
    signals::restore_sigpipe();
    super::main("svstat", run)
}

fn run(arguments: &[OsString]) -> Result<u8, Error> {
    let all;
    let names = match arguments {
        [_, names @ ..] if !names.is_empty() => names,
        _ => {
            all = service::all()?;
            &all
        }
    };
    let origin = Origin::open()?;
    let mut lines = Vec::new();
    for name in names {
        let said = match origin.visit(name, || look(Path::new(""))) {
            Ok(seen) => sentence(&seen, Tai64n::from_unix(clock::wall())),
            Err(Trouble::Chdir(error)) => unable("chdir", &error),
            Err(Trouble::Back(error)) => return Err(error),
        };
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(said.as_bytes());
        lines.push(b'\n');
        if lines.len() >= BUFFER {
            write(&mut lines);
        }
    }
    write(&mut lines);
    Ok(0)
}

/// As in 0.76, nobody is told that stdout does not take it.
fn write(lines: &mut Vec<u8>) {
    let _ = output::out(lines);
    lines.clear();
}

/// What there is to see in a service directory, in the order 0.76 looks.
enum Seen {
    /// `down` cannot be examined.
    NoDown(io::Error),
    NotRunning,
    /// `supervise/ok` cannot be opened.
    NoOk(io::Error),
    NoStatus(NoStatus),
    Status {
        status: Status,
        /// There is no file `down`.
        normally_up: bool,
    },
}

fn look(directory: &Path) -> Seen {
    let normally_up = match std::fs::metadata(directory.join("down")) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Seen::NoDown(error),
    };
    match service::is_supervised(directory) {
        Supervised::Yes => {}
        Supervised::No => return Seen::NotRunning,
        Supervised::Unknown(error) => return Seen::NoOk(error),
    }
    match service::read_status(directory) {
        Ok(status) => Seen::Status {
            status,
            normally_up,
        },
        Err(error) => Seen::NoStatus(error),
    }
}

fn unable(what: &str, error: &io::Error) -> String {
    format!("unable to {what}: {}", reason(error))
}

fn sentence(seen: &Seen, now: Tai64n) -> String {
    let (status, normally_up) = match seen {
        Seen::NoDown(error) => return unable("stat down", error),
        Seen::NotRunning => return "supervise not running".to_owned(),
        Seen::NoOk(error) => return unable("open supervise/ok", error),
        Seen::NoStatus(NoStatus::Open(error)) => return unable("open supervise/status", error),
        Seen::NoStatus(NoStatus::Read(error)) => return unable("read supervise/status", error),
        Seen::NoStatus(NoStatus::BadFormat) => {
            return "unable to read supervise/status: bad format".to_owned();
        }
        Seen::Status {
            status,
            normally_up,
        } => (status, *normally_up),
    };
    let seconds = status.since.seconds_until(now);
    let mut text = match status.pid {
        Some(pid) => format!("up (pid {pid}) {seconds} seconds"),
        None => format!("down {seconds} seconds"),
    };
    let up = status.pid.is_some();
    for (holds, suffix) in [
        (up && !normally_up, ", normally down"),
        (!up && normally_up, ", normally up"),
        (up && status.paused, ", paused"),
        (!up && status.want == Want::Up, ", want up"),
        (up && status.want == Want::Down, ", want down"),
    ] {
        if holds {
            text.push_str(suffix);
        }
    }
    text
}

/// The name is only used in tests of the sentence.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Pid;
    use std::time::Duration;

    fn said(pid: u32, paused: bool, want: Want, normally_up: bool) -> String {
        let since = Tai64n::from_unix(Duration::from_secs(100));
        let status = Status {
            since,
            pid: Pid::new(pid),
            paused,
            want,
        };
        let seen = Seen::Status {
            status,
            normally_up,
        };
        sentence(&seen, Tai64n::from_unix(Duration::from_secs(105)))
    }

    #[test]
    fn the_suffixes_come_in_the_order_of_the_original() {
        assert_eq!(said(77, false, Want::Up, true), "up (pid 77) 5 seconds");
        assert_eq!(
            said(77, true, Want::Down, false),
            "up (pid 77) 5 seconds, normally down, paused, want down"
        );
        assert_eq!(
            said(0, true, Want::Up, true),
            "down 5 seconds, normally up, want up"
        );
        assert_eq!(said(0, false, Want::Down, false), "down 5 seconds");
        assert_eq!(said(0, false, Want::Up, false), "down 5 seconds, want up");
    }

    #[test]
    fn a_service_that_runs_once_has_no_mark() {
        assert_eq!(said(77, false, Want::Once, true), "up (pid 77) 5 seconds");
        assert_eq!(
            said(0, false, Want::Once, true),
            "down 5 seconds, normally up"
        );
    }

    #[test]
    fn a_name_is_not_needed_for_a_sentence() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(
            sentence(&Seen::NoOk(error), Tai64n::default()),
            "unable to open supervise/ok: file does not exist"
        );
    }
}
