use super::*;
use crate::sys::clock;

const SECOND: Duration = START_INTERVAL;
pub(super) const KILLED: End = End::Killed(9);
pub(super) const GAVE_UP: End = End::Exited(111);
pub(super) const TOLD_TO_EXIT: End = End::Exited(0);

/// A plan and its clock.
pub(super) struct Case {
    pub(super) plan: Plan,
    pub(super) now: Instant,
}

pub(super) fn id(inode: u64) -> Id {
    Id { device: 1, inode }
}

pub(super) fn pid(number: u32) -> Pid {
    Pid::new(number).unwrap()
}

pub(super) fn os(name: &str) -> OsString {
    name.into()
}

fn examine(name: &str) -> Action {
    Action::Examine(name.into())
}

fn start(inode: u64, half: Half, name: &str) -> Action {
    Action::Start {
        id: id(inode),
        half,
        name: name.into(),
    }
}

fn make_pipe(inode: u64, name: &str) -> Action {
    Action::MakePipe(id(inode), name.into())
}

fn resume(inode: u64, half: Half) -> Action {
    Action::Resume(id(inode), half)
}

fn forget(inode: u64) -> Action {
    Action::Forget(id(inode))
}

pub(super) fn look(has_run: bool, change: i64) -> Option<Look> {
    Some(Look {
        has_run,
        changed: vec![(change, 0)],
    })
}

impl Case {
    fn new() -> Case {
        Case {
            plan: Plan::default(),
            now: clock::monotonic(),
        }
    }

    /// `a` is service 1, running as process 10 since now.
    fn running() -> Case {
        let mut case = Case::new();
        assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
        case.started(1, Half::Main, 10);
        case
    }

    /// `a` is service 1 with a log; they run as processes 10 and 11 since now.
    fn running_pair() -> Case {
        let mut case = Case::new();
        assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
        assert_eq!(
            case.plan.pipe_made(id(1), case.now),
            [start(1, Half::Main, "a"), start(1, Half::Log, "a")]
        );
        case.started(1, Half::Main, 10);
        case.started(1, Half::Log, 11);
        case
    }

    fn wait(&mut self, by: Duration) {
        self.now += by;
    }

    fn saw(&mut self, name: &str, sight: Sight) -> Vec<Action> {
        self.plan.saw(OsStr::new(name), sight, self.now)
    }

    fn is(&mut self, name: &str, inode: u64) -> Vec<Action> {
        let id = id(inode);
        self.saw(name, Sight::Directory { id, log: false })
    }

    fn is_pair(&mut self, name: &str, inode: u64) -> Vec<Action> {
        let id = id(inode);
        self.saw(name, Sight::Directory { id, log: true })
    }

    fn is_gone(&mut self, name: &str) -> Vec<Action> {
        self.saw(name, Sight::Nothing)
    }

    fn is_trouble(&mut self, name: &str) -> Vec<Action> {
        self.saw(name, Sight::Trouble)
    }

    fn started(&mut self, inode: u64, half: Half, number: u32) {
        self.plan.started(id(inode), half, pid(number), self.now);
    }

    /// And what is due then.
    fn ended(&mut self, number: u32, end: End) -> Vec<Action> {
        let mut actions = self.plan.ended(pid(number), end, self.now);
        actions.extend(self.plan.tick(self.now));
        actions
    }

    fn resume(&mut self, inode: u64, half: Half) -> Vec<Action> {
        self.plan.resume(id(inode), half, self.now)
    }

    fn tick(&mut self) -> Vec<Action> {
        self.plan.tick(self.now)
    }

    fn made_in_place(&mut self, name: &str) {
        self.plan.made_in_place(OsStr::new(name), self.now);
    }

    fn looked(&mut self, name: &str, look: Option<Look>) -> Vec<Action> {
        self.plan.looked(OsStr::new(name), look, self.now)
    }

    fn will_be_told(&mut self, name: &str, will: bool) {
        self.plan.will_be_told(OsStr::new(name), will, self.now);
    }

    /// How long until the plan wants to be asked.
    pub(super) fn rest(&self) -> Option<Duration> {
        let deadline = self.plan.deadline()?;
        Some(deadline.saturating_duration_since(self.now))
    }

    pub(super) fn is_empty(&self) -> bool {
        let Plan {
            services,
            names,
            pids,
            troubled,
            fresh,
            untold,
            untold_at,
        } = &self.plan;
        services.is_empty()
            && names.is_empty()
            && pids.is_empty()
            && troubled.is_empty()
            && fresh.is_empty()
            && untold.is_empty()
            && untold_at.is_none()
    }
}

#[test]
fn a_directory_is_started_at_once_and_once() {
    let mut case = Case::running();
    assert!(case.plan.knows(id(1)));
    assert!(!case.plan.knows(id(2)));
    assert_eq!(case.is("a", 1), []);
    assert_eq!(case.tick(), []);
    assert_eq!(case.rest(), None);
}

#[test]
fn what_is_no_directory_is_nothing() {
    let mut case = Case::new();
    assert_eq!(case.is_gone("file"), []);
    assert_eq!(case.rest(), None);
    assert!(case.is_empty());
}

#[test]
fn directories_of_one_inode_number_on_two_devices_are_two() {
    let mut case = Case::running();
    let other = Id {
        device: 2,
        inode: 1,
    };
    let sight = Sight::Directory {
        id: other,
        log: false,
    };
    assert_eq!(
        case.saw("b", sight),
        [Action::Start {
            id: other,
            half: Half::Main,
            name: os("b")
        }]
    );
}

#[test]
fn two_links_to_one_directory_are_one_service() {
    let mut case = Case::running();
    assert_eq!(case.is("b", 1), []);
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("a"), examine("b"), resume(1, Half::Main)]
    );
    assert_eq!(
        case.resume(1, Half::Main),
        [start(1, Half::Main, "a")],
        "the first seen gives the name"
    );
}

#[test]
fn of_two_links_the_other_is_enough() {
    let mut case = Case::running();
    assert_eq!(case.is("b", 1), []);
    assert_eq!(case.is_gone("a"), []);
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("b"), resume(1, Half::Main)]
    );
    assert_eq!(case.resume(1, Half::Main), [start(1, Half::Main, "b")]);
}

#[test]
fn a_renamed_directory_goes_on_under_its_old_name_and_starts_again_under_the_new() {
    for old_name_goes_first in [true, false] {
        let mut case = Case::running();
        case.wait(SECOND);
        if old_name_goes_first {
            assert_eq!(case.is_gone("a"), []);
            assert_eq!(case.is("b", 1), []);
        } else {
            assert_eq!(case.is("b", 1), []);
            assert_eq!(case.is_gone("a"), []);
        }
        assert_eq!(
            case.ended(10, KILLED),
            [examine("b"), resume(1, Half::Main)]
        );
        assert_eq!(case.resume(1, Half::Main), [start(1, Half::Main, "b")]);
    }
}

#[test]
fn a_directory_that_replaces_another_is_started_beside_it() {
    let mut case = Case::running();
    assert_eq!(case.is("a", 2), [start(2, Half::Main, "a")]);
    case.started(2, Half::Main, 20);
    case.wait(SECOND);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [forget(1)]);
    assert!(!case.plan.knows(id(1)));
    assert_eq!(case.rest(), None);
}

#[test]
fn a_directory_that_replaces_one_without_a_supervise_ends_it_first() {
    let mut case = Case::running();
    assert_eq!(case.ended(10, GAVE_UP), []);
    assert_eq!(case.is("a", 2), [forget(1), start(2, Half::Main, "a")]);
}

#[test]
fn directories_that_change_places_go_on() {
    let mut case = Case::running();
    assert_eq!(case.is("b", 2), [start(2, Half::Main, "b")]);
    case.started(2, Half::Main, 20);
    assert_eq!(case.is("a", 2), []);
    assert_eq!(case.is("b", 1), []);
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("b"), resume(1, Half::Main)]
    );
    assert_eq!(case.resume(1, Half::Main), [start(1, Half::Main, "b")]);
    case.started(1, Half::Main, 12);
    assert_eq!(
        case.ended(20, KILLED),
        [examine("a"), resume(2, Half::Main)],
        "the link b to 2 was undone"
    );
}

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
    assert_eq!(case.resume(1, Half::Main), []);
    assert_eq!(
        case.plan.pipe_made(id(1), case.now),
        [start(1, Half::Main, "a"), start(1, Half::Log, "a")]
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
    for (half, dead) in [(Half::Main, 10), (Half::Log, 11)] {
        let mut case = Case::running_pair();
        case.wait(SECOND);
        assert_eq!(case.ended(dead, KILLED), [examine("a"), resume(1, half)]);
        assert_eq!(case.resume(1, half), [start(1, half, "a")]);
        case.started(1, half, 12);
        assert_eq!(case.rest(), None);
    }
}

#[test]
fn a_main_service_that_could_not_be_started_does_not_keep_its_log_waiting() {
    let mut case = Case::new();
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
    assert_eq!(case.plan.pipe_made(id(1), case.now).len(), 2);
    case.plan.start_failed(id(1), Half::Main, case.now);
    case.started(1, Half::Log, 11);
    assert_eq!(case.rest(), Some(INTERVAL));
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a"), resume(1, Half::Main)]);
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
fn a_pair_that_comes_back_before_it_is_forgotten_starts_what_is_down() {
    let mut case = Case::running_pair();
    assert_eq!(case.is_gone("a"), []);
    case.wait(SECOND);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    assert_eq!(case.is("b", 1), [start(1, Half::Main, "b")]);
    case.started(1, Half::Main, 12);
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

#[test]
fn a_removed_service_is_forgotten_when_its_supervise_ends() {
    let mut case = Case::running();
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.is_gone("a"), []);
    case.wait(SECOND);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [forget(1)]);
    assert!(case.is_empty());
}

#[test]
fn a_service_without_a_supervise_is_forgotten_when_it_is_removed() {
    let mut case = Case::running();
    assert_eq!(case.ended(10, GAVE_UP), []);
    assert_eq!(case.is_gone("a"), [forget(1)]);
    assert_eq!(case.rest(), None);
    assert!(case.is_empty());
}

#[test]
fn a_process_nobody_knows_may_end() {
    let mut case = Case::running();
    assert_eq!(case.ended(99, KILLED), []);
    assert_eq!(case.rest(), None);
    case.wait(SECOND);
    assert_eq!(case.ended(10, KILLED).len(), 2);
    assert_eq!(case.ended(10, KILLED), [], "nobody ends twice");
}

#[test]
fn what_is_not_in_the_listing_is_gone() {
    let mut case = Case::running();
    assert_eq!(case.is("b", 2), [start(2, Half::Main, "b")]);
    case.plan.start_failed(id(2), Half::Main, case.now);
    assert_eq!(case.is_trouble("c"), []);
    case.made_in_place("d");
    assert_eq!(case.plan.listed(&BTreeSet::from([os("a")])), [forget(2)]);
    assert_eq!(case.rest(), None);
    assert_eq!(case.plan.listed(&BTreeSet::from([os("a")])), []);
    assert_eq!(case.plan.listed(&BTreeSet::new()), []);
    assert_eq!(case.ended(10, KILLED), [forget(1)]);
    assert!(case.is_empty());
}

#[test]
fn an_entry_in_trouble_is_examined_again_every_five_seconds() {
    let mut case = Case::new();
    assert_eq!(case.is_trouble("a"), []);
    for _ in 0..3 {
        assert_eq!(case.rest(), Some(INTERVAL));
        assert_eq!(case.tick(), []);
        case.wait(INTERVAL);
        assert_eq!(case.tick(), [examine("a")]);
        assert_eq!(case.is_trouble("a"), []);
    }
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
    assert_eq!(case.rest(), None);
}

#[test]
fn an_entry_in_trouble_that_goes_is_not_examined_again() {
    let mut case = Case::new();
    assert_eq!(case.is_trouble("a"), []);
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.rest(), None);
    assert!(case.is_empty());
}

#[test]
fn entries_of_which_nobody_tells_are_examined_together_every_five_seconds() {
    let mut case = Case::running();
    case.will_be_told("a", false);
    case.wait(SECOND);
    assert_eq!(case.is_gone("b"), [], "a link to a file, say");
    case.will_be_told("b", false);
    assert_eq!(case.rest(), Some(INTERVAL - SECOND));
    case.wait(INTERVAL - SECOND);
    for _ in 0..3 {
        assert_eq!(case.tick(), [examine("a"), examine("b")]);
        assert_eq!(case.is("a", 1), []);
        case.will_be_told("a", false);
        assert_eq!(case.rest(), Some(INTERVAL));
        assert_eq!(case.tick(), []);
        case.wait(INTERVAL);
    }
    assert_eq!(case.tick(), [examine("a"), examine("b")]);
    case.will_be_told("a", true);
    assert_eq!(case.rest(), Some(INTERVAL), "b is left");
    case.plan.listed(&BTreeSet::from([os("a")]));
    assert_eq!(case.rest(), None);
}

#[test]
fn an_entry_in_trouble_of_which_nobody_tells_is_examined_once_in_five_seconds() {
    let mut case = Case::new();
    assert_eq!(case.is_gone("a"), []);
    case.will_be_told("a", false);
    assert_eq!(case.is_trouble("a"), []);
    case.will_be_told("a", false);
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a")]);
    assert_eq!(case.is_gone("a"), []);
    case.will_be_told("a", true);
    assert!(case.is_empty());
}

#[test]
fn a_service_whose_entry_is_in_trouble_goes_on_but_is_not_started_again() {
    let mut case = Case::running();
    assert_eq!(case.is_trouble("a"), []);
    case.wait(SECOND);
    assert_eq!(case.ended(10, KILLED), [forget(1)]);
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a")]);
    assert_eq!(case.is("a", 1), [start(1, Half::Main, "a")]);
}

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
