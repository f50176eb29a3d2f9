//! The whole table of supervise: every state, every event.

use super::tests::{has_start, later, pid, start_of_time};
use super::*;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

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
    text.push_str(match machine.failed_forks {
        0 => "",
        1 => ", fork failed",
        _ => ", forks failed",
    });
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
        Event::DirectoryGone => "directory deleted".to_owned(),
        Event::Released => "released".to_owned(),
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
        let row = row(Event::Boot, Duration::ZERO, &actions, &after);
        seen.insert(before, row);
        queue.push_back((machine, starting));
    }
    while let Some((machine, starting)) = queue.pop_front() {
        let before = words(&machine, now) + if starting { ", forking" } else { "" };
        if seen.contains_key(&before) {
            continue;
        }
        // The event, and how much later it comes.
        let mut events: Vec<(Event, Duration)> = Vec::new();
        if starting {
            events.extend([Event::Started(pid(7)), Event::StartFailed].map(at_once));
        } else {
            events.extend(Command::ALL.map(|command| at_once(Event::Control(command))));
            if machine.child.is_some() {
                events.extend([at_once(Event::Exited), (Event::Exited, FORK_RETRY)]);
            }
            // A minute later everything that waits is due.
            events.push((Event::Timer, FORK_RETRY));
        }
        if !starting {
            assert_x_ends(machine.clone(), now);
        }
        let mut rows = String::new();
        for (event, by) in events {
            let mut next = machine.clone();
            let actions = next.step(event, later(now, by));
            if by > Duration::ZERO {
                // Wound back, so that the states stay few.
                next.not_before = next.not_before.filter(|_| !has_start(&actions));
            }
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
            rows += &row(event, by, &actions, &after);
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

fn at_once(event: Event) -> (Event, Duration) {
    (event, Duration::ZERO)
}

/// One line of the table.
fn row(event: Event, by: Duration, actions: &[Action], after: &str) -> String {
    let actions: Vec<String> = actions.iter().map(|a| format!("{a:?}")).collect();
    let actions = if actions.is_empty() {
        "-".to_owned()
    } else {
        actions.join(" ")
    };
    let event = match event {
        Event::Exited if by > Duration::ZERO => "ends later".to_owned(),
        event => event_words(event),
    };
    format!("    {event:13} {actions:35} {after}\n")
}

/// A status that could not be written changes nothing but that it is written
/// again, which would only double the states: so the row says that, too.
fn row_of_a_failed_publish(mut machine: Machine, starting: bool, now: Now) -> String {
    let event = Event::PublishFailed;
    let before = words(&machine, now);
    let actions = machine.step(event, now);
    assert_eq!(words(&machine, now), before);
    if starting {
        return row(event, Duration::ZERO, &actions, "same");
    }
    let then = later(now, PUBLISH_RETRY);
    assert!(machine.deadline().is_some_and(|at| at <= then.monotonic));
    let again = machine.step(Event::Timer, then);
    assert_eq!(again.first(), Some(&Action::Republish));
    row(
        event,
        Duration::ZERO,
        &actions,
        &format!("same; 5 s later {again:?}"),
    )
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
