//! `svclog [options] [service]`: show the log of a service.

use super::parse::parse;
use crate::civil::Civil;
use crate::formats::tai64n::Tai64n;
use crate::svclog::{self, SvclogOptions};
use crate::sys::{clock, output, signals, zone};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use std::ffi::OsString;
use std::time::Duration;

/// The program.
pub fn main() -> u8 {
    signals::restore_sigpipe();
    parse(command(), |matches| {
        let result = if matches.contains_id("what") {
            let names = matches.get_many::<OsString>("service").unwrap_or_default();
            let names: Vec<_> = names.cloned().collect();
            match matches.get_flag("budget") {
                true => svclog::budget(&names, &options(&matches)),
                false => svclog::run(&names, &options(&matches)),
            }
        } else {
            svclog::read_title().map(|()| 0)
        };
        match result {
            Ok(code) => code,
            Err(failure) => {
                output::err(&failure.line("svclog"));
                failure.code()
            }
        }
    })
}

fn command() -> Command {
    Command::new("svclog")
        .about("Show the last lines of the logs of services; without a service, the last errors in readproctitle")
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("service")
                .num_args(0..)
                .value_parser(ValueParser::os_string())
                .help("Service directory, or the name of one in $SVDIR, /service or /etc/service; or a log directory"),
        )
        .arg(
            Arg::new("lines")
                .short('n')
                .long("lines")
                .value_name("NUMBER")
                .requires("what")
                .value_parser(clap::value_parser!(u64))
                .help("Show the last NUMBER lines [default: 10, or with --since all]"),
        )
        .arg(
            Arg::new("follow")
                .short('f')
                .long("follow")
                .requires("what")
                .action(ArgAction::SetTrue)
                .help("Continue with new lines, across rotations"),
        )
        .arg(
            Arg::new("since")
                .long("since")
                .value_name("WHEN")
                .requires("what")
                .value_parser(since)
                .help("Show lines since then: 10min ago (10min), a local time ('2026-11-21 08:30', 08:30) or a timestamp (@4000...)"),
        )
        .arg(
            Arg::new("dir")
                .long("dir")
                .value_name("DIR")
                .value_parser(ValueParser::os_string())
                .help("The log directory, if there are several, as log/run writes it; without a service, any"),
        )
        .arg(
            Arg::new("budget")
                .long("budget")
                .requires("what")
                .conflicts_with_all(["lines", "follow", "since"])
                .action(ArgAction::SetTrue)
                .help("Show which budgets are in force for the log"),
        )
        .group(ArgGroup::new("what").args(["service", "dir"]).multiple(true))
        .arg(
            Arg::new("raw")
                .long("raw")
                .requires("what")
                .action(ArgAction::SetTrue)
                .help("Print control characters to a terminal, too"),
        )
}

fn options(matches: &ArgMatches) -> SvclogOptions {
    SvclogOptions {
        lines: matches.get_one("lines").copied(),
        since: matches.get_one("since").copied(),
        follow: matches.get_flag("follow"),
        directory: matches.get_one("dir").cloned(),
        raw: matches.get_flag("raw"),
    }
}

/// The time of `--since`.
fn since(text: &str) -> Result<Tai64n, String> {
    let now = clock::wall();
    let today = i64::try_from(now.as_secs()).ok().and_then(zone::local);
    moment(text, now, today, zone::moment)
        .ok_or_else(|| "write it as 10min, 08:30, '2026-11-21 08:30' or @4000...".to_owned())
}

/// Parses a time: a duration before `now`, a local time, or a timestamp. `today` is the current
/// local time, `zone` converts a local time to seconds since 1970-01-01 00:00 UTC.
fn moment(
    text: &str,
    now: Duration,
    today: Option<Civil>,
    zone: impl Fn(Civil) -> Option<i64>,
) -> Option<Tai64n> {
    if let Ok(back) = humantime::parse_duration(text) {
        return Some(Tai64n::from_unix(now.saturating_sub(back)));
    }
    if text.starts_with('@') {
        return Tai64n::parse(text.as_bytes().try_into().ok()?);
    }
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (Some(date), time),
        None if text.contains(':') => (None, text),
        None => (Some(text), "00:00"),
    };
    let (year, month, day) = match date {
        None => today.map(|civil| (civil.year, civil.month, civil.day))?,
        Some(date) => match *date.split('-').collect::<Vec<_>>() {
            [year, month, day] if year.len() == 4 => (
                number(year)?.into(),
                number(month)?.try_into().ok()?,
                number(day)?.try_into().ok()?,
            ),
            _ => return None,
        },
    };
    // svclog prints nine digits after the second.
    let (time, fraction) = match time.trim().split_once('.') {
        Some((time, fraction)) if time.matches(':').count() == 2 => (time, nanoseconds(fraction)?),
        Some(_) => return None,
        None => (time.trim(), 0),
    };
    let clock: Option<Vec<u16>> = time.split(':').map(number).collect();
    let (hour, minute, second) = match *clock? {
        [hour @ ..24, minute @ ..60] => (hour, minute, 0),
        [hour @ ..24, minute @ ..60, second @ ..60] => (hour, minute, second),
        _ => return None,
    };
    let seconds = zone(Civil {
        year,
        month,
        day,
        hour: hour.try_into().ok()?,
        minute: minute.try_into().ok()?,
        second: second.try_into().ok()?,
    })?;
    let since_epoch = Duration::new(seconds.try_into().ok()?, fraction);
    Some(Tai64n::from_unix(since_epoch))
}

/// The digits after a second, one to nine, as nanoseconds.
fn nanoseconds(digits: &str) -> Option<u32> {
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=9).contains(&digits.len()) && are_digits;
    fits.then(|| format!("{digits:0<9}").parse().ok()).flatten()
}

/// One to four digits.
fn number(text: &str) -> Option<u16> {
    let is_short = (1..=4).contains(&text.len());
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_short && is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Tai64n> {
        let today = Civil {
            year: 2026,
            month: 11,
            day: 21,
            hour: 9,
            minute: 0,
            second: 0,
        };
        // A zone in which a second is a day.
        let zone = |c: Civil| {
            let date = i64::from(c.year) * 10_000 + i64::from(c.month) * 100 + i64::from(c.day);
            let time = i64::from(c.hour) * 10_000 + i64::from(c.minute) * 100 + i64::from(c.second);
            Some(date * 1_000_000 + time)
        };
        moment(text, Duration::from_secs(100_000), Some(today), zone)
    }

    fn digits(number: u64) -> Option<Tai64n> {
        Some(Tai64n::from_unix(Duration::from_secs(number)))
    }

    #[test]
    fn a_moment_is_written_in_many_ways() {
        for (text, expected) in [
            ("10min", 100_000 - 600),
            ("1h 30min", 100_000 - 5_400),
            ("100years", 0),
            ("2026-11-20 08:30", 20_261_120_083_000),
            ("2026-11-20T08:30:15", 20_261_120_083_015),
            ("2026-11-20", 20_261_120_000_000),
            ("8:05", 20_261_121_080_500),
            ("23:59:59", 20_261_121_235_959),
        ] {
            assert_eq!(at(text), digits(expected), "{text}");
        }
        for (text, nanoseconds) in [
            ("2026-11-21 08:31:02.412530500", 412_530_500),
            ("8:31:02.5", 500_000_000),
            ("08:31:02.000000001", 1),
        ] {
            let expected = Duration::new(20_261_121_083_102, nanoseconds);
            assert_eq!(at(text), Some(Tai64n::from_unix(expected)), "{text}");
        }
        let stamp = Tai64n::parse(b"@4000000037c219bf2ef02e94");
        assert_eq!(at("@4000000037c219bf2ef02e94"), stamp);
        assert!(stamp.is_some());
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "soon",
            "10",
            "24:00",
            "08:60",
            "08:30:60",
            "08",
            "8:-5",
            "+8:05",
            "2026-11",
            "26-11-20",
            "2026-11-20 8",
            "@4000",
            "@4000000037C219BF2EF02E94",
            ":",
            "2026-11-20 ",
            "08:30 2026-11-20",
            "-10min",
            "2026-300-1",
            "08:30.5",
            "08:30:01.",
            "08:30:01.+5",
            "08:30:01.0123456789",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn options_need_a_service_or_a_directory() {
        for option in ["-f", "-n5", "--since=1h", "--raw"] {
            assert!(command().try_get_matches_from(["svclog", option]).is_err());
            let words = ["svclog", option, "squid"];
            assert!(command().try_get_matches_from(words).is_ok(), "{option}");
            let words = ["svclog", option, "--dir=x"];
            assert!(command().try_get_matches_from(words).is_ok(), "{option}");
        }
    }
}
