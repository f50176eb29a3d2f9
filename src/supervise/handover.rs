//! What a machine hands over to the next program of its supervise (upgrade in place), and the
//! machine that continues with it there. No I/O.

use super::{Attempt, Leaving, Machine, Now, RunPhase};
use crate::formats::handover::{Handover, HandoverPhase};
use crate::formats::state::State;
use std::time::Duration;

impl Machine {
    /// What the next program needs besides [`Machine::state`]; `since_boot` is the time since
    /// boot `now`. To be called when no action waits for its answer.
    ///
    /// # Errors
    /// Why it cannot be handed over.
    #[cold]
    pub fn handover(&self, now: Now, since_boot: Duration) -> Result<Handover, &'static str> {
        if self.leaving == Leaving::Deleted {
            return Err("its directory was deleted");
        }
        let phase = match self.phase {
            RunPhase::Down => HandoverPhase::Down,
            RunPhase::Waiting(attempt) => HandoverPhase::Waiting {
                is_asked_for: attempt.is_asked_for,
                failed_forks: attempt.failed_forks.try_into().unwrap_or(u32::MAX),
            },
            RunPhase::Up { is_quiet, .. } => HandoverPhase::Up { is_quiet },
            RunPhase::Zombie(pid) => HandoverPhase::Zombie(pid),
            RunPhase::Gated => return Err("it waits for another supervise to end"),
            RunPhase::Beginning | RunPhase::Starting(_) | RunPhase::Left => {
                return Err("it is starting or exiting");
            }
        };
        let ago = |at| since_boot.saturating_sub(now.monotonic.saturating_duration_since(at));
        Ok(Handover {
            phase,
            since: self.since,
            last_try: self.last_try.map(ago),
            is_unpublished: self.republish_at.is_some(),
        })
    }

    /// The machine that handed over `handover` and `state`. None: they do not fit together.
    #[cold]
    pub fn resumed(
        state: &State,
        handover: &Handover,
        now: Now,
        since_boot: Duration,
    ) -> Option<Machine> {
        let ago = |at| now.monotonic.checked_sub(since_boot.saturating_sub(at));
        Some(Machine {
            phase: match handover.phase {
                HandoverPhase::Down => RunPhase::Down,
                HandoverPhase::Waiting {
                    is_asked_for,
                    failed_forks,
                } => RunPhase::Waiting(Attempt {
                    is_asked_for,
                    failed_forks: failed_forks as usize,
                }),
                HandoverPhase::Up { is_quiet } => RunPhase::Up {
                    pid: state.process?.pid,
                    paused: state.paused,
                    is_quiet,
                },
                HandoverPhase::Zombie(pid) => RunPhase::Zombie(pid),
            },
            want: state.want,
            leaving: match state.leaving {
                true => Leaving::AskedFor,
                false => Leaving::No,
            },
            since: handover.since,
            last_try: handover.last_try.and_then(ago),
            republish_at: handover.is_unpublished.then_some(now.monotonic),
            starts: state.starts,
            last_end: state.last_end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SECOND, later, start_of_time};
    use super::*;
    use crate::formats::status::Want;

    #[test]
    fn what_waits_for_another_supervise_is_not_handed_over() {
        let now = start_of_time();
        let gated = Machine::new(Want::Up, now).gated();
        let refusal = Err("it waits for another supervise to end");
        assert_eq!(gated.handover(now, SECOND), refusal);
        assert!(Machine::new(Want::Up, now).handover(now, SECOND).is_err());
    }

    #[test]
    fn a_failed_fork_is_tried_again_after_its_wait_and_a_status_at_once() {
        let now = start_of_time();
        let mut machine = Machine::new(Want::Down, now);
        machine.phase = RunPhase::Waiting(Attempt {
            is_asked_for: true,
            failed_forks: 3,
        });
        machine.last_try = Some(now.monotonic);
        machine.republish_at = Some(now.monotonic + 4 * SECOND);
        let then = later(now, SECOND);
        let handover = machine.handover(then, 100 * SECOND).unwrap();
        // The exec takes half a second.
        let then = later(then, SECOND / 2);
        let resumed =
            Machine::resumed(&machine.state(), &handover, then, 100 * SECOND + SECOND / 2);
        let resumed = resumed.unwrap();
        assert_eq!(resumed.republish_at, Some(then.monotonic));
        machine.republish_at = resumed.republish_at;
        assert_eq!(resumed, machine);
    }
}
