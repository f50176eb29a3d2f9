//! Decides whether a supervise takes over the service of an earlier one, which was killed: the
//! contents of `supervise/state` in, the initial state out. No I/O.
//!
//! - A running process of the service is adopted, with its wanted state.
//! - Otherwise the wanted state is kept as long as the [tree] exists in which it was set:
//!   services that svscanboot (or an svscan without one) starts again begin as in 0.76. `down`
//!   overrides a remembered `u`, and `x` is not remembered.
//! - If neither can be determined, the service is not started: it might run twice.
//!
//! [tree]: crate::formats::state::StateWriter::tree

use crate::child::{End, Pid, PidSpace, ProcessId};
use crate::formats::state::{ChildLine, LastEnd, ServicePhase, State, StateRecord};
use crate::formats::status::Want;
use crate::formats::svscan_note::NotedEnd;
use crate::formats::tai64n::Tai64n;
use std::time::Duration;

/// The contents of `supervise/state` and `supervise/svscan`.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// The record.
    pub record: FoundRecord,
    /// The line before the record.
    pub child: Option<ChildLine>,
    /// The process that svscan has reaped.
    pub ended: Option<NotedEnd>,
}

impl Past {
    /// There was no such file.
    pub const NOTHING: Past = Past {
        record: FoundRecord::Nothing,
        child: None,
        ended: None,
    };
}

/// The location of a supervise: a record is valid only there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Here {
    /// Boot and pid namespace; None: unknown.
    pub space: Option<PidSpace>,
    /// Device and inode of the service directory.
    pub directory: Option<(u64, u64)>,
}

/// The result of reading the record.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it, for a moment"
)]
pub enum FoundRecord {
    /// There was none.
    Nothing,
    /// A torn one, which names this boot and this pid namespace.
    Torn,
    /// The record.
    Whole(StateRecord),
}

/// The state of a process that may be that of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FoundProcess {
    /// It runs.
    Runs(ProcessId),
    /// It has ended; it may be a zombie.
    Ended,
    /// A process has its pid; whether it is the same one is unknown.
    Unknown,
}

/// The initial state of a supervise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takeover {
    /// It does not run: the wanted state, and its last end, if known.
    Down(Want, Option<LastEnd>),
    /// It runs in this state.
    Up(State),
    /// It is unknown whether it runs; this may be its process.
    Unknown(Option<Pid>),
}

/// The source of information about processes.
pub trait Finder {
    /// Queries a process by its start time.
    fn process(&self, process: ProcessId) -> FoundProcess;
    /// Queries a process that had been started by that time since boot.
    fn child(&self, child: ChildLine) -> FoundProcess;
    /// Whether a process is stopped (SIGSTOP).
    fn has_stopped(&self, pid: Pid) -> bool;
}

/// Decides the initial state after `past`. `configured` is the wanted state by the file `down`.
/// For the record, changes that are noticed only now happened `now`.
pub fn takeover(
    past: &Past,
    here: Here,
    configured: Want,
    now: Tai64n,
    finder: &impl Finder,
) -> Takeover {
    let record = match past.record {
        FoundRecord::Nothing => return Takeover::Down(configured, None),
        FoundRecord::Torn => return Takeover::Unknown(past.child.map(|child| child.pid)),
        FoundRecord::Whole(record) => record,
    };
    let there = Here {
        space: record.writer.space,
        directory: record.writer.directory,
    };
    if there != here || here.space.is_none() || here.directory.is_none() {
        return Takeover::Down(configured, None);
    }
    let state = record.state;
    let recorded = state
        .process
        .map(|process| (process.pid, finder.process(process)));
    let started = past.child.map(|child| (child.pid, finder.child(child)));
    for (pid, found) in recorded.into_iter().chain(started) {
        match found {
            FoundProcess::Runs(process) => {
                // The kernel continues stopped processes in the group of a supervise that ends
                // (see setpgid(2)).
                let paused = state.paused && finder.has_stopped(pid);
                let state = State { paused, ..state };
                return Takeover::Up(of_process(state, process, now));
            }
            FoundProcess::Unknown => return Takeover::Unknown(Some(pid)),
            FoundProcess::Ended => {}
        }
    }
    let is_unseen = |pid: &Pid| state.last_end.is_none_or(|last| last.pid != *pid);
    let ended = started.into_iter().chain(recorded).map(|(pid, _)| pid);
    let unseen = ended.into_iter().find(is_unseen);
    let last_end = match unseen {
        Some(pid) => Some(LastEnd {
            pid,
            end: noted_end(past, state.process.filter(|process| process.pid == pid)),
            at: now,
            lived: Duration::ZERO,
        }),
        None => state.last_end,
    };
    let tree = record.writer.tree.map(|tree| finder.process(tree));
    let is_remembered = !state.leaving && matches!(tree, Some(FoundProcess::Runs(_)));
    let want = match (configured, is_remembered) {
        (Want::Up, true) => state.want,
        _ => configured,
    };
    Takeover::Down(want, last_end)
}

/// How `process` ended, according to svscan.
fn noted_end(past: &Past, process: Option<ProcessId>) -> Option<End> {
    let ended = past.ended.filter(|ended| Some(ended.process) == process)?;
    ended.process.start.map(|_| ended.end)
}

/// The state in which `process` runs. If it is not in the record, it was started just before
/// its supervise was killed.
fn of_process(state: State, process: ProcessId, now: Tai64n) -> State {
    let known = state.process.map(|process| process.pid) == Some(process.pid);
    let started = State {
        since: now,
        paused: false,
        starts: state.starts.saturating_add(1),
        ..state
    };
    State {
        phase: ServicePhase::Up,
        process: Some(process),
        ..if known { state } else { started }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::state::StateWriter;
    use std::collections::HashMap;
    use std::time::Duration;

    const SPACE: PidSpace = PidSpace {
        boot: [7; 16],
        namespace: 1,
    };
    const HERE: Here = Here {
        space: Some(SPACE),
        directory: Some((1, 2)),
    };

    fn pid(number: u32) -> Pid {
        Pid::new(number).unwrap()
    }

    fn id(number: u32) -> ProcessId {
        ProcessId {
            pid: pid(number),
            start: Some(u64::from(number) * 10),
        }
    }

    fn at(seconds: u64) -> Tai64n {
        Tai64n::from_unix(Duration::from_secs(seconds))
    }

    fn ended(number: u32) -> LastEnd {
        LastEnd {
            pid: pid(number),
            end: Some(End::Exited(3)),
            at: at(5),
            lived: Duration::from_secs(1),
        }
    }

    /// Unlisted processes have ended.
    struct Known(HashMap<u32, FoundProcess>, Vec<u32>);

    impl Finder for Known {
        fn process(&self, process: ProcessId) -> FoundProcess {
            *self
                .0
                .get(&process.pid.get())
                .unwrap_or(&FoundProcess::Ended)
        }

        fn child(&self, child: ChildLine) -> FoundProcess {
            self.process(id(child.pid.get()))
        }

        fn has_stopped(&self, pid: Pid) -> bool {
            self.1.contains(&pid.get())
        }
    }

    /// These run, and 40 is stopped.
    fn running(pids: &[u32]) -> Known {
        let running = |pid: &u32| (*pid, FoundProcess::Runs(id(*pid)));
        Known(pids.iter().map(running).collect(), vec![40])
    }

    /// A service that runs as 40, below the tree 7.
    fn record() -> StateRecord {
        StateRecord {
            sequence: 1,
            writer: StateWriter {
                space: HERE.space,
                directory: HERE.directory,
                supervise: pid(30),
                svscan: Some(id(8)),
                tree: Some(id(7)),
            },
            state: State {
                phase: ServicePhase::Up,
                want: Want::Up,
                paused: true,
                leaving: false,
                process: Some(id(40)),
                since: at(10),
                commands: 3,
                starts: 2,
                last_end: Some(ended(39)),
            },
        }
    }

    fn after(record: StateRecord, child: Option<u32>, configured: Want, known: &Known) -> Takeover {
        let child = child.map(|number| ChildLine {
            pid: pid(number),
            at: Duration::from_secs(1),
        });
        let record = FoundRecord::Whole(record);
        let ended = None;
        let past = Past {
            record,
            child,
            ended,
        };
        takeover(&past, HERE, configured, at(20), known)
    }

    #[test]
    fn what_runs_is_adopted_as_it_is_whatever_the_down_file_says() {
        for (configured, child) in [
            (Want::Up, Some(40)),
            (Want::Down, Some(40)),
            (Want::Up, None),
        ] {
            let up = after(record(), child, configured, &running(&[40]));
            assert_eq!(up, Takeover::Up(record().state));
        }
        let continued = Known(running(&[40]).0, vec![]);
        let Takeover::Up(state) = after(record(), Some(40), Want::Up, &continued) else {
            panic!("40 runs");
        };
        assert!(record().state.paused && !state.paused);
        let mut stopping = record();
        (stopping.state.want, stopping.state.leaving) = (Want::Down, true);
        let up = after(stopping, Some(40), Want::Up, &running(&[40]));
        assert_eq!(up, Takeover::Up(stopping.state));
    }

    #[test]
    fn what_was_started_and_not_recorded_is_adopted() {
        let mut waiting = record();
        waiting.state.phase = ServicePhase::Waiting;
        waiting.state.process = None;
        for before in [record(), waiting] {
            let Takeover::Up(state) = after(before, Some(41), Want::Up, &running(&[41])) else {
                panic!("41 runs");
            };
            assert_eq!((state.process, state.since), (Some(id(41)), at(20)));
            assert_eq!((state.starts, state.paused), (3, false));
            assert_eq!(state.phase, ServicePhase::Up);
        }
    }

    #[test]
    fn of_another_boot_namespace_or_directory_nothing_counts() {
        let elsewhere = PidSpace {
            namespace: 2,
            ..SPACE
        };
        let (copied, unknown) = (Some((1, 3)), None);
        for (space, directory) in [
            (Some(elsewhere), HERE.directory),
            (None, HERE.directory),
            (HERE.space, copied),
            (HERE.space, unknown),
        ] {
            let mut other = record();
            (other.writer.space, other.writer.directory) = (space, directory);
            let fresh = after(other, Some(40), Want::Up, &running(&[40, 7]));
            assert_eq!(fresh, Takeover::Down(Want::Up, None));
        }
        let past = Past {
            record: FoundRecord::Whole(record()),
            ..Past::NOTHING
        };
        let nowhere = Here {
            space: None,
            ..HERE
        };
        let fresh = takeover(&past, nowhere, Want::Down, at(20), &running(&[40]));
        assert_eq!(fresh, Takeover::Down(Want::Down, None));
    }

    #[test]
    fn what_is_wanted_is_remembered_as_long_as_its_tree_lives() {
        let wants = [Want::Up, Want::Down, Want::Once];
        for (want, configured) in wants
            .into_iter()
            .flat_map(|want| [Want::Up, Want::Down].map(|configured| (want, configured)))
        {
            let mut before = record();
            before.state.process = None;
            before.state.want = want;
            let begin = |record, known: &[u32]| match after(
                record,
                Some(39),
                configured,
                &running(known),
            ) {
                Takeover::Down(want, last) => {
                    assert_eq!(last, Some(ended(39)));
                    want
                }
                other => panic!("{other:?}"),
            };
            let remembered = match configured {
                Want::Down => Want::Down,
                _ => want,
            };
            assert_eq!(begin(before, &[7]), remembered);
            assert_eq!(begin(before, &[8]), configured);
            let mut left = before;
            left.state.leaving = true;
            assert_eq!(begin(left, &[7]), configured);
            let mut by_hand = before;
            by_hand.writer.tree = None;
            assert_eq!(begin(by_hand, &[7]), configured);
        }
    }

    #[test]
    fn an_end_that_nobody_has_seen_is_unknown() {
        for child in [Some(40), None, Some(39)] {
            let Takeover::Down(Want::Up, Some(last)) =
                after(record(), child, Want::Up, &running(&[]))
            else {
                panic!("it has ended");
            };
            assert_eq!((last.pid, last.end, last.at), (pid(40), None, at(20)));
        }
    }

    #[test]
    fn an_end_that_svscan_has_seen_is_known() {
        let last = |process, known: &[u32]| {
            let past = Past {
                record: FoundRecord::Whole(record()),
                child: None,
                ended: Some(NotedEnd {
                    process,
                    end: End::Exited(3),
                }),
            };
            takeover(&past, HERE, Want::Up, at(20), &running(known))
        };
        let Takeover::Down(Want::Up, Some(seen)) = last(id(40), &[]) else {
            panic!("it has ended");
        };
        assert_eq!((seen.pid, seen.end), (pid(40), Some(End::Exited(3))));
        let others = [
            id(39),
            ProcessId {
                start: Some(1),
                ..id(40)
            },
            ProcessId {
                start: None,
                ..id(40)
            },
        ];
        for other in others {
            let Takeover::Down(Want::Up, Some(unseen)) = last(other, &[]) else {
                panic!("it has ended");
            };
            assert_eq!((unseen.pid, unseen.end), (pid(40), None));
        }
        assert_eq!(last(id(40), &[40]), Takeover::Up(record().state));
    }

    #[test]
    fn what_cannot_be_found_out_is_not_decided() {
        let unknown = Known([(40, FoundProcess::Unknown)].into(), vec![]);
        let doubt = after(record(), Some(40), Want::Up, &unknown);
        assert_eq!(doubt, Takeover::Unknown(Some(pid(40))));
        // One that is known to run takes precedence.
        let past = Past {
            record: FoundRecord::Torn,
            ..Past::NOTHING
        };
        let torn = takeover(&past, HERE, Want::Up, at(20), &running(&[]));
        assert_eq!(torn, Takeover::Unknown(None));
        let fresh = takeover(&Past::NOTHING, HERE, Want::Up, at(20), &running(&[]));
        assert_eq!(fresh, Takeover::Down(Want::Up, None));
    }
}
