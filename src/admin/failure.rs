//! Why a service is not as it was asked to be, and what to do next.

use crate::child::{End, Pid};
use crate::sys::errno::reason;
use crate::sys::signals::Number;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Why the work on a service ended early.
#[derive(Debug)]
pub enum Stop {
    /// It failed.
    Failed(Failure),
    /// We were told to end, by this signal.
    Interrupted(Number),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// Why a service is not as it was asked to be. `Display` is the reason and,
/// behind a semicolon, what to do next.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's sentence says what it is")]
pub enum Failure {
    #[error("unable to {doing}: {}", reason(source))]
    Unable { doing: String, source: io::Error },
    #[error("no such service directory: {}; check its name", reason(source))]
    NoDirectory { source: io::Error },
    #[error("access denied to {what}; run this command as root")]
    Denied { what: &'static str },
    #[error(
        "no supervise took it up within {}, though svscan runs here; read what svscan and supervise say (ps axww | grep readproctitle)",
        duration(waited)
    )]
    NoSupervise { waited: Duration },
    #[error(
        "no supervise runs for it and no svscan runs here that could start one; start svscanboot, or svscan on the directory it is in"
    )]
    NoSvscan,
    #[error(
        "no supervise took it up within {}: svscan passes over names that begin with a dot; rename it",
        duration(waited)
    )]
    Hidden { waited: Duration },
    #[error("its supervise exited meanwhile; run svstat, and see why it ended")]
    SuperviseGone,
    #[error(
        "supervise does not take commands: {}; see with ps whether it is stopped",
        reason(source)
    )]
    Deaf { source: io::Error },
    #[error(
        "supervise has not answered within {}; see with ps whether it is stopped, with df whether the disk is full",
        duration(waited)
    )]
    NoAnswer { waited: Duration },
    #[error("supervise/status is no status of daemontools (bad format); see what wrote it")]
    BadStatus,
    #[error("supervise/control is not a FIFO; see what put it there")]
    NotAFifo,
    #[error(
        "another svcstart, svcstop, svcreset or svcrestart has been at work on it for {}; wait for it or end it",
        duration(waited)
    )]
    Busy { waited: Duration },
    #[error(
        "it started and then {}; read its log, or run its ./run by hand (supervise goes on trying: svcstop ends that)",
        how(end)
    )]
    Crashed { end: Option<End> },
    #[error(
        "it was not started within {}; see what supervise says (ps axww | grep readproctitle)",
        duration(waited)
    )]
    NotStarted { waited: Duration },
    #[error("somebody told it to go down (svc -d) meanwhile; run svcstart again")]
    TakenDown,
    #[error("somebody told it to go up (svc -u) meanwhile; run svcstop again")]
    TakenUp,
    #[error(
        "it still runs (pid {pid}) {} after TERM; see why, or use --kill",
        duration(waited)
    )]
    StillUp { pid: Pid, waited: Duration },
    #[error(
        "it still runs (pid {pid}) {} after KILL: it hangs in the kernel; see its state with ps",
        duration(waited)
    )]
    Unkillable { pid: Pid, waited: Duration },
    #[error("there is no ./run; write one")]
    NoRun,
    #[error("./{script} is not executable; chmod +x it{}", or_remove(script))]
    NotExecutable { script: &'static str },
    #[error(
        "./{script} is not a file; make it an executable script{}",
        or_remove(script)
    )]
    NotAFile { script: &'static str },
    #[error("./{script} is a symbolic link to nothing; mend or remove it")]
    Dangling { script: &'static str },
    #[error("./{script} needs {interpreter}, which is not there; mend its first line")]
    NoInterpreter {
        script: &'static str,
        interpreter: String,
    },
    #[error("./{script} has no #! line; begin it with #!/bin/sh")]
    NoShebang { script: &'static str },
    #[error("unable to run ./{script}: {}", reason(source))]
    NotRun {
        script: &'static str,
        source: io::Error,
    },
    #[error("./{script} exited {code}; read its output and the service's log")]
    Refused { script: &'static str, code: u8 },
    #[error("./{script} was killed by {}; run it by hand", signal(*number))]
    ScriptKilled { script: &'static str, number: u8 },
    #[error(
        "./{script} has not ended within {} and was ended, with all it had started; the service is {state}, run ./{script} by hand",
        duration(waited)
    )]
    Hung {
        script: &'static str,
        waited: Duration,
        state: String,
    },
    #[error("./stop exited 0, but the service still runs (pid {pid}); mend ./stop")]
    StopLied { pid: Pid },
    #[error(
        "it is as asked, but that will not last: unable to {doing}: {}",
        reason(source)
    )]
    NotPersisted {
        doing: &'static str,
        source: io::Error,
    },
}

impl Failure {
    /// The line for stderr: `PROGRAM: fatal: NAME: WHY; WHAT NEXT`.
    pub fn line(&self, program: &str, name: &OsStr) -> Vec<u8> {
        [
            program.as_bytes(),
            b": fatal: ",
            name.as_bytes(),
            b": ",
            self.to_string().as_bytes(),
            b"\n",
        ]
        .concat()
    }
}

fn duration(duration: &Duration) -> humantime::FormattedDuration {
    humantime::format_duration(*duration)
}

/// A service can do without the check scripts, but not without `run`.
fn or_remove(script: &str) -> &'static str {
    if script == "run" {
        ""
    } else {
        ", or remove it"
    }
}

fn how(end: &Option<End>) -> String {
    match end {
        Some(End::Exited(code)) => format!("exited {code}"),
        Some(End::Killed(number)) => format!("was killed by {}", signal(*number)),
        None => "ended (how is not known)".to_owned(),
    }
}

fn signal(number: u8) -> String {
    match Number::from_raw(number.into()) {
        Some(known) => known.name().to_owned(),
        None => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_program_service_reason_and_remedy() {
        let failure = Failure::NotExecutable { script: "start" };
        assert_eq!(
            failure.line("svcstart", OsStr::new("/service/squid")),
            b"svcstart: fatal: /service/squid: ./start is not executable; chmod +x it, or remove it\n"
        );
    }

    #[test]
    fn a_death_is_told_in_words() {
        let said = |end| Failure::Crashed { end }.to_string();
        assert!(said(Some(End::Exited(3))).starts_with("it started and then exited 3;"));
        assert!(said(Some(End::Killed(11))).contains("killed by SIGSEGV;"));
        assert!(said(Some(End::Killed(40))).contains("killed by signal 40;"));
    }
}
