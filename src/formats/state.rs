//! `supervise/state`: the state of a service, for programs. Beyond 0.76, whose
//! `supervise/status` has 18 bytes.
//!
//! Text with one `key value` per line, 1024 bytes. Each child writes the first line
//! ([`ChildLine`]) before it execs the service. The rest is the record, [`StateRecord::BYTES`]
//! long: padded with blanks before the last line, which is a checksum of the record. The
//! process that holds `supervise/lock` writes the whole record in place in one write, so a
//! reader may get parts of two records (a torn read), which the checksum detects.
//!
//! The keys of identity are permanent: `boot`, `namespace`, `pid`, `start`, `phase` and `want`
//! keep their names and meanings in all later versions, and are read from every version. A
//! record of a later version may be longer. Unknown keys are ignored.

use super::handover::{Handover, Upgradable};
use super::key_values::{Fields, Text};
use super::status::{Status, Want};
use super::tai64n::Tai64n;
use crate::child::{End, Pid, PidSpace, ProcessId};
use std::time::Duration;

/// The phase of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServicePhase {
    /// It has no process, and will not be restarted.
    Down,
    /// It has no process, and will be (re)started as soon as possible.
    Waiting,
    /// Its process is running.
    Up,
    /// A phase of a later version. Only the pid shows whether there is a process.
    Other,
}

/// The state of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// Its phase.
    pub phase: ServicePhase,
    /// The wanted state.
    pub want: Want,
    /// It is paused: `p` sent STOP to its process.
    pub paused: bool,
    /// supervise exits as soon as the service is down (`x`).
    pub leaving: bool,
    /// Its process.
    pub process: Option<ProcessId>,
    /// When the process last changed, by the wall clock.
    pub since: Tai64n,
    /// The number of bytes of `supervise/control` that this supervise has executed.
    pub commands: u64,
    /// The number of times it has started the service.
    pub starts: u64,
    /// How the service ended last.
    pub last_end: Option<LastEnd>,
}

/// The end of a process of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastEnd {
    /// Which one.
    pub pid: Pid,
    /// How it ended; None: unknown, because it was not a child of the supervise that saw it.
    pub end: Option<End>,
    /// When that was seen, by the wall clock.
    pub at: Tai64n,
    /// The lifetime of the process until then, in milliseconds; 0 if unknown.
    pub lived: Duration,
}

impl State {
    /// The status of 18 bytes for the same state.
    pub fn status(&self) -> Status {
        Status {
            since: self.since,
            pid: self.process.map(|process| process.pid),
            paused: self.paused,
            want: self.want,
        }
    }
}

/// The writer of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateWriter {
    /// The scope of the pids and start times in the record; None: unknown.
    pub space: Option<PidSpace>,
    /// The supervise that writes it.
    pub supervise: Pid,
    /// The svscan that started that supervise, if any.
    pub svscan: Option<ProcessId>,
    /// Device and inode of the service directory: a copy of it has a copy of the record.
    pub directory: Option<(u64, u64)>,
    /// The svscanboot above that svscan, or that svscan, if it was started without one.
    pub tree: Option<ProcessId>,
}

impl StateWriter {
    /// Whether `bytes`, which are not a valid record, name the same boot, namespace and
    /// directory as a record of this writer: then it is a torn one.
    pub fn is_named_in(&self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let fields = Fields(&text);
        let space = fields.space().flatten();
        space.is_some() && space == self.space && fields.file("directory") == self.directory
    }
}

/// The contents of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateRecord {
    /// Grows by one with each write.
    pub sequence: u64,
    /// Its writer.
    pub writer: StateWriter,
    /// The state of the service.
    pub state: State,
}

impl StateRecord {
    /// Its offset in the file.
    pub const OFFSET: u64 = ChildLine::BYTES as u64;
    /// The size of a record of this version.
    pub const BYTES: usize = 1024 - ChildLine::BYTES;
    /// The maximum size of the file of any version.
    pub const LONGEST: usize = 4096;

    /// Encodes it as the contents of the file from [`StateRecord::OFFSET`] on,
    /// [`StateRecord::BYTES`] bytes, with the lines of the other two, if they are given; `before`
    /// is in front of it.
    pub fn encode(
        &self,
        before: &[u8],
        upgradable: Option<&Upgradable>,
        handover: Option<&Handover>,
    ) -> Vec<u8> {
        let (writer, state) = (&self.writer, &self.state);
        let phase = match state.phase {
            ServicePhase::Down => "down",
            ServicePhase::Waiting => "waiting",
            ServicePhase::Up => "up",
            ServicePhase::Other => "other",
        };
        let want = match state.want {
            Want::Up => "up",
            Want::Down => "down",
            Want::Once => "once",
        };
        let mut text = Text::after(before, Self::BYTES);
        text.line("sequence", self.sequence);
        text.space(writer.space);
        text.line("supervise", writer.supervise);
        text.process("svscan", "svscan-start", writer.svscan);
        text.process("tree", "tree-start", writer.tree);
        text.file("directory", writer.directory.unwrap_or_default());
        text.line("phase", phase);
        text.line("want", want);
        text.process("pid", "start", state.process);
        text.moment("since", state.since);
        text.flag("paused", state.paused);
        text.flag("leaving", state.leaving);
        text.line("commands", state.commands);
        text.line("starts", state.starts);
        if let Some(last) = state.last_end {
            text.line("ended-pid", last.pid);
            if let Some(end) = last.end {
                text.end(end);
            }
            text.moment("ended-at", last.at);
            text.line("ended-lived", last.lived.as_millis());
        }
        if let Some(upgradable) = upgradable {
            upgradable.encode(&mut text);
        }
        if let Some(handover) = handover {
            handover.encode(&mut text);
        }
        text.seal(Self::BYTES)
    }

    /// The inverse of [`StateRecord::encode`], for any version; None for anything else. An
    /// optional value that cannot be parsed is None.
    pub fn decode(bytes: &[u8]) -> Option<StateRecord> {
        StateRecord::of(&Fields::open(bytes)?)
    }

    pub(super) fn of(fields: &Fields<'_>) -> Option<StateRecord> {
        let flag = |key| fields.value(key) == Some("yes");
        Some(StateRecord {
            sequence: fields.number("sequence").unwrap_or(0),
            writer: StateWriter {
                space: fields.space()?,
                supervise: fields.number("supervise")?,
                svscan: fields.process("svscan", "svscan-start").flatten(),
                tree: fields.process("tree", "tree-start").flatten(),
                directory: fields.file("directory"),
            },
            state: State {
                phase: match fields.value("phase")? {
                    "down" => ServicePhase::Down,
                    "waiting" => ServicePhase::Waiting,
                    "up" => ServicePhase::Up,
                    _ => ServicePhase::Other,
                },
                want: match fields.value("want")? {
                    "up" => Want::Up,
                    "down" => Want::Down,
                    "once" => Want::Once,
                    _ => return None,
                },
                process: fields.process("pid", "start")?,
                paused: flag("paused"),
                leaving: flag("leaving"),
                since: fields.moment("since").unwrap_or_default(),
                commands: fields.number("commands").unwrap_or(0),
                starts: fields.number("starts").unwrap_or(0),
                last_end: last_end(fields),
            },
        })
    }
}

fn last_end(fields: &Fields<'_>) -> Option<LastEnd> {
    Some(LastEnd {
        pid: fields.number("ended-pid")?,
        end: fields.end(),
        at: fields.moment("ended-at")?,
        lived: Duration::from_millis(fields.number("ended-lived")?),
    })
}

/// The first line of the file: the last process that execed the service. That process writes it
/// itself, so that it is known even if its parent is killed before it has written the record.
/// It is valid only if the record has the same [`PidSpace`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildLine {
    /// Which process.
    pub pid: Pid,
    /// The time since boot (CLOCK_BOOTTIME) at which it wrote this: it was started before that,
    /// and a process that gets its pid later is started after that.
    pub at: Duration,
}

impl ChildLine {
    /// The size of the line.
    pub const BYTES: usize = 64;

    /// Encodes the line; None: no process has execed the service yet.
    pub fn encode(line: Option<ChildLine>) -> [u8; Self::BYTES] {
        let (pid, at) = line.map_or((0, 0), |line| (line.pid.get(), line.at.as_nanos()));
        let text = format!("child {pid} {at}");
        let mut bytes = [b' '; Self::BYTES];
        for (byte, letter) in bytes.iter_mut().zip(text.bytes()) {
            *byte = letter;
        }
        if let Some(last) = bytes.last_mut() {
            *last = b'\n';
        }
        bytes
    }

    /// The inverse of [`ChildLine::encode`], for the bytes at the beginning of the file.
    pub fn decode(bytes: &[u8]) -> Option<ChildLine> {
        let line = std::str::from_utf8(bytes.get(..Self::BYTES)?).ok()?;
        let mut words = line.strip_suffix('\n')?.split_ascii_whitespace();
        let (key, pid, at) = (words.next()?, words.next()?, words.next()?);
        let is_whole = key == "child" && words.next().is_none();
        Some(ChildLine {
            pid: pid.parse().ok().filter(|_| is_whole)?,
            at: Duration::from_nanos(at.parse().ok()?),
        })
    }
}

#[cfg(test)]
pub(super) use tests::some;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::journal::hash;
    use crate::formats::key_values::SUM;
    use crate::numbers::Numbers;

    pub(in crate::formats) fn some(numbers: &mut Numbers) -> StateRecord {
        let small = |numbers: &mut Numbers| numbers.next() >> numbers.below(64);
        let pid = |numbers: &mut Numbers| Pid::new(numbers.next() as u32 | 1).unwrap();
        let process = |numbers: &mut Numbers| {
            let start = (!numbers.one_in(4)).then(|| small(numbers) | 1);
            let pid = pid(numbers);
            (!numbers.one_in(3)).then_some(ProcessId { pid, start })
        };
        let moment = |numbers: &mut Numbers| Tai64n {
            seconds: small(numbers),
            nanoseconds: numbers.next() as u32,
        };
        let ends = [
            Some(End::Exited(small(numbers) as u8)),
            Some(End::Killed(9)),
            None,
        ];
        let last_end = LastEnd {
            pid: pid(numbers),
            end: numbers.pick(&ends),
            at: moment(numbers),
            lived: Duration::from_millis(small(numbers)),
        };
        let space = PidSpace {
            boot: u128::from(numbers.next()).to_be_bytes(),
            namespace: small(numbers) | 1,
        };
        StateRecord {
            sequence: small(numbers),
            writer: StateWriter {
                space: (!numbers.one_in(4)).then_some(space),
                supervise: pid(numbers),
                svscan: process(numbers),
                tree: process(numbers),
                directory: (!numbers.one_in(4)).then(|| (small(numbers), small(numbers) | 1)),
            },
            state: State {
                phase: numbers.pick(&[
                    ServicePhase::Down,
                    ServicePhase::Waiting,
                    ServicePhase::Up,
                    ServicePhase::Other,
                ]),
                want: numbers.pick(&[Want::Up, Want::Down, Want::Once]),
                paused: numbers.one_in(2),
                leaving: numbers.one_in(2),
                process: process(numbers),
                since: moment(numbers),
                commands: small(numbers),
                starts: small(numbers),
                last_end: (!numbers.one_in(3)).then_some(last_end),
            },
        }
    }

    fn sealed(text: &str) -> Vec<u8> {
        let sum = hash(text.as_bytes());
        format!("{text}sum {sum:016x}\n").into_bytes()
    }

    /// Without the checksum.
    fn text(record: &StateRecord) -> String {
        let bytes = record.encode(&[], None, None);
        String::from_utf8(bytes[..bytes.len() - SUM].to_vec()).unwrap()
    }

    const KEYS: [&str; 24] = [
        "version",
        "sequence",
        "boot",
        "namespace",
        "supervise",
        "svscan",
        "svscan-start",
        "tree",
        "tree-start",
        "directory",
        "phase",
        "want",
        "pid",
        "start",
        "since",
        "paused",
        "leaving",
        "commands",
        "starts",
        "ended-pid",
        "ended-exit",
        "ended-signal",
        "ended-at",
        "ended-lived",
    ];

    #[test]
    fn a_record_survives_a_round_trip_and_has_its_size() {
        let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
        for _ in 0..2_000 {
            let record = some(&mut numbers);
            let bytes = record.encode(&[], None, None);
            assert_eq!(bytes.len(), StateRecord::BYTES);
            assert_eq!(StateRecord::decode(&bytes), Some(record));
        }
    }

    #[test]
    fn the_lines_are_those_of_the_table() {
        let pid = |number| Pid::new(number).unwrap();
        let id = |number, start| ProcessId {
            pid: pid(number),
            start: Some(start),
        };
        let record = StateRecord {
            sequence: 7,
            writer: StateWriter {
                space: Some(PidSpace {
                    boot: *b"0123456789abcdef",
                    namespace: 4_026_531_836,
                }),
                supervise: pid(812),
                svscan: Some(id(700, 1042)),
                tree: Some(id(690, 1040)),
                directory: Some((64_769, 1234)),
            },
            state: State {
                phase: ServicePhase::Up,
                want: Want::Up,
                paused: false,
                leaving: true,
                process: Some(id(24_012, 8423)),
                since: Tai64n::from_unix(Duration::from_secs(1)),
                commands: 3,
                starts: 2,
                last_end: Some(LastEnd {
                    pid: pid(24_000),
                    end: Some(End::Exited(111)),
                    at: Tai64n::from_unix(Duration::ZERO),
                    lived: Duration::from_millis(250),
                }),
            },
        };
        let lines = "version 1\nsequence 7\nboot 30313233343536373839616263646566\n\
                     namespace 4026531836\nsupervise 812\nsvscan 700\nsvscan-start 1042\n\
                     tree 690\ntree-start 1040\ndirectory 64769:1234\nphase up\nwant up\npid 24012\nstart 8423\nsince @400000000000000b00000000\n\
                     paused no\nleaving yes\ncommands 3\nstarts 2\nended-pid 24000\n\
                     ended-exit 111\nended-at @400000000000000a00000000\nended-lived 250\n";
        let text = text(&record);
        assert!(text.starts_with(lines), "{text}");
        assert_eq!(text.trim_end_matches([' ', '\n']), lines.trim_end());
        assert_eq!(record.state.status().pid, Some(pid(24_012)));
    }

    #[test]
    fn the_line_of_the_child_survives_a_round_trip_and_nothing_else_is_one() {
        let mut numbers = Numbers(4);
        for _ in 0..1_000 {
            let line = ChildLine {
                pid: Pid::new(numbers.next() as u32 | 1).unwrap(),
                at: Duration::from_nanos(numbers.next() >> numbers.below(64)),
            };
            let bytes = ChildLine::encode(Some(line));
            assert_eq!(ChildLine::decode(&bytes), Some(line));
            assert_eq!(ChildLine::decode(&bytes[..63]), None);
            let mut torn = ChildLine::encode(None);
            let place = numbers.below(ChildLine::BYTES);
            torn[..place].copy_from_slice(&bytes[..place]);
            let read = ChildLine::decode(&torn);
            assert!(read.is_none_or(|read| read.pid <= line.pid), "{torn:?}");
        }
        assert_eq!(ChildLine::decode(&ChildLine::encode(None)), None);
        assert_eq!(ChildLine::decode(&[b' '; 64]), None);
    }

    #[test]
    fn no_part_of_a_record_no_mix_of_two_and_no_changed_one_is_a_record() {
        let mut numbers = Numbers(1);
        let (one, other) = (
            some(&mut numbers).encode(&[], None, None),
            some(&mut numbers).encode(&[], None, None),
        );
        for place in 0..one.len() {
            assert_eq!(StateRecord::decode(&one[..place]), None, "{place}");
            let mixed = [&one[..place], &other[place..]].concat();
            if mixed != one && mixed != other {
                assert_eq!(StateRecord::decode(&mixed), None, "{place}");
            }
            for bit in 0..8 {
                let mut changed = one.clone();
                changed[place] ^= 1 << bit;
                assert_eq!(StateRecord::decode(&changed), None, "{place}");
            }
        }
    }

    #[test]
    fn of_a_later_longer_version_what_is_known_is_read() {
        let mut numbers = Numbers(2);
        for _ in 0..300 {
            let record = some(&mut numbers);
            let mut lines: Vec<String> = text(&record).lines().map(str::to_owned).collect();
            lines[0] = "version 2".to_owned();
            for key in ["readiness", "pids", "pid-fd", "wants", "ended", ""] {
                let place = numbers.below(lines.len());
                lines.insert(place, format!("{key} {}", numbers.next()));
            }
            let mut text = lines.join("\n");
            text.push_str(&" ".repeat(numbers.below(1024)));
            text.push('\n');
            assert_eq!(StateRecord::decode(&sealed(&text)), Some(record));
        }
        let record = some(&mut numbers);
        let later = text(&record).replace("\nphase ", "\nphase very-");
        let state = StateRecord::decode(&sealed(&later)).unwrap().state;
        assert_eq!(state.phase, ServicePhase::Other);
        assert_eq!(state.process, record.state.process);
    }

    #[test]
    fn whatever_has_a_checksum_is_a_record_that_is_written_the_same_or_none() {
        let mut numbers = Numbers(3);
        let words = [
            "0",
            "1",
            "-1",
            "yes",
            "up",
            "down",
            "exit",
            "@",
            "",
            " ",
            "99999999999999999999",
        ];
        let mut records = 0;
        for _ in 0..2_000 {
            let mut text = text(&some(&mut numbers));
            for _ in 0..numbers.below(4) {
                let (key, word) = (numbers.pick(&KEYS), numbers.pick(&words));
                text = match numbers.one_in(2) {
                    true => format!("{key} {word}\n{text}"),
                    false => text.replace(&format!("\n{key} "), &format!("\n{word}")),
                };
            }
            if let Some(record) = StateRecord::decode(&sealed(&text)) {
                records += 1;
                assert_eq!(
                    StateRecord::decode(&record.encode(&[], None, None)),
                    Some(record)
                );
            }
        }
        assert!((500..2_000).contains(&records), "{records}");
        assert_eq!(StateRecord::decode(&sealed("")), None);
        assert_eq!(StateRecord::decode(b""), None);
    }
}
