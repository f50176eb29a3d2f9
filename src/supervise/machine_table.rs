//! The whole table of supervise: every phase, every event, every role.

use super::tests::{ENDED, FAILED, RUN, later, pid, start_of_time, started};
use super::*;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

/// The state in words, without times: everything that decides the effect of an event.
fn words(machine: &Machine, now: Now) -> String {
    let due = |at: Option<Instant>| match at {
        Some(at) if at > now.monotonic + START_INTERVAL => ", within the minute",
        Some(at) if at > now.monotonic => ", within the second",
        _ => "",
    };
    let attempt = |attempt: Attempt| {
        let asked_for = match attempt.is_asked_for {
            true => ", asked for",
            false => "",
        };
        let failed = match attempt.failed_forks {
            0 => "",
            1 => ", fork failed",
            _ => ", forks failed",
        };
        let at = machine.last_try.map(|at| at + attempt.wait());
        format!("{asked_for}{failed}{}", due(at))
    };
    let phase = match machine.phase {
        RunPhase::Beginning => "beginning".to_owned(),
        RunPhase::Down => {
            let earliest = machine.last_try.map(|at| at + START_INTERVAL);
            format!("down{}", due(earliest))
        }
        RunPhase::Gated => "gated".to_owned(),
        RunPhase::Waiting(start) => format!("waiting{}", attempt(start)),
        RunPhase::Starting(start) => format!("starting{}", attempt(start)),
        RunPhase::Up { paused: true, .. } => "up, paused".to_owned(),
        RunPhase::Up { is_quiet: true, .. } => "up, no command yet".to_owned(),
        RunPhase::Up { .. } => "up".to_owned(),
        RunPhase::Zombie(_) => "zombie".to_owned(),
        RunPhase::Left => return "left".to_owned(),
    };
    let want = char::from(machine.status().encode()[17]);
    let want = if want == '\0' { '0' } else { want };
    let leaving = match machine.leaving {
        Leaving::No => "",
        Leaving::AskedFor => ", leaving",
        Leaving::Deleted => ", deleted",
    };
    format!("{phase}, want {want}{leaving}")
}

fn event_words(event: SuperviseEvent) -> String {
    let role = |role| match role {
        ProcessRole::Run => "run",
    };
    match event {
        SuperviseEvent::Control(command) => char::from(command.encode().unwrap()).to_string(),
        SuperviseEvent::Started(it, _) => format!("{} started", role(it)),
        SuperviseEvent::StartFailed(it) => format!("{} fork fails", role(it)),
        SuperviseEvent::CannotGate(it) => format!("{} not gated", role(it)),
        SuperviseEvent::Ended(it, _) => format!("{} ends", role(it)),
        SuperviseEvent::Boot => "boot".to_owned(),
        SuperviseEvent::Announced => "announced".to_owned(),
        SuperviseEvent::NotAnnounced => "not announced".to_owned(),
        SuperviseEvent::Timer => "time passes".to_owned(),
        SuperviseEvent::Published => "published".to_owned(),
        SuperviseEvent::PublishFailed => "publish fails".to_owned(),
        SuperviseEvent::NoDirectory => "no place".to_owned(),
        SuperviseEvent::DirectoryGone => "deleted".to_owned(),
        SuperviseEvent::Released => "released".to_owned(),
    }
}

fn action_words(action: &SuperviseAction) -> String {
    match action {
        SuperviseAction::Start(ProcessRole::Run, Begin::AtOnce) => "Start(Run)".to_owned(),
        action => format!("{action:?}").replace(", ", " "),
    }
}

/// A machine, and the actions that wait for their answers.
type State = (Machine, Vec<SuperviseAction>);

/// The possible events and the time until each. Answers come first.
fn events((machine, unanswered): &State) -> Vec<(SuperviseEvent, Duration)> {
    let at_once = |event: SuperviseEvent| (event, Duration::ZERO);
    for action in unanswered {
        let answers = match action {
            SuperviseAction::Start(RUN, Begin::AtOnce) => vec![started(7), FAILED],
            SuperviseAction::Start(RUN, Begin::Gated) => {
                vec![started(7), FAILED, SuperviseEvent::CannotGate(RUN)]
            }
            SuperviseAction::Announce => {
                vec![SuperviseEvent::Announced, SuperviseEvent::NotAnnounced]
            }
            _ => continue,
        };
        return answers.into_iter().map(at_once).collect();
    }
    let mut events =
        Vec::from(Command::ALL.map(|command| at_once(SuperviseEvent::Control(command))));
    if let RunPhase::Up { .. } = machine.phase {
        events.extend([at_once(ENDED), (ENDED, FORK_RETRY)]);
    }
    if machine.phase == RunPhase::Gated {
        events.push(at_once(SuperviseEvent::Released));
    }
    // A minute later every deadline has passed.
    events.extend([
        (SuperviseEvent::Timer, FORK_RETRY),
        at_once(SuperviseEvent::DirectoryGone),
    ]);
    events
}

/// The whole table of supervise: every reachable state, every event, its actions and the next
/// state, and that `x` terminates in each of them. `tests/data/supervise-machine.txt` also
/// serves as documentation; after an intended change, `BLESS=1 cargo test` rewrites it.
#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let now = start_of_time();
    let mut queue: VecDeque<State> = VecDeque::new();
    let mut seen = BTreeMap::new();
    let new = |want| Machine::new(want, now);
    for mut machine in [new(Want::Up), new(Want::Down), new(Want::Up).gated()] {
        let before = words(&machine, now) + ", not begun";
        let actions = machine.step(SuperviseEvent::Boot, now);
        let state = (machine, actions);
        seen.insert(
            before,
            row(SuperviseEvent::Boot, Duration::ZERO, &state, ""),
        );
        queue.push_back(state);
    }
    while let Some(state) = queue.pop_front() {
        let before = state_words(&state);
        if state.0.has_left() || seen.contains_key(&before) {
            continue;
        }
        let waits_for_answer = state.1.iter().any(is_answered);
        if !waits_for_answer {
            assert_x_ends(state.0.clone(), now);
        }
        let mut rows = String::new();
        for (event, by) in events(&state) {
            let mut next = state.0.clone();
            let actions = next.step(event, later(now, by));
            if by > Duration::ZERO {
                // Times long ago are treated as never, to limit the number of states.
                next.last_try = None;
            }
            let next = (next, actions);
            rows += &row(event, by, &next, &before);
            queue.push_back(next);
        }
        rows += &row_of_a_failed_publish(state.0, waits_for_answer, now);
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

/// Whether its answer determines the phase.
fn is_answered(action: &SuperviseAction) -> bool {
    matches!(
        action,
        SuperviseAction::Start(..) | SuperviseAction::Announce
    )
}

fn state_words((machine, actions): &State) -> String {
    let announcing = match actions.contains(&SuperviseAction::Announce) {
        true => ", announcing",
        false => "",
    };
    words(machine, start_of_time()) + announcing
}

/// One line of the table.
fn row(event: SuperviseEvent, by: Duration, after: &State, before: &str) -> String {
    let actions: Vec<String> = after.1.iter().map(action_words).collect();
    let actions = match actions.is_empty() {
        true => "-".to_owned(),
        false => actions.join(" "),
    };
    let event = match event {
        SuperviseEvent::Ended(..) if by > Duration::ZERO => event_words(event) + " later",
        event => event_words(event),
    };
    let after = state_words(after);
    let after = if after == before { "same" } else { &after };
    format!("    {event:15} {actions:45} {after}\n")
}

/// A failed write of the status only schedules a retry, which would double the number of
/// states: so the row shows that, too.
fn row_of_a_failed_publish(machine: Machine, waits_for_answer: bool, now: Now) -> String {
    let event = SuperviseEvent::PublishFailed;
    let before = words(&machine, now);
    let mut machine = machine;
    assert_eq!(machine.step(event, now), []);
    assert_eq!(words(&machine, now), before);
    let event = event_words(event);
    if waits_for_answer {
        return format!("    {event:15} {:45} same\n", "-");
    }
    let then = later(now, PUBLISH_RETRY);
    assert!(machine.deadline().is_some_and(|at| at <= then.monotonic));
    let again = machine.step(SuperviseEvent::Timer, then);
    assert!(again.contains(&SuperviseAction::Republish));
    let again: Vec<String> = again.iter().map(action_words).collect();
    format!(
        "    {event:15} {:45} same; 5 s later {}\n",
        "-",
        again.join(" ")
    )
}

/// After `x` it exits: when the process ends, if there is one, or after the one requested
/// start, or after the fork for that has failed.
fn assert_x_ends(machine: Machine, now: Now) {
    for answer in [SuperviseEvent::Started(RUN, pid(9)), FAILED] {
        let mut machine = machine.clone();
        let mut now = now;
        let mut event = SuperviseEvent::Control(Command::Exit);
        let mut starts = 0;
        loop {
            let actions = machine.step(event, now);
            if machine.has_left() {
                break;
            }
            now = later(now, FORK_RETRY);
            let starting = actions
                .iter()
                .any(|it| matches!(it, SuperviseAction::Start(..)));
            event = if starting {
                starts += 1;
                assert!(starts <= 1, "it starts again after x: {machine:?}");
                answer
            } else if let RunPhase::Up { .. } = machine.phase {
                ENDED
            } else {
                assert!(
                    machine.deadline().is_some(),
                    "nothing will end it: {machine:?}"
                );
                SuperviseEvent::Timer
            };
        }
    }
}
