//! The budget: the disk space that all logs under a directory may use. Beyond 0.76.
//!
//! A file named `budget` in a directory above log directories applies to all of them. Each of
//! their multilogs that has just finished a file checks it, and deletes finished files if the
//! budget is exceeded. This module decides what to delete; [`super::keeper`] examines and
//! deletes.

use super::rate::{WriteRate, rate};
use crate::formats::tai64n::Tai64n;
use std::cmp::Reverse;

/// The contents of a `budget` file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// The maximum size of all logs together, in bytes.
    pub total: Option<u64>,
    /// The minimum free space of their file system, in bytes.
    pub free: Option<u64>,
}

/// An error in a `budget` file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} is neither total nor free and a size, as: total 200M")]
pub struct Mistake {
    /// The line number, from 1.
    pub line: usize,
}

impl Budget {
    /// Parses a `budget` file: lines of `total SIZE` and `free SIZE`; a size is a number,
    /// followed by `k`, `M`, `G` or `T` for powers of 1024. Empty lines and text after a `#`
    /// are ignored.
    ///
    /// # Errors
    /// The line that is invalid.
    pub fn parse(text: &[u8]) -> Result<Budget, Mistake> {
        let mut budget = Budget::default();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let mistake = Mistake { line: index + 1 };
            let line = std::str::from_utf8(line).map_err(|_| mistake)?;
            let mut words = line.split_whitespace();
            let Some(what) = words.next() else {
                continue;
            };
            let size = words.next().and_then(size).ok_or(mistake)?;
            let (None, limit) = (
                words.next(),
                match what {
                    "total" => &mut budget.total,
                    "free" => &mut budget.free,
                    _ => return Err(mistake),
                },
            ) else {
                return Err(mistake);
            };
            *limit = Some(size);
        }
        Ok(budget)
    }
}

/// The first line of a budget that is not directly above the logs.
const MARK: &[u8] = b"# multilog";

/// Whether the first line of a `budget` file says that it is one for logs.
pub fn is_marked(text: &[u8]) -> bool {
    let first = text.split(|byte| *byte == b'\n').next();
    first.is_some_and(|line| line.trim_ascii() == MARK)
}

/// Why a line of a budget is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Impossible {
    /// `total` is less than the maximum size of one file of the log.
    Total,
    /// `free` is at least the size of the file system.
    Free,
    /// `total` is more than the size of the file system.
    Unlimited,
}

impl Impossible {
    /// The message about it.
    pub fn why(self) -> &'static str {
        match self {
            Impossible::Total => "total is not followed: it is less than one file of this log",
            Impossible::Free => "free is not followed: the file system has no more than that",
            Impossible::Unlimited => "total is more than the file system has, and limits nothing",
        }
    }
}

impl Budget {
    /// Removes what can never be kept on a file system of `capacity` bytes by a log with files
    /// of `file` bytes: all logs would be deleted in vain. A capacity of 0 is unknown.
    pub fn possible(self, file: u64, capacity: u64) -> (Budget, Option<Impossible>) {
        let mut budget = self;
        let mut why = None;
        if capacity > 0 && budget.total.is_some_and(|total| total > capacity) {
            (budget.total, why) = (None, Some(Impossible::Unlimited));
        }
        if budget.total.is_some_and(|total| total < file) {
            (budget.total, why) = (None, Some(Impossible::Total));
        }
        if capacity > 0 && budget.free.is_some_and(|free| free >= capacity) {
            (budget.free, why) = (None, Some(Impossible::Free));
        }
        (budget, why)
    }
}

/// `200M` in bytes.
fn size(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match word.get(digits.len()..)? {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

/// One log directory under a budget.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// Its finished files, oldest first; perhaps without the newest ones,
    pub finished: Vec<Finished>,
    /// which have this size in bytes.
    pub newer: u64,
    /// The size of its other files, in bytes; these are never deleted.
    pub other: u64,
    /// When a file was last added or removed.
    pub changed: Tai64n,
    /// If it is the caller's own log: how fast that was written.
    pub own: Option<WriteRate>,
}

/// A finished file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// When it was finished.
    pub moment: Tai64n,
    /// Its size on disk, in bytes.
    pub size: u64,
    /// Whether it is complete and fsynced, according to its name.
    pub is_safe: bool,
}

impl Log {
    /// The size of all its files, in bytes.
    pub fn size(&self) -> u64 {
        let finished = self.finished.iter().map(|file| file.size);
        let all = finished.chain([self.newer, self.other]);
        all.fold(0, u64::saturating_add)
    }

    /// How fast it was written recently, in bytes per day: the data since its oldest file; if
    /// it has none, since a file was added or removed; or the rate that its own multilog knows
    /// better, because there is little data right after a file was finished. A file from long
    /// ago, or from the future, only shows that the clock was set: many devices begin in 1970
    /// until they get the time. That must not make a busy log seem quiet, nor a quiet one busy.
    fn rate(&self, now: Tai64n) -> u64 {
        let (since, bytes) = match self.finished.first() {
            Some(oldest) => (oldest.moment, self.size().saturating_sub(oldest.size)),
            None => (self.changed, self.other),
        };
        let found = rate(bytes, seconds(since, now));
        let known = self.own.map(WriteRate::rate);
        found.max(known.unwrap_or(0))
    }

    /// How fast it may have been written: as [`Log::rate`], but without its only finished file,
    /// the duration of which is unknown.
    fn highest_rate(&self, now: Tai64n) -> u64 {
        match self.finished.as_slice() {
            [only] if self.newer == 0 => {
                rate(self.size(), seconds(only.moment, now)).max(self.rate(now))
            }
            _ => self.rate(now),
        }
    }
}

/// The seconds from `since` to `now`, at most a year.
fn seconds(since: Tai64n, now: Tai64n) -> u64 {
    const YEAR: u64 = 366 * 86_400;
    let seconds = now.seconds.checked_sub(since.seconds);
    seconds.map_or(YEAR, |seconds| seconds.min(YEAR))
}

/// The actions that keep a budget.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// What to delete: the indexes of logs and of finished files in them.
    pub delete: Vec<(usize, usize)>,
    /// The excess after that, in bytes.
    pub missing: u64,
    /// Files that are not listed must be deleted, too: after the others.
    pub has_more: bool,
}

/// Decides what to delete of `logs` to keep the `budget`, with `available` bytes free now.
/// Files of the log that was written fastest are deleted first, from the oldest; then those of
/// the next fastest. But the newest finished file of a log is kept, unless its own multilog
/// calls this and knows that no other log can be as fast: only if `is_all` logs are known. The
/// file that is being written is never deleted.
pub fn plan(logs: &[Log], budget: Budget, available: u64, is_all: bool, now: Tai64n) -> Plan {
    let used = logs
        .iter()
        .fold(0_u64, |used, log| used.saturating_add(log.size()));
    let above = budget.total.map_or(0, |total| used.saturating_sub(total));
    let below = budget.free.map_or(0, |free| free.saturating_sub(available));
    let mut plan = Plan {
        delete: Vec::new(),
        missing: above.max(below),
        has_more: false,
    };
    let mut order: Vec<usize> = (0..logs.len()).collect();
    order.sort_by_cached_key(|number| Reverse(logs.get(*number).map(|log| log.rate(now))));
    for number in order {
        let Some(log) = logs.get(number) else {
            continue;
        };
        let is_slower = |(_, other): (_, &Log)| other.highest_rate(now) < log.rate(now);
        let others = logs.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != number);
        let is_fastest = is_all && log.own.is_some() && others.all(is_slower);
        let gives_all = log.newer > 0 || is_fastest;
        let keep = usize::from(!gives_all);
        let may_go = log.finished.len().saturating_sub(keep);
        for (index, file) in log.finished.iter().enumerate().take(may_go) {
            if plan.missing == 0 {
                return plan;
            }
            plan.delete.push((number, index));
            plan.missing = plan.missing.saturating_sub(file.size);
        }
        // Those are deleted before the other logs, too.
        plan.has_more |= log.newer > 0 && plan.missing > 0;
        plan.missing = plan.missing.saturating_sub(log.newer);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_budget_is_lines_of_words_and_sizes() {
        let budget = |total, free| Ok(Budget { total, free });
        assert_eq!(Budget::parse(b""), budget(None, None));
        assert_eq!(
            Budget::parse(b"# all logs\n\n  total 200M # in all\nfree\t1G\n"),
            budget(Some(200 << 20), Some(1 << 30))
        );
        assert_eq!(Budget::parse(b"total 5"), budget(Some(5), None));
        assert_eq!(Budget::parse(b"total 5k\r\n"), budget(Some(5 << 10), None));
        for (text, line) in [
            ("total", 1),
            ("\ntotal 5X", 2),
            ("total 5 6", 1),
            ("total -5", 1),
            ("total 5MB", 1),
            ("total M", 1),
            ("most 5M", 1),
            ("free 1G\ntotal 99999999999999999999", 2),
            ("total 99999999999T", 1),
            ("total 5%", 1),
            ("total \u{665}", 1),
        ] {
            let found = Budget::parse(text.as_bytes());
            assert_eq!(found, Err(Mistake { line }), "{text:?}");
        }
        assert!(Budget::parse(b"total \xff").is_err());
    }

    #[test]
    fn what_can_never_be_kept_is_left_out() {
        let budget = |total, free| Budget { total, free };
        for (total, free, expected) in [
            (Some(100), Some(999), (Some(100), Some(999), None)),
            (Some(1000), None, (Some(1000), None, None)),
            (Some(99), Some(5), (None, Some(5), Some(Impossible::Total))),
            (Some(0), None, (None, None, Some(Impossible::Total))),
            (
                Some(200),
                Some(1000),
                (Some(200), None, Some(Impossible::Free)),
            ),
            (
                Some(1001),
                Some(5),
                (None, Some(5), Some(Impossible::Unlimited)),
            ),
            (None, None, (None, None, None)),
        ] {
            let (possible, why) = budget(total, free).possible(100, 1000);
            assert_eq!((possible.total, possible.free, why), expected);
        }
    }

    #[test]
    fn the_first_line_says_that_a_budget_is_for_logs() {
        for text in ["# multilog", "# multilog\ntotal 5M\n", "# multilog \r\n"] {
            assert!(is_marked(text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "\n# multilog\n",
            "# multilogs\n",
            "total 5M # multilog\n",
        ] {
            assert!(!is_marked(text.as_bytes()), "{text:?}");
        }
    }

    fn moment(seconds: u64) -> Tai64n {
        Tai64n::from_unix(Duration::from_secs(seconds))
    }

    fn log(moments: &[u64], size: u64, other: u64) -> Log {
        let finished = moments.iter().map(|seconds| Finished {
            moment: moment(*seconds),
            size,
            is_safe: true,
        });
        Log {
            finished: finished.collect(),
            other,
            ..Log::default()
        }
    }

    /// The log of the one who looks, who has just begun.
    fn own(log: Log) -> Log {
        let own = Some(WriteRate::default());
        Log { own, ..log }
    }

    const NONE: Budget = Budget {
        total: None,
        free: None,
    };

    #[test]
    fn nothing_is_deleted_while_the_budget_is_kept() {
        let logs = [log(&[1, 2, 3], 100, 50), log(&[5], 100, 50)];
        let budget = Budget {
            total: Some(500),
            free: Some(10),
        };
        assert_eq!(plan(&logs, budget, 10, true, moment(9)), Plan::default());
        assert_eq!(plan(&logs, NONE, 0, true, moment(9)), Plan::default());
        assert_eq!(plan(&[], budget, 10, true, moment(9)), Plan::default());
    }

    #[test]
    fn the_fastest_gives_way_first_and_its_oldest_files_first() {
        let quiet = log(&[1, 100, 200], 100, 0);
        let busy = own(log(&[900, 910, 920], 100, 0));
        let budget = |total| Budget {
            total: Some(total),
            free: None,
        };
        let logs = [quiet, busy];
        let found = plan(&logs, budget(599), 0, true, moment(1000));
        assert_eq!(found.delete, [(1, 0)]);
        let found = plan(&logs, budget(400), 0, true, moment(1000));
        assert_eq!(found.delete, [(1, 0), (1, 1)]);
        // All of the busy one's, then the quiet one's but the last.
        let found = plan(&logs, budget(0), 0, true, moment(1000));
        assert_eq!(found.delete, [(1, 0), (1, 1), (1, 2), (0, 0), (0, 1)]);
        assert_eq!(found.missing, 100);
    }

    #[test]
    fn of_a_log_with_many_files_those_that_are_not_listed_go_before_those_of_the_next() {
        let quiet = own(log(&[1, 100, 200], 100, 0));
        let busy = Log {
            newer: 1000,
            ..log(&[900, 910], 100, 0)
        };
        let total = |total| Budget {
            total: Some(total),
            free: None,
        };
        let logs = [quiet, busy];
        let found = plan(&logs, total(400), 0, true, moment(1000));
        assert_eq!(found.delete, [(1, 0), (1, 1)]);
        assert_eq!((found.missing, found.has_more), (0, true));
        let found = plan(&logs, total(100), 0, true, moment(1000));
        assert_eq!(found.delete, [(1, 0), (1, 1), (0, 0), (0, 1)]);
        assert_eq!((found.missing, found.has_more), (0, true));
    }

    #[test]
    fn the_last_file_of_a_log_goes_only_if_its_own_multilog_writes_most() {
        let budget = Budget {
            total: Some(0),
            free: None,
        };
        let written = |bytes, seconds, log| {
            let mut rate = WriteRate::default();
            rate.add(bytes, Duration::from_secs(seconds));
            let own = Some(rate);
            Log { own, ..log }
        };
        let deleted = |logs: &[Log]| plan(logs, budget, 0, true, moment(1000)).delete;
        // Both have just finished their first file, and one has a line more since.
        let quiet = log(&[999], 90_000, 2_000);
        let busy = log(&[1000], 250_000, 100);
        let busy = written(250_000, 1, busy);
        assert_eq!(deleted(&[quiet.clone(), busy.clone()]), [(1, 0)]);
        // The quiet one looks: the busy one has more, or no, finished files.
        let quiet = written(90_000, 1_000_000, quiet);
        let many = log(&[900, 990], 250_000, 100_000);
        assert_eq!(deleted(&[quiet.clone(), many]), [(1, 0)]);
        let mut none = log(&[], 0, 100_000);
        none.changed = moment(999);
        assert_eq!(deleted(&[quiet.clone(), none]), []);
        // It has just begun, and the busy one a file: it may be faster than it seems.
        let quiet = own(log(&[1, 2], 9_000, 500));
        let busy = log(&[999], 250_000, 10);
        assert_eq!(deleted(&[quiet.clone(), busy]), [(0, 0)]);
        // It may not, if that was long ago; but there may be others.
        let quiet = written(9_000, 60, quiet);
        let logs = [quiet, log(&[1], 9_000, 10)];
        assert_eq!(deleted(&logs), [(0, 0), (0, 1)]);
        let found = plan(&logs, budget, 0, false, moment(1000));
        assert_eq!(found.delete, [(0, 0)]);
        // A third one looks.
        let (quiet, busy) = (log(&[1, 2], 9_000, 0), log(&[999], 9_000, 10));
        assert_eq!(deleted(&[own(log(&[], 0, 0)), quiet, busy]), [(1, 0)]);
    }

    #[test]
    fn a_clock_that_was_set_makes_no_quiet_log_a_busy_one() {
        let now = 1_700_000_000;
        let budget = Budget {
            total: Some(3_000),
            free: None,
        };
        // One file of the busy one is from before the clock was set, or all of the
        // quiet one are from before it was set back.
        let quiet = [now - 2_000_000, now - 1_000_000];
        for (quiet, busy) in [
            (quiet, [9, now - 20, now - 10]),
            ([now + 90, now + 100], [now - 30, now - 20, now - 10]),
        ] {
            let logs = [log(&quiet, 10, 0), own(log(&busy, 100_000, 0))];
            let found = plan(&logs, budget, 0, true, moment(now));
            assert_eq!(found.delete, [(1, 0), (1, 1), (1, 2)]);
        }
    }

    #[test]
    fn the_floor_of_free_space_counts_like_the_total() {
        let logs = [own(log(&[1, 2, 3], 100, 0))];
        let budget = Budget {
            total: Some(250),
            free: Some(1000),
        };
        assert_eq!(plan(&logs, budget, 1000, true, moment(9)).delete, [(0, 0)]);
        let found = plan(&logs, budget, 800, true, moment(9));
        assert_eq!(found.delete, [(0, 0), (0, 1)]);
        let found = plan(&logs, budget, 0, true, moment(9));
        assert_eq!((found.delete.len(), found.missing), (3, 700));
    }

    #[test]
    fn what_is_being_written_counts_but_stays() {
        let logs = [log(&[], 0, 1000), own(log(&[1, 2], 10, 0))];
        let budget = Budget {
            total: Some(500),
            free: None,
        };
        let found = plan(&logs, budget, 0, true, moment(9));
        assert_eq!(found.delete, [(1, 0), (1, 1)]);
        assert_eq!(found.missing, 500);
    }

    #[test]
    fn numbers_of_any_size_do_no_harm() {
        let huge = Log {
            finished: vec![
                Finished {
                    moment: Tai64n::default(),
                    size: u64::MAX / 2,
                    is_safe: true,
                };
                2
            ],
            other: u64::MAX / 2,
            ..Log::default()
        };
        let budget = Budget {
            total: Some(1),
            free: Some(u64::MAX),
        };
        let found = plan(&[own(huge.clone()), huge], budget, 0, true, moment(9));
        assert_eq!(found.delete.len(), 2);
    }
}
