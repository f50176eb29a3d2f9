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

use crate::child::{End, Pid, PidSpace, ProcessId};
use crate::formats::journal::hash;
use crate::formats::status::{Status, Want};
use crate::formats::tai64n::Tai64n;
use std::io::Write;
use std::time::Duration;

const VERSION: u32 = 1;

/// The length of the last line: a word and 16 digits.
const SUM: usize = 21;

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
        space.is_some() && space == self.space && fields.directory() == self.directory
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
        let mut text = Text::after(before);
        text.line("sequence", self.sequence);
        text.space(writer.space);
        text.line("supervise", writer.supervise);
        text.process("svscan", "svscan-start", writer.svscan);
        text.process("tree", "tree-start", writer.tree);
        let (device, inode) = writer.directory.unwrap_or_default();
        text.line("directory", format_args!("{device}:{inode}"));
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

    fn of(fields: &Fields<'_>) -> Option<StateRecord> {
        let flag = |key| fields.value(key) == Some("yes");
        Some(StateRecord {
            sequence: fields.number("sequence").unwrap_or(0),
            writer: StateWriter {
                space: fields.space()?,
                supervise: fields.number("supervise")?,
                svscan: fields.process("svscan", "svscan-start").flatten(),
                tree: fields.process("tree", "tree-start").flatten(),
                directory: fields.directory(),
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
                last_end: fields.last_end(),
            },
        })
    }
}

/// The number of the format of [`Handover`], and of the descriptors that are handed on with it.
pub const HANDOVER: u32 = 1;

/// The lines of the record about upgrades in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upgradable {
    /// The supervise hands over in this format ([`HANDOVER`]).
    pub format: u32,
    /// The path of its program, as installed; None: it cannot be upgraded.
    pub program: Option<String>,
    /// The number of its upgrades.
    pub done: u64,
    /// The number of upgrades that it has refused, or that failed.
    pub refused: u64,
}

impl Upgradable {
    /// The maximum length of the path: every record has room for that.
    pub const LONGEST_PROGRAM: usize = 128;

    fn encode(&self, text: &mut Text) {
        text.line("handover", self.format);
        if let Some(program) = &self.program {
            text.line("program", program);
        }
        text.line("upgrades", self.done);
        text.line("upgrades-refused", self.refused);
    }

    /// These lines of a record; None if it does not have them.
    pub fn decode(record: &[u8]) -> Option<Upgradable> {
        Upgradable::of(&Fields::open(record)?)
    }

    fn of(fields: &Fields<'_>) -> Option<Upgradable> {
        Some(Upgradable {
            format: fields.number("handover")?,
            program: fields.value("program").map(str::to_owned),
            done: fields.number("upgrades")?,
            refused: fields.number("upgrades-refused")?,
        })
    }
}

/// What a supervise hands over to its next program, besides the [`State`]: lines of the record
/// that is written just before the exec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handover {
    /// The phase.
    pub phase: HandoverPhase,
    /// As in the status.
    pub since: Tai64n,
    /// The last start or failed fork, as time since boot (CLOCK_BOOTTIME).
    pub last_try: Option<Duration>,
    /// The status could not be written.
    pub is_unpublished: bool,
}

/// The phase of a service that is handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HandoverPhase {
    /// It has no process, and will not be restarted.
    Down,
    /// A start is due.
    Waiting {
        /// `u` or `o` requested it.
        is_asked_for: bool,
        /// The number of failed forks.
        failed_forks: u32,
    },
    /// It runs.
    Up {
        /// No command was received since its start.
        is_quiet: bool,
    },
    /// This process has ended and is not reaped.
    Zombie(Pid),
}

impl Handover {
    fn encode(&self, text: &mut Text) {
        let (phase, flag, number) = match self.phase {
            HandoverPhase::Down => (0, false, 0),
            HandoverPhase::Waiting {
                is_asked_for,
                failed_forks,
            } => (1, is_asked_for, failed_forks),
            HandoverPhase::Up { is_quiet } => (2, is_quiet, 0),
            HandoverPhase::Zombie(pid) => (3, false, pid.get()),
        };
        let [flag, is_unpublished] = [flag, self.is_unpublished].map(u8::from);
        let tried = self.last_try.map_or(0, |at| at.as_nanos());
        let numbers = format_args!("{phase} {flag} {number} {tried} {is_unpublished}");
        text.line("resume", numbers);
        text.moment("resume-since", self.since);
    }

    /// A record that was written to hand over, with all of its lines.
    pub fn decode(record: &[u8]) -> Option<(StateRecord, Upgradable, Handover)> {
        let fields = Fields::open(record)?;
        let handover = Handover::of(&fields)?;
        Some((
            StateRecord::of(&fields)?,
            Upgradable::of(&fields)?,
            handover,
        ))
    }

    fn of(fields: &Fields<'_>) -> Option<Handover> {
        let mut words = fields.value("resume")?.split(' ');
        let mut next = || words.next()?.parse::<u64>().ok();
        let (phase, flag, number) = (next()?, next()? != 0, u32::try_from(next()?).ok()?);
        Some(Handover {
            phase: match phase {
                0 => HandoverPhase::Down,
                1 => HandoverPhase::Waiting {
                    is_asked_for: flag,
                    failed_forks: number,
                },
                2 => HandoverPhase::Up { is_quiet: flag },
                3 => HandoverPhase::Zombie(Pid::new(number)?),
                _ => return None,
            },
            last_try: Some(Duration::from_nanos(next()?)).filter(|at| !at.is_zero()),
            is_unpublished: next()? != 0,
            since: fields.moment("resume-since")?,
        })
    }
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

/// `supervise/svscan`: an svscan that watches the service although it did not start its
/// supervise, or has reaped the process of the service. In the same text format as the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SvscanNote {
    /// The scope of the pids and start times in it.
    pub space: PidSpace,
    /// The svscan.
    pub svscan: ProcessId,
    /// The last process of the service that svscan has reaped, because its supervise was killed.
    pub ended: Option<NotedEnd>,
}

/// How a process ended, according to svscan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotedEnd {
    /// The process.
    pub process: ProcessId,
    /// Its end.
    pub end: End,
}

impl SvscanNote {
    /// The size of the file.
    pub const BYTES: usize = 256;

    /// The contents of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Text::after(&[]);
        text.space(Some(self.space));
        text.process("svscan", "svscan-start", Some(self.svscan));
        if let Some(NotedEnd { process, end }) = self.ended {
            text.process("ended-pid", "ended-start", Some(process));
            text.end(end);
        }
        text.seal(Self::BYTES)
    }

    /// The inverse of [`SvscanNote::encode`]; None for anything else.
    pub fn decode(bytes: &[u8]) -> Option<SvscanNote> {
        let fields = Fields::open(bytes)?;
        Some(SvscanNote {
            space: fields.space()??,
            svscan: fields.process("svscan", "svscan-start")??,
            ended: fields.noted_end(),
        })
    }
}

/// A text of lines that is being written.
struct Text {
    bytes: Vec<u8>,
    /// Where it begins in `bytes`.
    start: usize,
}

impl Text {
    /// A text behind `before`.
    fn after(before: &[u8]) -> Text {
        let start = before.len();
        let mut bytes = Vec::with_capacity(start + StateRecord::BYTES);
        bytes.extend_from_slice(before);
        let mut text = Text { bytes, start };
        text.line("version", VERSION);
        text
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to a vector does not fail.
        let _ = writeln!(self.bytes, "{key} {value}");
    }

    fn flag(&mut self, key: &str, is_so: bool) {
        self.line(key, if is_so { "yes" } else { "no" });
    }

    fn moment(&mut self, key: &str, moment: Tai64n) {
        self.line(key, String::from_utf8_lossy(&moment.text()));
    }

    /// Without a process both are 0.
    fn process(&mut self, pid: &str, start: &str, process: Option<ProcessId>) {
        self.line(pid, process.map_or(0, |process| process.pid.get()));
        let started = process.and_then(|process| process.start);
        self.line(start, started.unwrap_or(0));
    }

    fn end(&mut self, end: End) {
        match end {
            End::Exited(code) => self.line("ended-exit", code),
            End::Killed(signal) => self.line("ended-signal", signal),
        }
    }

    fn space(&mut self, space: Option<PidSpace>) {
        let boot = space.map_or(0, |space| u128::from_be_bytes(space.boot));
        self.line("boot", format_args!("{boot:032x}"));
        self.line("namespace", space.map_or(0, |space| space.namespace));
    }

    /// Pads it to `size` bytes, including the checksum.
    fn seal(mut self, size: usize) -> Vec<u8> {
        let bytes = &mut self.bytes;
        let padded = self.start + size.saturating_sub(1 + SUM);
        bytes.resize(padded.max(bytes.len()), b' ');
        bytes.push(b'\n');
        let sum = hash(bytes.get(self.start..).unwrap_or_default());
        let _ = writeln!(bytes, "sum {sum:016x}");
        self.bytes
    }
}

/// A text of lines that was read.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// None if the checksum is wrong.
    fn open(bytes: &'a [u8]) -> Option<Fields<'a>> {
        let (text, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
        let written = sum.strip_prefix(b"sum ")?.strip_suffix(b"\n")?;
        let is_right = written == format!("{:016x}", hash(text)).as_bytes();
        let fields = Fields(std::str::from_utf8(text).ok().filter(|_| is_right)?);
        // Every version has its number here; the keys that are read here are in all versions.
        fields.number::<u32>("version")?;
        Some(fields)
    }

    /// The first line of that key counts.
    fn value(&self, key: &str) -> Option<&'a str> {
        let mut lines = self.0.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.value(key)?.parse().ok()
    }

    fn moment(&self, key: &str) -> Option<Tai64n> {
        Tai64n::parse(self.value(key)?.as_bytes().try_into().ok()?)
    }

    fn process(&self, pid: &str, start: &str) -> Option<Option<ProcessId>> {
        let (pid, start) = (self.number(pid)?, self.number(start)?);
        let start = Some(start).filter(|start| *start != 0);
        Some(Pid::new(pid).map(|pid| ProcessId { pid, start }))
    }

    fn space(&self) -> Option<Option<PidSpace>> {
        let boot = u128::from_str_radix(self.value("boot")?, 16).ok()?;
        let namespace = self.number("namespace")?;
        let boot = boot.to_be_bytes();
        Some((namespace != 0).then_some(PidSpace { boot, namespace }))
    }

    fn directory(&self) -> Option<(u64, u64)> {
        let (device, inode) = self.value("directory")?.split_once(':')?;
        let inode = inode.parse().ok().filter(|inode| *inode != 0)?;
        Some((device.parse().ok()?, inode))
    }

    fn end(&self) -> Option<End> {
        let exited = self.number("ended-exit").map(End::Exited);
        exited.or_else(|| self.number("ended-signal").map(End::Killed))
    }

    fn noted_end(&self) -> Option<NotedEnd> {
        Some(NotedEnd {
            process: self.process("ended-pid", "ended-start")??,
            end: self.end()?,
        })
    }

    fn last_end(&self) -> Option<LastEnd> {
        Some(LastEnd {
            pid: self.number("ended-pid")?,
            end: self.end(),
            at: self.moment("ended-at")?,
            lived: Duration::from_millis(self.number("ended-lived")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    fn some(numbers: &mut Numbers) -> StateRecord {
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
            let space = record.writer.space;
            if let (Some(space), Some(svscan)) = (space, record.writer.svscan) {
                let ended = record.state.process.map(|process| NotedEnd {
                    process,
                    end: End::Exited(numbers.next() as u8),
                });
                let note = SvscanNote {
                    space,
                    svscan,
                    ended,
                };
                assert_eq!(note.encode().len(), SvscanNote::BYTES);
                assert_eq!(SvscanNote::decode(&note.encode()), Some(note));
            }
        }
    }

    #[test]
    fn what_is_handed_over_survives_a_round_trip_and_always_has_room() {
        let mut numbers = Numbers(5);
        for round in 0..2_000 {
            let mut record = some(&mut numbers);
            let largest = round == 0;
            if largest {
                let pid = Pid::MAX;
                let id = Some(ProcessId {
                    pid,
                    start: Some(u64::MAX),
                });
                let moment = Tai64n {
                    seconds: u64::MAX,
                    nanoseconds: u32::MAX,
                };
                let space = PidSpace {
                    boot: [255; 16],
                    namespace: u64::MAX,
                };
                record = StateRecord {
                    sequence: u64::MAX,
                    writer: StateWriter {
                        space: Some(space),
                        supervise: pid,
                        svscan: id,
                        tree: id,
                        directory: Some((u64::MAX, u64::MAX)),
                    },
                    state: State {
                        phase: ServicePhase::Waiting,
                        want: Want::Once,
                        paused: true,
                        leaving: true,
                        process: id,
                        since: moment,
                        commands: u64::MAX,
                        starts: u64::MAX,
                        last_end: Some(LastEnd {
                            pid,
                            end: Some(End::Killed(255)),
                            at: moment,
                            lived: Duration::from_millis(u64::MAX),
                        }),
                    },
                };
            }
            let number = |numbers: &mut Numbers| match largest {
                true => u64::MAX,
                false => numbers.next() >> numbers.below(64),
            };
            let upgradable = Upgradable {
                format: u32::MAX,
                program: Some("/".repeat(Upgradable::LONGEST_PROGRAM)),
                done: number(&mut numbers),
                refused: number(&mut numbers),
            };
            let failed_forks = number(&mut numbers) as u32;
            let handover = Handover {
                phase: numbers.pick(&[
                    HandoverPhase::Down,
                    HandoverPhase::Waiting {
                        is_asked_for: true,
                        failed_forks,
                    },
                    HandoverPhase::Up { is_quiet: true },
                    HandoverPhase::Zombie(Pid::MAX),
                ]),
                since: record.state.since,
                last_try: (!numbers.one_in(3))
                    .then(|| Duration::from_nanos(number(&mut numbers) | 1)),
                is_unpublished: numbers.one_in(2),
            };
            let bytes = record.encode(&[], Some(&upgradable), None);
            assert_eq!(Upgradable::decode(&bytes).as_ref(), Some(&upgradable));
            assert_eq!(Handover::decode(&bytes), None);
            assert_eq!(bytes.len(), StateRecord::BYTES);
            let bytes = record.encode(&[], Some(&upgradable), Some(&handover));
            let all = Some((record, upgradable, handover));
            assert_eq!(Handover::decode(&bytes), all);
            assert_eq!(bytes.len(), StateRecord::BYTES);
        }
        let before = some(&mut numbers).encode(&[], None, None);
        assert_eq!(Upgradable::decode(&before), None);
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
