//! `svctimeline [options] file`: draw how services started.

use super::parse::parse;
use crate::error::Error;
use crate::formats::tai64n::Tai64n;
use crate::formats::timeline::{NoTimeline, Strange, Timeline};
use crate::sys::{errno, file, output, signals, terminal, zone};
use crate::timeline::rows::{Chart, Choice, Picture};
use crate::timeline::svg;
use crate::timeline::terminal::{TerminalLook, draw};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const PROGRAM: &str = "svctimeline";

/// The exit status if the file is not a timeline.
const NONE: u8 = 1;

/// The default number of bars on a terminal.
const BARS: usize = 40;

/// The maximum size of a file, in bytes: that of 50,000 services with logs. It takes ten
/// times that in memory, thirty if each line is of another service.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The program.
pub fn main() -> u8 {
    signals::restore_sigpipe();
    parse(command(), |matches| match run(&matches) {
        Ok(code) => code,
        Err(error) => {
            output::err(&error.line(PROGRAM));
            error.code()
        }
    })
}

fn command() -> Command {
    Command::new(PROGRAM)
        .about("Draw how services started, from the record of `svscan --timeline FILE`")
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("file")
                .required(true)
                .value_parser(ValueParser::os_string())
                .help("The record of svscan --timeline"),
        )
        .arg(
            count("last", 'n')
                .conflicts_with_all(["top", "all"])
                .help("Only the last NUMBER that began [default: 40, or with --svg all]"),
        )
        .arg(
            count("top", 't')
                .conflicts_with("all")
                .help("Only the NUMBER that took longest, from fork to begin"),
        )
        .arg(
            Arg::new("all")
                .short('a')
                .long("all")
                .action(ArgAction::SetTrue)
                .help("All of them"),
        )
        .arg(
            Arg::new("svg")
                .long("svg")
                .value_name("OUT")
                .value_parser(ValueParser::os_string())
                .help("Write a picture (SVG) to OUT instead; '-' is stdout"),
        )
}

fn count(name: &'static str, letter: char) -> Arg {
    Arg::new(name)
        .short(letter)
        .long(name)
        .value_name("NUMBER")
        .value_parser(clap::value_parser!(usize))
}

fn choice(matches: &ArgMatches) -> Choice {
    let number = |name| matches.get_one::<usize>(name).copied();
    match (number("last"), number("top")) {
        (Some(count), _) => Choice::Last(count),
        (None, Some(count)) => Choice::Longest(count),
        (None, None) if matches.get_flag("all") || matches.contains_id("svg") => Choice::All,
        (None, None) => Choice::Last(BARS),
    }
}

fn run(matches: &ArgMatches) -> Result<u8, Error> {
    let path = matches.get_one::<OsString>("file").map(OsString::as_os_str);
    let path = path.unwrap_or_default();
    let timeline = match Timeline::parse(&read(path)?) {
        Ok(timeline) => timeline,
        Err(why) => {
            let why: &[u8] = match why {
                NoTimeline::Strange => b": svscan --timeline did not write this\n",
                NoTimeline::OtherVersion => b": written by another version of svscan\n",
            };
            output::err(&[b"svctimeline: fatal: ", path.as_bytes(), why].concat());
            return Ok(NONE);
        }
    };
    warn(path, &timeline);
    let picture = Picture::new(Chart::new(&timeline), choice(matches), when(timeline.began));
    match matches.get_one::<OsString>("svg") {
        Some(place) => write(place, svg::draw(&picture).as_bytes())?,
        None => out(draw(&picture, look()).as_bytes())?,
    }
    Ok(0)
}

fn read(path: &OsStr) -> Result<Vec<u8>, Error> {
    let unable = |doing| move |error| Error::unable(doing, path, "", error);
    let open = file::open_read(Path::new(path)).map_err(unable("open"))?;
    // A pipe is read until all writers have closed it.
    let _ = file::set_blocking(&open);
    let mut bytes = Vec::new();
    let read = open.take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(unable("read"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST) {
        Ok(bytes)
    } else {
        Err(unable("read")(errno::too_big()))
    }
}

/// Reports the invalid lines.
fn warn(path: &OsStr, timeline: &Timeline) {
    let Some(Strange { first, count }) = timeline.strange else {
        return;
    };
    let what = match count {
        1 => format!(": line {first} is left out, which is not whole or of another version\n"),
        count => format!(
            ": {count} lines are left out, which are not whole or of another version, the first is line {first}\n"
        ),
    };
    let line: [&[u8]; 3] = [b"svctimeline: warning: ", path.as_bytes(), what.as_bytes()];
    output::err(&line.concat());
}

/// A time in local time, such as `2026-11-21 08:31:02.412`; the timestamp itself if no calendar
/// has it.
fn when(moment: Tai64n) -> String {
    match zone::local(moment.unix_seconds()) {
        Some(at) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
            at.year,
            at.month,
            at.day,
            at.hour,
            at.minute,
            at.second,
            moment.nanoseconds / 1_000_000
        ),
        None => String::from_utf8_lossy(&moment.text()).into_owned(),
    }
}

/// The capabilities of stdout.
fn look() -> TerminalLook {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let columns = set("COLUMNS").and_then(|value| value.to_str()?.parse().ok());
    let is_dumb = set("TERM").is_none_or(|term| term == "dumb");
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let mut locale = locale.unwrap_or_default();
    locale.make_ascii_lowercase();
    let is_utf8 = |part: &[u8]| part.starts_with(b"utf-8") || part.starts_with(b"utf8");
    let mut parts = locale.as_bytes().split(|byte| *byte == b'.');
    TerminalLook {
        columns: columns
            .filter(|columns| *columns > 0)
            .or_else(terminal::columns)
            .unwrap_or(80)
            .min(1000),
        has_colour: terminal::is_stdout() && set("NO_COLOR").is_none() && !is_dumb,
        has_unicode: parts.any(is_utf8),
    }
}

fn write(place: &OsStr, bytes: &[u8]) -> Result<(), Error> {
    if place == "-" {
        return out(bytes);
    }
    let unable = |doing| move |error| Error::unable(doing, place, "", error);
    let mut file = file::open_truncate(Path::new(place)).map_err(unable("open"))?;
    let _ = file::set_blocking(&file);
    file.write_all(bytes).map_err(unable("write"))
}

fn out(bytes: &[u8]) -> Result<(), Error> {
    output::out(bytes).map_err(|error| Error::unable_to("write output", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(words: &[&str]) -> Option<Choice> {
        let words = ["svctimeline"].iter().chain(words);
        Some(choice(&command().try_get_matches_from(words).ok()?))
    }

    #[test]
    fn which_bars_are_drawn_depends_on_where_they_go() {
        assert_eq!(chosen(&["f"]), Some(Choice::Last(40)));
        assert_eq!(chosen(&["-a", "f"]), Some(Choice::All));
        assert_eq!(chosen(&["--svg", "-", "f"]), Some(Choice::All));
        assert_eq!(chosen(&["--svg=-", "-n3", "f"]), Some(Choice::Last(3)));
        assert_eq!(chosen(&["--top", "5", "f"]), Some(Choice::Longest(5)));
        for wrong in [
            &[][..],
            &["f", "g"],
            &["-a", "-n3", "f"],
            &["--top=5", "--last=3", "f"],
        ] {
            assert_eq!(chosen(wrong), None, "{wrong:?}");
        }
        for wrong in [["--top", "some", "f"], ["--last", "-1", "f"]] {
            assert_eq!(chosen(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn no_moment_is_too_odd_to_be_told() {
        let stamp = Tai64n {
            seconds: u64::MAX / 2,
            nanoseconds: u32::MAX,
        };
        assert!(when(stamp).starts_with("@7fff"));
        let odd = Tai64n {
            nanoseconds: u32::MAX,
            ..Tai64n::from_unix(std::time::Duration::ZERO)
        };
        assert!(when(odd).contains(":00:00.4294") || when(odd).contains(":00.4294"));
    }
}
