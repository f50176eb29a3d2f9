//! What supervise decides: events in, actions out, no I/O and no clock.
//!
//! The states are told by four facts: whether there is a child, what is wanted,
//! whether a start is *owed* (asked for by `u` or `o` and not yet made), and
//! whether supervise is *leaving* (`x`). Rules:
//!
//! - A start is due when there is no child and one is owed, or `u` is wanted
//!   and supervise is not leaving.
//! - A start is made at once if the last one is a second ago, else when it is.
//!   So there is at most one start a second, and never a longer wait.
//! - After a failed fork it waits 1, 2, 5, 10, 20 and then 60 seconds; `u` and `o` cut
//!   that short, and it begins with one second again.
//! - Leaving ends as soon as there is no child and no start is owed, or the fork
//!   for it has failed: `x` always ends.
//! - Once the service directory is deleted nothing is started, and leaving needs no `x`.
//! - While another supervise of a deleted directory of the same name still runs, the
//!   start is *gated*: only `u` and `o` make it.
//! - Every change of child, want, pause or leaving is published, in 0.76's
//!   order: before the signals of `p` and `c`, after those of `d`. So are commands that
//!   change none of it, as in 0.76, but for a `c` where nothing was paused: that can be
//!   sent often, and only the time of the file tells.

use crate::child::Pid;
use crate::formats::control::{Command, Signal};
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

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Everything is set up.
    Boot,
    /// A control byte came.
    Control(Command),
    /// The answer to [`Action::Start`] and [`Action::StartAgain`]: this is the child.
    Started(Pid),
    /// The other answer to them: there is none, the fork failed.
    StartFailed,
    /// The child has ended and is reaped.
    Exited,
    /// The answer to every action that writes the status, if that failed.
    PublishFailed,
    /// The [`Machine::deadline`] has passed.
    Timer,
    /// The service directory has no name any more: it was deleted.
    DirectoryGone,
    /// What [`Machine::gated`] waits for has ended.
    Released,
}

/// What the shell is to do, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start the service; answer with [`Event::Started`] or [`Event::StartFailed`].
    Start,
    /// The same for a service that has just ended: once the next is on its way, and
    /// before that is answered, write [`Machine::status`], which says that it is down.
    StartAgain,
    /// Send this to the child.
    Send(Signal),
    /// Write [`Machine::status`] to the status file.
    Publish,
    /// The same, after a failure that has been reported.
    Republish,
    /// Nothing of [`Machine::status`] has changed since it was written: let the file's
    /// time say that a command came.
    Refresh,
    /// Exit with code 0.
    Leave,
}

/// The state of one supervise.
#[derive(Clone, Debug)]
pub struct Machine {
    child: Option<Pid>,
    want: Want,
    paused: bool,
    owed: bool,
    /// How many forks have failed since the last start, `u` or `o`.
    failed_forks: usize,
    leaving: bool,
    /// The service directory was deleted.
    gone: bool,
    /// The first start waits for [`Event::Released`].
    gated: bool,
    since: Tai64n,
    last_try: Option<Instant>,
    not_before: Option<Instant>,
    republish_at: Option<Instant>,
}

impl Machine {
    /// A service that is down; `want` is [`Want::Down`] if it has a `down` file.
    pub fn new(want: Want, now: Now) -> Machine {
        Machine {
            child: None,
            want,
            paused: false,
            owed: false,
            failed_forks: 0,
            leaving: false,
            gone: false,
            gated: false,
            since: now.wall,
            last_try: None,
            not_before: None,
            republish_at: None,
        }
    }

    /// The same, but it is not started before [`Event::Released`], unless by `u` or `o`.
    pub fn gated(self) -> Machine {
        Machine {
            gated: true,
            ..self
        }
    }

    /// What the status file is to say.
    pub fn status(&self) -> Status {
        Status {
            since: self.since,
            pid: self.child,
            paused: self.paused,
            want: self.want,
        }
    }

    /// When [`Event::Timer`] is wanted; None: never.
    pub fn deadline(&self) -> Option<Instant> {
        let start = if self.start_is_due() {
            self.not_before
        } else {
            None
        };
        match (start, self.republish_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// How long [`Event::StartFailed`] lets the next try wait.
    pub fn fork_wait(&self) -> Duration {
        let seconds = FORK_RETRIES.get(self.failed_forks);
        seconds.map_or(FORK_RETRY, |seconds| Duration::from_secs(*seconds))
    }

    /// Takes one event and says what to do.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut actions = match event {
            Event::Boot => vec![],
            Event::Control(command) => self.control(command),
            Event::Started(pid) => {
                self.child = Some(pid);
                self.paused = false;
                self.owed = false;
                self.failed_forks = 0;
                self.since = now.wall;
                self.tried(now, START_INTERVAL);
                vec![Action::Publish]
            }
            Event::StartFailed => {
                let wait = self.fork_wait();
                self.failed_forks = self.failed_forks.saturating_add(1);
                self.tried(now, wait);
                vec![]
            }
            Event::Exited => {
                self.child = None;
                self.paused = false;
                self.since = now.wall;
                vec![Action::Publish]
            }
            Event::PublishFailed => {
                self.republish_at = Some(now.monotonic + PUBLISH_RETRY);
                return vec![];
            }
            Event::Timer => match self.republish_at {
                Some(at) if at <= now.monotonic => vec![Action::Republish],
                _ => vec![],
            },
            Event::DirectoryGone => {
                self.gone = true;
                vec![]
            }
            Event::Released => {
                self.gated = false;
                vec![]
            }
        };
        if self.gone && self.child.is_none() {
            // There is no status to write, either.
            return vec![Action::Leave];
        }
        if self.leaving && self.child.is_none() && (!self.owed || self.failed_forks > 0) {
            actions.extend([Action::Publish, Action::Leave]);
        } else if self.start_is_due() && self.not_before.is_none_or(|at| at <= now.monotonic) {
            match event {
                // Nobody waits for that status, but the service is missing.
                Event::Exited => actions = vec![Action::StartAgain],
                _ => actions.push(Action::Start),
            }
        }
        if actions.iter().any(|action| {
            matches!(
                action,
                Action::Publish | Action::Republish | Action::StartAgain
            )
        }) {
            self.republish_at = None;
        }
        actions
    }

    fn start_is_due(&self) -> bool {
        self.child.is_none()
            && (self.owed || (self.want == Want::Up && !self.leaving && !self.gated))
    }

    fn tried(&mut self, now: Now, wait: Duration) {
        self.last_try = Some(now.monotonic);
        self.not_before = Some(now.monotonic + wait);
    }

    fn control(&mut self, command: Command) -> Vec<Action> {
        let running = self.child.is_some();
        match command {
            Command::Up | Command::Once => {
                self.want = match command {
                    Command::Up => Want::Up,
                    _ => Want::Once,
                };
                self.gated = false;
                if !running {
                    self.owed = true;
                    self.failed_forks = 0;
                    self.not_before = self.last_try.map(|at| at + START_INTERVAL);
                }
                vec![Action::Publish]
            }
            Command::Down => {
                self.want = Want::Down;
                self.owed = false;
                self.paused = false;
                if running {
                    vec![
                        Action::Send(Signal::Term),
                        Action::Send(Signal::Cont),
                        Action::Publish,
                    ]
                } else {
                    vec![Action::Publish]
                }
            }
            Command::Continue if !self.paused => {
                let publish = match self.republish_at {
                    None => Action::Refresh,
                    Some(_) => Action::Publish,
                };
                let signal = running.then_some(Action::Send(Signal::Cont));
                [publish].into_iter().chain(signal).collect()
            }
            Command::Pause if !running => vec![Action::Publish],
            Command::Pause => {
                self.paused = true;
                vec![Action::Publish, Action::Send(Signal::Stop)]
            }
            Command::Continue => {
                self.paused = false;
                vec![Action::Publish, Action::Send(Signal::Cont)]
            }
            Command::Exit => {
                self.leaving = true;
                vec![Action::Publish]
            }
            Command::Signal(signal) if running => vec![Action::Send(signal)],
            Command::Signal(_) => vec![],
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
