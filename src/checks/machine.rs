//! How a script ends: events and the time in, a list of actions out.
//!
//! It ends by itself; or, when its limit has passed or nobody wants its answer any more, by
//! TERM, with all of its process group, and by KILL if that is not enough.

use crate::child::End;
use std::time::{Duration, Instant};

/// How long a script may take to end at TERM, and at KILL.
const GRACE: Duration = Duration::from_secs(2);

/// How long the others of its group may take, once it has ended. One of them may be a
/// command that takes this long to end a script of its own.
const GRACE_OF_OTHERS: Duration = Duration::from_secs(4);

/// How often it is looked who of its group is left, if nothing tells of an end.
const LOOK: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CheckEvent {
    /// The script has ended, so.
    Ended(End),
    /// Whether anybody of its group is left.
    Left(bool),
    /// Nobody wants its answer any more.
    Stop,
    /// Time has passed, or something else has happened.
    Woken,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CheckAction {
    /// Send TERM to the script and its group, and CONT, without which one that is stopped
    /// would not end.
    Term,
    /// Send KILL to them.
    Kill,
    /// Check whether processes of its group are left: [`CheckEvent::Left`].
    Look,
    /// It is over.
    Leave(Over),
}

/// How it came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// By itself, so.
    Ended(End),
    /// It was ended: its limit had passed.
    TimedOut,
    /// It was ended, as was asked.
    Stopped,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Until this, by itself.
    Runs(Instant),
    /// TERM was sent.
    Termed(Instant),
    /// It has ended; others of its group have not, or it is not known.
    Others(Instant),
    /// KILL was sent.
    Killed(Instant),
    Over,
}

/// One script.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    phase: Phase,
    /// Why it is ended.
    why: Over,
    look_at: Option<Instant>,
}

impl Machine {
    /// A script that was started `now` and may take `limit`.
    pub(super) fn new(limit: Duration, now: Instant) -> Machine {
        Machine {
            phase: Phase::Runs(now + limit),
            why: Over::TimedOut,
            look_at: None,
        }
    }

    /// When [`CheckEvent::Woken`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Runs(at) | Phase::Termed(at) | Phase::Killed(at) => Some(at),
            Phase::Others(at) => Some(self.look_at.map_or(at, |look| look.min(at))),
            Phase::Over => None,
        }
    }

    /// What is to be done, in this order, because of `event`.
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
                vec![CheckAction::Look]
            }
            (Phase::Termed(at), CheckEvent::Woken) if at <= now => {
                self.phase = Phase::Killed(now + GRACE);
                vec![CheckAction::Kill]
            }
            (Phase::Others(at), CheckEvent::Woken) if now < at => vec![CheckAction::Look],
            (Phase::Others(_), CheckEvent::Left(true)) => {
                self.look_at = Some(now + LOOK);
                Vec::new()
            }
            (Phase::Others(_), CheckEvent::Woken | CheckEvent::Left(false)) => {
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
        for event in [CheckEvent::Woken, CheckEvent::Stop, CheckEvent::Left(true)] {
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
            // It is told once.
            assert_eq!(machine.step(CheckEvent::Stop, late), []);
            let end = CheckEvent::Ended(End::Killed(15));
            assert_eq!(machine.step(end, late), [CheckAction::Look]);
            assert_eq!(machine.step(CheckEvent::Left(true), late), []);
            assert_eq!(machine.deadline(), Some(late + LOOK));
            assert_eq!(
                machine.step(CheckEvent::Woken, late + LOOK),
                [CheckAction::Look]
            );
            let over = [CheckAction::Kill, CheckAction::Leave(why)];
            assert_eq!(machine.step(CheckEvent::Left(false), late + LOOK), over);
        }
    }

    #[test]
    fn others_of_its_group_are_waited_for_four_seconds() {
        let (mut machine, start) = new();
        machine.step(CheckEvent::Stop, start);
        machine.step(CheckEvent::Ended(End::Exited(0)), start + seconds(1));
        let mut now = start + seconds(1);
        while machine.step(CheckEvent::Woken, now) == [CheckAction::Look] {
            machine.step(CheckEvent::Left(true), now);
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
