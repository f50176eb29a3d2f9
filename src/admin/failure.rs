//! Why a service is not as it was asked to be, and what to do next.

use crate::child::{End, Pid};
use crate::error::reason;
use crate::sys::signals::Signal;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// Why the work on a service ended early.
#[derive(Debug)]
pub enum Aborted {
    /// It failed.
    Failed(Failure),
    /// We were told to end, by this signal.
    Interrupted(Signal),
}

impl From<Failure> for Aborted {
    fn from(failure: Failure) -> Aborted {
        Aborted::Failed(failure)
    }
}

/// Why a service is not as it was asked to be. `Display` is the reason and,
/// behind a semicolon, what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The system refused something about a file of the service.
    #[error(
        "unable to {doing}: {}; see what is wrong with that file in the service directory",
        reason(source)
    )]
    Unable {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The name leads to no directory.
    #[error(
        "no such service directory: {}{}; check its name",
        reason(source),
        looked_in
    )]
    NoDirectory {
        /// Where it was looked for ([`crate::service::where_looked`]).
        looked_in: String,
        /// The system's answer.
        source: io::Error,
    },
    /// We may not ask supervise.
    #[error("access denied to {what}; run this command as root")]
    Denied {
        /// Which file.
        what: &'static str,
    },
    /// svscan runs, but no supervise came.
    #[error(
        "svscan runs on the directory it is in, but no supervise for it came within {}; read what svscan and supervise say (ps axww | grep readproctitle)",
        duration(waited)
    )]
    NoSupervise {
        /// For how long we waited.
        waited: Duration,
    },
    /// Neither supervise nor svscan runs.
    #[error("no supervise runs for it, and no svscan runs at all; start svscanboot (or svscan)")]
    NoSvscan,
    /// svscan runs, but not on the directory that the service is in.
    #[error(
        "no supervise runs for it, and svscan does not run on the directory it is in{}; link it where svscan runs (ln -s)",
        elsewhere(places)
    )]
    NotScanned {
        /// Where it runs, as far as that is known.
        places: Vec<PathBuf>,
    },
    /// svscan does not look at dot names.
    #[error(
        "no supervise took it up within {}: svscan passes over names that begin with a dot; rename it",
        duration(waited)
    )]
    Hidden {
        /// For how long we waited.
        waited: Duration,
    },
    /// There was a supervise, and there is none now.
    #[error("its supervise exited meanwhile; run svstat, and see why it ended")]
    SuperviseGone,
    /// The control FIFO takes nothing.
    #[error(
        "supervise does not take commands: {}; see with ps whether it is stopped",
        reason(source)
    )]
    Deaf {
        /// The system's answer.
        source: io::Error,
    },
    /// The control FIFO took our command, but no status followed.
    #[error(
        "supervise has not answered within {}; see with ps whether it is stopped, and with df whether the disk is full",
        duration(waited)
    )]
    NoAnswer {
        /// For how long we waited.
        waited: Duration,
    },
    /// The status file has fewer than 18 bytes.
    #[error("supervise/status is no status of daemontools (bad format); see what wrote it")]
    BadStatus,
    /// What we would write to is a file.
    #[error("supervise/control is not a FIFO; see what put it there")]
    NotAFifo,
    /// Another command holds the lock.
    #[error(
        "another svcstart, svcstop, svcreset or svcrestart has been at work on it for {}; wait for it or end it",
        duration(waited)
    )]
    Busy {
        /// For how long we waited.
        waited: Duration,
    },
    /// It would wait for ever.
    #[error(
        "services wait for each other: {circle}; change the ./start or ./stop of one of them, so that it does not call for another"
    )]
    Circle {
        /// Who waits for whom, in words.
        circle: String,
    },
    /// It ran and ended.
    #[error(
        "{} {}; {}{} (supervise goes on starting it: svcstop ends that)",
        if *is_vouched { "./start exited 0, but the service then" } else { "it started and then" },
        how(end),
        background(end, *is_vouched),
        read_log_or_run(log)
    )]
    Crashed {
        /// How, if that is known.
        end: Option<End>,
        /// Its `./start` had said that it works.
        is_vouched: bool,
        /// The command that shows its log.
        log: Option<String>,
    },
    /// Its `./start` exited 0 without a service that is up.
    #[error(
        "./start exited 0, but the service is {state}; ./start must start it (svc -u .) and ask it until it works (that of daemontools-encore is something else)"
    )]
    StartLied {
        /// What it does.
        state: &'static str,
    },
    /// supervise got our `u`, but there is no process.
    #[error(
        "it was not started within {}; see what supervise says (ps axww | grep readproctitle)",
        duration(waited)
    )]
    NotStarted {
        /// For how long we waited.
        waited: Duration,
    },
    /// Somebody sent `d` after our `u`.
    #[error("somebody told it to go down (svc -d) meanwhile; run svcstart again")]
    TakenDown,
    /// It is down, and nothing brings it up.
    #[error("it is down; svc -u starts it")]
    Down,
    /// The service works, but nothing reads what it writes: why the logger does not.
    #[error("it works, but its logger, in ./log, does not, and will block it: {0}")]
    Logger(String),
    /// No logger can be started: `log` is what daemontools-encore runs.
    #[error(
        "log is a program, but must be a directory; move it to log/run (mkdir new; mv log new/run; mv new log)"
    )]
    LogIsAProgram,
    /// svscan has started the service, but not this logger of it.
    #[error(
        "a supervise runs for the service, but none for its log came within {}; if log was made later than the service, take the service out and put it in again",
        duration(waited)
    )]
    NoLogger {
        /// For how long we waited.
        waited: Duration,
    },
    /// As `TakenDown`, and the service's own `./run` has the `svc -d`.
    #[error(
        "it was told to go down (svc -d), as its own ./run does; {}",
        read_log_or_run(log)
    )]
    WentDown {
        /// The command that shows its log.
        log: Option<String>,
    },
    /// Somebody sent `u` after our `d`.
    #[error("somebody told it to go up (svc -u) meanwhile; run svcstop again")]
    TakenUp,
    /// TERM did not end it.
    #[error(
        "it still runs (pid {pid}) {} after TERM; see why, or use --kill",
        duration(waited)
    )]
    StillUp {
        /// Its process.
        pid: Pid,
        /// For how long we waited.
        waited: Duration,
    },
    /// KILL did not end it.
    #[error(
        "it still runs (pid {pid}) {} after KILL: it hangs in the kernel; see its state with ps",
        duration(waited)
    )]
    Unkillable {
        /// Its process.
        pid: Pid,
        /// For how long we waited.
        waited: Duration,
    },
    /// There is no `run`.
    #[error("there is no ./run; write one")]
    NoRun,
    /// The supervise is another user's.
    #[error(
        "its supervise belongs to user {owner}, so user {user} does not run its ./{script}; run this command as user {owner}"
    )]
    Foreign {
        /// Which: `start` or `stop`.
        script: &'static str,
        /// The user of the supervise.
        owner: u32,
        /// Ours.
        user: u32,
    },
    /// We are root, and whose the supervise is cannot be told.
    #[error(
        "root does not run its ./{script}, for /proc does not tell whose supervise holds supervise/lock; run this command where both are to be seen, or use svc"
    )]
    Unowned {
        /// Which: `start` or `stop`.
        script: &'static str,
    },
    /// The script has no executable bit.
    #[error("./{script} is not executable; chmod +x it{}", or_remove(script))]
    NotExecutable {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// A directory, for example, has the name of the script.
    #[error(
        "./{script} is not a file; make it an executable script{}",
        or_remove(script)
    )]
    NotAFile {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// The script is a link to nothing.
    #[error("./{script} is a symbolic link to nothing; mend or remove it")]
    Dangling {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// The first line of the script names what is not there.
    #[error("./{script} needs {interpreter}, which is not there; mend its first line")]
    NoInterpreter {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
        /// What it names.
        interpreter: String,
    },
    /// That is no file, or has no executable bit for us.
    #[error(
        "./{script} needs {interpreter}, which is not executable; mend its first line, or chmod +x {interpreter}"
    )]
    DeadInterpreter {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
        /// What it names.
        interpreter: String,
    },
    /// A directory on the way to it is closed to us.
    #[error(
        "./{script} needs {interpreter}, which cannot be reached: {}; mend its first line, or the modes of the directories above {interpreter}",
        reason(source)
    )]
    NoWayToInterpreter {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
        /// What it names.
        interpreter: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The script names no interpreter.
    #[error("./{script} has no #! line; begin it with #!/bin/sh")]
    NoShebang {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
    },
    /// The script could not be executed for another reason.
    #[error("unable to run ./{script}: {}; run it by hand", reason(source))]
    NotRun {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The script exited with another code than 0.
    #[error("./{script} exited {code}; read its output{}", and_log(log))]
    Refused {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
        /// Its exit code.
        code: u8,
        /// The command that shows the service's log.
        log: Option<String>,
    },
    /// The script died of a signal.
    #[error("./{script} was killed by {}; run it by hand", signal(*number))]
    ScriptKilled {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
        /// The signal's number.
        number: u8,
    },
    /// The script took too long.
    #[error(
        "./{script} has not ended within {} and was ended, with its process group; the service is {state}, run ./{script} by hand",
        duration(waited)
    )]
    Hung {
        /// Which: `start`, `stop` or `run`.
        script: &'static str,
        /// For how long we waited.
        waited: Duration,
        /// What the service does now, in words.
        state: String,
    },
    /// The process that worked at it was killed.
    #[error("the process that worked at it was killed by {}; run svstat, and try again", signal(*number))]
    Killed {
        /// The signal's number.
        number: u8,
    },
    /// The stop script exited 0 too early.
    #[error(
        "./stop exited 0, but the service {}; ./stop must stop it (svc -d .) (that of daemontools-encore is something else)",
        still(pid)
    )]
    StopLied {
        /// Its process, if it is not between two starts.
        pid: Option<Pid>,
    },
    /// Started or stopped, but `down` could not be removed or made.
    #[error(
        "it is as asked, but that will not last: unable to {doing}: {}; {doing} by hand",
        reason(source)
    )]
    NotPersisted {
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
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
        None => "is started again and again".to_owned(),
    }
}

/// What may be behind an end that looks like success. Without a `./start`, a job is
/// taken for a service that crashes; with one, a job of less than a second is.
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
        Some(End::Killed(number)) => format!("was killed by {}", signal(*number)),
        None => "ended (how is not known)".to_owned(),
    }
}

fn signal(number: u8) -> String {
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
            Failure::ScriptKilled { script, number: 9 },
            Failure::Hung {
                script,
                waited,
                state: "down".to_owned(),
            },
            Failure::StopLied { pid: Some(pid) },
            Failure::StopLied { pid: None },
            Failure::Killed { number: 9 },
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
