//! The plan of svscan, case by case: directories that appear, disappear and change.

use super::*;
use crate::sys::clock;

pub(super) const SECOND: Duration = START_INTERVAL;
pub(super) const KILLED: End = End::Killed(9);
pub(super) const GAVE_UP: End = End::Exited(111);
pub(super) const TOLD_TO_EXIT: End = End::Exited(0);

/// A plan and its clock.
pub(super) struct Case {
    pub(super) plan: ScanPlan,
    pub(super) now: Instant,
    /// The actions for directories that may be deleted, which the other answers omit.
    pub(super) deleted: Vec<ScanAction>,
}

pub(super) fn id(inode: u64) -> DirectoryId {
    DirectoryId { device: 1, inode }
}

pub(super) fn pid(number: u32) -> Pid {
    Pid::new(number).unwrap()
}

pub(super) fn os(name: &str) -> OsString {
    name.into()
}

pub(super) fn examine(name: &str) -> ScanAction {
    ScanAction::Examine(name.into())
}

pub(super) fn start(inode: u64, kind: SuperviseKind, name: &str) -> ScanAction {
    ScanAction::Start {
        id: id(inode),
        kind,
        name: name.into(),
    }
}

pub(super) fn make_pipe(inode: u64, name: &str) -> ScanAction {
    ScanAction::MakePipe(id(inode), name.into())
}

pub(super) fn resume(inode: u64, kind: SuperviseKind) -> ScanAction {
    ScanAction::Resume(id(inode), kind)
}

pub(super) fn forget(inode: u64) -> ScanAction {
    ScanAction::Forget(id(inode))
}

/// An observation of a directory in which something has just changed.
pub(super) fn observation(is_complete: bool, digest: u64) -> Observation {
    Observation {
        is_complete,
        is_unpacking: false,
        has_down: false,
        quiet_for: Some(Duration::ZERO),
        digest,
    }
}

impl Case {
    pub(super) fn new() -> Case {
        Case {
            plan: ScanPlan::default(),
            now: clock::monotonic(),
            deleted: Vec::new(),
        }
    }

    /// Separates the actions for directories that may be deleted.
    fn put_aside(&mut self, actions: Vec<ScanAction>) -> Vec<ScanAction> {
        let is_aside = |action: &ScanAction| {
            matches!(action, ScanAction::Wake(_) | ScanAction::CloseIfDeleted(..))
        };
        let (aside, others) = actions.into_iter().partition(is_aside);
        self.deleted = aside;
        others
    }

    /// `a` is service 1, running as process 10 since now.
    pub(super) fn running() -> Case {
        let mut case = Case::new();
        assert_eq!(case.is("a", 1), [start(1, SuperviseKind::Main, "a")]);
        case.started(1, SuperviseKind::Main, 10);
        case
    }

    /// `a` is service 1 with a log; they run as processes 10 and 11 since now.
    pub(super) fn running_pair() -> Case {
        let mut case = Case::new();
        assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
        assert_eq!(
            case.plan.pipe_made(id(1), case.now),
            [
                start(1, SuperviseKind::Main, "a"),
                start(1, SuperviseKind::Log, "a")
            ]
        );
        case.started(1, SuperviseKind::Main, 10);
        case.started(1, SuperviseKind::Log, 11);
        case
    }

    pub(super) fn wait(&mut self, by: Duration) {
        self.now += by;
    }

    pub(super) fn examined(&mut self, name: &str, entry_type: EntryType) -> Vec<ScanAction> {
        let actions = self.plan.examined(OsStr::new(name), entry_type, self.now);
        self.put_aside(actions)
    }

    pub(super) fn is(&mut self, name: &str, inode: u64) -> Vec<ScanAction> {
        let id = id(inode);
        let (log, observation) = (false, None);
        self.examined(
            name,
            EntryType::Directory {
                id,
                log,
                observation,
            },
        )
    }

    pub(super) fn is_pair(&mut self, name: &str, inode: u64) -> Vec<ScanAction> {
        let id = id(inode);
        let (log, observation) = (true, None);
        self.examined(
            name,
            EntryType::Directory {
                id,
                log,
                observation,
            },
        )
    }

    pub(super) fn is_gone(&mut self, name: &str) -> Vec<ScanAction> {
        self.examined(name, EntryType::Nothing)
    }

    pub(super) fn is_trouble(&mut self, name: &str) -> Vec<ScanAction> {
        self.examined(name, EntryType::Error)
    }

    pub(super) fn started(&mut self, inode: u64, kind: SuperviseKind, number: u32) {
        self.plan.started(id(inode), kind, pid(number), self.now);
    }

    /// And what is due then.
    pub(super) fn ended(&mut self, number: u32, end: End) -> Vec<ScanAction> {
        let mut actions = self.plan.ended(pid(number), end, self.now);
        actions.extend(self.plan.tick(self.now));
        self.put_aside(actions)
    }

    pub(super) fn resume(&mut self, inode: u64, kind: SuperviseKind) -> Vec<ScanAction> {
        self.plan.resume(id(inode), kind, self.now)
    }

    pub(super) fn tick(&mut self) -> Vec<ScanAction> {
        self.plan.tick(self.now)
    }

    /// `name` refers to a directory with this observation.
    pub(super) fn looks(
        &mut self,
        name: &str,
        inode: u64,
        observation: Observation,
    ) -> Vec<ScanAction> {
        let (id, log, observation) = (id(inode), false, Some(observation));
        self.examined(
            name,
            EntryType::Directory {
                id,
                log,
                observation,
            },
        )
    }

    pub(super) fn set_watched(&mut self, name: &str, will: bool) {
        self.plan.set_watched(OsStr::new(name), will, self.now);
    }

    /// The time to the deadline of the plan.
    pub(super) fn rest(&self) -> Option<Duration> {
        let deadline = self.plan.deadline()?;
        Some(deadline.saturating_duration_since(self.now))
    }

    pub(super) fn is_empty(&self) -> bool {
        let ScanPlan {
            services,
            names,
            pids,
            failed,
            settling,
            unwatched,
            unwatched_at,
            nameless,
            replace_at: _,
        } = &self.plan;
        services.is_empty()
            && names.is_empty()
            && pids.is_empty()
            && failed.is_empty()
            && settling.names().next().is_none()
            && unwatched.is_empty()
            && unwatched_at.is_none()
            && nameless.is_empty()
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
    let other = DirectoryId {
        device: 2,
        inode: 1,
    };
    let entry_type = EntryType::Directory {
        id: other,
        log: false,
        observation: None,
    };
    assert_eq!(
        case.examined("b", entry_type),
        [ScanAction::Start {
            id: other,
            kind: SuperviseKind::Main,
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
        [examine("a"), examine("b"), resume(1, SuperviseKind::Main)]
    );
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "a")],
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
        [examine("b"), resume(1, SuperviseKind::Main)]
    );
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "b")]
    );
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
            [examine("b"), resume(1, SuperviseKind::Main)]
        );
        assert_eq!(
            case.resume(1, SuperviseKind::Main),
            [start(1, SuperviseKind::Main, "b")]
        );
    }
}

#[test]
fn a_directory_that_replaces_another_is_started_beside_it() {
    let mut case = Case::running();
    assert_eq!(case.is("a", 2), [start(2, SuperviseKind::Main, "a")]);
    case.started(2, SuperviseKind::Main, 20);
    case.wait(SECOND);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [forget(1)]);
    assert!(!case.plan.knows(id(1)));
    assert_eq!(case.rest(), None);
}

#[test]
fn a_directory_that_replaces_one_without_a_supervise_ends_it_first() {
    let mut case = Case::running();
    assert_eq!(case.ended(10, GAVE_UP), []);
    assert_eq!(
        case.is("a", 2),
        [forget(1), start(2, SuperviseKind::Main, "a")]
    );
}

#[test]
fn directories_that_change_places_go_on() {
    let mut case = Case::running();
    assert_eq!(case.is("b", 2), [start(2, SuperviseKind::Main, "b")]);
    case.started(2, SuperviseKind::Main, 20);
    assert_eq!(case.is("a", 2), []);
    assert_eq!(case.is("b", 1), []);
    case.wait(SECOND);
    assert_eq!(
        case.ended(10, KILLED),
        [examine("b"), resume(1, SuperviseKind::Main)]
    );
    assert_eq!(
        case.resume(1, SuperviseKind::Main),
        [start(1, SuperviseKind::Main, "b")]
    );
    case.started(1, SuperviseKind::Main, 12);
    assert_eq!(
        case.ended(20, KILLED),
        [examine("a"), resume(2, SuperviseKind::Main)],
        "the link b to 2 was undone"
    );
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
fn a_new_directory_may_have_the_inode_number_of_a_deleted_one() {
    let mut case = Case::running();
    assert_eq!(case.ended(10, TOLD_TO_EXIT), []);
    // Nothing prevents the reuse of the inode number.
    assert_eq!(case.plan.replaced(OsStr::new("a")), [forget(1)]);
    assert_eq!(case.is_pair("a", 1), [make_pipe(1, "a")]);
}

#[test]
fn a_directory_in_which_a_supervise_runs_keeps_its_number() {
    let mut case = Case::running();
    assert_eq!(case.plan.replaced(OsStr::new("a")), []);
    assert_eq!(case.is("a", 1), [], "it was renamed, and back");
    assert_eq!(case.rest(), None);
}

#[test]
fn a_supervise_that_lost_its_entry_is_told_to_look_and_waited_for_by_the_next() {
    let mut case = Case::running();
    assert!(
        case.plan
            .predecessors(SuperviseKind::Main, OsStr::new("a"))
            .is_empty()
    );
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.deleted, [ScanAction::Wake(pid(10))]);
    let predecessors = |case: &Case, name| {
        case.plan
            .predecessors(SuperviseKind::Main, OsStr::new(name))
    };
    assert_eq!(predecessors(&case, "a"), [pid(10)]);
    assert!(predecessors(&case, "b").is_empty());
    assert!(
        case.plan
            .predecessors(SuperviseKind::Log, OsStr::new("a"))
            .is_empty()
    );
    assert_eq!(case.is("a", 2), [start(2, SuperviseKind::Main, "a")]);
    case.started(2, SuperviseKind::Main, 20);
    assert_eq!(predecessors(&case, "a"), [pid(10)]);
    // Once more.
    assert_eq!(case.is_gone("a"), []);
    assert_eq!(case.deleted, [ScanAction::Wake(pid(20))]);
    assert_eq!(predecessors(&case, "a"), [pid(10), pid(20)]);
    assert_eq!(case.ended(10, TOLD_TO_EXIT), [forget(1)]);
    assert_eq!(predecessors(&case, "a"), [pid(20)]);
    // It was only renamed.
    assert_eq!(case.is("b", 2), []);
    assert!(predecessors(&case, "a").is_empty());
}

#[test]
fn what_is_not_in_the_listing_is_gone() {
    let mut case = Case::running();
    assert_eq!(case.is("b", 2), [start(2, SuperviseKind::Main, "b")]);
    case.plan.start_failed(id(2), SuperviseKind::Main, case.now);
    assert_eq!(case.is_trouble("c"), []);
    assert_eq!(case.looks("d", 4, observation(false, 1)), []);
    case.plan.renamed(OsStr::new("e"));
    assert_eq!(case.plan.listed(&BTreeSet::from([os("a")])), [forget(2)]);
    assert_eq!(case.rest(), None);
    assert_eq!(case.plan.listed(&BTreeSet::from([os("a")])), []);
    assert_eq!(
        case.plan.listed(&BTreeSet::new()),
        [ScanAction::Wake(pid(10))],
        "its directory may be deleted"
    );
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
    assert_eq!(case.is("a", 1), [start(1, SuperviseKind::Main, "a")]);
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
    case.set_watched("a", false);
    case.wait(SECOND);
    assert_eq!(case.is_gone("b"), [], "a link to a file, say");
    case.set_watched("b", false);
    assert_eq!(case.rest(), Some(INTERVAL - SECOND));
    case.wait(INTERVAL - SECOND);
    for _ in 0..3 {
        assert_eq!(case.tick(), [examine("a"), examine("b")]);
        assert_eq!(case.is("a", 1), []);
        case.set_watched("a", false);
        assert_eq!(case.rest(), Some(INTERVAL));
        assert_eq!(case.tick(), []);
        case.wait(INTERVAL);
    }
    assert_eq!(case.tick(), [examine("a"), examine("b")]);
    case.set_watched("a", true);
    assert_eq!(case.rest(), Some(INTERVAL), "b is left");
    case.plan.listed(&BTreeSet::from([os("a")]));
    assert_eq!(case.rest(), None);
}

#[test]
fn an_entry_in_trouble_of_which_nobody_tells_is_examined_once_in_five_seconds() {
    let mut case = Case::new();
    assert_eq!(case.is_gone("a"), []);
    case.set_watched("a", false);
    assert_eq!(case.is_trouble("a"), []);
    case.set_watched("a", false);
    case.wait(INTERVAL);
    assert_eq!(case.tick(), [examine("a")]);
    assert_eq!(case.is_gone("a"), []);
    case.set_watched("a", true);
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
    assert_eq!(case.is("a", 1), [start(1, SuperviseKind::Main, "a")]);
}
