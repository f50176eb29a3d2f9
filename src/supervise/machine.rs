//! The decisions of supervise, a state machine: events in, actions out, no I/O and no clock.
//!
//! The state is a [`RunPhase`] of the service, the wanted state, and whether supervise is
//! [`Leaving`]. Whether there is a process, when a start is due, and the status follow from
//! them. Rules:
//!
//! - A start is due in [`RunPhase::Waiting`]: the service has ended and `u` is wanted
//!   (restart), or `u` or `o` has requested it.
//! - A start is made at once if the last one is at least a second ago, else after that second:
//!   at most one start a second, and never a longer wait.
//! - After a failed fork it waits 1, 2, 5, 10, 20 and then 60 seconds (backoff); `u` and `o`
//!   end the wait and reset it to one second.
//! - supervise exits, if it is leaving, as soon as there is no process and no requested start,
//!   or the fork for it has failed: `x` always terminates.
//! - After the service directory was deleted nothing is started, and leaving needs no `x`.
//! - While another supervise of a deleted directory of the same name runs, the start is
//!   *gated*: only `u` and `o` start the service.
//! - The first process is gated until the service is announced (readiness), so that it finds a
//!   status.
//! - A service that ends within a second after its start, without a command in that time, is up
//!   in the status until that second is over, as in 0.76, which does not notice anything in it.
//!   Its process stays a zombie for that time, so that the pid in the status is not reused. A
//!   command ends that. The record shows the end at once.
//! - Every change of process, want, pause or leaving is published, in the order of 0.76: before
//!   the signals of `p` and `c`, after those of `d`. So are commands that change none of these,
//!   as in 0.76, except a `c` when nothing was paused: that may be sent often, and only the
//!   time of the file changes.

#[path = "handover.rs"]
mod handover;

use super::takeover::Takeover;
use crate::child::{End, Pid, ProcessId};
use crate::formats::control::{Command, ServiceSignal};
use crate::formats::state::{LastEnd, ServicePhase, State};
use crate::formats::status::{Status, Want};
use crate::formats::tai64n::Tai64n;
use std::time::{Duration, Instant};

/// The minimum interval of two starts.
pub const START_INTERVAL: Duration = Duration::from_secs(1);
/// The backoff in seconds after a failed fork: after the first failure, the second ...
const FORK_RETRIES: [u64; 5] = [1, 2, 5, 10, 20];
/// The backoff after all later failures; in 0.76, after all.
pub const FORK_RETRY: Duration = Duration::from_secs(60);
/// The interval of retries of a failed write of the status.
pub const PUBLISH_RETRY: Duration = Duration::from_secs(5);

/// The time of an event, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For all decisions.
    pub monotonic: Instant,
    /// For the status file.
    pub wall: Tai64n,
}

/// The role of a process. Another role is another variant here, its arms in [`Machine::step`],
/// its rows in the printed table, and its program in the driver (`shell`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessRole {
    /// The service itself: `./run`.
    Run,
}

/// When a new process execs its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At once.
    AtOnce,
    /// It is gated until [`SuperviseAction::OpenGate`].
    Gated,
}

/// An event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuperviseEvent {
    /// The set-up is complete.
    Boot,
    /// The answer to [`SuperviseAction::Announce`].
    Announced,
    /// The answer to [`SuperviseAction::Announce`]: `ok` could not be opened.
    NotAnnounced,
    /// A command was received.
    Control(Command),
    /// The answer to [`SuperviseAction::Start`]: this is the process.
    Started(ProcessRole, Pid),
    /// The answer to [`SuperviseAction::Start`]: the fork failed.
    StartFailed(ProcessRole),
    /// The answer to [`SuperviseAction::Start`]: it could not be gated.
    CannotGate(ProcessRole),
    /// The process has ended; it is not reaped yet. None: its status is unknown.
    Ended(ProcessRole, Option<End>),
    /// The answer to every action that writes the status: success.
    Published,
    /// The answer to such an action: the write failed.
    PublishFailed,
    /// The answer to such an action: there is no directory to write it to any more.
    NoDirectory,
    /// The [`Machine::deadline`] has passed.
    Timer,
    /// The service directory was deleted.
    DirectoryGone,
    /// The supervises that [`RunPhase::Gated`] waits for have ended.
    Released,
}

/// The actions of the driver (`shell`), in order. An answer is an [`SuperviseEvent`] that
/// follows when all of them are performed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuperviseAction {
    /// Start a process; answer with [`SuperviseEvent::Started`], [`SuperviseEvent::StartFailed`] or
    /// [`SuperviseEvent::CannotGate`].
    Start(ProcessRole, Begin),
    /// Let the gated process begin.
    OpenGate(ProcessRole),
    /// Send this signal to the process.
    Signal(ProcessRole, ServiceSignal),
    /// Reap the process, which has ended.
    Reap(ProcessRole),
    /// Write [`Machine::state`] to the record, and leave the status as it is.
    Record,
    /// Write [`Machine::status`] to the status file; answer with [`SuperviseEvent::Published`],
    /// [`SuperviseEvent::PublishFailed`], [`SuperviseEvent::NoDirectory`] or [`SuperviseEvent::DirectoryGone`].
    Publish,
    /// As `Publish`, after a failure that has been reported.
    Republish,
    /// [`Machine::status`] has not changed since it was written: update the time of the file,
    /// to show that a command was received.
    Refresh,
    /// Open `ok`: from now on the service counts as supervised. Answer with
    /// [`SuperviseEvent::Announced`] or [`SuperviseEvent::NotAnnounced`].
    Announce,
}

/// The phase of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunPhase {
    /// Its first process is started and gated; the service is not announced yet.
    Beginning,
    /// There is no process, and no start is due.
    Down,
    /// There is no process; the start waits for [`SuperviseEvent::Released`], `u` or `o`.
    Gated,
    /// There is no process; a start is due, see [`Machine::deadline`].
    Waiting(Attempt),
    /// The start was requested and is not answered yet.
    Starting(Attempt),
    /// Its process runs.
    Up {
        /// Its pid.
        pid: Pid,
        /// It is paused: `p` sent STOP.
        paused: bool,
        /// No command was received since its start.
        is_quiet: bool,
    },
    /// Its process has ended and is not reaped: during the second after its start the status
    /// does not show its end.
    Zombie(Pid),
    /// supervise exits, with 0 or with an error.
    Left,
}

/// A start that is due.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Attempt {
    /// `u` or `o` requested it: it is made even if supervise is leaving.
    pub is_asked_for: bool,
    /// The number of failed forks since the last `u` or `o`.
    pub failed_forks: usize,
}

impl Attempt {
    /// Requested by `u` or `o`.
    const ASKED_FOR: Attempt = Attempt {
        is_asked_for: true,
        failed_forks: 0,
    };

    fn failed_again(self) -> Attempt {
        Attempt {
            failed_forks: self.failed_forks.saturating_add(1),
            ..self
        }
    }

    /// The minimum time after the last attempt.
    fn wait(self) -> Duration {
        let Some(earlier) = self.failed_forks.checked_sub(1) else {
            return START_INTERVAL;
        };
        let seconds = FORK_RETRIES.get(earlier).copied();
        seconds.map_or(FORK_RETRY, Duration::from_secs)
    }
}

/// Whether supervise exits when the service is down; later variants override earlier ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Leaving {
    /// It does not.
    No,
    /// By `x`.
    AskedFor,
    /// Because the service directory was deleted: no command can reach it.
    Deleted,
}

/// The state of one supervise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    phase: RunPhase,
    want: Want,
    leaving: Leaving,
    since: Tai64n,
    /// The time of the last start or failed fork.
    last_try: Option<Instant>,
    republish_at: Option<Instant>,
    /// The number of starts of the service.
    starts: u64,
    last_end: Option<LastEnd>,
}

impl Machine {
    /// A service that is down; `want` is [`Want::Down`] if it has a `down` file.
    pub fn new(want: Want, now: Now) -> Machine {
        Machine {
            phase: match want {
                Want::Up => RunPhase::Beginning,
                Want::Down | Want::Once => RunPhase::Down,
            },
            want,
            leaving: Leaving::No,
            since: now.wall,
            last_try: None,
            republish_at: None,
            starts: 0,
            last_end: None,
        }
    }

    /// The machine of a supervise that continues after a killed one. `age` is the age of the
    /// process of the service, if there is one.
    pub fn after(takeover: Takeover, age: Duration, now: Now) -> Machine {
        // Where nothing is certain, only `u` or `o` starts it.
        let down = Machine::new(Want::Down, now);
        match takeover {
            Takeover::Unknown(_) => down,
            Takeover::Down(want, last_end) => Machine {
                last_end,
                ..Machine::new(want, now)
            },
            Takeover::Up(state) => Machine {
                phase: match state.process {
                    Some(ProcessId { pid, .. }) => RunPhase::Up {
                        pid,
                        paused: state.paused,
                        is_quiet: false,
                    },
                    None => RunPhase::Down,
                },
                want: state.want,
                leaving: match state.leaving {
                    true => Leaving::AskedFor,
                    false => Leaving::No,
                },
                since: state.since,
                last_try: now.monotonic.checked_sub(age),
                starts: state.starts,
                last_end: state.last_end,
                ..down
            },
        }
    }

    /// The same machine, but the service is not started before [`SuperviseEvent::Released`],
    /// except by `u` or `o`.
    pub fn gated(self) -> Machine {
        let phase = match self.phase {
            RunPhase::Beginning => RunPhase::Gated,
            phase => phase,
        };
        Machine { phase, ..self }
    }

    /// The contents of the status file.
    pub fn status(&self) -> Status {
        let (pid, paused) = match self.phase {
            RunPhase::Up { pid, paused, .. } => (Some(pid), paused),
            RunPhase::Zombie(pid) => (Some(pid), false),
            _ => (None, false),
        };
        Status {
            since: self.since,
            pid,
            paused,
            want: self.want,
        }
    }

    /// The contents of the record, except what only the driver knows: the start time of the
    /// process and the number of commands.
    pub fn state(&self) -> State {
        let status = self.status();
        let process = match self.phase {
            RunPhase::Up { pid, .. } => Some(ProcessId { pid, start: None }),
            _ => None,
        };
        State {
            phase: match self.phase {
                RunPhase::Down | RunPhase::Left => ServicePhase::Down,
                RunPhase::Beginning
                | RunPhase::Gated
                | RunPhase::Waiting(_)
                | RunPhase::Starting(_) => ServicePhase::Waiting,
                RunPhase::Up { .. } => ServicePhase::Up,
                RunPhase::Zombie(_) if self.is_restarted() => ServicePhase::Waiting,
                RunPhase::Zombie(_) => ServicePhase::Down,
            },
            want: status.want,
            paused: status.paused,
            leaving: self.leaving > Leaving::No,
            process,
            // In the status, a zombie ends when its second is over.
            since: match (process, self.last_end) {
                (None, Some(last)) => last.at,
                _ => self.since,
            },
            commands: 0,
            starts: self.starts,
            last_end: self.last_end,
        }
    }

    /// Whether supervise is to exit now.
    pub fn has_left(&self) -> bool {
        self.phase == RunPhase::Left
    }

    /// The deadline of [`SuperviseEvent::Timer`], if any.
    pub fn deadline(&self) -> Option<Instant> {
        let start = match self.phase {
            RunPhase::Waiting(attempt) => self.last_try.map(|at| at + attempt.wait()),
            RunPhase::Zombie(_) => self.last_try.map(|at| at + START_INTERVAL),
            _ => None,
        };
        start.into_iter().chain(self.republish_at).min()
    }

    /// The backoff after [`SuperviseEvent::StartFailed`].
    pub fn fork_wait(&self) -> Duration {
        self.attempt().failed_again().wait()
    }

    /// The start that is due or in progress.
    fn attempt(&self) -> Attempt {
        match self.phase {
            RunPhase::Waiting(attempt) | RunPhase::Starting(attempt) => attempt,
            _ => Attempt::default(),
        }
    }

    /// Handles one event and returns the actions.
    pub fn step(&mut self, event: SuperviseEvent, now: Now) -> Vec<SuperviseAction> {
        if self.has_left() {
            return vec![];
        }
        let is_told = match event {
            SuperviseEvent::Timer => !self.is_first_second(now),
            SuperviseEvent::Control(_) | SuperviseEvent::DirectoryGone => true,
            _ => false,
        };
        let mut actions = match self.phase {
            RunPhase::Zombie(_) if is_told => self.bury(now),
            _ => vec![],
        };
        actions.extend(match event {
            SuperviseEvent::Boot if self.phase == RunPhase::Beginning => {
                vec![SuperviseAction::Start(ProcessRole::Run, Begin::Gated)]
            }
            SuperviseEvent::Boot | SuperviseEvent::CannotGate(ProcessRole::Run) => {
                vec![SuperviseAction::Publish, SuperviseAction::Announce]
            }
            SuperviseEvent::Announced => match self.phase {
                RunPhase::Up { .. } => vec![SuperviseAction::OpenGate(ProcessRole::Run)],
                RunPhase::Beginning => {
                    self.phase = RunPhase::Waiting(Attempt::default());
                    vec![]
                }
                _ => vec![],
            },
            SuperviseEvent::NotAnnounced => {
                self.phase = RunPhase::Left;
                vec![]
            }
            SuperviseEvent::Control(command) => self.control(command),
            SuperviseEvent::Started(ProcessRole::Run, pid) => {
                let up = RunPhase::Up {
                    pid,
                    paused: false,
                    is_quiet: true,
                };
                let phase = std::mem::replace(&mut self.phase, up);
                self.since = now.wall;
                self.last_try = Some(now.monotonic);
                self.starts = self.starts.saturating_add(1);
                match phase {
                    RunPhase::Beginning => {
                        vec![SuperviseAction::Publish, SuperviseAction::Announce]
                    }
                    _ => vec![SuperviseAction::Publish],
                }
            }
            SuperviseEvent::StartFailed(ProcessRole::Run) => {
                let next = RunPhase::Waiting(self.attempt().failed_again());
                let phase = std::mem::replace(&mut self.phase, next);
                self.last_try = Some(now.monotonic);
                match phase {
                    RunPhase::Beginning => {
                        vec![SuperviseAction::Publish, SuperviseAction::Announce]
                    }
                    _ => vec![],
                }
            }
            SuperviseEvent::Ended(ProcessRole::Run, end) => {
                let RunPhase::Up { pid, is_quiet, .. } = self.phase else {
                    return vec![SuperviseAction::Reap(ProcessRole::Run)];
                };
                let started = self.last_try.unwrap_or(now.monotonic);
                self.last_end = Some(LastEnd {
                    pid,
                    end,
                    at: now.wall,
                    lived: now.monotonic.saturating_duration_since(started),
                });
                if is_quiet && self.leaving == Leaving::No && self.is_first_second(now) {
                    self.phase = RunPhase::Zombie(pid);
                    vec![SuperviseAction::Record]
                } else {
                    self.bury(now)
                }
            }
            SuperviseEvent::Published | SuperviseEvent::NoDirectory => {
                self.republish_at = None;
                vec![]
            }
            SuperviseEvent::PublishFailed => {
                self.republish_at = Some(now.monotonic + PUBLISH_RETRY);
                vec![]
            }
            SuperviseEvent::Timer => match self.republish_at {
                Some(at) if at <= now.monotonic => vec![SuperviseAction::Republish],
                _ => vec![],
            },
            SuperviseEvent::DirectoryGone => {
                self.leaving = Leaving::Deleted;
                self.republish_at = None;
                vec![]
            }
            SuperviseEvent::Released => {
                if self.phase == RunPhase::Gated {
                    self.phase = RunPhase::Waiting(Attempt::default());
                }
                vec![]
            }
        });
        if actions.contains(&SuperviseAction::Publish) {
            actions.retain(|action| *action != SuperviseAction::Refresh);
        }
        self.follow_up(&mut actions, now);
        actions
    }

    /// Whether the last start is less than a second ago.
    fn is_first_second(&self, now: Now) -> bool {
        let second = self.last_try.map(|at| at + START_INTERVAL);
        second.is_some_and(|end| now.monotonic < end)
    }

    /// Whether a service that ends is restarted.
    fn is_restarted(&self) -> bool {
        self.want == Want::Up && self.leaving == Leaving::No
    }

    /// The process has ended: reaps it, and the status shows that.
    fn bury(&mut self, now: Now) -> Vec<SuperviseAction> {
        self.phase = match self.is_restarted() {
            true => RunPhase::Waiting(Attempt::default()),
            false => RunPhase::Down,
        };
        self.since = now.wall;
        vec![
            SuperviseAction::Reap(ProcessRole::Run),
            SuperviseAction::Publish,
        ]
    }

    /// What follows from the state alone: the exit, or a start.
    fn follow_up(&mut self, actions: &mut Vec<SuperviseAction>, now: Now) {
        if self.is_to_leave() {
            self.phase = RunPhase::Left;
            match self.leaving {
                // There is no status file to write, either.
                Leaving::Deleted => actions.retain(|action| *action != SuperviseAction::Publish),
                _ => actions.push(SuperviseAction::Publish),
            }
        } else if let RunPhase::Waiting(attempt) = self.phase
            && self
                .last_try
                .is_none_or(|at| at + attempt.wait() <= now.monotonic)
        {
            self.phase = RunPhase::Starting(attempt);
            // Before the status that shows its end: no one waits for that, but the service is
            // down.
            let is_reap = |action: &SuperviseAction| matches!(action, SuperviseAction::Reap(_));
            let reaped = actions.iter().position(is_reap);
            let index = reaped.map_or(actions.len(), |at| at + 1);
            actions.insert(
                index,
                SuperviseAction::Start(ProcessRole::Run, Begin::AtOnce),
            );
        }
    }

    fn is_to_leave(&self) -> bool {
        match self.phase {
            RunPhase::Down | RunPhase::Gated => self.leaving > Leaving::No,
            RunPhase::Waiting(attempt) => match self.leaving {
                Leaving::No => false,
                Leaving::AskedFor => !attempt.is_asked_for || attempt.failed_forks > 0,
                Leaving::Deleted => true,
            },
            RunPhase::Beginning
            | RunPhase::Starting(_)
            | RunPhase::Up { .. }
            | RunPhase::Zombie(_)
            | RunPhase::Left => false,
        }
    }

    fn control(&mut self, command: Command) -> Vec<SuperviseAction> {
        if let RunPhase::Up { is_quiet, .. } = &mut self.phase {
            *is_quiet = false;
        }
        match (command, &mut self.phase) {
            (Command::Up | Command::Once, phase) => {
                self.want = match command {
                    Command::Up => Want::Up,
                    _ => Want::Once,
                };
                if let RunPhase::Down | RunPhase::Gated | RunPhase::Waiting(_) = phase {
                    *phase = RunPhase::Waiting(Attempt::ASKED_FOR);
                }
                vec![SuperviseAction::Publish]
            }
            (Command::Down, phase) => {
                self.want = Want::Down;
                match phase {
                    RunPhase::Up { paused, .. } => {
                        *paused = false;
                        vec![
                            SuperviseAction::Signal(ProcessRole::Run, ServiceSignal::Term),
                            SuperviseAction::Signal(ProcessRole::Run, ServiceSignal::Cont),
                            SuperviseAction::Publish,
                        ]
                    }
                    RunPhase::Gated | RunPhase::Waiting(_) => {
                        *phase = RunPhase::Down;
                        vec![SuperviseAction::Publish]
                    }
                    _ => vec![SuperviseAction::Publish],
                }
            }
            (Command::Pause, RunPhase::Up { paused, .. }) => {
                *paused = true;
                vec![
                    SuperviseAction::Publish,
                    SuperviseAction::Signal(ProcessRole::Run, ServiceSignal::Stop),
                ]
            }
            (Command::Continue, RunPhase::Up { paused, .. }) => {
                let was_paused = std::mem::replace(paused, false);
                let publish = match was_paused || self.republish_at.is_some() {
                    true => SuperviseAction::Publish,
                    false => SuperviseAction::Refresh,
                };
                vec![
                    publish,
                    SuperviseAction::Signal(ProcessRole::Run, ServiceSignal::Cont),
                ]
            }
            (Command::Continue, _) if self.republish_at.is_none() => vec![SuperviseAction::Refresh],
            (Command::Pause | Command::Continue, _) => vec![SuperviseAction::Publish],
            (Command::Exit, _) => {
                self.leaving = self.leaving.max(Leaving::AskedFor);
                vec![SuperviseAction::Publish]
            }
            (Command::Signal(signal), RunPhase::Up { .. }) => {
                vec![SuperviseAction::Signal(ProcessRole::Run, signal)]
            }
            (Command::Signal(_), _) => vec![],
        }
    }
}

#[cfg(test)]
#[path = "machine_table.rs"]
mod table;
#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "machine_walk.rs"]
mod walk;
