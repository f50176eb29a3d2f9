//! The decisions of svscanboot, a state machine: events and observations in, actions out; no
//! I/O and no clock.
//!
//! It keeps two programs running, svscan (the *scanner*) and readproctitle (the *title*).
//! The shutdown has these steps:
//!
//! 1. The scanner is stopped, so that nothing is started any more.
//! 2. Each service gets `dx`. When its supervise is gone, the supervise of its log gets
//!    `x`: the log ends at end of file, because no process has the write end of its pipe
//!    any more.
//! 3. The title exits by itself at end of file, for the same reason.

use crate::child::{End, Pid};
use crate::svscan::service::SuperviseKind;
use std::time::{Duration, Instant};

/// The shortest time from one start of a program to the next.
pub const START_INTERVAL: Duration = Duration::from_secs(1);
/// The timeout of a service before it gets KILL: the same as in svcstop.
pub const STOP: Duration = Duration::from_secs(60);
/// The timeout of a logger, which reads the rest of its pipe, before it gets TERM.
pub const REST: Duration = Duration::from_secs(10);
/// The timeout of each step that should take no time.
pub const GRACE: Duration = Duration::from_secs(5);
/// The interval of polling while services end: the supervises of an earlier svscanboot are
/// not our children, and no event reports their end. Also the interval of repeating an
/// unanswered command.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The interval of polling while a supervise is starting or exiting: no event reports that
/// it accepts commands.
pub const SHORT_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Which of the two programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// svscan.
    Scanner,
    /// readproctitle.
    Title,
}

/// The observed state of a supervise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuperviseState {
    /// None runs there.
    Absent,
    /// One runs, and so does its service, which is wanted down: `d` was executed.
    Stopping,
    /// One runs, and `d` has not had an effect. It may be another one than the receiver of the
    /// command: if svscan was killed, a new supervise may wait to replace the old one.
    Unaware,
}

/// The supervises of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supervises {
    /// That of the service itself.
    pub main: SuperviseState,
    /// That of its `log`.
    pub log: SuperviseState,
}

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootEvent {
    /// The setup is complete.
    Boot,
    /// The answer to [`BootAction::Start`].
    Started(Role, Pid),
    /// The answer to [`BootAction::Start`]: it failed, which has been reported.
    StartFailed(Role),
    /// A child ended, perhaps an orphan.
    Ended(Pid, End),
    /// TERM or INT was received.
    Signalled,
    /// The answer to [`BootAction::Poll`].
    Seen {
        /// All services, always in the same order, new ones at the end.
        states: Vec<Supervises>,
        /// None of them runs, but a child of ours is a supervise: one that is starting or
        /// exiting, or that cannot receive commands because its directory was deleted.
        others: bool,
    },
    /// [`BootMachine::deadline`] has passed.
    Timer,
}

/// The actions of the driver (`shell`), in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootAction {
    /// Start a program, and answer.
    Start(Role),
    /// Send TERM to this process.
    Term(Pid),
    /// Send KILL to this process.
    Kill(Pid),
    /// No process reads the output of the services: discard it, or they would block.
    Drain,
    /// Examine which supervises run, and answer.
    Poll,
    /// Send these commands to a supervise of the service with this index.
    Send(usize, SuperviseKind, &'static [u8]),
    /// Close the pipe to the title.
    Close,
    /// Exit; whether everything else has ended.
    Leave(bool),
}

/// One of the two programs.
#[derive(Debug, Default)]
struct Program {
    pid: Option<Pid>,
    started: Option<Instant>,
    /// When it is to be restarted.
    due: Option<Instant>,
}

impl Program {
    /// It has ended: restarts it at once, or a second after its last start.
    fn schedule(&mut self, role: Role, now: Instant) -> Option<BootAction> {
        let at = self.started.map_or(now, |at| at + START_INTERVAL);
        self.due = (at > now).then_some(at);
        self.due.is_none().then_some(BootAction::Start(role))
    }
}

/// The phase of the shutdown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// There is no shutdown.
    Running,
    /// TERM was sent to the scanner; when it gets KILL, unless it has got it.
    Scanner(Option<Instant>),
    /// The services are being stopped.
    Services,
    /// All services have ended; when the title and other supervises are abandoned.
    Title(Instant),
}

/// How far the shutdown of a supervise has come. Reset while none runs.
#[derive(Clone, Copy, Debug, Default)]
struct Task {
    /// When the first command was sent.
    commanded: Option<Instant>,
    /// When the last command was sent.
    commanded_last: Option<Instant>,
    /// When the command with KILL was sent.
    forced: Option<Instant>,
    given_up: bool,
}

impl Task {
    /// The command to send now to a supervise that still runs, if any.
    fn push(
        &mut self,
        run: SuperviseState,
        now: Instant,
        ending: &Ending,
    ) -> Option<&'static [u8]> {
        match (self.commanded, self.forced) {
            (None, _) => {
                self.commanded = Some(now);
                self.commanded_last = Some(now);
                Some(ending.command)
            }
            (Some(first), None) if now >= first + ending.limit => {
                self.forced = Some(now);
                Some(ending.kill_command)
            }
            (_, Some(forced)) if now >= forced + GRACE => {
                self.given_up = true;
                None
            }
            (_, None)
                if run == SuperviseState::Unaware
                    && self
                        .commanded_last
                        .is_none_or(|at| now >= at + POLL_INTERVAL) =>
            {
                self.commanded_last = Some(now);
                Some(ending.command)
            }
            _ => None,
        }
    }
}

/// The commands that stop a supervise.
struct Ending {
    command: &'static [u8],
    limit: Duration,
    kill_command: &'static [u8],
}

const MAIN: Ending = Ending {
    command: b"dx",
    limit: STOP,
    kill_command: b"dxk",
};

const LOG: Ending = Ending {
    command: b"x",
    limit: REST,
    kill_command: b"dx",
};

#[derive(Clone, Copy, Debug, Default)]
struct Service {
    main: Task,
    log: Task,
}

/// The state of svscanboot.
#[derive(Debug)]
pub struct BootMachine {
    phase: Phase,
    scanner: Program,
    title: Program,
    services: Vec<Service>,
    poll_at: Option<Instant>,
    /// When the last poll was requested.
    polled: Option<Instant>,
    /// The earliest time of another poll because a process ended: the duration of a poll grows
    /// with the number of services, and most of the CPU time is left to them.
    poll_not_before: Option<Instant>,
    /// The last poll found other supervises.
    others: bool,
    /// The pipe to the title was closed: it is not restarted.
    closed: bool,
}

impl Default for BootMachine {
    fn default() -> BootMachine {
        BootMachine {
            phase: Phase::Running,
            scanner: Program::default(),
            title: Program::default(),
            services: Vec::new(),
            poll_at: None,
            polled: None,
            poll_not_before: None,
            others: false,
            closed: false,
        }
    }
}

impl BootMachine {
    /// The deadline of [`BootEvent::Timer`], if any.
    pub fn deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Running | Phase::Services => None,
            Phase::Scanner(at) => at,
            Phase::Title(at) => Some(at),
        };
        [self.scanner.due, self.title.due, self.poll_at, phase]
            .into_iter()
            .flatten()
            .min()
    }

    /// The actions that follow from an event.
    pub fn step(&mut self, event: BootEvent, now: Instant) -> Vec<BootAction> {
        match event {
            BootEvent::Boot => vec![
                BootAction::Start(Role::Title),
                BootAction::Start(Role::Scanner),
            ],
            BootEvent::Started(role, pid) => {
                let program = self.program(role);
                program.pid = Some(pid);
                program.started = Some(now);
                program.due = None;
                Vec::new()
            }
            BootEvent::StartFailed(role) => {
                self.program(role).due = Some(now + START_INTERVAL);
                let drain = (role == Role::Title).then_some(BootAction::Drain);
                drain.into_iter().collect()
            }
            BootEvent::Ended(pid, _) if self.scanner.pid == Some(pid) => {
                self.scanner_ended(now).into_iter().collect()
            }
            BootEvent::Ended(pid, end) if self.title.pid == Some(pid) => self.title_ended(end, now),
            BootEvent::Ended(..) => match self.phase {
                Phase::Running | Phase::Scanner(_) => Vec::new(),
                Phase::Services | Phase::Title(_) => {
                    // It may have been a supervise.
                    let soon = self.poll_not_before.map_or(now, |at| at.max(now));
                    self.poll_at = Some(self.poll_at.map_or(soon, |at| at.min(soon)));
                    Vec::new()
                }
            },
            BootEvent::Signalled => self.signalled(now),
            BootEvent::Seen { states, others } => self.seen(&states, others, now),
            BootEvent::Timer => self.timer(now),
        }
    }

    fn program(&mut self, role: Role) -> &mut Program {
        match role {
            Role::Scanner => &mut self.scanner,
            Role::Title => &mut self.title,
        }
    }

    fn scanner_ended(&mut self, now: Instant) -> Option<BootAction> {
        self.scanner.pid = None;
        if self.phase == Phase::Running {
            return self.scanner.schedule(Role::Scanner, now);
        }
        self.phase = Phase::Services;
        Some(self.poll(now))
    }

    fn title_ended(&mut self, end: End, now: Instant) -> Vec<BootAction> {
        self.title.pid = None;
        match self.phase {
            Phase::Title(_) if self.others => return Vec::new(),
            Phase::Title(_) => {
                self.phase = Phase::Title(now);
                return self.timer(now);
            }
            _ if self.closed => return Vec::new(),
            _ => {}
        }
        let start = self.title.schedule(Role::Title, now);
        // A title that cannot be executed, say, would never read.
        let useless = start.is_none() && matches!(end, End::Exited(1..));
        let drain = useless.then_some(BootAction::Drain);
        drain.into_iter().chain(start).collect()
    }

    fn signalled(&mut self, now: Instant) -> Vec<BootAction> {
        if self.phase != Phase::Running {
            return Vec::new();
        }
        self.scanner.due = None;
        match self.scanner.pid {
            Some(pid) => {
                self.phase = Phase::Scanner(Some(now + GRACE));
                vec![BootAction::Term(pid)]
            }
            None => {
                self.phase = Phase::Services;
                vec![self.poll(now)]
            }
        }
    }

    fn timer(&mut self, now: Instant) -> Vec<BootAction> {
        let overdue = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut actions = Vec::new();
        for role in [Role::Title, Role::Scanner] {
            let program = self.program(role);
            if overdue(program.due) {
                program.due = None;
                actions.push(BootAction::Start(role));
            }
        }
        match (self.phase, self.scanner.pid) {
            (Phase::Scanner(at), Some(pid)) if overdue(at) => {
                self.phase = Phase::Scanner(None);
                actions.push(BootAction::Kill(pid));
            }
            // Not before a last poll of those that may have ended.
            (Phase::Title(at), _) if at <= now && !overdue(self.poll_at) => {
                return vec![self.leave()];
            }
            _ => {}
        }
        if overdue(self.poll_at) {
            self.poll_at = None;
            actions.push(self.poll(now));
        }
        actions
    }

    fn seen(&mut self, states: &[Supervises], others: bool, now: Instant) -> Vec<BootAction> {
        self.others = others;
        self.services.resize_with(states.len(), Service::default);
        let mut actions = Vec::new();
        let mut all_over = true;
        for (index, (service, state)) in self.services.iter_mut().zip(states).enumerate() {
            let Service { main, log } = service;
            for (kind, task, run) in [
                (SuperviseKind::Main, main, state.main),
                (SuperviseKind::Log, log, state.log),
            ] {
                if run == SuperviseState::Absent {
                    *task = Task::default();
                    continue;
                }
                let ending = if kind == SuperviseKind::Main {
                    &MAIN
                } else {
                    &LOG
                };
                let bytes = task.push(run, now, ending);
                actions.extend(bytes.map(|bytes| BootAction::Send(index, kind, bytes)));
                if !task.given_up {
                    all_over = false;
                    // The logger is stopped after its service.
                    break;
                }
            }
        }
        self.poll_at = Some(
            now + if others {
                SHORT_POLL_INTERVAL
            } else {
                POLL_INTERVAL
            },
        );
        self.poll_not_before = self
            .polled
            .map(|asked| now + now.saturating_duration_since(asked));
        match self.phase {
            Phase::Services if all_over => {
                self.closed = true;
                self.title.due = None;
                actions.push(BootAction::Close);
                if others || self.title.pid.is_some() {
                    self.phase = Phase::Title(now + GRACE);
                } else {
                    actions.push(self.leave());
                }
            }
            // A supervise was being started while the scanner ended.
            Phase::Title(_) if !all_over => self.phase = Phase::Services,
            Phase::Title(_) if !others && self.title.pid.is_none() => actions.push(self.leave()),
            _ => {}
        }
        actions
    }

    fn poll(&mut self, now: Instant) -> BootAction {
        self.polled = Some(now);
        BootAction::Poll
    }

    fn leave(&self) -> BootAction {
        let given_up = |service: &Service| service.main.given_up || service.log.given_up;
        BootAction::Leave(!self.others && !self.services.iter().any(given_up))
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
