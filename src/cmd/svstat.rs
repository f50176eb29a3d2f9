//! `svstat dir...`: print the state of services, one line each on stdout.

use crate::child::{End, Pid};
use crate::error::{Error, reason};
use crate::formats::status::{Status, Want};
use crate::formats::tai64n::Tai64n;
use crate::service::{self, NoStatus, Origin, Supervised, VisitError};
use crate::sys::spawn::Spawn;
use crate::sys::{child, clock, output, signals};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The buffer is written whenever it reaches this size.
const BUFFER: usize = 8192;

/// The program. Beyond 0.76, which prints nothing then: without a name, every service in
/// `$SVDIR`, else `/service`, else `/etc/service`. A bare name that does not exist in the
/// current directory is looked up there.
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
    let own = match names.len() {
        SHARED.. => names.len() / 2,
        few => few,
    };
    let (own, rest) = names.split_at(own);
    let child = (!rest.is_empty()).then(|| Child::start(&origin, rest));
    look_at(&origin, own, print)?;
    match child.flatten().and_then(Child::lines) {
        Some(mut lines) => print(&mut lines),
        None => look_at(&origin, rest, print)?,
    }
    Ok(0)
}

/// From this number of services on, a child handles half of them in parallel.
const SHARED: usize = 200;

/// Reads the state of these services and passes their lines to `take`, some at a time.
fn look_at(
    origin: &Origin,
    names: &[OsString],
    mut take: impl FnMut(&mut Vec<u8>),
) -> Result<(), Error> {
    let mut lines = Vec::new();
    for name in names {
        let mut name = Cow::Borrowed(name.as_os_str());
        let mut visited = visit(origin, &name);
        if let Err(VisitError::Chdir(_)) = visited
            && let Some(place) = service::look_up(&name)
        {
            name = Cow::Owned(place.into_os_string());
            visited = visit(origin, &name);
        }
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        match visited {
            Ok(seen) => say(&mut lines, &seen, Tai64n::from_unix(clock::wall())),
            Err(VisitError::Chdir(error)) => unable(&mut lines, "chdir", &error),
            Err(VisitError::Back(error)) => return Err(error),
        }
        lines.push(b'\n');
        if lines.len() >= BUFFER {
            take(&mut lines);
        }
    }
    take(&mut lines);
    Ok(())
}

/// Reads the state of one service.
fn visit(origin: &Origin, name: &OsStr) -> Result<Seen, VisitError> {
    match origin.here(name).map(look) {
        Some(seen @ Seen::Status { .. }) => Ok(seen),
        _ => origin.visit(name, || look(Path::new(""))),
    }
}

/// As in 0.76, a failed write to stdout is not reported.
fn print(lines: &mut Vec<u8>) {
    let _ = output::out_text(lines);
    lines.clear();
}

/// A child that reads the state of services.
struct Child {
    pid: Pid,
    /// The pipe for its lines, which it writes when it has all of them.
    lines: PipeReader,
}

impl Child {
    /// Starts it; None if that fails.
    fn start(origin: &Origin, names: &[OsString]) -> Option<Child> {
        let (lines, mut writer) = io::pipe().ok()?;
        // If the child kept the read end open, a full pipe without reader would block it for
        // ever.
        let started = Spawn::new().dies_with_parent().start(|_| {
            let mut all = Vec::new();
            let whole = look_at(origin, names, |lines| all.append(lines)).is_ok();
            u8::from(!whole || writer.write_all(&all).is_err())
        });
        let pid = started.ok()?.pid();
        child::run_elsewhere(pid);
        Some(Child { pid, lines })
    }

    /// All its lines; None if it did not complete.
    fn lines(mut self) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        let read = self.lines.read_to_end(&mut lines);
        let ended = child::wait(self.pid);
        (read.is_ok() && matches!(ended, Ok(End::Exited(0)))).then_some(lines)
    }
}

/// The state of a service directory, in the order in which 0.76 reads it.
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
    let normally_up = match std::fs::metadata(service::inside(directory, "down")) {
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

fn unable(line: &mut Vec<u8>, what: &str, error: &io::Error) {
    for part in ["unable to ", what, ": ", reason(error)] {
        line.extend_from_slice(part.as_bytes());
    }
}

/// Appends the state as words.
fn say(line: &mut Vec<u8>, seen: &Seen, now: Tai64n) {
    let (status, normally_up) = match seen {
        Seen::NoDown(error) => return unable(line, "stat down", error),
        Seen::NotRunning => return line.extend_from_slice(b"supervise not running"),
        Seen::NoOk(error) => return unable(line, "open supervise/ok", error),
        Seen::NoStatus(NoStatus::Open(error)) => {
            return unable(line, "open supervise/status", error);
        }
        Seen::NoStatus(NoStatus::Read(error)) => {
            return unable(line, "read supervise/status", error);
        }
        Seen::NoStatus(NoStatus::BadFormat) => {
            return line.extend_from_slice(b"unable to read supervise/status: bad format");
        }
        Seen::Status {
            status,
            normally_up,
        } => (status, *normally_up),
    };
    let seconds = status.since.seconds_until(now);
    // Writing to a Vec always succeeds.
    let _ = match status.pid {
        Some(pid) => write!(line, "up (pid {pid}) {seconds} seconds"),
        None => write!(line, "down {seconds} seconds"),
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
            line.extend_from_slice(suffix.as_bytes());
        }
    }
}

/// The name is only used in tests of the sentence.
#[cfg(test)]
mod tests {
    use super::*;
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

    fn sentence(seen: &Seen, now: Tai64n) -> String {
        let mut line = Vec::new();
        say(&mut line, seen, now);
        String::from_utf8(line).unwrap()
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
