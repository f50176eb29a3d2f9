//! The command lines of svcstart, svcstop, svcreset and svcrestart: their common options.

use super::parse::parse;
use crate::admin::{self, Options, Task};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;
use std::time::Duration;

/// The default settling time.
const SETTLE: &str = "2s";

/// The maximum duration: no clock counts that far.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The options of all four commands.
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

/// `--persist`, of the commands that decide whether a reboot starts the service.
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

/// Parses the command line and performs `task`.
pub fn main(command: Command, task: Task) -> u8 {
    let program = command.get_name().to_owned();
    parse(command, |matches| {
        let names: Vec<OsString> = matches
            .get_many("service")
            .map(|names| names.cloned().collect())
            .unwrap_or_default();
        admin::run(&program, task, &names, &options(&matches))
    })
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
}
