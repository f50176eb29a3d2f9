//! The file that `svscan --timeline` writes and `svctimeline` draws: ASCII, one line for each
//! event, in any order.
//!
//! | line | |
//! |---|---|
//! | `svctimeline 1 @LABEL` | the first one: the version of this table, and when svscan began, as [TAI64N](super::tai64n) |
//! | `EVENT TIME NAME` | a [`TimelineEvent`] of one supervise |
//! | `scanned TIME` | svscan has started a supervise for everything it found |
//!
//! Words are separated by one space, and a newline ends the line. TIME is in nanoseconds since
//! svscan began, by the monotonic clock, in decimal without leading zeros. NAME is the entry in
//! the scan directory, followed by `/log` for the supervise of its logger; each byte of it that
//! is not one of the ASCII characters `!` to `~`, and `\` itself, is encoded as `\xNN` with two
//! lower-case hexadecimal digits.
//!
//! Several processes append to the file. If one of them writes an incomplete line, the next
//! line is appended to it; such a line is not valid.

use super::tai64n::Tai64n;

/// The first word of a timeline.
const MAGIC: &[u8] = b"svctimeline";
/// The version of the table above.
const VERSION: &[u8] = b"1";
const SCANNED: &[u8] = b"scanned";
/// The suffix of the name of a service for its logger.
const LOG: &[u8] = b"/log";

/// An event in the start of a supervise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TimelineEvent {
    /// svscan has found the directory.
    Seen,
    /// svscan forks the supervise.
    Forked,
    /// supervise forks the child that execs `./run`.
    Run,
    /// supervise is ready for commands: `ok` is open.
    Ready,
    /// The child execs `./run`, unless a [`TimelineEvent::Failed`] follows.
    Executed,
    /// There is a file `down`: supervise does not start the service.
    Down,
    /// The first attempt failed, at any step. Later attempts are not recorded.
    Failed,
    /// The child execs another supervise program, which records nothing.
    Other,
}

impl TimelineEvent {
    /// All events, in the order in which they happen.
    pub const ALL: [TimelineEvent; 8] = [
        TimelineEvent::Seen,
        TimelineEvent::Forked,
        TimelineEvent::Run,
        TimelineEvent::Ready,
        TimelineEvent::Executed,
        TimelineEvent::Down,
        TimelineEvent::Failed,
        TimelineEvent::Other,
    ];

    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            TimelineEvent::Seen => "seen",
            TimelineEvent::Forked => "forked",
            TimelineEvent::Run => "run",
            TimelineEvent::Ready => "ready",
            TimelineEvent::Executed => "executed",
            TimelineEvent::Down => "down",
            TimelineEvent::Failed => "failed",
            TimelineEvent::Other => "other",
        }
    }
}

/// The subject of an event: a service, or its logger.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label {
    /// The name of the entry in the scan directory; any bytes but `/`, at least one.
    pub name: Vec<u8>,
    /// Whether it is the logger.
    pub is_log: bool,
}

impl Label {
    /// Encodes it as NAME of the table above.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.name.len() + LOG.len());
        for byte in &self.name {
            if is_plain(*byte) {
                text.push(*byte);
            } else {
                text.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
            }
        }
        if self.is_log {
            text.extend_from_slice(LOG);
        }
        text
    }

    /// The inverse of [`Label::encode`]; None for other texts.
    pub fn decode(text: &[u8]) -> Option<Label> {
        let (mut rest, is_log) = match text.strip_suffix(LOG) {
            Some(name) => (name, true),
            None => (text, false),
        };
        let mut name = Vec::with_capacity(rest.len());
        while let Some((first, behind)) = rest.split_first() {
            let byte = if *first == b'\\' {
                let ([b'x', high, low], behind) = behind.split_first_chunk()? else {
                    return None;
                };
                rest = behind;
                let byte = digit(*high)? << 4 | digit(*low)?;
                (!is_plain(byte)).then_some(byte)?
            } else {
                rest = behind;
                is_plain(*first).then_some(*first)?
            };
            name.push(byte);
        }
        let is_name = !name.is_empty() && !name.contains(&b'/');
        is_name.then_some(Label { name, is_log })
    }
}

/// Whether a byte of a name is written unchanged.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'\\'
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The first line.
pub fn header(began: Tai64n) -> Vec<u8> {
    [MAGIC, b" ", VERSION, b" ", &began.text(), b"\n"].concat()
}

/// Appends the line of an event at `at` nanoseconds to `out`; `label` is an encoded [`Label`].
pub fn push(event: TimelineEvent, at: u64, label: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(event.word().as_bytes());
    out.extend_from_slice(format!(" {at} ").as_bytes());
    out.extend_from_slice(label);
    out.push(b'\n');
}

/// Appends the line `scanned` at `at` nanoseconds.
pub fn push_scanned(at: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(SCANNED);
    out.extend_from_slice(format!(" {at}\n").as_bytes());
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimelineRecord {
    /// The event.
    pub event: TimelineEvent,
    /// Its time, in nanoseconds since svscan began.
    pub at: u64,
    /// Its supervise.
    pub label: Label,
}

/// The contents of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timeline {
    /// When svscan began.
    pub began: Tai64n,
    /// The events, in the order of the file.
    pub records: Vec<TimelineRecord>,
    /// When svscan had scanned everything, in nanoseconds since it began.
    pub scanned: Option<u64>,
    /// The invalid lines, if any. A last line without a newline is one.
    pub strange: Option<Strange>,
}

/// Invalid lines of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strange {
    /// The line number of the first of them, counted from 1.
    pub first: usize,
    /// Their number.
    pub count: usize,
}

/// Why a file is not a timeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoTimeline {
    /// Its first line is not that of a timeline.
    Strange,
    /// It has another version.
    OtherVersion,
}

impl Timeline {
    /// Parses a file. Invalid lines after the first one are not an error.
    ///
    /// # Errors
    /// The first line is not that of a timeline of this version.
    pub fn parse(bytes: &[u8]) -> Result<Timeline, NoTimeline> {
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let mut timeline = Timeline {
            began: parse_header(lines.next().unwrap_or_default())?,
            ..Timeline::default()
        };
        for (line, number) in lines.zip(2..) {
            if timeline.take(line).is_none() {
                let first = timeline.strange.map_or(number, |strange| strange.first);
                let count = timeline.strange.map_or(0, |strange| strange.count) + 1;
                timeline.strange = Some(Strange { first, count });
            }
        }
        Ok(timeline)
    }

    /// Parses one line; None if it is invalid.
    fn take(&mut self, line: &[u8]) -> Option<()> {
        let line = line.strip_suffix(b"\n")?;
        let mut words = line.split(|byte| *byte == b' ');
        let (word, at) = (words.next()?, number(words.next()?)?);
        match (words.next(), words.next()) {
            (None, None) if word == SCANNED => self.scanned = Some(at),
            (Some(label), None) => self.records.push(TimelineRecord {
                event: TimelineEvent::ALL
                    .into_iter()
                    .find(|event| event.word().as_bytes() == word)?,
                at,
                label: Label::decode(label)?,
            }),
            _ => return None,
        }
        Some(())
    }
}

fn parse_header(line: &[u8]) -> Result<Tai64n, NoTimeline> {
    let line = line.strip_suffix(b"\n").ok_or(NoTimeline::Strange)?;
    let mut words = line.split(|byte| *byte == b' ');
    if words.next() != Some(MAGIC) {
        return Err(NoTimeline::Strange);
    }
    match words.next() {
        Some(VERSION) => {}
        Some(version) if number(version).is_some() => return Err(NoTimeline::OtherVersion),
        _ => return Err(NoTimeline::Strange),
    }
    let label = words.next().and_then(|label| label.try_into().ok());
    let began = label.and_then(Tai64n::parse);
    began
        .filter(|_| words.next().is_none())
        .ok_or(NoTimeline::Strange)
}

/// Parses a number in the format of the file; None for any other format.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let is_short = digits == b"0" || !digits.starts_with(b"0");
    let text = std::str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|_| is_number && is_short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;
    use std::time::Duration;

    fn label(name: &[u8], is_log: bool) -> Label {
        let name = name.to_vec();
        Label { name, is_log }
    }

    fn began() -> Tai64n {
        Tai64n::from_unix(Duration::new(935_467_445, 787_492_500))
    }

    #[test]
    fn the_lines_are_those_of_the_table() {
        let mut text = header(began());
        push(
            TimelineEvent::Seen,
            0,
            &label(b"squid", false).encode(),
            &mut text,
        );
        let odd = label(b"a b\n\\\xff\xc3\xa4~", true).encode();
        push(TimelineEvent::Executed, u64::MAX, &odd, &mut text);
        push_scanned(17, &mut text);
        let expected = "svctimeline 1 @4000000037c219bf2ef02e94\n\
            seen 0 squid\n\
            executed 18446744073709551615 a\\x20b\\x0a\\x5c\\xff\\xc3\\xa4~/log\n\
            scanned 17\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn every_event_of_every_name_survives_a_round_trip() {
        let mut text = header(began());
        let mut expected = Vec::new();
        let bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
        let names = [&b"a"[..], b"log", b"\\x20", b" ", b"\\", b"-n", &bytes];
        for (name, at) in names.iter().zip(1..) {
            for is_log in [false, true] {
                for event in TimelineEvent::ALL {
                    let label = label(name, is_log);
                    push(event, at, &label.encode(), &mut text);
                    expected.push(TimelineRecord { event, at, label });
                }
            }
        }
        assert!(text.is_ascii());
        let timeline = Timeline::parse(&text).unwrap();
        assert_eq!(timeline.records, expected);
        assert_eq!((timeline.began, timeline.scanned), (began(), None));
        assert_eq!(timeline.strange, None);
    }

    #[test]
    fn what_is_no_line_is_passed_over_and_counted() {
        let mut text = header(began());
        for line in [
            "seen 1 a",
            "",
            " ",
            "begun 1 a",
            "seen 1",
            "seen 1 a b",
            "seen 1  a",
            "seen a 1",
            "seen +1 a",
            "seen 01 a",
            "seen 18446744073709551616 a",
            "seen 1 a/b",
            "seen 1 /log",
            "seen 1 \\x2f",
            "seen 1 \\x61",
            "seen 1 \\xFF",
            "seen 1 \\xf",
            "seen 1 \\n",
            "seen 1 \t",
            "scanned 1 a",
            "scanned",
            "svctimeline 1 @4000000037c219bf2ef02e94",
            "ready 2 a",
        ] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(b"executed 3 a");
        let timeline = Timeline::parse(&text).unwrap();
        assert_eq!(timeline.records.len(), 2);
        let strange = Strange {
            first: 3,
            count: 22,
        };
        assert_eq!(timeline.strange, Some(strange));
        assert_eq!(timeline.scanned, None);
    }

    #[test]
    fn half_a_line_spoils_the_next_one_and_makes_none_up() {
        let mut whole = Vec::new();
        push(
            TimelineEvent::Seen,
            123,
            &label(b"a", true).encode(),
            &mut whole,
        );
        for length in 1..whole.len() {
            for event in TimelineEvent::ALL {
                let mut text = header(began());
                text.extend_from_slice(&whole[..length]);
                push(event, 45, b"b", &mut text);
                push(event, 67, b"c", &mut text);
                let timeline = Timeline::parse(&text).unwrap();
                assert_eq!(timeline.records.len(), 1, "{}", text.escape_ascii());
                let strange = Strange { first: 2, count: 1 };
                assert_eq!(timeline.strange, Some(strange));
            }
        }
    }

    #[test]
    fn a_file_that_begins_otherwise_is_no_timeline() {
        let good = header(began());
        assert!(Timeline::parse(&good).is_ok());
        for length in 0..good.len() {
            assert_eq!(Timeline::parse(&good[..length]), Err(NoTimeline::Strange));
        }
        for place in 0..good.len() {
            let mut text = good.clone();
            text[place] = b'?';
            assert_eq!(Timeline::parse(&text), Err(NoTimeline::Strange), "{place}");
        }
        let other = b"svctimeline 2 whatever\n";
        assert_eq!(Timeline::parse(other), Err(NoTimeline::OtherVersion));
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut numbers = Numbers(7);
        let words: [&[u8]; 12] = [
            b"seen ",
            b"executed 1 ",
            b"scanned",
            b" ",
            b"1 ",
            b"20",
            b"\n",
            b"a\n",
            b"a",
            b"\\x",
            b"/log",
            b"\xff",
        ];
        let mut taken = 0;
        for _ in 0..5_000 {
            let mut text = header(began());
            for _ in 0..numbers.below(40) {
                text.extend_from_slice(words[numbers.below(words.len())]);
            }
            let timeline = Timeline::parse(&text).unwrap();
            taken += timeline.records.len();
            for record in timeline.records {
                let mut line = Vec::new();
                push(record.event, record.at, &record.label.encode(), &mut line);
                assert!(text.windows(line.len()).any(|part| part == line));
            }
        }
        assert!(taken > 20, "{taken}");
    }
}
