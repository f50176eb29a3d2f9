//! What supervise decides: events in, actions out, no I/O and no clock.
//!
//! The state is a [`RunPhase`] (where the service stands), what is wanted, and whether
//! supervise is [`Leaving`]. Whether there is a process, whether a start is due and when,
//! and what the status says follows from them. Rules:
//!
//! - A start is due in [`RunPhase::Waiting`]: the service has ended and `u` is wanted, or `u`
//!   or `o` has asked for it.
//! - A start is made at once if the last one is a second ago, else when it is.
//!   So there is at most one start a second, and never a longer wait.
//! - After a failed fork it waits 1, 2, 5, 10, 20 and then 60 seconds (back-off); `u` and
//!   `o` cut that short, and it begins with one second again.
//! - Leaving ends as soon as there is no process and no start was asked for, or the fork
//!   for it has failed: `x` always ends.
//! - Once the service directory is deleted nothing is started, and leaving needs no `x`.
//! - While another supervise of a deleted directory of the same name still runs, the
//!   start is *gated*: only `u` and `o` make it.
//! - The first process is held until the service is announced, so that it finds a status.
//! - A service that ends within a second after its start, in which no command has come, is
//!   up for the status until that second is over, as in 0.76, which notices nothing in it.
//!   Its process stays a zombie as long, so that the pid in the status is nobody else's. A
//!   command ends that. The record tells the truth at once.
//! - Every change of process, want, pause or leaving is published, in 0.76's
//!   order: before the signals of `p` and `c`, after those of `d`. So are commands that
//!   change none of it, as in 0.76, but for a `c` where nothing was paused: that can be
//!   sent often, and only the time of the file tells.

use crate::child::{End, Pid, ProcessId};
use crate::formats::control::{Command, ServiceSignal};
use crate::formats::state::{LastEnd, ServicePhase, State};
use crate::formats::status::{Status, Want};
use crate::formats::tai64n::Tai64n;
use std::time::{Duration, Instant};

/// The shortest time from one start to the next.
pub const START_INTERVAL: Duration = Duration::from_secs(1);
/// Seconds from a failed fork to the next try: after the first failure, the second ...
const FORK_RETRIES: [u64; 5] = [1, 2, 5, 10, 20];
/// The same after all later ones, as always in 0.76.
pub const FORK_RETRY: Duration = Duration::from_secs(60);
/// The time from a failed write of the status to the next try.
pub const PUBLISH_RETRY: Duration = Duration::from_secs(5);

/// The moment of an event, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By which all decisions are taken.
    pub monotonic: Instant,
    /// What the status file says.
    pub wall: Tai64n,
}

/// What a process is started for. One more role is one more variant here, its arms in
/// [`Machine::step`], its rows in the printed table, and its program in the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessRole {
    /// The service itself: `./run`.
    Run,
}

/// When a process that is started begins with its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At once.
    AtOnce,
    /// It is held until [`SuperviseAction::LetGo`].
    Held,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuperviseEvent {
    /// Everything is set up.
    Boot,
    /// The answer to [`SuperviseAction::Announce`].
    Announced,
    /// The other one: `ok` could not be opened.
    NotAnnounced,
    /// A control byte came.
    Control(Command),
    /// The answer to [`SuperviseAction::Start`]: this is the process.
    Started(ProcessRole, Pid),
    /// Another one: there is none, the fork failed.
    StartFailed(ProcessRole),
    /// Another one: there is none, it could not have been held.
    CannotHold(ProcessRole),
    /// The process has ended; it is not reaped yet.
    Ended(ProcessRole, End),
    /// The answer to every action that writes the status.
    Published,
    /// Another one: it could not be written.
    PublishFailed,
    /// Another one: there is nothing any more to write it to.
    NoPlace,
    /// The [`Machine::deadline`] has passed.
    Timer,
    /// The service directory has no name any more: it was deleted.
    DirectoryGone,
    /// What [`RunPhase::Gated`] waits for has ended.
    Released,
}

/// What the shell is to do, in this order. An answer comes back as an [`SuperviseEvent`] when all
/// of it is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuperviseAction {
    /// Start a process; answer with [`SuperviseEvent::Started`], [`SuperviseEvent::StartFailed`] or
    /// [`SuperviseEvent::CannotHold`].
    Start(ProcessRole, Begin),
    /// Let the process that was held begin.
    LetGo(ProcessRole),
    /// Send this to the process.
    Signal(ProcessRole, ServiceSignal),
    /// Reap the process, which has ended.
    Reap(ProcessRole),
    /// Write [`Machine::state`] to the record, and leave the status as it is.
    Record,
    /// Write [`Machine::status`] to the status file; answer with [`SuperviseEvent::Published`],
    /// [`SuperviseEvent::PublishFailed`], [`SuperviseEvent::NoPlace`] or [`SuperviseEvent::DirectoryGone`].
    Publish,
    /// The same, after a failure that has been reported.
    Republish,
    /// Nothing of [`Machine::status`] has changed since it was written: let the file's
    /// time say that a command came.
    Refresh,
    /// Open `ok`: from now on the service is supervised. Answer with
    /// [`SuperviseEvent::Announced`] or [`SuperviseEvent::NotAnnounced`].
    Announce,
}

/// Where the service stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunPhase {
    /// Its first process is started, held, and not announced yet.
    Beginning,
    /// There is no process, and no start is due.
    Down,
    /// There is no process; the start waits for [`SuperviseEvent::Released`], `u` or `o`.
    Gated,
    /// There is no process; a start is due, see [`Machine::deadline`].
    Waiting(Attempt),
    /// The start is not answered yet.
    Starting(Attempt),
    /// Its process runs.
    Up {
        /// Which one it is.
        pid: Pid,
        /// It was sent STOP by `p`.
        paused: bool,
        /// No command has come since it was started.
        is_quiet: bool,
    },
    /// Its process has ended and is not reaped: in the second after its start the status
    /// does not say that it has ended.
    Zombie(Pid),
    /// supervise has nothing left to do: it exits with 0, or with the error that it met.
    Left,
}

/// A start that is due.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Attempt {
    /// `u` or `o` has asked for it: it is made even if supervise is leaving.
    pub is_asked_for: bool,
    /// How many forks have failed for it since the last `u` or `o`.
    pub failed_forks: usize,
}

impl Attempt {
    /// By `u` or `o`.
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

    /// How long it has to wait after the last one.
    fn wait(self) -> Duration {
        let Some(earlier) = self.failed_forks.checked_sub(1) else {
            return START_INTERVAL;
        };
        let seconds = FORK_RETRIES.get(earlier).copied();
        seconds.map_or(FORK_RETRY, Duration::from_secs)
    }
}

/// Whether supervise ends once the service is down; what comes later here outdoes what
/// comes before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Leaving {
    /// It does not.
    No,
    /// By `x`.
    AskedFor,
    /// The service directory was deleted: nobody can send it a command.
    Deleted,
}

/// The state of one supervise.
#[derive(Clone, Debug)]
pub struct Machine {
    phase: RunPhase,
    want: Want,
    leaving: Leaving,
    since: Tai64n,
    /// When the last start was made, or the last fork failed.
    last_try: Option<Instant>,
    republish_at: Option<Instant>,
    /// How often the service was started.
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

    /// The same, but it is not started before [`SuperviseEvent::Released`], unless by `u` or `o`.
    pub fn gated(self) -> Machine {
        let phase = match self.phase {
            RunPhase::Beginning => RunPhase::Gated,
            phase => phase,
        };
        Machine { phase, ..self }
    }

    /// What the status file is to say.
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

    /// What the record is to say, but for what only the shell knows: the start time of the
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
            // The status says of a zombie that it has ended when its second is over.
            since: match (process, self.last_end) {
                (None, Some(last)) => last.at,
                _ => self.since,
            },
            commands: 0,
            starts: self.starts,
            last_end: self.last_end,
        }
    }

    /// Whether supervise is to end now.
    pub fn has_left(&self) -> bool {
        self.phase == RunPhase::Left
    }

    /// When [`SuperviseEvent::Timer`] is wanted; None: never.
    pub fn deadline(&self) -> Option<Instant> {
        let start = match self.phase {
            RunPhase::Waiting(attempt) => self.last_try.map(|at| at + attempt.wait()),
            RunPhase::Zombie(_) => self.last_try.map(|at| at + START_INTERVAL),
            _ => None,
        };
        start.into_iter().chain(self.republish_at).min()
    }

    /// How long [`SuperviseEvent::StartFailed`] lets the next try wait.
    pub fn fork_wait(&self) -> Duration {
        self.attempt().failed_again().wait()
    }

    /// The start that is due or under way.
    fn attempt(&self) -> Attempt {
        match self.phase {
            RunPhase::Waiting(attempt) | RunPhase::Starting(attempt) => attempt,
            _ => Attempt::default(),
        }
    }

    /// Takes one event and says what to do.
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
                vec![SuperviseAction::Start(ProcessRole::Run, Begin::Held)]
            }
            SuperviseEvent::Boot | SuperviseEvent::CannotHold(ProcessRole::Run) => {
                vec![SuperviseAction::Publish, SuperviseAction::Announce]
            }
            SuperviseEvent::Announced => match self.phase {
                RunPhase::Up { .. } => vec![SuperviseAction::LetGo(ProcessRole::Run)],
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
            SuperviseEvent::Published | SuperviseEvent::NoPlace => {
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
        self.go_on(&mut actions, now);
        actions
    }

    /// Whether the last start is less than a second ago.
    fn is_first_second(&self, now: Now) -> bool {
        let second = self.last_try.map(|at| at + START_INTERVAL);
        second.is_some_and(|end| now.monotonic < end)
    }

    /// Whether a service that ends is started again by itself.
    fn is_restarted(&self) -> bool {
        self.want == Want::Up && self.leaving == Leaving::No
    }

    /// The process has ended, and from now on the status says so.
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

    /// What follows from the state, whatever led to it: the end, or a start.
    fn go_on(&mut self, actions: &mut Vec<SuperviseAction>, now: Now) {
        if self.is_to_leave() {
            self.phase = RunPhase::Left;
            match self.leaving {
                // There is no status to write, either.
                Leaving::Deleted => actions.retain(|action| *action != SuperviseAction::Publish),
                _ => actions.push(SuperviseAction::Publish),
            }
        } else if let RunPhase::Waiting(attempt) = self.phase
            && self
                .last_try
                .is_none_or(|at| at + attempt.wait() <= now.monotonic)
        {
            self.phase = RunPhase::Starting(attempt);
            // Before the status that says that it has ended: nobody waits for that, but
            // the service is missing.
            let is_reap = |action: &SuperviseAction| matches!(action, SuperviseAction::Reap(_));
            let reaped = actions.iter().position(is_reap);
            let place = reaped.map_or(actions.len(), |at| at + 1);
            actions.insert(
                place,
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
