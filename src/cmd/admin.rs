//! The command lines of svcstart, svcstop, svcreset and svcrestart: options
//! they share, and how a wrong one is told.

use crate::admin::{self, Options, Task};
use crate::error::USAGE;
use crate::sys::output;
use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;
use std::time::Duration;

/// The settling time if none is given.
const SETTLE: &str = "2s";

/// Nobody waits longer, and no clock counts that far.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The options all four commands have.
pub fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("service")
                .required(true)
                .num_args(1..)
                .value_parser(ValueParser::os_string())
                .help("Service directory, or the name of one in $SVDIR, /service or /etc/service"),
        )
        .arg(switch("quiet", "Print errors only").short('q'))
        .arg(switch("parallel", "Work at all services at once"))
        .arg(
            duration("timeout")
                .help("How long it may take [default: 60s, or 300s for a start or stop script]"),
        )
}

/// `--settle`, of the commands that start.
pub fn settle() -> Arg {
    duration("settle")
        .default_value(SETTLE)
        .help("How long a service must stay up")
}

/// `--kill`, of the commands that stop.
pub fn kill() -> Arg {
    switch(
        "kill",
        "Send KILL to a service that has not stopped in time",
    )
}

/// `--persist`, of the commands that decide what a reboot finds.
pub fn persist(help: &'static str) -> Arg {
    switch("persist", help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

fn duration(name: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("DURATION")
        .value_parser(|text: &str| -> Result<Duration, String> {
            humantime::parse_duration(text)
                .map(|duration| duration.min(LONGEST))
                .map_err(|error| format!("{error}; write it as 30s or 2min"))
        })
}

/// Reads the command line and does `task`.
pub fn main(command: Command, task: Task) -> u8 {
    let program = command.get_name().to_owned();
    parsed(command, |matches| {
        let names: Vec<OsString> = matches
            .get_many("service")
            .map(|names| names.cloned().collect())
            .unwrap_or_default();
        admin::run(&program, task, &names, &options(&matches))
    })
}

/// Reads the command line and gives what it holds to `work`, which gives the exit
/// code. A wrong one is told in one line.
pub fn parsed(mut command: Command, work: impl FnOnce(ArgMatches) -> u8) -> u8 {
    match command.try_get_matches_from_mut(std::env::args_os()) {
        Ok(matches) => work(matches),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = output::out(error.render().to_string().as_bytes());
                0
            }
            _ => {
                let program = command.get_name().to_owned();
                let usage = command.render_usage().to_string();
                output::err(one_line(&program, &error.render().to_string(), &usage).as_bytes());
                USAGE
            }
        },
    }
}

fn options(matches: &ArgMatches) -> Options {
    let flag = |name| matches.try_get_one::<bool>(name).ok().flatten() == Some(&true);
    let duration = |name| {
        matches
            .try_get_one::<Duration>(name)
            .ok()
            .flatten()
            .copied()
    };
    Options {
        quiet: flag("quiet"),
        parallel: flag("parallel"),
        timeout: duration("timeout"),
        settle: duration("settle").unwrap_or_default(),
        kill: flag("kill"),
        persist: flag("persist"),
    }
}

/// Clap's message of several lines as one: `PROGRAM: fatal: WHY; usage: ...`.
fn one_line(program: &str, message: &str, usage: &str) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let why: Vec<String> = message
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(words)
        .filter(|line| !line.is_empty() && !line.starts_with("tip:"))
        .collect();
    let why = why.join(" ");
    let why = why.strip_prefix("error: ").unwrap_or(&why);
    let usage = words(usage.strip_prefix("Usage:").unwrap_or(usage));
    format!("{program}: fatal: {why}; usage: {usage}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settling_time_is_two_seconds_and_durations_are_written_as_people_do() {
        let parsed = |words: &[&str]| {
            let mut command = command("svcstart", "x").arg(settle());
            options(&command.try_get_matches_from_mut(words).unwrap())
        };
        let options = parsed(&["svcstart", "a"]);
        assert_eq!(options.settle, Duration::from_secs(2));
        assert_eq!(options.timeout, None, "that of each task");
        let options = parsed(&["svcstart", "--timeout", "2min", "--settle=1h 30min", "a"]);
        assert_eq!(options.timeout, Some(Duration::from_secs(120)));
        assert_eq!(options.settle, Duration::from_secs(5400));
    }

    #[test]
    fn a_wrong_option_is_told_without_a_tip() {
        let mut command = command("svcstart", "x");
        let error = command
            .try_get_matches_from_mut(["svcstart", "--kill", "a"])
            .unwrap_err();
        let line = one_line("svcstart", &error.render().to_string(), "Usage: svcstart x");
        assert_eq!(
            line,
            "svcstart: fatal: unexpected argument '--kill' found; usage: svcstart x\n"
        );
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        let mut command = command("svcstart", "x").arg(settle());
        let error = command
            .try_get_matches_from_mut(["svcstart", "--settle", "soon", "a"])
            .unwrap_err();
        let usage = command.render_usage().to_string();
        let line = one_line("svcstart", &error.render().to_string(), &usage);
        assert!(
            line.starts_with("svcstart: fatal: invalid value 'soon' for '--settle"),
            "{line}"
        );
        assert!(
            line.contains("write it as 30s or 2min; usage: svcstart"),
            "{line}"
        );
        assert_eq!(line.matches('\n').count(), 1, "{line}");
    }
}
