//! The lines of `supervise/state` about an upgrade in place: whether a supervise can be upgraded,
//! and what it hands over to its next program.

use super::key_values::{Fields, Text};
use super::state::StateRecord;
use super::tai64n::Tai64n;
use crate::child::Pid;
use std::time::Duration;

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

    pub(super) fn encode(&self, text: &mut Text) {
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

/// What a supervise hands over to its next program, besides the [`State`](super::state::State): lines of the record
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
    pub(super) fn encode(&self, text: &mut Text) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::{End, PidSpace, ProcessId};
    use crate::formats::state::some;
    use crate::formats::state::{LastEnd, ServicePhase, State, StateWriter};
    use crate::formats::status::Want;
    use crate::numbers::Numbers;

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
}
