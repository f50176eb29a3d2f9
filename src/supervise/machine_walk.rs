//! A random walk: the machine with random events at random times.

use super::tests::{ENDED, FAILED, RUN, SECOND, later, start_of_time, started};
use super::*;
use crate::numbers::Numbers;
use std::collections::VecDeque;

/// A simple model of the service: enough to state what is forbidden.
struct Observer {
    running: bool,
    want: Want,
    asked: bool,
    leaving: bool,
    last_start: Option<Instant>,
}

impl Observer {
    /// Applies a command, as documented.
    fn hears(&mut self, command: Command) {
        match command {
            Command::Up => {
                self.want = Want::Up;
                self.asked |= !self.running;
            }
            Command::Once => {
                self.want = Want::Once;
                self.asked |= !self.running;
            }
            Command::Down => {
                self.want = Want::Down;
                self.asked = false;
            }
            Command::Exit => self.leaving = true,
            _ => {}
        }
    }

    fn start_is_wanted(&self) -> bool {
        self.asked || (self.want == Want::Up && !self.leaving)
    }
}

#[test]
fn a_million_random_steps_never_break_a_promise() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut steps = 0;
    let (mut starts, mut refreshed) = (0, 0);
    let (mut leaves, mut zombies) = (0, 0);
    while steps < 1_000_000 {
        let mut now = start_of_time();
        let born = now.monotonic;
        let want = [Want::Up, Want::Down][numbers.below(2)];
        let mut machine = Machine::new(want, now);
        let mut observer = Observer {
            running: false,
            want,
            asked: false,
            leaving: false,
            last_start: None,
        };
        let (mut published, mut is_written) = (machine.status(), true);
        let mut next_pid = 1;
        let mut is_reaped = true;
        let mut events = VecDeque::from([SuperviseEvent::Boot]);
        for _ in 0..2_000 {
            steps += 1;
            let event = events.pop_front().unwrap_or_else(|| {
                // The random world: mostly commands, some ends, sometimes x, and time that
                // stands still as often as it passes.
                now = later(
                    now,
                    [
                        Duration::ZERO,
                        SECOND / 100,
                        SECOND / 3,
                        SECOND,
                        70 * SECOND,
                    ][numbers.below(5)],
                );
                match numbers.below(10) {
                    0..3 if observer.running => ENDED,
                    3..5 => SuperviseEvent::Timer,
                    _ => {
                        let command = Command::ALL[numbers.below(Command::ALL.len())];
                        match command {
                            Command::Exit if numbers.below(20) > 0 => {
                                SuperviseEvent::Control(Command::Up)
                            }
                            other => SuperviseEvent::Control(other),
                        }
                    }
                }
            });
            match event {
                SuperviseEvent::Control(command) => observer.hears(command),
                SuperviseEvent::Ended(..) => {
                    observer.running = false;
                    is_reaped = false;
                }
                SuperviseEvent::Started(..) => {
                    observer.running = true;
                    observer.asked = false;
                    observer.last_start = Some(now.monotonic);
                }
                _ => {}
            }
            let actions = machine.step(event, now);
            is_reaped |= actions.contains(&SuperviseAction::Reap(RUN));
            if matches!(event, SuperviseEvent::Ended(..)) && !is_reaped {
                // The record shows it at once, the status when the second is over.
                assert_eq!(actions, [SuperviseAction::Record]);
                assert_eq!(machine.state().process, None);
                assert!(!observer.leaving && machine.deadline().is_some());
                zombies += 1;
            }
            for action in actions {
                match action {
                    SuperviseAction::Start(RUN, begin) => {
                        starts += 1;
                        assert!(!observer.running, "a start while one runs");
                        assert!(is_reaped, "a start before the last one is reaped");
                        assert!(observer.start_is_wanted(), "a start that is not wanted");
                        assert!(
                            observer
                                .last_start
                                .is_none_or(|at| now.monotonic >= at + START_INTERVAL),
                            "two starts within a second"
                        );
                        next_pid += 1;
                        events.push_back(match numbers.below(10) {
                            0 => FAILED,
                            1 if begin == Begin::Gated => SuperviseEvent::CannotGate(RUN),
                            _ => started(next_pid),
                        });
                    }
                    SuperviseAction::Publish | SuperviseAction::Republish => {
                        published = machine.status();
                        is_written = numbers.below(50) > 0;
                        events.push_back(match is_written {
                            true => SuperviseEvent::Published,
                            false => SuperviseEvent::PublishFailed,
                        });
                    }
                    SuperviseAction::Refresh => {
                        assert!(is_written, "the file says something else");
                        assert_eq!(published.encode(), machine.status().encode());
                        refreshed += 1;
                    }
                    SuperviseAction::Announce => events.push_back(SuperviseEvent::Announced),
                    SuperviseAction::OpenGate(RUN) => {
                        assert!(observer.running, "nobody is held");
                        assert_eq!(event, SuperviseEvent::Announced);
                    }
                    SuperviseAction::Signal(RUN, _) => {
                        assert!(observer.running, "a signal to nobody");
                    }
                    SuperviseAction::Record => {}
                    SuperviseAction::Reap(RUN) => assert!(!observer.running),
                }
            }
            if machine.has_left() {
                leaves += 1;
                assert!(observer.leaving, "it left without being told to");
                assert!(!observer.running, "it left a child behind");
                assert_eq!(published.encode(), machine.status().encode());
                break;
            }
            assert_eq!(
                published.encode(),
                machine.status().encode(),
                "a change without a status, after {event:?}"
            );
            // Whenever nothing is unanswered, the next program can continue.
            if events.is_empty() {
                let since_boot = SECOND + (now.monotonic - born);
                let handover = machine.handover(now, since_boot).unwrap();
                let resumed =
                    Machine::resumed(&machine.state(), &handover, now, since_boot).unwrap();
                let republish_at = resumed.republish_at.and(machine.republish_at);
                let resumed = Machine {
                    republish_at,
                    ..resumed
                };
                assert_eq!(resumed, machine);
            }
            if observer.leaving && !observer.running && events.is_empty() {
                assert!(
                    observer.asked,
                    "x, no child, nothing owed: it must have left"
                );
            }
            if events.is_empty() && !observer.running && observer.start_is_wanted() {
                let due = machine.deadline();
                assert!(due.is_some(), "a wanted start that nothing will make");
            }
        }
    }
    assert!(
        starts > 10_000 && leaves > 100 && refreshed > 10_000 && zombies > 1_000,
        "{starts} {leaves} {refreshed} {zombies}"
    );
}
