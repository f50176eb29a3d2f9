//! Suppresses repeated warnings: a warning that would recur every five seconds is printed once,
//! until something changes.

use super::service::SuperviseKind;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

/// The topic of a warning about an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Topic {
    /// It cannot be examined.
    Stat,
    /// Its pipe cannot be created.
    Pipe,
    /// This supervise cannot be forked.
    Fork(SuperviseKind),
    /// This supervise exits with an error right after its start.
    Supervise(SuperviseKind),
}

/// The last warning of each entry and topic, as long as the error lasts.
#[derive(Debug, Default)]
pub struct Reported(BTreeMap<(OsString, Topic), Vec<u8>>);

impl Reported {
    /// Notes an error of the entry `name`; returns whether it is new.
    pub fn is_new(&mut self, name: &OsStr, topic: Topic, what: Vec<u8>) -> bool {
        let before = self.0.insert((name.to_owned(), topic), what.clone());
        before != Some(what)
    }

    /// The error is gone.
    pub fn clear(&mut self, name: &OsStr, topic: Topic) {
        if !self.0.is_empty() {
            self.0.remove(&(name.to_owned(), topic));
        }
    }

    /// The entry `name` is gone.
    pub fn forget(&mut self, name: &OsStr) {
        self.0.retain(|(known, _), _| known != name);
    }

    /// All entries that are not in `listing` are gone.
    pub fn listed(&mut self, listing: &BTreeSet<OsString>) {
        self.0.retain(|(known, _), _| listing.contains(known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_new_until_it_was_printed_and_again_after_a_change() {
        let mut reported = Reported::default();
        let [a, b] = ["a", "b"].map(OsStr::new);
        let one = || b"one".to_vec();
        for topic in [
            Topic::Stat,
            Topic::Fork(SuperviseKind::Main),
            Topic::Fork(SuperviseKind::Log),
        ] {
            assert!(reported.is_new(a, topic, one()));
            assert!(!reported.is_new(a, topic, one()));
        }
        assert!(reported.is_new(b, Topic::Stat, one()));
        assert!(reported.is_new(a, Topic::Stat, b"two".to_vec()));
        assert!(reported.is_new(a, Topic::Stat, one()));
        reported.clear(a, Topic::Stat);
        assert!(reported.is_new(a, Topic::Stat, one()));
        assert!(!reported.is_new(a, Topic::Fork(SuperviseKind::Log), one()));
        reported.forget(a);
        assert!(reported.is_new(a, Topic::Fork(SuperviseKind::Log), one()));
        assert!(!reported.is_new(b, Topic::Stat, one()));
        reported.listed(&BTreeSet::from([a.to_owned()]));
        assert!(reported.is_new(b, Topic::Stat, one()));
        assert!(!reported.is_new(a, Topic::Fork(SuperviseKind::Log), one()));
    }
}
