//! Supervises that end, and those that could not be started.

use super::tests::{
    Case, GAVE_UP, KILLED, SECOND, TOLD_TO_EXIT, examine, forget, id, resume, start,
};
use super::*;

#[test]
fn a_supervise_that_was_killed_is_back_at_once_but_once_a_second() {
    let mut case = Case::running();
    case.wait(SECOND / 4);
    assert_eq!(case.ended(10, KILLED), []);
    assert_eq!(case.rest(), Some(SECOND * 3 / 4));
    assert_eq!(case.resume(1, Half::Main), [], "whoever asks");
    assert_eq!(case.rest(), Some(SECOND * 3 / 4));
    case.wait(SECOND * 3 / 4);
    assert_eq!(case.tick(), [examine("a"), resume(1, Half::Main)]);
    assert_eq!(case.resume(1, Half::Main), [start(1, Half::Main, "a")]);
    assert_eq!(case.tick(), [], "it was asked for once");
    case.started(1, Half::Main, 11);
    assert_eq!(case.rest(), None);
    case.wait(SECOND);
    assert_eq!(
        case.ended(11, KILLED),
        [examine("a"), resume(1, Half::Main)]
    );
}

#[test]
fn a_supervise_that_was_told_to_exit_is_back_as_if_killed() {
    let mut case = Case::running();
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    assert_eq!(case.rest(), Some(SECOND));
}

#[test]
fn a_supervise_that_gave_up_is_tried_again_after_five_seconds() {
    let mut case = Case::running();
    case.wait(SECOND / 2);
    assert_eq!(case.ended(10, GAVE_UP), []);
    assert_eq!(case.rest(), Some(INTERVAL - SECOND / 2));
    case.wait(INTERVAL - SECOND / 2);
    assert_eq!(case.tick(), [examine("a"), resume(1, Half::Main)]);
    assert_eq!(case.resume(1, Half::Main), [start(1, Half::Main, "a")]);
}

#[test]
fn a_supervise_that_failed_after_a_second_is_back_at_once() {
    let mut case = Case::running();
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, GAVE_UP),
        [examine("a"), resume(1, Half::Main)]
    );
}

#[test]
fn a_supervise_that_could_not_be_started_is_tried_again_after_five_seconds() {
    let mut case = Case::new();
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
    case.plan.start_failed(id(1), Half::Main, case.now);
    assert_eq!(case.rest(), Some(INTERVAL));
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a"), resume(1, Half::Main)]);
    assert_eq!(case.resume(1, Half::Main), [start(1, Half::Main, "a")]);
}

#[test]
fn a_name_that_leads_elsewhere_by_now_is_not_started_for_the_old_service() {
    let mut case = Case::running();
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("a"), resume(1, Half::Main)]
    );
    assert_eq!(case.is("a", 2), [forget(1), start(2, Half::Main, "a")]);
    assert_eq!(case.resume(1, Half::Main), []);
}

#[test]
fn a_name_that_is_gone_by_now_is_not_started() {
    let mut case = Case::running();
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("a"), resume(1, Half::Main)]
    );
    assert_eq!(case.is_gone("a"), [forget(1)]);
    assert_eq!(case.resume(1, Half::Main), []);
    assert!(case.is_empty());
}
