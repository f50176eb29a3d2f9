//! A `down` and a `log` that appear after an incomplete directory was picked up.

use super::tests::{Case, KILLED, SECOND, TOLD_TO_EXIT, id, make_pipe, observation, os, start};
use super::*;
use crate::formats::status::Want;
use crate::svscan::late::PERIOD;
use crate::svscan::settling::QUIET;

/// A running service without late files.
const NOTHING: Inspection = Inspection {
    has_down: false,
    has_log: false,
    want: Some(Want::Up),
    commanded: None,
};

const WITH_DOWN: Inspection = Inspection {
    has_down: true,
    ..NOTHING
};

const WITH_LOG: Inspection = Inspection {
    has_log: true,
    ..NOTHING
};

fn obey(file: LateFile) -> ScanAction {
    let (id, name) = (id(1), os("a"));
    ScanAction::Obey { id, name, file }
}

fn inspect() -> ScanAction {
    ScanAction::Inspect(id(1), os("a"))
}

impl Case {
    /// `a` was picked up incomplete just now, and runs as process 10.
    fn incomplete(last: Observation) -> Case {
        let mut case = Case::new();
        let end = case.now + INTERVAL;
        let mut digest = 0;
        while case.now < end {
            assert_eq!(case.looks("a", 1, observation(true, digest)), []);
            case.wait(QUIET.min(end - case.now));
            digest += 1;
        }
        let last = Observation { digest, ..last };
        assert_eq!(
            case.looks("a", 1, last),
            [start(1, SuperviseKind::Main, "a")]
        );
        case.started(1, SuperviseKind::Main, 10);
        case
    }

    /// The observation a second later.
    fn inspected(&mut self, seen: Inspection) -> Vec<ScanAction> {
        self.wait(SECOND);
        assert_eq!(self.tick(), [inspect()]);
        self.plan.inspected(id(1), seen, self.now)
    }
}

#[test]
fn a_down_that_comes_late_is_obeyed_once() {
    let mut case = Case::incomplete(observation(true, 0));
    assert_eq!(case.inspected(NOTHING), []);
    for _ in 0..2 {
        assert_eq!(case.inspected(WITH_DOWN), [obey(LateFile::Down)]);
    }
    case.plan.obeyed(id(1), LateFile::Down);
    assert_eq!(case.inspected(WITH_DOWN), []);
}

#[test]
fn a_down_that_was_there_is_not_news() {
    let last = Observation {
        has_down: true,
        ..observation(true, 0)
    };
    let mut case = Case::incomplete(last);
    assert_eq!(case.inspected(WITH_DOWN), []);
}

#[test]
fn who_has_sent_a_command_meanwhile_knows_better_than_a_down() {
    let mut case = Case::incomplete(observation(true, 0));
    let commanded = Some(SECOND / 2);
    let seen = Inspection {
        commanded,
        ..WITH_DOWN
    };
    assert_eq!(case.inspected(seen), []);
    assert_eq!(case.inspected(WITH_DOWN), [], "nor later");
    // A command to a supervise of an earlier time does not count.
    let mut case = Case::incomplete(observation(true, 0));
    let commanded = Some(10 * SECOND);
    let seen = Inspection {
        commanded,
        ..WITH_DOWN
    };
    assert_eq!(case.inspected(seen), [obey(LateFile::Down)]);
}

#[test]
fn nothing_is_obeyed_after_a_minute_nor_in_what_was_picked_up_complete() {
    let mut case = Case::incomplete(observation(true, 0));
    case.wait(PERIOD);
    assert_eq!(case.tick(), [inspect()], "the last one");
    case.wait(SECOND);
    assert_eq!(case.tick(), []);
    assert_eq!(case.rest(), None);
    assert_eq!(case.plan.inspected(id(1), WITH_DOWN, case.now), []);
    let mut case = Case::running();
    assert_eq!(case.rest(), None);
    assert_eq!(case.plan.inspected(id(1), WITH_DOWN, case.now), []);
}

#[test]
fn a_service_whose_log_comes_late_becomes_a_pair_when_its_supervise_has_exited() {
    let mut case = Case::incomplete(observation(true, 0));
    assert_eq!(case.inspected(WITH_LOG), [obey(LateFile::Log)]);
    assert_eq!(
        case.inspected(WITH_LOG),
        [obey(LateFile::Log)],
        "not told yet"
    );
    case.plan.obeyed(id(1), LateFile::Log);
    assert_eq!(case.inspected(WITH_LOG), [], "it is told");
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [make_pipe(1, "a")]);
    assert_eq!(
        case.plan.pipe_made(id(1), case.now),
        [
            start(1, SuperviseKind::Main, "a"),
            start(1, SuperviseKind::Log, "a")
        ]
    );
    case.started(1, SuperviseKind::Main, 11);
    case.started(1, SuperviseKind::Log, 12);
    assert_eq!(case.inspected(WITH_LOG), []);
    // The command of svscan itself does not count as one of an administrator.
    let seen = Inspection {
        commanded: Some(SECOND * 2),
        has_down: true,
        ..WITH_LOG
    };
    assert_eq!(case.inspected(seen), [obey(LateFile::Down)]);
}

#[test]
fn a_supervise_that_was_just_started_becomes_a_pair_a_second_later() {
    let mut case = Case::incomplete(observation(true, 0));
    assert_eq!(case.inspected(WITH_LOG), [obey(LateFile::Log)]);
    case.plan.obeyed(id(1), LateFile::Log);
    case.plan
        .started(id(1), SuperviseKind::Main, super::tests::pid(10), case.now);
    assert_eq!(case.ended(10, KILLED), [make_pipe(1, "a")]);
    assert_eq!(
        case.plan.pipe_made(id(1), case.now),
        [start(1, SuperviseKind::Log, "a")]
    );
    assert_eq!(case.rest(), Some(SECOND));
}

#[test]
fn a_log_that_comes_late_waits_where_a_new_supervise_would_do_what_nobody_asked_for() {
    let mut case = Case::incomplete(observation(true, 0));
    for want in [Some(Want::Down), Some(Want::Once), None] {
        let seen = Inspection { want, ..WITH_LOG };
        assert_eq!(case.inspected(seen), [], "{want:?}, without a down");
    }
    // Sent `u`, although it has a `down`.
    let seen = Inspection {
        has_down: true,
        commanded: Some(SECOND / 2),
        ..WITH_LOG
    };
    assert_eq!(case.inspected(seen), []);
    let seen = Inspection {
        want: Some(Want::Down),
        ..seen
    };
    assert_eq!(case.inspected(seen), [obey(LateFile::Log)]);
}

#[test]
fn a_service_that_is_gone_when_its_supervise_exits_does_not_become_a_pair() {
    let mut case = Case::incomplete(observation(true, 0));
    assert_eq!(case.inspected(WITH_LOG), [obey(LateFile::Log)]);
    case.plan.obeyed(id(1), LateFile::Log);
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [ScanAction::Forget(id(1))]);
    assert!(case.is_empty());
}
