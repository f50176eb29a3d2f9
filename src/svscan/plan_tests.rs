use super::*;
use crate::sys::clock;
use std::collections::VecDeque;

const SECOND: Duration = START_INTERVAL;
const KILLED: End = End::Killed(9);
const GAVE_UP: End = End::Exited(111);
const TOLD_TO_EXIT: End = End::Exited(0);

/// A plan and its clock.
struct Case {
    plan: Plan,
    now: Instant,
}

fn id(inode: u64) -> Id {
    Id { device: 1, inode }
}

fn pid(number: u32) -> Pid {
    Pid::new(number).unwrap()
}

fn os(name: &str) -> OsString {
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

fn look(has_run: bool, change: i64) -> Option<Look> {
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

    fn ended(&mut self, number: u32, end: End) -> Vec<Action> {
        self.plan.ended(pid(number), end, self.now)
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

    /// How long until the plan wants to be asked.
    fn rest(&self) -> Option<Duration> {
        let deadline = self.plan.deadline()?;
        Some(deadline.saturating_duration_since(self.now))
    }

    fn is_empty(&self) -> bool {
        let Plan {
            services,
            names,
            pids,
            troubled,
            fresh,
        } = &self.plan;
        services.is_empty()
            && names.is_empty()
            && pids.is_empty()
            && troubled.is_empty()
            && fresh.is_empty()
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

/// xorshift64: the same walk every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_in(&mut self, end: u64) -> bool {
        self.below(end) == 0
    }
}

/// What a name of the simulated scan directory leads to.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Entry {
    Directory(Id),
    File,
    Trouble,
}

/// When the shell does what comes of an action, but for those of `Examine`,
/// which it always does first.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Before the actions that were to follow.
    ConsequencesFirst,
    /// After them.
    ConsequencesLast,
}

/// One service since it was last forgotten, as the shell sees it.
#[derive(Default)]
struct Life {
    has_pipe: bool,
    last_start: HashMap<Half, Instant>,
    process: HashMap<Half, Pid>,
}

/// A scan directory, its processes and a shell that does what the plan says.
struct World {
    order: Order,
    /// Nothing changes while the shell works.
    is_calm: bool,
    dice: Dice,
    now: Instant,
    entries: BTreeMap<OsString, Entry>,
    /// Changes not told yet: the name, and whether it is a directory made in place.
    told_later: Vec<(OsString, bool)>,
    /// Which directories have a log.
    has_log: HashMap<Id, bool>,
    lives: HashMap<Id, Life>,
    /// What the shell last said of each name.
    last_sight: HashMap<OsString, Option<Id>>,
    dead: Vec<(Pid, End)>,
    next_pid: u32,
    /// How many starts, pipes, forgettings, and starts after a death there were.
    counts: [u32; 4],
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const IDS: u64 = 8;

impl World {
    fn new(order: Order, seed: u64) -> World {
        World {
            order,
            is_calm: false,
            dice: Dice(seed),
            now: clock::monotonic(),
            entries: BTreeMap::new(),
            told_later: Vec::new(),
            has_log: (1..=IDS).map(|inode| (id(inode), inode % 2 == 0)).collect(),
            lives: HashMap::new(),
            last_sight: HashMap::new(),
            dead: Vec::new(),
            next_pid: 1,
            counts: [0; 4],
        }
    }

    fn any_name(&mut self) -> OsString {
        let place = self.dice.below(NAMES.len() as u64);
        os(NAMES[usize::try_from(place).unwrap()])
    }

    fn any_id(&mut self) -> Id {
        id(1 + self.dice.below(IDS))
    }

    fn put(&mut self, name: OsString, entry: Option<Entry>, made_in_place: bool) {
        match entry {
            Some(entry) => self.entries.insert(name.clone(), entry),
            None => self.entries.remove(&name),
        };
        self.told_later.push((name, made_in_place));
    }

    /// Somebody does something in the scan directory.
    fn change(&mut self) {
        let name = self.any_name();
        match self.dice.below(12) {
            0..4 => {
                let id = self.any_id();
                self.put(name, Some(Entry::Directory(id)), false);
            }
            4..6 => {
                // rm -r NAME; mkdir NAME: a directory that no other name leads to.
                let id = self.any_id();
                self.entries
                    .retain(|_, entry| *entry != Entry::Directory(id));
                self.put(name.clone(), None, false);
                self.put(name, Some(Entry::Directory(id)), true);
            }
            6..9 => self.put(name, None, false),
            9 => {
                let to = self.any_name();
                let entry = self.entries.get(&name).copied();
                self.put(name, None, false);
                self.put(to, entry, false);
            }
            10 => self.put(name, Some(Entry::File), false),
            _ => self.put(name, Some(Entry::Trouble), false),
        }
    }

    /// A supervise ends.
    fn kill(&mut self) {
        let running: BTreeSet<Pid> = self
            .lives
            .values()
            .flat_map(|life| life.process.values().copied())
            .collect();
        if running.is_empty() {
            return;
        }
        let place = self.dice.below(running.len() as u64);
        let pid = *running.iter().nth(usize::try_from(place).unwrap()).unwrap();
        for life in self.lives.values_mut() {
            life.process.retain(|_, process| *process != pid);
        }
        let end = [KILLED, GAVE_UP, TOLD_TO_EXIT][usize::try_from(self.dice.below(3)).unwrap()];
        self.dead.push((pid, end));
    }

    fn sight(&mut self, plan: &Plan, name: &OsStr) -> Sight {
        let sight = match self.entries.get(name).copied() {
            Some(Entry::Directory(id)) => Sight::Directory {
                id,
                log: !plan.knows(id) && self.has_log[&id],
            },
            Some(Entry::Trouble) => Sight::Trouble,
            Some(Entry::File) | None => Sight::Nothing,
        };
        let leads_to = match sight {
            Sight::Directory { id, .. } => Some(id),
            _ => None,
        };
        self.last_sight.insert(name.to_owned(), leads_to);
        sight
    }

    /// Does it all as the shell does; and now and then the world changes in between.
    fn perform(&mut self, plan: &mut Plan, actions: Vec<Action>) {
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            if !self.is_calm && self.dice.one_in(50) {
                self.change();
            }
            let is_examined = matches!(action, Action::Examine(_));
            let next = match action {
                Action::Examine(name) => {
                    let sight = self.sight(plan, &name);
                    plan.saw(&name, sight, self.now)
                }
                Action::Look(name) => {
                    let is_there = self.entries.contains_key(&name);
                    let look = look(!self.dice.one_in(3), self.dice.below(2) as i64);
                    plan.looked(&name, look.filter(|_| is_there), self.now)
                }
                Action::MakePipe(id, _) => {
                    let life = self.lives.entry(id).or_default();
                    assert!(!life.has_pipe, "a second pipe for {id:?}");
                    if self.dice.one_in(20) {
                        plan.pipe_failed(id, self.now)
                    } else {
                        life.has_pipe = true;
                        self.counts[1] += 1;
                        plan.pipe_made(id, self.now)
                    }
                }
                Action::Start { id, half, name } => self.start(plan, id, half, &name),
                Action::Resume(id, half) => plan.resume(id, half, self.now),
                Action::Forget(id) => {
                    let life = self.lives.remove(&id).unwrap_or_default();
                    assert!(life.process.is_empty(), "{id:?} runs and is forgotten");
                    assert!(!plan.knows(id), "{id:?} is known and forgotten");
                    self.counts[2] += 1;
                    Vec::new()
                }
            };
            if is_examined || self.order == Order::ConsequencesFirst {
                next.into_iter().rev().for_each(|a| queue.push_front(a));
            } else {
                queue.extend(next);
            }
        }
    }

    fn start(&mut self, plan: &mut Plan, id: Id, half: Half, name: &OsStr) -> Vec<Action> {
        assert_eq!(
            self.last_sight.get(name),
            Some(&Some(id)),
            "{id:?} is started under {name:?}, which leads elsewhere"
        );
        assert!(plan.knows(id), "{id:?} is started and not known");
        let has_log = plan.services[&id].log.is_some();
        let life = self.lives.entry(id).or_default();
        assert_eq!(life.has_pipe, has_log, "{id:?} and its pipe");
        assert!(!life.process.contains_key(&half), "{id:?} runs twice");
        if self.dice.one_in(20) {
            return plan.start_failed(id, half, self.now);
        }
        if let Some(last) = life.last_start.insert(half, self.now) {
            assert!(self.now >= last + START_INTERVAL, "{id:?} starts too often");
            self.counts[3] += 1;
        }
        let pid = pid(self.next_pid);
        self.next_pid += 1;
        life.process.insert(half, pid);
        plan.started(id, half, pid, self.now);
        self.counts[0] += 1;
        Vec::new()
    }

    /// One turn of the shell's loop: changes, deaths, time.
    fn turn(&mut self, plan: &mut Plan) {
        let mut names = BTreeSet::new();
        for (name, made_in_place) in std::mem::take(&mut self.told_later) {
            if made_in_place {
                plan.made_in_place(&name, self.now);
            } else {
                plan.came_whole(&name);
            }
            names.insert(name);
        }
        if self.dice.one_in(40) {
            // The kernel lost events: everything is looked at.
            let listing: BTreeSet<OsString> = self.entries.keys().cloned().collect();
            for name in &listing {
                self.perform(plan, vec![Action::Examine(name.clone())]);
            }
            for name in names.difference(&listing) {
                self.last_sight.remove(name);
            }
            let actions = plan.listed(&listing);
            self.perform(plan, actions);
        } else {
            for name in names {
                self.perform(plan, vec![Action::Examine(name)]);
            }
        }
        for (pid, end) in std::mem::take(&mut self.dead) {
            let actions = plan.ended(pid, end, self.now);
            self.perform(plan, actions);
        }
        let actions = plan.tick(self.now);
        self.perform(plan, actions);
    }

    /// What holds whenever the shell goes to sleep.
    fn check(&self, plan: &Plan) {
        if self.told_later.is_empty() {
            assert!(
                plan.deadline().is_none_or(|at| at > self.now),
                "the shell would not sleep"
            );
        }
        let running: BTreeSet<Pid> = self
            .lives
            .values()
            .flat_map(|life| life.process.values().copied())
            .chain(self.dead.iter().map(|(pid, _)| *pid))
            .collect();
        assert_eq!(plan.pids.keys().copied().collect::<BTreeSet<_>>(), running);
        for (name, id) in &plan.names {
            let names = &plan.services[id].names;
            assert_eq!(names.iter().filter(|n| *n == name).count(), 1);
        }
        let links: usize = plan.services.values().map(|s| s.names.len()).sum();
        assert_eq!(links, plan.names.len());
        for (id, service) in &plan.services {
            assert!(!service.is_over(), "{id:?} is over and not forgotten");
            assert!(!service.waits_for_pipe, "{id:?} waits for its pipe");
            let life = self.lives.get(id);
            for (half, process) in service.processes() {
                let runs = life.and_then(|life| life.process.get(&half));
                if self.dead.is_empty() {
                    assert_eq!(process.pid, runs.copied());
                }
                let is_due = !service.names.is_empty() && process.pid.is_none();
                assert_eq!(process.due.is_some(), is_due, "{id:?} {half:?}");
            }
        }
        for id in self.lives.keys() {
            assert!(plan.knows(*id), "the pipe of {id:?} was not closed");
        }
        for (name, at) in &plan.troubled {
            assert!(NAMES.iter().any(|known| *known == name), "{name:?}");
            assert!(*at <= self.now + INTERVAL);
        }
        for (name, fresh) in &plan.fresh {
            assert!(NAMES.iter().any(|known| *known == name), "{name:?}");
            assert!(fresh.at_the_latest <= self.now + INTERVAL);
        }
        assert!(plan.services.len() as u64 <= IDS);
    }
}

/// After any history: never two supervises of one half, never one for a name
/// that leads elsewhere, never two starts within a second; what is active and
/// down has its time; what is neither active nor running is forgotten, once.
fn walk(order: Order) {
    let mut world = World::new(order, 0x9e37_79b9_7f4a_7c15);
    let mut plan = Plan::default();
    for _ in 0..150_000 {
        match world.dice.below(8) {
            0..2 => world.change(),
            2 => world.kill(),
            3 => world.now += Duration::from_millis(world.dice.below(700)),
            4 => {
                let deadline = plan.deadline().unwrap_or(world.now);
                world.now = world.now.max(deadline);
            }
            _ => {
                world.turn(&mut plan);
                world.check(&plan);
            }
        }
    }
    assert!(
        world.counts.iter().all(|count| *count > 1000),
        "starts, pipes, forgettings, restarts were too few: {:?}",
        world.counts
    );

    // Everything is removed and told to exit: nothing stays.
    world.is_calm = true;
    for name in NAMES {
        world.put(os(name), None, false);
    }
    while !world.lives.values().all(|life| life.process.is_empty()) {
        world.kill();
    }
    world.turn(&mut plan);
    world.check(&plan);
    let case = Case {
        plan,
        now: world.now,
    };
    assert!(case.is_empty(), "{:?}", case.plan);
    assert_eq!(case.rest(), None);
    assert!(world.lives.is_empty());
}

#[test]
fn a_long_random_walk_keeps_every_promise() {
    walk(Order::ConsequencesFirst);
}

#[test]
fn a_long_random_walk_keeps_every_promise_if_consequences_come_last() {
    walk(Order::ConsequencesLast);
}
