//! Directories made in place and new links, which are taken up when they have settled.

use super::tests::{
    Case, KILLED, SECOND, TOLD_TO_EXIT, examine, forget, look, make_pipe, os, start,
};
use super::*;

#[test]
fn a_directory_made_in_place_waits_for_its_run_and_then_for_quiet() {
    let mut case = Case::new();
    case.made_in_place("a");
    assert_eq!(case.is("a", 1), []);
    assert_eq!(case.rest(), Some(QUIET));
    case.wait(QUIET);
    assert_eq!(case.tick(), [Action::Look(os("a"))]);
    assert_eq!(case.looked("a", look(false, 1)), []);
    case.wait(QUIET);
    assert_eq!(case.looked("a", look(false, 1)), [], "quiet but empty");
    case.wait(QUIET);
    assert_eq!(case.looked("a", look(true, 2)), [], "just there");
    case.wait(QUIET);
    assert_eq!(case.looked("a", look(true, 3)), [], "still changing");
    assert_eq!(case.is("a", 1), [], "other changes do not hurry it");
    assert_eq!(case.rest(), Some(QUIET));
    case.wait(QUIET);
    assert_eq!(case.looked("a", look(true, 3)), [examine("a")]);
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
    assert_eq!(case.rest(), None);
}

#[test]
fn a_directory_made_in_place_is_taken_up_after_five_seconds_whatever_it_holds() {
    let mut case = Case::new();
    case.made_in_place("a");
    let begin = case.now;
    let mut change = 0;
    loop {
        let rest = case.rest().unwrap();
        assert!(rest > Duration::ZERO && rest <= QUIET);
        case.wait(rest);
        assert_eq!(case.tick(), [Action::Look(os("a"))]);
        change += 1;
        if !case.looked("a", look(true, change)).is_empty() {
            break;
        }
        assert!(case.now < begin + INTERVAL);
    }
    assert_eq!(case.now, begin + INTERVAL);
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
}

#[test]
fn a_new_link_is_taken_up_under_the_name_it_keeps() {
    let mut case = Case::new();
    case.plan.linked(OsStr::new("temporary"), case.now);
    assert_eq!(case.is("temporary", 1), []);
    assert_eq!(case.plan.deadline(), Some(case.now + LINK_QUIET));
    case.plan.came_whole(OsStr::new("temporary"));
    case.plan.came_whole(OsStr::new("a"));
    assert_eq!(case.is_gone("temporary"), []);
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
}

#[test]
fn a_new_link_that_keeps_its_name_is_taken_up_soon() {
    let mut case = Case::new();
    case.plan.linked(OsStr::new("a"), case.now);
    assert_eq!(case.is("a", 1), []);
    case.wait(LINK_QUIET);
    assert_eq!(case.tick(), [Action::Look("a".into())]);
    let look = Some(Look {
        has_run: false,
        changed: vec![],
    });
    let next = case.looked("a", look);
    assert_eq!(next, [Action::Examine("a".into())]);
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
}

#[test]
fn a_directory_made_in_place_that_goes_is_nothing() {
    let mut case = Case::new();
    case.made_in_place("a");
    assert_eq!(case.looked("a", None), [examine("a")]);
    assert_eq!(case.is_gone("a"), []);
    assert!(case.is_empty());
    case.made_in_place("a");
    assert_eq!(case.is_gone("a"), []);
    assert!(case.is_empty());
    assert_eq!(case.looked("a", look(true, 1)), [], "nobody asked");
}

#[test]
fn what_came_whole_in_the_place_of_one_that_did_not_is_taken_up_at_once() {
    let mut case = Case::new();
    case.made_in_place("a");
    case.plan.came_whole(OsStr::new("a"));
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
    assert_eq!(case.rest(), None);
}

#[test]
fn a_known_directory_need_not_settle_again() {
    let mut case = Case::running();
    assert_eq!(case.is_gone("a"), []);
    case.made_in_place("a");
    assert_eq!(case.is("a", 1), []);
    assert_eq!(case.rest(), None);
    case.wait(SECOND);
    assert_eq!(case.ended(10, KILLED).len(), 2);
}

#[test]
fn being_made_again_does_not_put_off_what_settles() {
    let mut case = Case::new();
    case.made_in_place("a");
    case.wait(QUIET / 2);
    case.made_in_place("a");
    assert_eq!(case.rest(), Some(QUIET / 2));
}

#[test]
fn a_start_that_was_asked_for_is_not_asked_for_again_before_its_answer() {
    let mut case = Case::new();
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
    assert_eq!(case.resume(1, Half::Main), []);
}

#[test]
fn a_name_under_which_a_new_directory_settles_leads_to_the_old_one_no_more() {
    let mut case = Case::running();
    case.wait(SECOND);
    // rm -r a; mkdir a: both are told at once, and a is examined once.
    case.made_in_place("a");
    assert_eq!(case.is("a", 2), []);
    // supervise a would now run in the new directory, which nobody knows yet.
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [forget(1)]);
    assert_eq!(case.resume(1, Half::Main), []);
    case.wait(QUIET);
    assert_eq!(case.tick(), [Action::Look(os("a"))]);
}
