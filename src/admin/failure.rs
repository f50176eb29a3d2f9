//! The failures of svcstart and its kin: why a service is not in the requested state, and what
//! to do next.

use crate::child::{End, Pid};
use crate::error::reason;
use crate::sys::signals::Signal;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// Why the work on a service was aborted.
#[derive(Debug)]
pub enum Aborted {
    /// It failed.
    Failed(Failure),
    /// This signal interrupted it.
    Interrupted(Signal),
}

impl From<Failure> for Aborted {
    fn from(failure: Failure) -> Aborted {
        Aborted::Failed(failure)
    }
}

/// Why a service is not in the requested state. `Display` is the reason and, after a semicolon,
/// what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A system call failed for a file of the service.
    #[error(
        "unable to {doing}: {}; see what is wrong with that file in the service directory",
        reason(source)
    )]
    Unable {
        /// What was tried.
        doing: String,
        /// The error of the system call.
        source: io::Error,
    },
    /// There is no such directory.
    #[error(
        "no such service directory: {}{}; check its name",
        reason(source),
        looked_in
    )]
    NoDirectory {
        /// The directories that were searched ([`crate::service::where_looked`]).
        looked_in: String,
        /// The error of the system call.
        source: io::Error,
    },
    /// Access to supervise was denied.
    #[error("access denied to {what}; run this command as root")]
    Denied {
        /// Which file.
        what: &'static str,
    },
    /// svscan runs, but there is no supervise.
    #[error(
        "svscan runs on the directory it is in, but no supervise for it came within {}; read what svscan and supervise say (ps axww | grep readproctitle)",
        duration(waited)
    )]
    NoSupervise {
        /// The time of the wait.
        waited: Duration,
    },
    /// Neither supervise nor svscan runs.
    #[error("no supervise runs for it, and no svscan runs at all; start svscanboot (or svscan)")]
    NoSvscan,
    /// svscan runs, but on another directory than that of the service.
    #[error(
        "no supervise runs for it, and svscan does not run on the directory it is in{}; link it where svscan runs (ln -s)",
        elsewhere(places)
    )]
    NotScanned {
        /// The directories in which svscan runs, as far as known.
        places: Vec<PathBuf>,
    },
    /// svscan ignores hidden entries.
    #[error(
        "no supervise was started for it within {}: svscan ignores names that begin with a dot; rename it",
        duration(waited)
    )]
    Hidden {
        /// The time of the wait.
        waited: Duration,
    },
    /// The supervise has ended.
    #[error("its supervise exited meanwhile; run svstat, and see why it ended")]
    SuperviseGone,
    /// The control FIFO cannot be written.
    #[error(
        "supervise does not take commands: {}; see with ps whether it is stopped",
        reason(source)
    )]
    Deaf {
        /// The error of the system call.
        source: io::Error,
    },
    /// The command was sent, but no status followed.
    #[error(
        "supervise has not answered within {}; see with ps whether it is stopped, and with df whether the disk is full",
        duration(waited)
    )]
    NoAnswer {
        /// The time of the wait.
        waited: Duration,
    },
    /// The status file has fewer than 18 bytes.
    #[error("supervise/status is no status of daemontools (bad format); see what wrote it")]
    BadStatus,
    /// The control FIFO is a plain file.
    #[error("supervise/control is not a FIFO; see what put it there")]
    NotAFifo,
    /// Another command holds the lock.
    #[error(
        "another svcstart, svcstop, svcreset or svcrestart has been at work on it for {}; wait for it or end it",
        duration(waited)
    )]
    Busy {
        /// The time of the wait.
        waited: Duration,
    },
    /// A deadlock.
    #[error(
        "services wait for each other: {circle}; change the ./start or ./stop of one of them, so that it does not call for another"
    )]
    Circle {
        /// Who waits for whom, as text.
        circle: String,
    },
    /// The service started and ended.
    #[error(
        "{} {}; {}{} (supervise keeps restarting it; svcstop stops it)",
        if *is_vouched { "./start exited 0, but the service then" } else { "it started and then" },
        how(end),
        background(end, *is_vouched),
        read_log_or_run(log)
    )]
    Crashed {
        /// How it ended, if known.
        end: Option<End>,
        /// Its `./start` had reported success.
        is_vouched: bool,
        /// The command that shows its log.
        log: Option<String>,
    },
    /// `./start` exited with 0, but the service is not up.
    #[error(
        "./start exited 0, but the service is {state}; ./start must start it (svc -u .) and poll it until it works (daemontools-encore's ./start has another purpose)"
    )]
    StartLied {
        /// The state of the service, as text.
        state: &'static str,
    },
    /// supervise executed `u`, but there is no process.
    #[error(
        "it was not started within {}; see what supervise says (ps axww | grep readproctitle)",
        duration(waited)
    )]
    NotStarted {
        /// The time of the wait.
        waited: Duration,
    },
    /// Another command sent `d` after our `u`.
    #[error("somebody told it to go down (svc -d) meanwhile; run svcstart again")]
    TakenDown,
    /// It is down, and nothing starts it.
    #[error("it is down; svc -u starts it")]
    Down,
    /// The service is up, but its logger is not; why.
    #[error("it works, but its logger, in ./log, does not, and will block it: {0}")]
    Logger(String),
    /// No logger can be started: `log` is a program, as in daemontools-encore.
    #[error(
        "log is a program, but must be a directory; move it to log/run (mkdir new; mv log new/run; mv new log)"
    )]
    LogIsAProgram,
    /// svscan has started the service, but not its logger.
    #[error(
        "a supervise runs for the service, but none for its log came within {}; if log was made later than the service, take the service out and put it in again",
        duration(waited)
    )]
    NoLogger {
        /// The time of the wait.
        waited: Duration,
    },
    /// As `TakenDown`, and the `svc -d` is in the service's own `./run`.
    #[error(
        "it was told to go down (svc -d), as its own ./run does; {}",
        read_log_or_run(log)
    )]
    WentDown {
        /// The command that shows its log.
        log: Option<String>,
    },
    /// Another command sent `u` after our `d`.
    #[error("somebody told it to go up (svc -u) meanwhile; run svcstop again")]
    TakenUp,
    /// TERM did not end it.
    #[error(
        "it still runs (pid {pid}) {} after TERM; see why, or use --kill",
        duration(waited)
    )]
    StillUp {
        /// Its pid.
        pid: Pid,
        /// The time of the wait.
        waited: Duration,
    },
    /// KILL did not end it.
    #[error(
        "it still runs (pid {pid}) {} after KILL: it hangs in the kernel; see its state with ps",
        duration(waited)
    )]
    Unkillable {
        /// Its pid.
        pid: Pid,
        /// The time of the wait.
        waited: Duration,
    },
    /// There is no `run`.
    #[error("there is no ./run; write one")]
    NoRun,
    /// The supervise belongs to another user.
    #[error(
        "its supervise belongs to user {owner}, so user {user} does not run its ./{script}; run this command as user {owner}"
    )]
    Foreign {
        /// The script: `start` or `stop`.
        script: &'static str,
        /// The user of the supervise.
        owner: u32,
        /// Our effective user.
        user: u32,
    },
    /// We are root, and the user of the supervise cannot be determined.
    #[error(
        "root does not run its ./{script}, because /proc does not show whose supervise holds supervise/lock; run this command where both are visible, or use svc"
    )]
    Unowned {
        /// The script: `start` or `stop`.
        script: &'static str,
    },
    /// The script is not executable.
    #[error("./{script} is not executable; chmod +x it{}", or_remove(script))]
    NotExecutable {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// The script is not a plain file but, for example, a directory.
    #[error(
        "./{script} is not a file; make it an executable script{}",
        or_remove(script)
    )]
    NotAFile {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// The script is a dangling link.
    #[error("./{script} is a dangling symbolic link; fix or remove it")]
    Dangling {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// The interpreter in the first line of the script does not exist.
    #[error("./{script} needs {interpreter}, which does not exist; correct its first line")]
    NoInterpreter {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
        /// The interpreter.
        interpreter: String,
    },
    /// The interpreter is not a plain file, or not executable for us.
    #[error(
        "./{script} needs {interpreter}, which is not executable; correct its first line, or chmod +x {interpreter}"
    )]
    DeadInterpreter {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
        /// The interpreter.
        interpreter: String,
    },
    /// A directory in the path of the interpreter is not accessible.
    #[error(
        "./{script} needs {interpreter}, which cannot be reached: {}; correct its first line, or the modes of the directories above {interpreter}",
        reason(source)
    )]
    NoWayToInterpreter {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
        /// The interpreter.
        interpreter: String,
        /// The error of the system call.
        source: io::Error,
    },
    /// The script has no interpreter line.
    #[error("./{script} has no #! line; begin it with #!/bin/sh")]
    NoShebang {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// The script could not be executed for another reason.
    #[error("unable to run ./{script}: {}; run it by hand", reason(source))]
    NotRun {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
    /// The script exited with another status than 0.
    #[error("./{script} exited {code}; read its output{}", and_log(log))]
    Refused {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
        /// Its exit status.
        code: u8,
        /// The command that shows the log of the service.
        log: Option<String>,
    },
    /// A signal killed the script.
    #[error("./{script} was killed by {}; run it by hand", signal_name(*signal))]
    ScriptKilled {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
        /// The signal number.
        signal: u8,
    },
    /// The script timed out.
    #[error(
        "./{script} has not ended within {} and was ended, with its process group; the service is {state}, run ./{script} by hand",
        duration(waited)
    )]
    Hung {
        /// The script: `start`, `stop` or `run`.
        script: &'static str,
        /// The time of the wait.
        waited: Duration,
        /// The state of the service, as text.
        state: String,
    },
    /// The worker process was killed.
    #[error("its worker process was killed by {}; run svstat, and try again", signal_name(*signal))]
    Killed {
        /// The signal number.
        signal: u8,
    },
    /// `./stop` exited with 0, but the service is up.
    #[error(
        "./stop exited 0, but the service {}; ./stop must stop it (svc -d .) (daemontools-encore's ./stop has another purpose)",
        still(pid)
    )]
    StopLied {
        /// Its pid, unless it is between two starts.
        pid: Option<Pid>,
    },
    /// Started or stopped, but `down` could not be removed or created.
    #[error(
        "it is in the requested state, but not persistently: unable to {doing}: {}; {doing} by hand",
        reason(source)
    )]
    NotPersisted {
        /// What was tried.
        doing: &'static str,
        /// The error of the system call.
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

/// A service needs `run`, but not the other scripts.
fn or_remove(script: &str) -> &'static str {
    if script == "run" {
        ""
    } else {
        ", or remove it"
    }
}

fn names(places: &[PathBuf]) -> String {
    let names: Vec<_> = places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    names.join(" and ").escape_debug().to_string()
}

fn elsewhere(places: &[PathBuf]) -> String {
    match names(places) {
        names if names.is_empty() => names,
        names => format!(", but on {names}"),
    }
}

fn still(pid: &Option<Pid>) -> String {
    match pid {
        Some(pid) => format!("still runs (pid {pid})"),
        None => "is restarted again and again".to_owned(),
    }
}

/// The advice after an end that looks like success. Without a `./start`, a job is taken for a
/// crashing service; with one, a job of less than a second is.
fn background(end: &Option<End>, is_vouched: bool) -> &'static str {
    match (end, is_vouched) {
        (Some(End::Exited(0)), false) => {
            "a daemon must stay in the foreground (see fghack), and a job that ends needs a ./start; "
        }
        (Some(End::Exited(0)), true) => {
            "a daemon must stay in the foreground (see fghack), and a job must take a second or more; "
        }
        _ => "",
    }
}

fn read_log_or_run(log: &Option<String>) -> String {
    let read = log.as_ref().map(|log| format!("read its log ({log}), or "));
    read.unwrap_or_default() + "run its ./run by hand"
}

fn and_log(log: &Option<String>) -> String {
    let read = log.as_ref().map(|log| format!(", and its log ({log})"));
    read.unwrap_or_default()
}

fn how(end: &Option<End>) -> String {
    match end {
        Some(End::Exited(code)) => format!("exited {code}"),
        Some(End::Killed(number)) => format!("was killed by {}", signal_name(*number)),
        None => "ended (how is not known)".to_owned(),
    }
}

fn signal_name(number: u8) -> String {
    match Signal::from_raw(number.into()) {
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
    fn every_reason_is_one_line_and_says_what_to_do_next() {
        let source = || io::Error::from_raw_os_error(2);
        let waited = Duration::from_secs(60);
        let pid = Pid::new(7).unwrap();
        let script = "start";
        let all = [
            Failure::Unable {
                doing: "read supervise/status".to_owned(),
                source: source(),
            },
            Failure::NoDirectory {
                looked_in: " here or in /service".to_owned(),
                source: source(),
            },
            Failure::Denied {
                what: "supervise/ok",
            },
            Failure::NoSupervise { waited },
            Failure::NoSvscan,
            Failure::NotScanned {
                places: vec!["/service".into()],
            },
            Failure::Hidden { waited },
            Failure::SuperviseGone,
            Failure::Deaf { source: source() },
            Failure::NoAnswer { waited },
            Failure::BadStatus,
            Failure::NotAFifo,
            Failure::Busy { waited },
            Failure::Circle {
                circle: "a waits for b, which waits for a".to_owned(),
            },
            Failure::Crashed {
                end: Some(End::Exited(0)),
                is_vouched: true,
                log: Some("svclog a".to_owned()),
            },
            Failure::StartLied { state: "down" },
            Failure::WentDown { log: None },
            Failure::Down,
            Failure::Logger(Failure::Down.to_string()),
            Failure::LogIsAProgram,
            Failure::NoLogger { waited },
            Failure::NotStarted { waited },
            Failure::TakenDown,
            Failure::TakenUp,
            Failure::StillUp { pid, waited },
            Failure::Unkillable { pid, waited },
            Failure::NoRun,
            Failure::Foreign {
                script,
                owner: 1000,
                user: 0,
            },
            Failure::Unowned { script },
            Failure::NotExecutable { script },
            Failure::NotAFile { script },
            Failure::Dangling { script },
            Failure::NoInterpreter {
                script,
                interpreter: "/bin/sh".to_owned(),
            },
            Failure::DeadInterpreter {
                script,
                interpreter: "/bin/sh".to_owned(),
            },
            Failure::NoWayToInterpreter {
                script,
                interpreter: "/root/sh".to_owned(),
                source: source(),
            },
            Failure::NoShebang { script },
            Failure::NotRun {
                script,
                source: source(),
            },
            Failure::Refused {
                script,
                code: 1,
                log: None,
            },
            Failure::ScriptKilled { script, signal: 9 },
            Failure::Hung {
                script,
                waited,
                state: "down".to_owned(),
            },
            Failure::StopLied { pid: Some(pid) },
            Failure::StopLied { pid: None },
            Failure::Killed { signal: 9 },
            Failure::NotPersisted {
                doing: "create down",
                source: source(),
            },
        ];
        for failure in all {
            let said = failure.to_string();
            let (why, next) = said.split_once("; ").expect(&said);
            assert!(!why.is_empty() && !next.is_empty(), "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn a_death_is_told_in_words() {
        let said = |end| {
            let (is_vouched, log) = (false, None);
            let failure = Failure::Crashed {
                end,
                is_vouched,
                log,
            };
            failure.to_string()
        };
        assert!(said(Some(End::Exited(3))).starts_with("it started and then exited 3;"));
        assert!(said(Some(End::Killed(11))).contains("killed by SIGSEGV;"));
        assert!(said(Some(End::Killed(40))).contains("killed by signal 40;"));
    }
}
