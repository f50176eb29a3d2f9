//! Services with a logger: two supervises and the pipe between them.

use super::tests::{
    Case, KILLED, SECOND, TOLD_TO_EXIT, examine, forget, id, make_pipe, pid, resume, start,
};
use super::*;

#[test]
fn a_pair_has_its_pipe_before_its_supervises() {
    let mut case = Case::running_pair();
    assert_eq!(case.is("a", 1), []);
    assert_eq!(case.rest(), None);
}

#[test]
fn a_pair_that_waits_for_its_pipe_is_not_started_under_a_second_name() {
    let mut case = Case::new();
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
    assert_eq!(case.is("b", 1), []);
    assert_eq!(case.resume(1, SuperviseKind::Main), []);
    assert_eq!(
        case.plan.pipe_made(id(1), case.now),
        [
            start(1, SuperviseKind::Main, "a"),
            start(1, SuperviseKind::Log, "a")
        ]
    );
}

#[test]
fn a_log_that_comes_later_is_not_noticed_until_the_service_is_forgotten() {
    let mut case = Case::running();
    assert_eq!(case.is_pair("a", 1), []);
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.is_pair("a", 1), []);
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [forget(1)]);
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
}

#[test]
fn the_halves_of_a_pair_are_started_again_each_by_itself() {
    for (kind, dead) in [(SuperviseKind::Main, 10), (SuperviseKind::Log, 11)] {
        let mut case = Case::running_pair();
        case.wait(SECOND);
        assert_eq!(case.ended(dead, KILLED), [examine("a"), resume(1, kind)]);
        assert_eq!(case.resume(1, kind), [start(1, kind, "a")]);
        case.started(1, kind, 12);
        assert_eq!(case.rest(), None);
    }
}

#[test]
fn a_main_service_that_could_not_be_started_does_not_keep_its_log_waiting() {
    let mut case = Case::new();
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
    assert_eq!(case.plan.pipe_made(id(1), case.now).len(), 2);
    case.plan.start_failed(id(1), SuperviseKind::Main, case.now);
    case.started(1, SuperviseKind::Log, 11);
    assert_eq!(case.rest(), Some(INTERVAL));
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a"), resume(1, SuperviseKind::Main)]);
}

#[test]
fn the_pipe_is_kept_until_both_halves_have_ended() {
    for (first, second) in [(10, 11), (11, 10)] {
        let mut case = Case::running_pair();
        assert_eq!(case.is_gone("a"), []);
        assert_eq!(case.ended(first, TOLD_TO_EXIT), []);
        assert_eq!(case.rest(), None, "what is not active is not started");
        assert_eq!(case.ended(second, TOLD_TO_EXIT), [forget(1)]);
        assert!(case.is_empty());
    }
}

#[test]
fn the_log_of_a_deleted_pair_is_to_end_when_the_service_has() {
    let closes = ScanAction::CloseIfDeleted(id(1), pid(11));
    let mut case = Case::running_pair();
    assert_eq!(case.plan.check_nameless(), []);
    assert_eq!(case.is_gone("a"), []);
    let wakes = [10, 11].map(|number| ScanAction::Wake(pid(number)));
    assert_eq!(case.deleted, wakes);
    // It may be deleted later than the entry.
    let [main, log] = [10, 11].map(|number| ScanAction::WakeIfDeleted(pid(number)));
    assert_eq!(case.plan.check_nameless(), [main, log.clone()]);
    assert_eq!(
        case.plan.predecessors(SuperviseKind::Log, OsStr::new("a")),
        [pid(11)]
    );
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    assert_eq!(case.deleted, std::slice::from_ref(&closes));
    assert_eq!(case.plan.check_nameless(), [log, closes.clone()]);
    // Or it has ended before.
    let mut case = Case::running_pair();
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    assert_eq!(case.deleted, []);
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.deleted, [ScanAction::Wake(pid(11)), closes]);
}

#[test]
fn a_pair_that_comes_back_before_it_is_forgotten_starts_what_is_down() {
    let mut case = Case::running_pair();
    assert_eq!(case.is_gone("a"), []);
    case.wait(SECOND);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    assert_eq!(case.is("b", 1), [start(1, SuperviseKind::Main, "b")]);
    case.started(1, SuperviseKind::Main, 12);
    assert_eq!(case.is_gone("b"), []);
    assert_eq!(case.ended(12, TOLD_TO_EXIT), []);
    assert_eq!(case.is("c", 1), [], "one start a second");
    assert_eq!(case.rest(), Some(SECOND));
}

#[test]
fn a_pair_without_a_pipe_is_forgotten_and_tried_again_after_five_seconds() {
    let mut case = Case::new();
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
    assert_eq!(case.plan.pipe_failed(id(1), case.now), [forget(1)]);
    assert_eq!(case.rest(), Some(INTERVAL));
    assert_eq!(case.tick(), []);
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a")]);
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
    assert_eq!(case.rest(), None);
}
