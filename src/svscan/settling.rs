//! Decides when a new directory is complete: observations in, a verdict out; no I/O and no
//! clock.
//!
//! A directory can be created in many ways (tar, cp, dpkg, a link that is made before its
//! target), and most of them create it empty. So its contents decide, not the way it was
//! created: it is started once it has a `run` and has not changed for some time.

use super::plan::INTERVAL;
use super::service::DirectoryId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

/// A complete directory is started when nothing in it has changed for this time.
pub const QUIET: Duration = Duration::from_millis(250);

/// A new link is examined when it has existed for this time: `ln -sf` makes it under a
/// temporary name and then renames it.
pub const LINK_QUIET: Duration = Duration::from_millis(20);

/// The maximum time to wait for a directory without `run`, but with a file that an unpacker
/// will rename: dpkg renames the files of a package when it has written all of them, and a
/// conffile when it configures the package.
pub const UNPACKING: Duration = Duration::from_secs(600);

/// The polling interval of such a directory.
pub const UNPACKING_POLL: Duration = Duration::from_secs(1);

/// An observation of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// It has an executable `run`, and no file that an unpacker will rename.
    pub is_complete: bool,
    /// It has no such `run`, but a file that an unpacker will rename.
    pub is_unpacking: bool,
    /// It has an entry called `down`.
    pub has_down: bool,
    /// The time since the last change, by the wall clock; None: unknown, as for a change in
    /// the future or by the clock of another machine.
    pub quiet_for: Option<Duration>,
    /// The same number for the same state, another one after any change.
    pub digest: u64,
}

/// The decision about a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// It is not picked up yet.
    Wait,
    /// It is complete.
    PickUp,
    /// It is started although it is incomplete: 0.76 would not wait longer.
    PickUpIncomplete,
}

/// An entry whose directory is not picked up yet.
#[derive(Debug)]
struct Fresh {
    /// Its directory and its last observation; None for a new link that is not examined yet.
    seen: Option<(DirectoryId, Observation)>,
    since: Instant,
    /// It is picked up then, whatever its contents.
    at_the_latest: Instant,
    next_poll: Instant,
}

/// The entries whose directories are not complete yet.
#[derive(Debug, Default)]
pub struct Settling {
    fresh: BTreeMap<OsString, Fresh>,
    /// Entries whose directories were renamed into place.
    renamed: BTreeSet<OsString>,
}

impl Settling {
    /// A link (or a file) was created under `name`, which may be a temporary name.
    pub fn linked(&mut self, name: &OsStr, now: Instant) {
        self.fresh.entry(name.to_owned()).or_insert(Fresh {
            seen: None,
            since: now,
            at_the_latest: now + INTERVAL,
            next_poll: now + LINK_QUIET,
        });
    }

    /// The directory of `name` was renamed into place.
    pub fn renamed(&mut self, name: &OsStr) {
        self.fresh.remove(name);
        self.renamed.insert(name.to_owned());
    }

    /// The target of `name` was removed or replaced.
    pub fn forget(&mut self, name: &OsStr) {
        self.fresh.remove(name);
        self.renamed.remove(name);
    }

    /// The names of all entries that are not picked up yet.
    pub fn names(&self) -> impl Iterator<Item = &OsString> {
        self.fresh.keys().chain(&self.renamed)
    }

    /// When the next entry is to be examined again.
    pub fn deadline(&self) -> Option<Instant> {
        self.fresh.values().map(|fresh| fresh.next_poll).min()
    }

    /// The entries that are due to be examined again.
    pub fn overdue(&self, now: Instant) -> impl Iterator<Item = &OsString> {
        let is_overdue = move |fresh: &Fresh| fresh.next_poll <= now;
        let overdue = self
            .fresh
            .iter()
            .filter(move |(_, fresh)| is_overdue(fresh));
        overdue.map(|(name, _)| name)
    }

    /// `name` refers to the directory `id`, which svscan does not know yet. `observation` is
    /// None if svscan has just started. After any verdict except [`Settled::Wait`] the name is
    /// forgotten here.
    ///
    /// A directory that was renamed into place is complete, unless its contents show that it is
    /// not: dpkg renames a new directory while it is empty.
    pub fn judge(
        &mut self,
        name: &OsStr,
        id: DirectoryId,
        observation: Option<Observation>,
        now: Instant,
    ) -> Settled {
        let is_renamed = self.renamed.remove(name);
        let verdict = match observation {
            Some(observation) if !(is_renamed && observation.is_complete) => {
                self.judge_observation(name, id, observation, now)
            }
            _ => Settled::PickUp,
        };
        if verdict != Settled::Wait {
            self.forget(name);
        }
        verdict
    }

    fn judge_observation(
        &mut self,
        name: &OsStr,
        id: DirectoryId,
        observation: Observation,
        now: Instant,
    ) -> Settled {
        let fresh = self.fresh.get_mut(name);
        let (fresh, last) = match fresh {
            Some(fresh) => match fresh.seen {
                None if now < fresh.next_poll => return Settled::Wait,
                Some((same, last)) if same == id => (fresh, last),
                _ => return self.begin(name, id, observation, now),
            },
            None => return self.begin(name, id, observation, now),
        };
        if observation.is_unpacking {
            fresh.at_the_latest = (now + INTERVAL).min(fresh.since + UNPACKING);
        }
        let is_same = last.digest == observation.digest;
        if is_same && observation.is_complete && fresh.next_poll <= now {
            return Settled::PickUp;
        }
        if fresh.at_the_latest <= now {
            return Settled::PickUpIncomplete;
        }
        if !is_same || fresh.next_poll <= now {
            fresh.seen = Some((id, observation));
            fresh.next_poll = next_poll(observation, now).min(fresh.at_the_latest);
        }
        Settled::Wait
    }

    /// The first observation of a directory. One that has been quiet for long is complete.
    fn begin(
        &mut self,
        name: &OsStr,
        id: DirectoryId,
        observation: Observation,
        now: Instant,
    ) -> Settled {
        if observation.is_complete && observation.quiet_for.is_some_and(|time| time >= QUIET) {
            return Settled::PickUp;
        }
        let fresh = Fresh {
            seen: Some((id, observation)),
            since: now,
            at_the_latest: now + INTERVAL,
            next_poll: next_poll(observation, now),
        };
        self.fresh.insert(name.to_owned(), fresh);
        Settled::Wait
    }
}

/// When the directory will have been quiet, if nothing changes in it. The wall clock can
/// shorten that wait only by the time since the last change.
fn next_poll(observation: Observation, now: Instant) -> Instant {
    if observation.is_unpacking {
        return now + UNPACKING_POLL;
    }
    let quiet_for = observation.quiet_for.filter(|time| *time < QUIET);
    now + (QUIET - quiet_for.unwrap_or_default())
}
