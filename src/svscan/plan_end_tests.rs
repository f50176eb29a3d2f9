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
    assert_eq!(case.resume(1, SuperviseKind::Main), [], "whoever asks");
    assert_eq!(case.rest(), Some(SECOND * 3 / 4));
    case.wait(SECOND * 3 / 4);
    assert_eq!(case.tick(), [examine("a"), resume(1, SuperviseKind::Main)]);
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "a")]
    );
    assert_eq!(case.tick(), [], "it was asked for once");
    case.started(1, SuperviseKind::Main, 11);
    assert_eq!(case.rest(), None);
    case.wait(SECOND);
    assert_eq!(
        case.ended(11, KILLED),
        [examine("a"), resume(1, SuperviseKind::Main)]
    );
}

/// Supervises that exit on command within this time are replaced together.
const SHARED: Duration = Duration::from_millis(500);

#[test]
fn a_supervise_that_was_told_to_exit_is_replaced_between_four_and_five_seconds_later() {
    let mut case = Case::running();
    case.wait(SECOND * 100);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    let rest = case.rest().unwrap();
    assert!(EXIT_DELAY.contains(&rest), "{rest:?}");
    case.wait(rest - SECOND / 1000);
    assert_eq!(case.is("b", 2), [start(2, SuperviseKind::Main, "b")]);
    case.started(2, SuperviseKind::Main, 20);
    assert_eq!(case.is("a", 1), [], "another change brings nothing forward");
    assert_eq!(case.tick(), []);
    case.wait(SECOND / 1000);
    assert_eq!(case.tick(), [examine("a"), resume(1, SuperviseKind::Main)]);
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "a")]
    );
}

#[test]
fn supervises_that_are_told_to_exit_together_are_replaced_at_one_time() {
    let mut case = Case::new();
    for number in 0..20 {
        let name = format!("{number:02}");
        let inode = u64::from(number);
        assert_eq!(
            case.is(&name, inode),
            [start(inode, SuperviseKind::Main, &name)]
        );
        case.started(inode, SuperviseKind::Main, 100 + number);
    }
    case.wait(SECOND);
    for number in 0..20 {
        assert_eq!(case.ended(100 + number, TOLD_TO_EXIT), []);
        case.wait(SHARED / 20);
    }
    case.wait(case.rest().unwrap());
    assert_eq!(case.tick().len(), 2 * 20);
    // The next one has a deadline of its own.
    assert_eq!(
        case.resume(0, SuperviseKind::Main),
        [start(0, SuperviseKind::Main, "00")]
    );
    case.started(0, SuperviseKind::Main, 200);
    case.wait(SECOND);
    assert_eq!(case.ended(200, TOLD_TO_EXIT), []);
    assert!(EXIT_DELAY.contains(&case.rest().unwrap()));
}

#[test]
fn a_supervise_that_was_told_to_exit_is_not_replaced_if_its_entry_is_removed_in_time() {
    let mut case = Case::running();
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    case.wait(EXIT_DELAY.start().to_owned());
    assert_eq!(case.is_gone("a"), [forget(1)]);
    assert_eq!(case.rest(), None);
    assert!(case.is_empty());
}

#[test]
fn a_scan_that_somebody_asks_for_starts_what_waits_but_once_a_second() {
    for end in [TOLD_TO_EXIT, GAVE_UP, KILLED] {
        let mut case = Case::running();
        case.plan.scan_now(case.now);
        assert_eq!(case.tick(), [], "nothing waits");
        case.wait(SECOND / 2);
        assert_eq!(case.ended(10, end), []);
        case.plan.scan_now(case.now);
        assert_eq!(case.tick(), []);
        assert_eq!(case.rest(), Some(SECOND / 2));
        case.wait(SECOND / 2);
        assert_eq!(case.tick(), [examine("a"), resume(1, SuperviseKind::Main)]);
        assert_eq!(
            case.resume(1, SuperviseKind::Main),
            [start(1, SuperviseKind::Main, "a")]
        );
    }
}

#[test]
fn a_supervise_that_gave_up_is_tried_again_after_five_seconds() {
    let mut case = Case::running();
    case.wait(SECOND / 2);
    assert_eq!(case.ended(10, GAVE_UP), []);
    assert_eq!(case.rest(), Some(INTERVAL - SECOND / 2));
    case.wait(INTERVAL - SECOND / 2);
    assert_eq!(case.tick(), [examine("a"), resume(1, SuperviseKind::Main)]);
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "a")]
    );
}

#[test]
fn a_supervise_that_gave_up_is_not_tried_earlier_whoever_asks() {
    let mut case = Case::running();
    case.wait(SECOND / 2);
    assert_eq!(case.ended(10, GAVE_UP), []);
    assert_eq!(case.resume(1, SuperviseKind::Main), []);
    assert_eq!(case.rest(), Some(INTERVAL - SECOND / 2));
}

#[test]
fn a_supervise_that_gave_up_under_a_name_that_is_gone_is_tried_again_under_the_new_one() {
    let mut case = Case::running();
    case.wait(SECOND / 2);
    assert_eq!(case.is("b", 1), []);
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.ended(10, GAVE_UP), []);
    assert_eq!(case.rest(), Some(SECOND / 2));
    case.wait(SECOND / 2);
    assert_eq!(case.tick(), [examine("b"), resume(1, SuperviseKind::Main)]);
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "b")]
    );
}

#[test]
fn a_supervise_that_failed_after_a_second_is_back_at_once() {
    let mut case = Case::running();
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, GAVE_UP),
        [examine("a"), resume(1, SuperviseKind::Main)]
    );
}

#[test]
fn a_supervise_that_could_not_be_started_is_tried_again_after_five_seconds() {
    let mut case = Case::new();
    assert_eq!(case.is("a", 1), [start(1, SuperviseKind::Main, "a")]);
    case.plan.start_failed(id(1), SuperviseKind::Main, case.now);
    assert_eq!(case.rest(), Some(INTERVAL));
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a"), resume(1, SuperviseKind::Main)]);
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "a")]
    );
}

#[test]
fn a_name_that_leads_elsewhere_by_now_is_not_started_for_the_old_service() {
    let mut case = Case::running();
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("a"), resume(1, SuperviseKind::Main)]
    );
    assert_eq!(
        case.is("a", 2),
        [forget(1), start(2, SuperviseKind::Main, "a")]
    );
    assert_eq!(case.resume(1, SuperviseKind::Main), []);
}

#[test]
fn a_name_that_is_gone_by_now_is_not_started() {
    let mut case = Case::running();
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("a"), resume(1, SuperviseKind::Main)]
    );
    assert_eq!(case.is_gone("a"), [forget(1)]);
    assert_eq!(case.resume(1, SuperviseKind::Main), []);
    assert!(case.is_empty());
}
