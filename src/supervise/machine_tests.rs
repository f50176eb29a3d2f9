use super::*;
use crate::numbers::Numbers;
use crate::sys::clock;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

fn start_of_time() -> Now {
    Now {
        monotonic: clock::monotonic(),
        wall: Tai64n::from_unix(Duration::from_secs(1_000_000)),
    }
}

fn later(now: Now, by: Duration) -> Now {
    Now {
        monotonic: now.monotonic + by,
        wall: Tai64n {
            seconds: now.wall.seconds + by.as_secs(),
            nanoseconds: by.subsec_nanos(),
        },
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn pid(number: u32) -> Pid {
    Pid::new(number).unwrap()
}

/// A machine whose service was started at the moment that is given, too.
fn up() -> (Machine, Now) {
    let now = start_of_time();
    let mut machine = Machine::new(Want::Up, now);
    assert_eq!(machine.step(Event::Boot, now), [Action::Start]);
    assert_eq!(machine.step(Event::Started(pid(7)), now), [Action::Publish]);
    (machine, now)
}

fn has_start(actions: &[Action]) -> bool {
    let is_start = |action: &Action| matches!(action, Action::Start | Action::StartAgain);
    actions.iter().any(is_start)
}

#[test]
fn a_service_with_a_down_file_is_not_started() {
    let now = start_of_time();
    let mut machine = Machine::new(Want::Down, now);
    assert_eq!(machine.step(Event::Boot, now), []);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn down_on_a_running_service_sends_term_then_cont_then_publishes() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(Event::Control(Command::Down), now),
        [
            Action::Send(Signal::Term),
            Action::Send(Signal::Cont),
            Action::Publish
        ]
    );
    assert_eq!(machine.status().want, Want::Down);
    assert_eq!(machine.step(Event::Exited, now), [Action::Publish]);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn a_pause_is_published_before_the_signal() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(Event::Control(Command::Pause), now),
        [Action::Publish, Action::Send(Signal::Stop)]
    );
    assert!(machine.status().paused);
    assert_eq!(
        machine.step(Event::Control(Command::Continue), now),
        [Action::Publish, Action::Send(Signal::Cont)]
    );
    assert!(!machine.status().paused);
}

#[test]
fn a_continue_where_nothing_is_paused_writes_no_status_unless_the_last_could_not_be_written() {
    let (mut machine, now) = up();
    let go_on = Event::Control(Command::Continue);
    assert_eq!(
        machine.step(go_on, now),
        [Action::Refresh, Action::Send(Signal::Cont)]
    );
    machine.step(Event::PublishFailed, now);
    assert_eq!(
        machine.step(go_on, now),
        [Action::Publish, Action::Send(Signal::Cont)]
    );
    assert_eq!(machine.deadline(), None);
    machine.step(Event::Exited, now);
    machine.step(Event::Control(Command::Down), now);
    assert_eq!(machine.step(go_on, now), [Action::Refresh]);
}

#[test]
fn a_service_that_ran_a_second_is_started_again_at_once() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(Event::Exited, later(now, SECOND)),
        [Action::StartAgain]
    );
}

#[test]
fn a_service_that_ran_less_waits_for_the_rest_of_the_second_and_no_longer() {
    let (mut machine, now) = up();
    let early = later(now, SECOND / 4);
    assert_eq!(machine.step(Event::Exited, early), [Action::Publish]);
    assert_eq!(machine.deadline(), Some(now.monotonic + SECOND));
    assert_eq!(machine.step(Event::Timer, later(now, SECOND / 2)), []);
    assert_eq!(
        machine.step(Event::Timer, later(now, SECOND)),
        [Action::Start]
    );
}

#[test]
fn commands_are_heard_while_a_restart_waits() {
    let (mut machine, now) = up();
    machine.step(Event::Exited, now);
    assert_eq!(
        machine.step(Event::Control(Command::Down), now),
        [Action::Publish]
    );
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.step(Event::Timer, later(now, SECOND)), []);
}

#[test]
fn exit_while_up_waits_for_the_child() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(Event::Control(Command::Exit), now),
        [Action::Publish]
    );
    assert_eq!(
        machine.step(Event::Exited, now),
        [Action::Publish, Action::Publish, Action::Leave]
    );
    assert_eq!(machine.status().want, Want::Up);
}

#[test]
fn exit_cannot_be_taken_back() {
    let (mut machine, now) = up();
    machine.step(Event::Control(Command::Exit), now);
    machine.step(Event::Control(Command::Up), now);
    let actions = machine.step(Event::Exited, later(now, SECOND));
    assert_eq!(actions.last(), Some(&Action::Leave));
}

#[test]
fn once_and_exit_within_the_second_still_starts_once() {
    let (mut machine, now) = up();
    machine.step(Event::Control(Command::Down), now);
    machine.step(Event::Exited, now);
    assert_eq!(
        machine.step(Event::Control(Command::Once), now),
        [Action::Publish]
    );
    assert_eq!(
        machine.step(Event::Control(Command::Exit), now),
        [Action::Publish]
    );
    let now = later(now, SECOND);
    assert_eq!(machine.step(Event::Timer, now), [Action::Start]);
    machine.step(Event::Started(pid(8)), now);
    let actions = machine.step(Event::Exited, now);
    assert_eq!(actions.last(), Some(&Action::Leave));
}

#[test]
fn exit_while_a_restart_waits_ends_at_once() {
    let (mut machine, now) = up();
    machine.step(Event::Exited, now);
    assert_eq!(
        machine.step(Event::Control(Command::Exit), now),
        [Action::Publish, Action::Publish, Action::Leave]
    );
}

#[test]
fn a_failed_fork_waits_a_minute_and_up_cuts_it_short() {
    let now = start_of_time();
    let mut machine = Machine::new(Want::Up, now);
    machine.step(Event::Boot, now);
    assert_eq!(machine.step(Event::StartFailed, now), []);
    assert_eq!(machine.deadline(), Some(now.monotonic + FORK_RETRY));
    assert_eq!(
        machine.step(Event::Control(Command::Up), now),
        [Action::Publish]
    );
    assert_eq!(machine.deadline(), Some(now.monotonic + START_INTERVAL));
    let now = later(now, SECOND);
    assert_eq!(machine.step(Event::Timer, now), [Action::Start]);
}

#[test]
fn a_status_that_could_not_be_written_is_written_again_later() {
    let (mut machine, now) = up();
    assert_eq!(machine.step(Event::PublishFailed, now), []);
    assert_eq!(machine.deadline(), Some(now.monotonic + PUBLISH_RETRY));
    let now = later(now, PUBLISH_RETRY);
    assert_eq!(machine.step(Event::Timer, now), [Action::Republish]);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn the_stamp_changes_with_the_pid_and_with_nothing_else() {
    let (mut machine, now) = up();
    let started = machine.status().since;
    let now = later(now, SECOND);
    for command in Command::ALL {
        machine.step(Event::Control(command), now);
        assert_eq!(machine.status().since, started, "{command:?}");
    }
    machine.step(Event::Exited, now);
    assert_eq!(machine.status().since, now.wall);
}

/// The state in words, without moments: what decides what an event does.
fn words(machine: &Machine, now: Now) -> String {
    let mut text = String::from(match (machine.child, machine.want) {
        (Some(_), _) => "up",
        (None, _) => "down",
    });
    text.push_str(match machine.want {
        Want::Up => ", want u",
        Want::Down => ", want d",
        Want::Once => ", want 0",
    });
    if machine.paused {
        text.push_str(", paused");
    }
    if machine.leaving {
        text.push_str(", leaving");
    }
    if machine.owed {
        text.push_str(", start owed");
    }
    if machine.child.is_none() {
        match machine.not_before {
            Some(at) if at > now.monotonic + START_INTERVAL => text.push_str(", within the minute"),
            Some(at) if at > now.monotonic => text.push_str(", within the second"),
            _ => {}
        }
    }
    if machine.fork_failed {
        text.push_str(", fork failed");
    }
    text
}

fn event_words(event: Event) -> String {
    match event {
        Event::Control(command) => char::from(command.encode().unwrap()).to_string(),
        Event::Started(_) => "started".to_owned(),
        Event::StartFailed => "fork fails".to_owned(),
        Event::Exited => "child ends".to_owned(),
        Event::Boot => "boot".to_owned(),
        Event::Timer => "time passes".to_owned(),
        Event::PublishFailed => "publish fails".to_owned(),
    }
}

/// The whole table of supervise: every state that can be reached, every event,
/// its actions and the state after it, and that `x` ends in every one of them.
/// `tests/data/supervise-machine.txt` is the document, too; after a change that
/// is meant, `BLESS=1 cargo test` writes it anew.
#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let now = start_of_time();
    let mut queue: VecDeque<(Machine, bool)> = VecDeque::new();
    let mut seen = BTreeMap::new();
    for want in [Want::Up, Want::Down] {
        let mut machine = Machine::new(want, now);
        let before = words(&machine, now) + ", not begun";
        let actions = machine.step(Event::Boot, now);
        let starting = has_start(&actions);
        let after = words(&machine, now) + if starting { ", forking" } else { "" };
        seen.insert(before, row(Event::Boot, &actions, &after));
        queue.push_back((machine, starting));
    }
    while let Some((machine, starting)) = queue.pop_front() {
        let before = words(&machine, now) + if starting { ", forking" } else { "" };
        if seen.contains_key(&before) {
            continue;
        }
        let mut events: Vec<Event> = Vec::new();
        if starting {
            events.extend([Event::Started(pid(7)), Event::StartFailed]);
        } else {
            events.extend(Command::ALL.map(Event::Control));
            if machine.child.is_some() {
                events.push(Event::Exited);
            }
            events.push(Event::Timer);
        }
        if !starting {
            assert_x_ends(machine.clone(), now);
        }
        let mut rows = String::new();
        for event in events {
            let mut next = machine.clone();
            let actions = if event == Event::Timer {
                // A minute later everything that waits is due; then wind back,
                // so that the states stay few.
                let actions = next.step(event, later(now, FORK_RETRY));
                next.not_before = next.not_before.filter(|_| !has_start(&actions));
                actions
            } else {
                next.step(event, now)
            };
            let left = actions.contains(&Action::Leave);
            let starting = has_start(&actions);
            let after = if left {
                "gone".to_owned()
            } else {
                words(&next, now) + if starting { ", forking" } else { "" }
            };
            let after = if after == before {
                "same".to_owned()
            } else {
                after
            };
            rows += &row(event, &actions, &after);
            if !left {
                queue.push_back((next, starting));
            }
        }
        rows += &row_of_a_failed_publish(machine, starting, now);
        seen.insert(before, rows);
    }
    let mut table = String::new();
    for (state, rows) in &seen {
        writeln!(table, "{state}:\n{rows}").unwrap();
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/supervise-machine.txt"
    );
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(path).unwrap());
}

/// One line of the table.
fn row(event: Event, actions: &[Action], after: &str) -> String {
    let actions: Vec<String> = actions.iter().map(|a| format!("{a:?}")).collect();
    let actions = if actions.is_empty() {
        "-".to_owned()
    } else {
        actions.join(" ")
    };
    format!("    {:13} {actions:35} {after}\n", event_words(event))
}

/// A status that could not be written changes nothing but that it is written
/// again, which would only double the states: so the row says that, too.
fn row_of_a_failed_publish(mut machine: Machine, starting: bool, now: Now) -> String {
    let event = Event::PublishFailed;
    let before = words(&machine, now);
    let actions = machine.step(event, now);
    assert_eq!(words(&machine, now), before);
    if starting {
        return row(event, &actions, "same");
    }
    let then = later(now, PUBLISH_RETRY);
    assert!(machine.deadline().is_some_and(|at| at <= then.monotonic));
    let again = machine.step(Event::Timer, then);
    assert_eq!(again.first(), Some(&Action::Republish));
    row(event, &actions, &format!("same; 5 s later {again:?}"))
}

/// After `x` it leaves: when the child ends, if there is one, or after the one
/// start that is owed, or after the fork for that has failed.
fn assert_x_ends(machine: Machine, now: Now) {
    for answer in [Event::Started(pid(9)), Event::StartFailed] {
        let mut machine = machine.clone();
        let mut now = now;
        let mut event = Event::Control(Command::Exit);
        let mut starts = 0;
        loop {
            let actions = machine.step(event, now);
            if actions.contains(&Action::Leave) {
                break;
            }
            now = later(now, FORK_RETRY);
            event = if has_start(&actions) {
                starts += 1;
                assert!(starts <= 1, "it starts again after x: {machine:?}");
                answer
            } else if machine.child.is_some() {
                Event::Exited
            } else {
                assert!(
                    machine.deadline().is_some(),
                    "nothing will end it: {machine:?}"
                );
                Event::Timer
            };
        }
    }
}

/// What a plain observer knows of the service: enough to say what is forbidden.
struct Observer {
    running: bool,
    want: Want,
    asked: bool,
    leaving: bool,
    last_start: Option<Instant>,
}

impl Observer {
    /// Takes note of a command, as its manual describes it.
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
    let mut leaves = 0;
    while steps < 1_000_000 {
        let mut now = start_of_time();
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
        let mut events = VecDeque::from([Event::Boot]);
        'walk: for _ in 0..2_000 {
            steps += 1;
            let event = events.pop_front().unwrap_or_else(|| {
                // The world in which it lives: mostly commands, some deaths,
                // sometimes x, and time that stands still as often as it passes.
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
                    0..3 if observer.running => Event::Exited,
                    3..5 => Event::Timer,
                    _ => {
                        let command = Command::ALL[numbers.below(Command::ALL.len())];
                        match command {
                            Command::Exit if numbers.below(20) > 0 => Event::Control(Command::Up),
                            other => Event::Control(other),
                        }
                    }
                }
            });
            match event {
                Event::Control(command) => observer.hears(command),
                Event::Exited => observer.running = false,
                Event::Started(_) => {
                    observer.running = true;
                    observer.asked = false;
                    observer.last_start = Some(now.monotonic);
                }
                _ => {}
            }
            let actions = machine.step(event, now);
            for (place, action) in actions.iter().enumerate() {
                match action {
                    Action::Start | Action::StartAgain => {
                        if *action == Action::StartAgain {
                            assert_eq!(event, Event::Exited);
                            published = machine.status();
                            is_written = numbers.below(50) > 0;
                            if !is_written {
                                assert_eq!(machine.step(Event::PublishFailed, now), []);
                            }
                        }
                        starts += 1;
                        assert!(!observer.running, "a start while one runs");
                        assert!(observer.start_is_wanted(), "a start that is not wanted");
                        assert!(
                            observer
                                .last_start
                                .is_none_or(|at| now.monotonic >= at + START_INTERVAL),
                            "two starts within a second"
                        );
                        assert_eq!(place, actions.len() - 1, "a start is the last action");
                        next_pid += 1;
                        events.push_back(match numbers.below(10) {
                            0 => Event::StartFailed,
                            _ => Event::Started(pid(next_pid)),
                        });
                    }
                    Action::Publish | Action::Republish => {
                        published = machine.status();
                        is_written = numbers.below(50) > 0;
                        if !is_written {
                            assert_eq!(machine.step(Event::PublishFailed, now), []);
                        }
                    }
                    Action::Refresh => {
                        assert!(is_written, "the file says something else");
                        assert_eq!(published.encode(), machine.status().encode());
                        refreshed += 1;
                    }
                    Action::Send(_) => {
                        assert!(observer.running, "a signal to nobody");
                    }
                    Action::Leave => {
                        leaves += 1;
                        assert!(observer.leaving, "it left without being told to");
                        assert!(!observer.running, "it left a child behind");
                        assert_eq!(published.encode(), machine.status().encode());
                        break 'walk;
                    }
                }
            }
            assert_eq!(
                published.encode(),
                machine.status().encode(),
                "a change without a status, after {event:?}"
            );
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
        starts > 10_000 && leaves > 100 && refreshed > 10_000,
        "{starts} {leaves} {refreshed}"
    );
}
