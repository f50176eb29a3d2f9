//! How a script is ended, a state machine: events and the time in, a list of actions out.
//!
//! A script exits by itself; or, after its timeout or on request, it and its process group get
//! TERM, and KILL if that is not enough.

use crate::child::End;
use std::time::{Duration, Instant};

/// The time that a script may take to end after TERM, and after KILL.
const GRACE: Duration = Duration::from_secs(2);

/// The time that the rest of its process group may take after the end of the script. One of
/// them may be a command that takes this long to end a script of its own.
const GRACE_OF_OTHERS: Duration = Duration::from_secs(4);

/// The polling interval for members of its process group, if no event reports their end.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// An event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CheckEvent {
    /// The script has ended.
    Ended(End),
    /// Whether its process group has members left.
    Members(bool),
    /// The script is to be ended: its result is no longer needed.
    Stop,
    /// A deadline may have passed.
    Woken,
}

/// An action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CheckAction {
    /// Send TERM to the script and its group, and CONT, without which a stopped process would
    /// not end.
    Term,
    /// Send KILL to them.
    Kill,
    /// Check whether processes of its group are left: [`CheckEvent::Members`].
    FindMember,
    /// The script is done.
    Leave(Over),
}

/// How a script ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// By itself, with this end.
    Ended(End),
    /// It timed out and was ended.
    TimedOut,
    /// It was ended on request.
    Stopped,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It runs until this timeout.
    Runs(Instant),
    /// TERM was sent; the time of KILL.
    Termed(Instant),
    /// It has ended; its process group has members left, or that is unknown.
    Others(Instant),
    /// KILL was sent; the time at which it is abandoned.
    Killed(Instant),
    Over,
}

/// The state of one script.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    phase: Phase,
    /// The reason of its end.
    why: Over,
    poll_at: Option<Instant>,
}

impl Machine {
    /// A script that was started `now` with the timeout `limit`.
    pub(super) fn new(limit: Duration, now: Instant) -> Machine {
        Machine {
            phase: Phase::Runs(now + limit),
            why: Over::TimedOut,
            poll_at: None,
        }
    }

    /// When [`CheckEvent::Woken`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Runs(at) | Phase::Termed(at) | Phase::Killed(at) => Some(at),
            Phase::Others(at) => Some(self.poll_at.map_or(at, |poll| poll.min(at))),
            Phase::Over => None,
        }
    }

    /// The actions that follow from `event`, in order.
    pub(super) fn step(&mut self, event: CheckEvent, now: Instant) -> Vec<CheckAction> {
        match (self.phase, event) {
            (Phase::Runs(_), CheckEvent::Ended(end)) => {
                self.why = Over::Ended(end);
                vec![self.leave()]
            }
            (Phase::Runs(_), CheckEvent::Stop) => {
                self.why = Over::Stopped;
                self.term(now)
            }
            (Phase::Runs(at), CheckEvent::Woken) if at <= now => self.term(now),
            (Phase::Termed(_), CheckEvent::Ended(_)) => {
                self.phase = Phase::Others(now + GRACE_OF_OTHERS);
                vec![CheckAction::FindMember]
            }
            (Phase::Termed(at), CheckEvent::Woken) if at <= now => {
                self.phase = Phase::Killed(now + GRACE);
                vec![CheckAction::Kill]
            }
            (Phase::Others(at), CheckEvent::Woken) if now < at => vec![CheckAction::FindMember],
            (Phase::Others(_), CheckEvent::Members(true)) => {
                self.poll_at = Some(now + POLL_INTERVAL);
                Vec::new()
            }
            (Phase::Others(_), CheckEvent::Woken | CheckEvent::Members(false)) => {
                vec![CheckAction::Kill, self.leave()]
            }
            (Phase::Killed(_), CheckEvent::Ended(_)) => vec![self.leave()],
            (Phase::Killed(at), CheckEvent::Woken) if at <= now => vec![self.leave()],
            _ => Vec::new(),
        }
    }

    fn term(&mut self, now: Instant) -> Vec<CheckAction> {
        self.phase = Phase::Termed(now + GRACE);
        vec![CheckAction::Term]
    }

    fn leave(&mut self) -> CheckAction {
        self.phase = Phase::Over;
        CheckAction::Leave(self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn new() -> (Machine, Instant) {
        let now = crate::sys::clock::monotonic();
        (Machine::new(LIMIT, now), now)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_script_that_ends_in_time_is_left_alone() {
        let (mut machine, start) = new();
        let before = start + LIMIT - seconds(1);
        assert_eq!(machine.step(CheckEvent::Woken, before), []);
        assert_eq!(machine.deadline(), Some(start + LIMIT));
        let over = CheckAction::Leave(Over::Ended(End::Exited(3)));
        assert_eq!(
            machine.step(CheckEvent::Ended(End::Exited(3)), start + LIMIT),
            [over]
        );
        assert_eq!(machine.deadline(), None);
        // Whatever comes after that.
        for event in [
            CheckEvent::Woken,
            CheckEvent::Stop,
            CheckEvent::Members(true),
        ] {
            assert_eq!(machine.step(event, start + 2 * LIMIT), []);
        }
    }

    #[test]
    fn one_that_ends_at_term_is_over_when_its_group_is_empty() {
        for (event, why) in [
            (CheckEvent::Woken, Over::TimedOut),
            (CheckEvent::Stop, Over::Stopped),
        ] {
            let (mut machine, start) = new();
            let late = start + LIMIT;
            assert_eq!(machine.step(event, late), [CheckAction::Term]);
            // It gets TERM once.
            assert_eq!(machine.step(CheckEvent::Stop, late), []);
            let end = CheckEvent::Ended(End::Killed(15));
            assert_eq!(machine.step(end, late), [CheckAction::FindMember]);
            assert_eq!(machine.step(CheckEvent::Members(true), late), []);
            assert_eq!(machine.deadline(), Some(late + POLL_INTERVAL));
            assert_eq!(
                machine.step(CheckEvent::Woken, late + POLL_INTERVAL),
                [CheckAction::FindMember]
            );
            let over = [CheckAction::Kill, CheckAction::Leave(why)];
            assert_eq!(
                machine.step(CheckEvent::Members(false), late + POLL_INTERVAL),
                over
            );
        }
    }

    #[test]
    fn others_of_its_group_are_waited_for_four_seconds() {
        let (mut machine, start) = new();
        machine.step(CheckEvent::Stop, start);
        machine.step(CheckEvent::Ended(End::Exited(0)), start + seconds(1));
        let mut now = start + seconds(1);
        while machine.step(CheckEvent::Woken, now) == [CheckAction::FindMember] {
            machine.step(CheckEvent::Members(true), now);
            now = machine.deadline().unwrap();
        }
        assert_eq!(now, start + seconds(5));
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn one_that_does_not_end_is_killed_and_given_up() {
        let (mut machine, start) = new();
        machine.step(CheckEvent::Stop, start);
        let [killed, over] = [2, 4].map(|later| start + seconds(later));
        assert_eq!(machine.deadline(), Some(killed));
        assert_eq!(machine.step(CheckEvent::Woken, killed), [CheckAction::Kill]);
        let mut other = machine.clone();
        let leave = [CheckAction::Leave(Over::Stopped)];
        assert_eq!(other.step(CheckEvent::Ended(End::Killed(9)), killed), leave);
        assert_eq!(machine.deadline(), Some(over));
        assert_eq!(machine.step(CheckEvent::Woken, over), leave);
    }
}
