//! A random walk: the plan in a scan directory with random changes at random times.

use super::tests::{Case, GAVE_UP, KILLED, TOLD_TO_EXIT, id, observation, os, pid};
use super::*;
use crate::formats::status::Want;
use crate::numbers::Numbers;
use crate::svscan::settling::QUIET;
use crate::sys::clock;
use std::collections::VecDeque;

/// The target of a name in the simulated scan directory.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Entry {
    Directory(DirectoryId),
    File,
    Trouble,
}

/// When the driver performs the consequences of an action, except those of `Examine`, which it
/// always performs first.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Before the following actions.
    ConsequencesFirst,
    /// After them.
    ConsequencesLast,
}

/// One service since it was last forgotten, from the view of the driver.
#[derive(Default)]
struct Life {
    has_pipe: bool,
    last_start: HashMap<SuperviseKind, Instant>,
    process: HashMap<SuperviseKind, Pid>,
}

/// A scan directory, its processes and a driver that performs the actions of the plan.
struct World {
    order: Order,
    /// Nothing changes while the driver performs actions.
    is_calm: bool,
    numbers: Numbers,
    now: Instant,
    entries: BTreeMap<OsString, Entry>,
    /// Pending inotify events: the name, and whether a directory was renamed into place.
    pending_events: Vec<(OsString, bool)>,
    /// The directories that do not change any more.
    is_whole: HashMap<DirectoryId, bool>,
    /// The directories with a log.
    has_log: HashMap<DirectoryId, bool>,
    lives: HashMap<DirectoryId, Life>,
    /// The last answer of the driver for each name.
    last_sight: HashMap<OsString, Option<DirectoryId>>,
    dead: Vec<(Pid, End)>,
    next_pid: u32,
    /// The numbers of starts, pipes, forgotten services, restarts, and files that were obeyed
    /// although they appeared late.
    counts: [u32; 5],
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const IDS: u64 = 8;

impl World {
    fn new(order: Order, seed: u64) -> World {
        World {
            order,
            is_calm: false,
            numbers: Numbers(seed),
            now: clock::monotonic(),
            entries: BTreeMap::new(),
            pending_events: Vec::new(),
            is_whole: HashMap::new(),
            has_log: (1..=IDS).map(|inode| (id(inode), inode % 2 == 0)).collect(),
            lives: HashMap::new(),
            last_sight: HashMap::new(),
            dead: Vec::new(),
            next_pid: 1,
            counts: [0; 5],
        }
    }

    fn any_name(&mut self) -> OsString {
        os(self.numbers.pick(&NAMES))
    }

    fn any_id(&mut self) -> DirectoryId {
        id(1 + self.numbers.next() % IDS)
    }

    fn put(&mut self, name: OsString, entry: Option<Entry>, renamed: bool) {
        match entry {
            Some(entry) => self.entries.insert(name.clone(), entry),
            None => self.entries.remove(&name),
        };
        self.pending_events.push((name, renamed));
    }

    /// A random change in the scan directory.
    fn change(&mut self) {
        let name = self.any_name();
        match self.numbers.below(12) {
            0..4 => {
                let id = self.any_id();
                self.put(name, Some(Entry::Directory(id)), true);
            }
            4..6 => {
                // rm -r NAME; mkdir NAME: a directory without other names.
                let id = self.any_id();
                self.entries
                    .retain(|_, entry| *entry != Entry::Directory(id));
                self.put(name.clone(), None, false);
                self.is_whole.insert(id, false);
                self.put(name, Some(Entry::Directory(id)), false);
            }
            6..9 => self.put(name, None, false),
            9 => {
                let to = self.any_name();
                let entry = self.entries.get(&name).copied();
                self.put(name, None, false);
                let is_directory = matches!(entry, Some(Entry::Directory(_)));
                self.put(to, entry, is_directory);
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
        let place = self.numbers.below(running.len());
        let pid = *running.iter().nth(place).unwrap();
        for life in self.lives.values_mut() {
            life.process.retain(|_, process| *process != pid);
        }
        let end = self.numbers.pick(&[KILLED, GAVE_UP, TOLD_TO_EXIT]);
        self.dead.push((pid, end));
    }

    fn entry_type(&mut self, plan: &ScanPlan, name: &OsStr) -> EntryType {
        let entry_type = match self.entries.get(name).copied() {
            Some(Entry::Directory(id)) => EntryType::Directory {
                id,
                log: !plan.knows(id) && self.has_log[&id],
                observation: (!plan.knows(id)).then(|| self.observation(id)),
            },
            Some(Entry::Trouble) => EntryType::Error,
            Some(Entry::File) | None => EntryType::Nothing,
        };
        let leads_to = match entry_type {
            EntryType::Directory { id, .. } => Some(id),
            _ => None,
        };
        self.last_sight.insert(name.to_owned(), leads_to);
        entry_type
    }

    /// The directory changes now and then, until it is complete.
    fn observation(&mut self, id: DirectoryId) -> Observation {
        let is_whole = self.is_whole.get(&id).copied().unwrap_or(true);
        let digest = if is_whole { 0 } else { self.numbers.next() };
        self.is_whole.insert(id, is_whole || self.numbers.one_in(4));
        observation(!self.numbers.one_in(3), digest)
    }

    /// Waiting for that would take long: here everything has changed after five seconds.
    fn pick_up_incomplete(&mut self, plan: &mut ScanPlan, entry_type: EntryType) {
        if let EntryType::Directory { id, .. } = entry_type
            && let Some(service) = plan.services.get_mut(&id)
            && service.main.asked
            && self.numbers.one_in(2)
        {
            service.late = Some(Late::new(false, self.now));
        }
    }

    fn inspection(&mut self) -> Inspection {
        let wants = [Some(Want::Up), Some(Want::Down), Some(Want::Once), None];
        let ago = [None, Some(Duration::ZERO), Some(100 * INTERVAL)];
        Inspection {
            has_down: self.numbers.one_in(2),
            has_log: self.numbers.one_in(2),
            want: self.numbers.pick(&wants),
            commanded: self.numbers.pick(&ago),
        }
    }

    /// Performs actions as the driver does, with random changes in between.
    fn perform(&mut self, plan: &mut ScanPlan, actions: Vec<ScanAction>) {
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            if !self.is_calm && self.numbers.one_in(50) {
                self.change();
            }
            let is_examined = matches!(action, ScanAction::Examine(_));
            let next = match action {
                ScanAction::Examine(name) => {
                    let entry_type = self.entry_type(plan, &name);
                    let actions = plan.examined(&name, entry_type, self.now);
                    let is_told = self.is_calm || !self.numbers.one_in(8);
                    plan.set_watched(&name, is_told, self.now);
                    self.pick_up_incomplete(plan, entry_type);
                    actions
                }
                ScanAction::MakePipe(id, _) => {
                    let life = self.lives.entry(id).or_default();
                    assert!(!life.has_pipe, "a second pipe for {id:?}");
                    if self.numbers.one_in(20) {
                        plan.pipe_failed(id, self.now)
                    } else {
                        life.has_pipe = true;
                        self.counts[1] += 1;
                        plan.pipe_made(id, self.now)
                    }
                }
                ScanAction::Start { id, kind, name } => self.start(plan, id, kind, &name),
                ScanAction::Resume(id, kind) => plan.resume(id, kind, self.now),
                ScanAction::Inspect(id, _) => {
                    let seen = self.inspection();
                    plan.inspected(id, seen, self.now)
                }
                ScanAction::Obey { id, file, .. } => {
                    if !self.numbers.one_in(4) {
                        plan.obeyed(id, file);
                        if file == LateFile::Log {
                            self.has_log.insert(id, true);
                        }
                        self.counts[4] += 1;
                    }
                    Vec::new()
                }
                ScanAction::Forget(id) => {
                    let life = self.lives.remove(&id).unwrap_or_default();
                    assert!(life.process.is_empty(), "{id:?} runs and is forgotten");
                    assert!(!plan.knows(id), "{id:?} is known and forgotten");
                    self.counts[2] += 1;
                    Vec::new()
                }
                ScanAction::Wake(pid)
                | ScanAction::WakeIfDeleted(pid)
                | ScanAction::CloseIfDeleted(_, pid) => {
                    let (id, _) = plan.pids[&pid];
                    assert!(plan.nameless.contains_key(&id), "an entry leads to {id:?}");
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

    fn start(
        &mut self,
        plan: &mut ScanPlan,
        id: DirectoryId,
        kind: SuperviseKind,
        name: &OsStr,
    ) -> Vec<ScanAction> {
        assert_eq!(
            self.last_sight.get(name),
            Some(&Some(id)),
            "{id:?} is started under {name:?}, which leads elsewhere"
        );
        assert!(plan.knows(id), "{id:?} is started and not known");
        let has_log = plan.services[&id].log.is_some();
        let life = self.lives.entry(id).or_default();
        assert_eq!(life.has_pipe, has_log, "{id:?} and its pipe");
        assert!(!life.process.contains_key(&kind), "{id:?} runs twice");
        if self.numbers.one_in(20) {
            return plan.start_failed(id, kind, self.now);
        }
        if let Some(last) = life.last_start.insert(kind, self.now) {
            assert!(self.now >= last + START_INTERVAL, "{id:?} starts too often");
            self.counts[3] += 1;
        }
        let pid = pid(self.next_pid);
        self.next_pid += 1;
        life.process.insert(kind, pid);
        plan.started(id, kind, pid, self.now);
        self.counts[0] += 1;
        Vec::new()
    }

    /// One iteration of the loop of the driver: changes, ends, deadlines.
    fn run_once(&mut self, plan: &mut ScanPlan) {
        let mut names = BTreeSet::new();
        for (name, renamed) in std::mem::take(&mut self.pending_events) {
            if renamed {
                plan.renamed(&name);
            } else if self.numbers.one_in(3) {
                plan.linked(&name, self.now);
            } else {
                let actions = plan.replaced(&name);
                self.perform(plan, actions);
            }
            names.insert(name);
        }
        if self.numbers.one_in(40) {
            // The event queue overflowed: everything is examined.
            let listing: BTreeSet<OsString> = self.entries.keys().cloned().collect();
            for name in &listing {
                self.perform(plan, vec![ScanAction::Examine(name.clone())]);
            }
            for name in names.difference(&listing) {
                self.last_sight.remove(name);
            }
            let actions = plan.listed(&listing);
            self.perform(plan, actions);
        } else {
            for name in names {
                self.perform(plan, vec![ScanAction::Examine(name)]);
            }
        }
        for (pid, end) in std::mem::take(&mut self.dead) {
            let actions = plan.ended(pid, end, self.now);
            self.perform(plan, actions);
        }
        if self.numbers.one_in(20) {
            plan.scan_now(self.now);
        }
        let actions = plan.tick(self.now);
        self.perform(plan, actions);
    }

    /// The invariants whenever the driver goes to sleep.
    fn check(&self, plan: &ScanPlan) {
        if self.pending_events.is_empty() {
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
        assert!(plan.nameless.keys().all(|id| plan.knows(*id)));
        for (id, service) in &plan.services {
            assert_eq!(service.names.is_empty(), plan.nameless.contains_key(id));
            assert!(!service.is_over(), "{id:?} is over and not forgotten");
            assert!(!service.waits_for_pipe, "{id:?} waits for its pipe");
            let life = self.lives.get(id);
            for (kind, process) in service.processes() {
                let runs = life.and_then(|life| life.process.get(&kind));
                if self.dead.is_empty() {
                    assert_eq!(process.pid, runs.copied());
                }
                let is_due = !service.names.is_empty() && process.pid.is_none();
                assert_eq!(process.due.is_some(), is_due, "{id:?} {kind:?}");
            }
        }
        for id in self.lives.keys() {
            assert!(plan.knows(*id), "the pipe of {id:?} was not closed");
        }
        for (name, at) in &plan.failed {
            assert!(NAMES.iter().any(|known| *known == name), "{name:?}");
            assert!(*at <= self.now + INTERVAL);
        }
        for name in plan.settling.names() {
            assert!(NAMES.iter().any(|known| *known == name), "{name:?}");
        }
        let settles_at = plan.settling.deadline();
        assert!(settles_at.is_none_or(|at| at <= self.now + QUIET));
        for name in &plan.unwatched {
            assert!(NAMES.iter().any(|known| *known == name), "{name:?}");
        }
        assert_eq!(plan.unwatched_at.is_none(), plan.unwatched.is_empty());
        assert!(plan.unwatched_at.is_none_or(|at| at <= self.now + INTERVAL));
        assert!(plan.services.len() as u64 <= IDS);
    }
}

/// After any history: never two supervises of one kind and service, never one for a name that
/// refers to another directory, never two starts within a second; every active service that is
/// down has a deadline; what is neither active nor running is forgotten, once.
fn walk(order: Order) {
    let mut world = World::new(order, 0x9e37_79b9_7f4a_7c15);
    let mut plan = ScanPlan::default();
    for _ in 0..150_000 {
        match world.numbers.below(8) {
            0..2 => world.change(),
            2 => world.kill(),
            3 => world.now += Duration::from_millis(world.numbers.next() % 700),
            4 => {
                let deadline = plan.deadline().unwrap_or(world.now);
                world.now = world.now.max(deadline);
            }
            _ => {
                world.run_once(&mut plan);
                world.check(&plan);
            }
        }
    }
    assert!(
        world.counts[..4].iter().all(|count| *count > 1000) && world.counts[4] > 100,
        "starts, pipes, forgettings, restarts, late files were too few: {:?}",
        world.counts
    );

    // Everything is removed and sent `dx`: nothing remains.
    world.is_calm = true;
    for name in NAMES {
        world.put(os(name), None, false);
    }
    while !world.lives.values().all(|life| life.process.is_empty()) {
        world.kill();
    }
    world.run_once(&mut plan);
    world.check(&plan);
    let case = Case {
        plan,
        now: world.now,
        deleted: Vec::new(),
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
