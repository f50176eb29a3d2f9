//! The processes of services whose supervise was killed. They become children of svscan, which
//! is a subreaper: it notes how they end in `supervise/svscan`, for the supervise that has
//! adopted them. (Since Linux 6.15 the kernel tells that, too.)

use crate::child::{End, Pid, ProcessId};
use crate::formats::svscan_note::NotedEnd;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

/// The number of ends to remember that belong to no known orphan: a process may be reaped just
/// before its supervise, if both were killed.
const RECENT: usize = 64;

/// Which orphans are known.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// The service directories of those that have not ended.
    running: HashMap<Pid, PathBuf>,
    recent: VecDeque<NotedEnd>,
}

/// An end, to be noted in this service directory.
type ToNote = Option<(PathBuf, NotedEnd)>;

impl Orphans {
    /// A supervise was killed, and `pid` was the process of its service. `is_child`: svscan is
    /// its parent now; otherwise nobody tells svscan when it ends.
    pub(super) fn orphaned(&mut self, pid: Pid, directory: PathBuf, is_child: bool) -> ToNote {
        let mut recent = self.recent.iter();
        match recent.rfind(|ended| ended.process.pid == pid) {
            Some(ended) => Some((directory, *ended)),
            None => {
                if is_child {
                    self.running.insert(pid, directory);
                }
                None
            }
        }
    }

    /// A child that is no supervise has ended.
    pub(super) fn ended(&mut self, process: ProcessId, end: End) -> ToNote {
        let ended = NotedEnd { process, end };
        if let Some(directory) = self.running.remove(&process.pid) {
            return Some((directory, ended));
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(ended);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> ProcessId {
        ProcessId {
            pid: Pid::new(pid).unwrap(),
            start: Some(u64::from(pid)),
        }
    }

    #[test]
    fn an_end_is_noted_whichever_of_the_two_is_reaped_first() {
        let end = End::Exited(3);
        let noted = |pid| {
            let process = process(pid);
            Some((PathBuf::from("a"), NotedEnd { process, end }))
        };
        let mut orphans = Orphans::default();
        assert_eq!(orphans.orphaned(process(1).pid, "a".into(), true), None);
        assert_eq!(orphans.ended(process(2), end), None);
        assert_eq!(orphans.ended(process(1), end), noted(1));
        assert_eq!(orphans.ended(process(1), End::Killed(9)), None);
        assert_eq!(
            orphans.orphaned(process(2).pid, "a".into(), false),
            noted(2)
        );
        assert_eq!(orphans.orphaned(process(3).pid, "a".into(), false), None);
        assert!(orphans.running.is_empty());
    }

    #[test]
    fn not_everything_is_remembered() {
        let mut orphans = Orphans::default();
        for pid in 1..1000 {
            assert_eq!(orphans.ended(process(pid), End::Exited(0)), None);
        }
        assert_eq!(orphans.recent.len(), RECENT);
        assert_eq!(orphans.orphaned(process(1).pid, "a".into(), true), None);
        let known = orphans.orphaned(process(999).pid, "a".into(), true);
        assert!(known.is_some());
    }
}
