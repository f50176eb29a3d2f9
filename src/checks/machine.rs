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
pub(super) enum Event {
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
pub(super) enum Action {
    /// Send TERM to the script and its group, and CONT, without which one that is stopped
    /// would not end.
    Term,
    /// Send KILL to them.
    Kill,
    /// Look who of its group is left: [`Event::Left`].
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

    /// When [`Event::Woken`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Runs(at) | Phase::Termed(at) | Phase::Killed(at) => Some(at),
            Phase::Others(at) => Some(self.look_at.map_or(at, |look| look.min(at))),
            Phase::Over => None,
        }
    }

    /// What is to be done, in this order, because of `event`.
    pub(super) fn step(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match (self.phase, event) {
            (Phase::Runs(_), Event::Ended(end)) => {
                self.why = Over::Ended(end);
                vec![self.leave()]
            }
            (Phase::Runs(_), Event::Stop) => {
                self.why = Over::Stopped;
                self.term(now)
            }
            (Phase::Runs(at), Event::Woken) if at <= now => self.term(now),
            (Phase::Termed(_), Event::Ended(_)) => {
                self.phase = Phase::Others(now + GRACE_OF_OTHERS);
                vec![Action::Look]
            }
            (Phase::Termed(at), Event::Woken) if at <= now => {
                self.phase = Phase::Killed(now + GRACE);
                vec![Action::Kill]
            }
            (Phase::Others(at), Event::Woken) if now < at => vec![Action::Look],
            (Phase::Others(_), Event::Left(true)) => {
                self.look_at = Some(now + LOOK);
                Vec::new()
            }
            (Phase::Others(_), Event::Woken | Event::Left(false)) => {
                vec![Action::Kill, self.leave()]
            }
            (Phase::Killed(_), Event::Ended(_)) => vec![self.leave()],
            (Phase::Killed(at), Event::Woken) if at <= now => vec![self.leave()],
            _ => Vec::new(),
        }
    }

    fn term(&mut self, now: Instant) -> Vec<Action> {
        self.phase = Phase::Termed(now + GRACE);
        vec![Action::Term]
    }

    fn leave(&mut self) -> Action {
        self.phase = Phase::Over;
        Action::Leave(self.why)
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
        assert_eq!(machine.step(Event::Woken, before), []);
        assert_eq!(machine.deadline(), Some(start + LIMIT));
        let over = Action::Leave(Over::Ended(End::Exited(3)));
        assert_eq!(
            machine.step(Event::Ended(End::Exited(3)), start + LIMIT),
            [over]
        );
        assert_eq!(machine.deadline(), None);
        // Whatever comes after that.
        for event in [Event::Woken, Event::Stop, Event::Left(true)] {
            assert_eq!(machine.step(event, start + 2 * LIMIT), []);
        }
    }

    #[test]
    fn one_that_ends_at_term_is_over_when_its_group_is_empty() {
        for (event, why) in [(Event::Woken, Over::TimedOut), (Event::Stop, Over::Stopped)] {
            let (mut machine, start) = new();
            let late = start + LIMIT;
            assert_eq!(machine.step(event, late), [Action::Term]);
            // It is told once.
            assert_eq!(machine.step(Event::Stop, late), []);
            let end = Event::Ended(End::Killed(15));
            assert_eq!(machine.step(end, late), [Action::Look]);
            assert_eq!(machine.step(Event::Left(true), late), []);
            assert_eq!(machine.deadline(), Some(late + LOOK));
            assert_eq!(machine.step(Event::Woken, late + LOOK), [Action::Look]);
            let over = [Action::Kill, Action::Leave(why)];
            assert_eq!(machine.step(Event::Left(false), late + LOOK), over);
        }
    }

    #[test]
    fn others_of_its_group_are_waited_for_four_seconds() {
        let (mut machine, start) = new();
        machine.step(Event::Stop, start);
        machine.step(Event::Ended(End::Exited(0)), start + seconds(1));
        let mut now = start + seconds(1);
        while machine.step(Event::Woken, now) == [Action::Look] {
            machine.step(Event::Left(true), now);
            now = machine.deadline().unwrap();
        }
        assert_eq!(now, start + seconds(5));
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn one_that_does_not_end_is_killed_and_given_up() {
        let (mut machine, start) = new();
        machine.step(Event::Stop, start);
        let [killed, over] = [2, 4].map(|later| start + seconds(later));
        assert_eq!(machine.deadline(), Some(killed));
        assert_eq!(machine.step(Event::Woken, killed), [Action::Kill]);
        let mut other = machine.clone();
        let leave = [Action::Leave(Over::Stopped)];
        assert_eq!(other.step(Event::Ended(End::Killed(9)), killed), leave);
        assert_eq!(machine.deadline(), Some(over));
        assert_eq!(machine.step(Event::Woken, over), leave);
    }
}
