//! The decisions of svscan, a state machine: observations and events in, actions out; no I/O
//! and no clock.
//!
//! A service is a directory, identified by its device and inode: renaming it changes
//! nothing, and two symbolic links to it are one service. It is *active* while an entry of
//! the scan directory leads to it. A supervise that ends is restarted while its service is
//! active; a service that is neither active nor has a supervise is forgotten.

use super::late::{Inspection, Late, LateFile};
use super::service::{DirectoryId, Process, START_INTERVAL, Service, SuperviseKind};
use super::settling::{Observation, Settled, Settling};
use crate::child::{End, Pid};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The interval of retries, and of polling where inotify is not reliable: 0.76's five
/// seconds.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// A supervise that exits on command (`svc -x`) is replaced within this range after its end.
/// 0.76 does that at its next scan, within five seconds, and scripts rely on it: they remove
/// the entry shortly after `svc -dx`.
const EXIT_DELAY: RangeInclusive<Duration> = Duration::from_secs(4)..=Duration::from_secs(5);
/// The delay of the first of them; those that end within the rest of the range are replaced at
/// the same wake-up.
const FIRST_EXIT_DELAY: Duration = Duration::from_millis(4500);

/// The type of an entry of the scan directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryType {
    /// A directory, or a symbolic link to one. `log` is whether it has an entry called `log`;
    /// that counts only when the directory is first seen.
    Directory {
        /// Which one.
        id: DirectoryId,
        /// It has a logger.
        log: bool,
        /// The observation; None if svscan has just started, or if it is known.
        observation: Option<Observation>,
    },
    /// It does not exist, or is not a directory.
    Nothing,
    /// It could not be examined, which has been reported.
    Error,
}

/// The actions of the driver (`shell`), in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScanAction {
    /// Examine the entry of this name: [`ScanPlan::examined`].
    Examine(OsString),
    /// Create the pipe of this service: [`ScanPlan::pipe_made`] or [`ScanPlan::pipe_failed`].
    MakePipe(DirectoryId, OsString),
    /// Start a supervise: [`ScanPlan::started`] or [`ScanPlan::start_failed`].
    Start {
        /// The service.
        id: DirectoryId,
        /// Which of its supervises.
        kind: SuperviseKind,
        /// The name it is started under.
        name: OsString,
    },
    /// A supervise of this kind is due: [`ScanPlan::resume`], once all that was to be examined is.
    Resume(DirectoryId, SuperviseKind),
    /// Check for a `down` or a `log` that appeared late: [`ScanPlan::inspected`].
    Inspect(DirectoryId, OsString),
    /// Send the supervise of this service the commands that follow from it:
    /// [`ScanPlan::obeyed`].
    Obey {
        /// The service.
        id: DirectoryId,
        /// Its name.
        name: OsString,
        /// The file that appeared late.
        file: LateFile,
    },
    /// Close the pipe of this service: it is forgotten.
    Forget(DirectoryId),
    /// Wake this supervise: no entry refers to its directory any more, which may be deleted.
    Wake(Pid),
    /// Wake this supervise if its directory was deleted.
    WakeIfDeleted(Pid),
    /// This is the supervise of the logger of a service whose main supervise has ended for
    /// good: if the directory of the logger is deleted, close the pipe, so that the logger sees
    /// end of file.
    CloseIfDeleted(DirectoryId, Pid),
}

/// The state of svscan.
#[derive(Debug, Default)]
pub struct ScanPlan {
    services: BTreeMap<DirectoryId, Service>,
    names: BTreeMap<OsString, DirectoryId>,
    pids: HashMap<Pid, (DirectoryId, SuperviseKind)>,
    /// Entries to examine again after an error, and when.
    failed: BTreeMap<OsString, Instant>,
    /// Entries whose directories are not complete yet.
    settling: Settling,
    /// Entries that inotify does not watch completely: their targets may change without an
    /// event.
    unwatched: BTreeSet<OsString>,
    /// When to poll all of those; None if there are none.
    unwatched_at: Option<Instant>,
    /// Services without an entry that are still supervised, with the last name of each.
    nameless: BTreeMap<DirectoryId, OsString>,
    /// When the last supervise that exited on command is replaced.
    replace_at: Option<Instant>,
}

impl ScanPlan {
    /// Whether the directory `id` is known, so that its `log` need not be checked.
    pub fn knows(&self, id: DirectoryId) -> bool {
        self.services.contains_key(&id)
    }

    /// The deadline of [`ScanPlan::tick`], if any.
    pub fn deadline(&self) -> Option<Instant> {
        let due = self
            .services
            .values()
            .flat_map(|service| service.processes().filter_map(|(_, process)| process.due));
        let failed = self.failed.values().copied();
        let settling = self.settling.deadline();
        let late = self.services.values();
        let late = late.filter_map(|service| Some(service.late.as_ref()?.deadline()));
        let all = due.chain(failed).chain(settling).chain(late);
        let all = all.chain(self.unwatched_at);
        all.min()
    }

    /// A deadline has passed: a retry, a restart, another examination.
    pub fn tick(&mut self, now: Instant) -> Vec<ScanAction> {
        let mut actions = Vec::new();
        let overdue = |at: &Instant| *at <= now;
        for (name, at) in &self.failed {
            if overdue(at) {
                actions.push(ScanAction::Examine(name.clone()));
            }
        }
        if self.unwatched_at.as_ref().is_some_and(overdue) {
            // All at once, as in 0.76: one wake-up, however many they are.
            self.unwatched_at = Some(now + INTERVAL);
            actions.extend(self.unwatched.iter().cloned().map(ScanAction::Examine));
        }
        let settling = self.settling.overdue(now);
        actions.extend(settling.cloned().map(ScanAction::Examine));
        let mut resume = Vec::new();
        for (id, service) in &mut self.services {
            if service.late.as_ref().is_some_and(|late| late.is_over(now)) {
                service.late = None;
            }
            let is_due = service.late.as_mut().is_some_and(|late| late.is_due(now));
            if let Some(name) = service.names.first().filter(|_| is_due) {
                actions.push(ScanAction::Inspect(*id, name.clone()));
            }
            for kind in [SuperviseKind::Main, SuperviseKind::Log] {
                let is_due = |process: &&mut Process| process.due.as_ref().is_some_and(overdue);
                let Some(process) = service.process(kind).filter(is_due) else {
                    continue;
                };
                process.due = None;
                // The names may refer to other directories by now.
                actions.extend(service.names.iter().cloned().map(ScanAction::Examine));
                resume.push(ScanAction::Resume(*id, kind));
            }
        }
        actions.extend(resume);
        actions
    }

    /// ALRM requested a scan: what waits for its time is restarted now, but at most once a
    /// second. [`ScanPlan::tick`] must follow.
    pub fn scan_now(&mut self, now: Instant) {
        for service in self.services.values_mut() {
            for kind in [SuperviseKind::Main, SuperviseKind::Log] {
                let Some(process) = service.process(kind) else {
                    continue;
                };
                let not_before = process.not_before(now);
                process.due = process.due.map(|due| due.min(not_before));
            }
        }
    }

    /// A link (or a file) was created under `name`, which may be a temporary name.
    pub fn linked(&mut self, name: &OsStr, now: Instant) {
        self.settling.linked(name, now);
    }

    /// The directory of `name` was renamed into place.
    pub fn renamed(&mut self, name: &OsStr) {
        self.settling.renamed(name);
    }

    /// The supervises of the service `name` that are not known to have ended.
    pub fn running(&self, name: &OsStr) -> impl Iterator<Item = Pid> {
        let service = self.names.get(name).and_then(|id| self.services.get(id));
        let running = service.into_iter().flat_map(Service::running);
        running.map(|(_, pid)| pid)
    }

    /// The target of `name` was removed or renamed; what is there now is another one. A new
    /// directory may have the inode number of the old one if that is not the current directory
    /// of a process.
    pub fn replaced(&mut self, name: &OsStr) -> Vec<ScanAction> {
        self.settling.forget(name);
        let is_running = self.running(name).next().is_some();
        match is_running {
            true => Vec::new(),
            false => self.unlink(name),
        }
    }

    /// Whether `pid` is a supervise of some service here.
    pub fn has(&self, pid: Pid) -> bool {
        self.pids.contains_key(&pid)
    }

    /// Which supervise of which service `pid` is, and the name of the service.
    pub fn supervised_by(&self, pid: Pid) -> Option<(DirectoryId, SuperviseKind, OsString)> {
        let (id, kind) = *self.pids.get(&pid)?;
        let name = self.services.get(&id)?.names.first()?.clone();
        Some((id, kind, name))
    }

    /// Whether the last supervise of this kind exited with an error within a second.
    pub fn gave_up(&self, id: DirectoryId, kind: SuperviseKind) -> bool {
        let service = self.services.get(&id);
        service.is_some_and(|service| {
            let mut processes = service.processes();
            processes.any(|(other, process)| other == kind && process.gave_up)
        })
    }

    /// The supervises of this kind that were last known as `name` and still run, although no
    /// entry refers to their directories.
    pub fn predecessors(&self, kind: SuperviseKind, name: &OsStr) -> Vec<Pid> {
        let known = self.nameless.iter().filter(|(_, last)| *last == name);
        known
            .filter_map(|(id, _)| self.services.get(id))
            .flat_map(Service::running)
            .filter_map(|(other, pid)| (other == kind).then_some(pid))
            .collect()
    }

    /// The whole scan directory was read: entries that are not in `listing` are gone.
    pub fn listed(&mut self, listing: &BTreeSet<OsString>) -> Vec<ScanAction> {
        let gone = |name: &&OsString| !listing.contains(*name);
        let names = self
            .names
            .keys()
            .chain(self.failed.keys())
            .chain(self.settling.names())
            .chain(&self.unwatched);
        let gone: BTreeSet<OsString> = names.filter(gone).cloned().collect();
        let mut actions = Vec::new();
        for name in gone {
            self.settling.forget(&name);
            self.forget_unwatched(&name);
            actions.extend(self.unlink(&name));
        }
        actions
    }

    /// To be called after each [`ScanPlan::examined`]: whether inotify events will report that
    /// `name` refers to another directory. If not, the entry is polled every five seconds,
    /// whatever it is.
    pub fn set_watched(&mut self, name: &OsStr, is_watched: bool, now: Instant) {
        if is_watched || self.failed.contains_key(name) {
            self.forget_unwatched(name);
        } else {
            self.unwatched.insert(name.to_owned());
            self.unwatched_at.get_or_insert(now + INTERVAL);
        }
    }

    fn forget_unwatched(&mut self, name: &OsStr) {
        self.unwatched.remove(name);
        if self.unwatched.is_empty() {
            self.unwatched_at = None;
        }
    }

    /// The current type of the entry `name`.
    pub fn examined(
        &mut self,
        name: &OsStr,
        entry_type: EntryType,
        now: Instant,
    ) -> Vec<ScanAction> {
        self.failed.remove(name);
        match entry_type {
            EntryType::Nothing => {
                self.settling.forget(name);
                self.unlink(name)
            }
            EntryType::Error => {
                self.settling.forget(name);
                // As in 0.76, the entry no longer refers to its former directory.
                let actions = self.unlink(name);
                self.failed.insert(name.to_owned(), now + INTERVAL);
                actions
            }
            EntryType::Directory { id, .. } if self.knows(id) => {
                self.settling.forget(name);
                self.link(name, id, false, now)
            }
            EntryType::Directory {
                id,
                log,
                observation,
            } => match self.settling.judge(name, id, observation, now) {
                Settled::Wait => self.unlink(name),
                Settled::PickUp => self.link(name, id, log, now),
                Settled::PickUpIncomplete => {
                    let actions = self.link(name, id, log, now);
                    if let Some(service) = self.services.get_mut(&id) {
                        let has_down = observation.is_some_and(|observation| observation.has_down);
                        service.late = Some(Late::new(has_down, now));
                    }
                    actions
                }
            },
        }
    }

    /// `name` refers to `id`.
    fn link(&mut self, name: &OsStr, id: DirectoryId, log: bool, now: Instant) -> Vec<ScanAction> {
        if self.names.get(name) == Some(&id) {
            return Vec::new();
        }
        let mut actions = self.unlink(name);
        self.names.insert(name.to_owned(), id);
        let service = self.services.entry(id).or_insert_with(|| Service {
            names: Vec::new(),
            main: Process::default(),
            log: log.then(Process::default),
            waits_for_pipe: log,
            late: None,
            needs_logger: false,
        });
        service.names.push(name.to_owned());
        self.nameless.remove(&id);
        if service.names.len() > 1 {
            return actions;
        }
        if service.waits_for_pipe {
            actions.push(ScanAction::MakePipe(id, name.to_owned()));
            return actions;
        }
        actions.extend(self.start_what_is_down(id, now));
        actions
    }

    /// `name` no longer refers to a service.
    fn unlink(&mut self, name: &OsStr) -> Vec<ScanAction> {
        self.failed.remove(name);
        let Some(id) = self.names.remove(name) else {
            return Vec::new();
        };
        if let Some(service) = self.services.get_mut(&id) {
            service.names.retain(|other| other != name);
            if service.names.is_empty() {
                service.main.due = None;
                if let Some(log) = &mut service.log {
                    log.due = None;
                }
                self.nameless.insert(id, name.to_owned());
            }
        }
        let mut actions = self.forget_if_over(id);
        if let Some(service) = self.services.get(&id).filter(|one| one.names.is_empty()) {
            actions.extend(service.running().map(|(_, pid)| ScanAction::Wake(pid)));
        }
        actions.extend(self.orphaned_log(id));
        actions
    }

    /// Services without an entry: their directories may have been deleted after their entries,
    /// which no event reports.
    pub fn check_nameless(&self) -> Vec<ScanAction> {
        let known = self.nameless.keys().filter_map(|id| self.services.get(id));
        let wake = known.flat_map(Service::running);
        let wake = wake.map(|(_, pid)| ScanAction::WakeIfDeleted(pid));
        let logs = self.nameless.keys().filter_map(|id| self.orphaned_log(*id));
        wake.chain(logs).collect()
    }

    /// For a service without an entry whose main supervise has ended.
    fn orphaned_log(&self, id: DirectoryId) -> Option<ScanAction> {
        let service = self.services.get(&id)?;
        let is_alone = service.names.is_empty() && service.main.pid.is_none();
        let log = service.log.as_ref()?.pid?;
        is_alone.then_some(ScanAction::CloseIfDeleted(id, log))
    }

    fn forget_if_over(&mut self, id: DirectoryId) -> Vec<ScanAction> {
        if self.services.get(&id).is_some_and(Service::is_over) {
            self.services.remove(&id);
            self.nameless.remove(&id);
            return vec![ScanAction::Forget(id)];
        }
        Vec::new()
    }

    /// The answer to [`ScanAction::Inspect`].
    pub fn inspected(
        &mut self,
        id: DirectoryId,
        seen: Inspection,
        now: Instant,
    ) -> Vec<ScanAction> {
        let Some(service) = self.services.get_mut(&id) else {
            return Vec::new();
        };
        let has_log = service.log.is_some() || service.needs_logger;
        let late = service.late.as_mut();
        let file = late.and_then(|late| late.decide(seen, has_log, now));
        let (Some(file), Some(name)) = (file, service.names.first().cloned()) else {
            return Vec::new();
        };
        vec![ScanAction::Obey { id, name, file }]
    }

    /// The answer to [`ScanAction::Obey`], if the commands were sent. If not, they are sent
    /// later.
    pub fn obeyed(&mut self, id: DirectoryId, file: LateFile) {
        let Some(service) = self.services.get_mut(&id) else {
            return;
        };
        match file {
            LateFile::Down => service.late.iter_mut().for_each(Late::down_is_obeyed),
            LateFile::Log => service.needs_logger = true,
        }
    }

    /// The supervise of `id` has exited on command, because of its `log`.
    fn add_logger(&mut self, id: DirectoryId, now: Instant) -> Vec<ScanAction> {
        let Some(service) = self.services.get_mut(&id) else {
            return Vec::new();
        };
        service.needs_logger = false;
        service.late.iter_mut().for_each(|late| late.replaced(now));
        let Some(name) = service.names.first().cloned() else {
            return self.forget_if_over(id);
        };
        service.main.due = None;
        service.log = Some(Process::default());
        service.waits_for_pipe = true;
        vec![ScanAction::MakePipe(id, name)]
    }

    /// The pipe of `id` was created.
    pub fn pipe_made(&mut self, id: DirectoryId, now: Instant) -> Vec<ScanAction> {
        if let Some(service) = self.services.get_mut(&id) {
            service.waits_for_pipe = false;
        }
        self.start_what_is_down(id, now)
    }

    /// The pipe of `id` could not be created, which has been reported: the service is
    /// forgotten, and its entry is examined again later.
    pub fn pipe_failed(&mut self, id: DirectoryId, now: Instant) -> Vec<ScanAction> {
        let names = self.services.get(&id).map(|service| service.names.clone());
        let mut actions = Vec::new();
        for name in names.unwrap_or_default() {
            actions.extend(self.unlink(&name));
            self.failed.insert(name, now + INTERVAL);
        }
        actions
    }

    fn start_what_is_down(&mut self, id: DirectoryId, now: Instant) -> Vec<ScanAction> {
        let mut actions = Vec::new();
        for kind in [SuperviseKind::Main, SuperviseKind::Log] {
            actions.extend(self.start_one(id, kind, now));
        }
        actions
    }

    /// Starts the supervise of this kind if it is down, or sets when it may be started.
    fn start_one(
        &mut self,
        id: DirectoryId,
        kind: SuperviseKind,
        now: Instant,
    ) -> Option<ScanAction> {
        let service = self.services.get_mut(&id)?;
        if service.waits_for_pipe {
            return None;
        }
        let name = service.names.first()?.clone();
        let process = service.process(kind)?;
        if process.pid.is_some() || process.asked {
            return None;
        }
        let not_before = process.not_before(now);
        if not_before > now {
            process.due = Some(process.due.map_or(not_before, |due| due.max(not_before)));
            return None;
        }
        process.due = None;
        process.asked = true;
        process.name.clone_from(&name);
        Some(ScanAction::Start { id, kind, name })
    }

    /// The names of this half's service have been examined: start it if it is still wanted.
    pub fn resume(
        &mut self,
        id: DirectoryId,
        kind: SuperviseKind,
        now: Instant,
    ) -> Vec<ScanAction> {
        self.start_one(id, kind, now).into_iter().collect()
    }

    /// A supervise was started, or was found running.
    pub fn started(&mut self, id: DirectoryId, kind: SuperviseKind, pid: Pid, now: Instant) {
        let Some(process) = self.services.get_mut(&id).and_then(|s| s.process(kind)) else {
            return;
        };
        process.pid = Some(pid);
        process.asked = false;
        process.started = Some(now);
        process.due = None;
        self.pids.insert(pid, (id, kind));
    }

    /// A supervise could not be started, which has been reported: it is retried later, if its
    /// service is still active.
    pub fn start_failed(
        &mut self,
        id: DirectoryId,
        kind: SuperviseKind,
        now: Instant,
    ) -> Vec<ScanAction> {
        if let Some(service) = self.services.get_mut(&id) {
            let active = !service.names.is_empty();
            if let Some(process) = service.process(kind) {
                process.asked = false;
                process.due = active.then_some(now + INTERVAL);
            }
        }
        self.forget_if_over(id)
    }

    /// A child ended. A supervise that was killed is restarted at once (but at most one start a
    /// second); one that exited on command, after four to five seconds; one that failed within
    /// a second of its start, after 0.76's five seconds (a backoff), unless the name it was
    /// started under no longer refers to its service.
    pub fn ended(&mut self, pid: Pid, end: End, now: Instant) -> Vec<ScanAction> {
        let Some((id, kind)) = self.pids.remove(&pid) else {
            return Vec::new();
        };
        let Some(service) = self.services.get_mut(&id) else {
            return Vec::new();
        };
        let active = !service.names.is_empty();
        let names = service.names.clone();
        let replace_at = *self
            .replace_at
            .as_ref()
            .filter(|at| EXIT_DELAY.contains(&at.saturating_duration_since(now)))
            .unwrap_or(&(now + FIRST_EXIT_DELAY));
        if let Some(process) = service.process(kind) {
            process.pid = None;
            let started = process.started.unwrap_or(now);
            let gave_up = matches!(end, End::Exited(1..))
                && now < started + START_INTERVAL
                && names.contains(&process.name);
            process.gave_up = gave_up;
            let due = match end {
                End::Exited(0) => {
                    self.replace_at = Some(replace_at);
                    replace_at
                }
                _ if gave_up => started + INTERVAL,
                _ => process.not_before(now),
            };
            process.due = active.then_some(due);
        }
        if kind == SuperviseKind::Main && self.services.get(&id).is_some_and(|s| s.needs_logger) {
            return self.add_logger(id, now);
        }
        let mut actions = self.forget_if_over(id);
        actions.extend(self.orphaned_log(id));
        actions
    }
}

#[cfg(test)]
#[path = "plan_end_tests.rs"]
mod end_tests;
#[cfg(test)]
#[path = "plan_late_tests.rs"]
mod late_tests;
#[cfg(test)]
#[path = "plan_pair_tests.rs"]
mod pair_tests;
#[cfg(test)]
#[path = "plan_settle_tests.rs"]
mod settle_tests;
#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "plan_walk.rs"]
mod walk;
