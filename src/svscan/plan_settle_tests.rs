//! Directories that are not complete yet, and new links.

use super::tests::{
    Case, KILLED, SECOND, TOLD_TO_EXIT, examine, forget, id, make_pipe, observation, start,
};
use super::*;
use crate::svscan::settling::{LINK_QUIET, QUIET, UNPACKING, UNPACKING_POLL};

/// An observation of a directory in which nothing has changed for this time.
fn quiet(time: Option<Duration>, digest: u64) -> Observation {
    Observation {
        quiet_for: time,
        ..observation(true, digest)
    }
}

#[test]
fn a_directory_waits_for_its_run_and_then_for_quiet() {
    let mut case = Case::new();
    assert_eq!(case.looks("a", 1, observation(false, 1)), []);
    assert!(!case.plan.knows(id(1)));
    assert_eq!(case.rest(), Some(QUIET));
    case.wait(QUIET);
    assert_eq!(case.tick(), [examine("a")]);
    assert_eq!(
        case.looks("a", 1, observation(false, 1)),
        [],
        "quiet but empty"
    );
    case.wait(QUIET);
    assert_eq!(case.looks("a", 1, observation(true, 2)), [], "just there");
    case.wait(QUIET);
    assert_eq!(
        case.looks("a", 1, observation(true, 3)),
        [],
        "still changing"
    );
    case.wait(QUIET / 2);
    assert_eq!(
        case.looks("a", 1, observation(true, 3)),
        [],
        "another change beside it does not hurry it"
    );
    assert_eq!(case.rest(), Some(QUIET / 2));
    case.wait(QUIET / 2);
    let (id, log, observation) = (id(1), true, Some(observation(true, 3)));
    let entry_type = EntryType::Directory {
        id,
        log,
        observation,
    };
    assert_eq!(case.examined("a", entry_type), [make_pipe(1, "a")]);
    assert_eq!(case.rest(), None);
}

#[test]
fn a_directory_is_picked_up_after_five_seconds_whatever_it_holds() {
    for has_run in [true, false] {
        let mut case = Case::new();
        let begin = case.now;
        let mut change = 0;
        loop {
            let actions = case.looks("a", 1, observation(has_run, change));
            if !actions.is_empty() {
                assert_eq!(actions, [start(1, SuperviseKind::Main, "a")]);
                break;
            }
            let rest = case.rest().unwrap();
            assert!(rest > Duration::ZERO && rest <= QUIET);
            case.wait(rest);
            assert_eq!(case.tick(), [examine("a")]);
            change += 1;
            assert!(case.now <= begin + INTERVAL);
        }
        assert_eq!(case.now, begin + INTERVAL);
    }
}

/// An observation of a directory in which an unpacker has written all files, but renamed none.
fn unpacking() -> Observation {
    Observation {
        is_unpacking: true,
        ..observation(false, 1)
    }
}

#[test]
fn a_directory_whose_unpacker_is_busy_elsewhere_is_waited_for() {
    let mut case = Case::new();
    assert_eq!(case.looks("a", 1, unpacking()), []);
    for _ in 0..60 {
        assert_eq!(case.rest(), Some(UNPACKING_POLL));
        case.wait(UNPACKING_POLL);
        assert_eq!(case.tick(), [examine("a")]);
        assert_eq!(case.looks("a", 1, unpacking()), []);
    }
    case.wait(UNPACKING_POLL);
    assert_eq!(case.looks("a", 1, observation(true, 2)), [], "just renamed");
    case.wait(QUIET);
    let actions = case.looks("a", 1, observation(true, 2));
    assert_eq!(actions, [start(1, SuperviseKind::Main, "a")]);
}

#[test]
fn a_directory_that_an_unpacker_left_behind_is_picked_up_in_the_end() {
    let mut case = Case::new();
    let begin = case.now;
    while case.looks("a", 1, unpacking()).is_empty() {
        case.wait(case.rest().unwrap());
        assert_eq!(case.tick(), [examine("a")]);
    }
    assert_eq!(case.now, begin + UNPACKING);
}

#[test]
fn a_directory_that_has_been_quiet_is_picked_up_at_once() {
    for time in [QUIET, SECOND, 1000 * INTERVAL] {
        let mut case = Case::new();
        assert_eq!(
            case.looks("a", 1, quiet(Some(time), 1)),
            [start(1, SuperviseKind::Main, "a")]
        );
        assert_eq!(case.rest(), None);
    }
}

#[test]
fn a_directory_made_a_moment_ago_waits_for_the_rest_of_the_time() {
    let mut case = Case::new();
    let part = QUIET / 5;
    assert_eq!(case.looks("a", 1, quiet(Some(part), 1)), []);
    assert_eq!(case.rest(), Some(QUIET - part));
    case.wait(QUIET - part);
    assert_eq!(
        case.looks("a", 1, quiet(Some(QUIET), 1)),
        [start(1, SuperviseKind::Main, "a")]
    );
}

#[test]
fn a_wall_clock_that_tells_nothing_or_jumps_does_not_hurry_what_settles() {
    for times in [
        [None, None],
        [None, Some(SECOND)],
        [Some(Duration::ZERO), Some(1000 * INTERVAL)],
    ] {
        let mut case = Case::new();
        assert_eq!(case.looks("a", 1, quiet(times[0], 1)), []);
        assert_eq!(case.rest(), Some(QUIET));
        case.wait(QUIET);
        assert_eq!(case.looks("a", 1, quiet(times[1], 2)), [], "it has changed");
        assert_eq!(case.rest(), Some(QUIET));
        case.wait(QUIET);
        assert_eq!(
            case.looks("a", 1, quiet(None, 2)),
            [start(1, SuperviseKind::Main, "a")]
        );
    }
}

#[test]
fn another_directory_of_the_same_name_settles_from_the_beginning() {
    let mut case = Case::new();
    assert_eq!(case.looks("a", 1, observation(true, 1)), []);
    case.wait(QUIET);
    assert_eq!(case.looks("a", 2, observation(true, 1)), []);
    assert_eq!(case.rest(), Some(QUIET));
    // The same again in a directory that got the inode number of the first.
    case.wait(QUIET);
    case.plan.replaced(OsStr::new("a"));
    assert_eq!(case.looks("a", 2, observation(true, 1)), []);
    case.wait(QUIET);
    assert_eq!(
        case.looks("a", 2, observation(true, 1)),
        [start(2, SuperviseKind::Main, "a")]
    );
}

#[test]
fn a_new_link_is_picked_up_under_the_name_it_keeps() {
    let mut case = Case::new();
    case.plan.linked(OsStr::new("temporary"), case.now);
    assert_eq!(case.looks("temporary", 1, quiet(Some(SECOND), 1)), []);
    assert_eq!(case.rest(), Some(LINK_QUIET));
    case.plan.replaced(OsStr::new("temporary"));
    assert_eq!(case.is_gone("temporary"), []);
    assert_eq!(
        case.looks("a", 1, quiet(Some(SECOND), 1)),
        [start(1, SuperviseKind::Main, "a")]
    );
    assert_eq!(case.rest(), None);
}

#[test]
fn a_new_link_that_keeps_its_name_is_picked_up_soon() {
    let mut case = Case::new();
    case.plan.linked(OsStr::new("a"), case.now);
    assert_eq!(case.looks("a", 1, quiet(Some(SECOND), 1)), []);
    case.wait(LINK_QUIET);
    assert_eq!(case.tick(), [examine("a")]);
    assert_eq!(
        case.looks("a", 1, quiet(Some(SECOND), 1)),
        [start(1, SuperviseKind::Main, "a")]
    );
}

#[test]
fn a_new_link_to_a_new_directory_waits_for_that() {
    let mut case = Case::new();
    case.plan.linked(OsStr::new("a"), case.now);
    assert_eq!(case.looks("a", 1, observation(true, 1)), []);
    case.wait(LINK_QUIET);
    assert_eq!(case.looks("a", 1, quiet(Some(LINK_QUIET), 1)), []);
    assert_eq!(case.rest(), Some(QUIET - LINK_QUIET));
}

#[test]
fn a_directory_that_goes_before_it_is_complete_is_nothing() {
    for entry_type in [EntryType::Nothing, EntryType::Error] {
        let mut case = Case::new();
        assert_eq!(case.looks("a", 1, observation(false, 1)), []);
        case.wait(QUIET);
        assert_eq!(case.examined("a", entry_type), []);
        assert_ne!(case.rest(), Some(Duration::ZERO));
        assert_eq!(case.is_gone("a"), []);
        assert!(case.is_empty());
    }
}

#[test]
fn what_was_renamed_to_its_place_is_picked_up_at_once() {
    let mut case = Case::new();
    assert_eq!(case.looks("a", 1, observation(false, 1)), []);
    case.plan.renamed(OsStr::new("a"));
    let actions = case.looks("a", 2, observation(true, 1));
    assert_eq!(actions, [start(2, SuperviseKind::Main, "a")]);
    assert_eq!(case.rest(), None);
    assert_eq!(case.looks("a", 3, observation(true, 1)), [], "only once");
}

#[test]
fn what_was_renamed_to_its_place_empty_must_settle() {
    let mut case = Case::new();
    case.plan.renamed(OsStr::new("a"));
    assert_eq!(case.looks("a", 1, observation(false, 1)), []);
    assert_eq!(case.rest(), Some(QUIET));
    case.wait(QUIET);
    assert_eq!(case.looks("a", 1, observation(true, 2)), [], "only once");
    case.wait(QUIET);
    let actions = case.looks("a", 1, observation(true, 2));
    assert_eq!(actions, [start(1, SuperviseKind::Main, "a")]);
}

#[test]
fn what_was_renamed_and_replaced_must_settle() {
    let mut case = Case::new();
    case.plan.renamed(OsStr::new("a"));
    case.plan.replaced(OsStr::new("a"));
    assert_eq!(case.looks("a", 1, observation(true, 1)), []);
}

#[test]
fn a_known_directory_need_not_settle_again() {
    let mut case = Case::running();
    assert_eq!(case.is_gone("a"), []);
    case.plan.linked(OsStr::new("a"), case.now);
    assert_eq!(case.is("a", 1), []);
    assert_eq!(case.rest(), None);
    case.wait(SECOND);
    assert_eq!(case.ended(10, KILLED).len(), 2);
}

#[test]
fn a_start_that_was_asked_for_is_not_asked_for_again_before_its_answer() {
    let mut case = Case::new();
    assert_eq!(case.is("a", 1), [start(1, SuperviseKind::Main, "a")]);
    assert_eq!(case.resume(1, SuperviseKind::Main), []);
}

#[test]
fn a_name_under_which_a_new_directory_settles_leads_to_the_old_one_no_more() {
    let mut case = Case::running();
    case.wait(SECOND);
    // rm -r a; mkdir a: both events arrive together, and a is examined once.
    assert_eq!(case.looks("a", 2, observation(false, 1)), []);
    // supervise a would now run in the new directory, which the plan does not know yet.
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [forget(1)]);
    assert_eq!(case.resume(1, SuperviseKind::Main), []);
    case.wait(QUIET);
    assert_eq!(case.tick(), [examine("a")]);
}
