//! The budget: how much all logs under a directory may use. Beyond 0.76.
//!
//! A file named `budget` in a directory above log directories speaks for all of
//! them. Whoever of their multilogs has just finished a file looks at it, and
//! deletes finished files if there are too many. What to delete is decided here;
//! [`super::keeper`] looks and deletes.

use crate::formats::tai64n::Tai64n;
use std::cmp::Reverse;

/// What a `budget` file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// So many bytes all logs may have together.
    pub total: Option<u64>,
    /// So many bytes are to stay free on their file system.
    pub free: Option<u64>,
}

/// What is wrong with a `budget` file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} is neither total nor free and a size, as: total 200M")]
pub struct Mistake {
    /// The number of the line, from 1.
    pub line: usize,
}

impl Budget {
    /// Reads the text of a `budget` file: lines of `total SIZE` and `free SIZE`; a
    /// size is a number, with `k`, `M`, `G` or `T` behind it for powers of 1024.
    /// Empty lines and what stands behind a `#` do not count.
    ///
    /// # Errors
    /// Which line is none of that.
    pub fn parse(text: &[u8]) -> Result<Budget, Mistake> {
        let mut budget = Budget::default();
        for (place, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let mistake = Mistake { line: place + 1 };
            let line = std::str::from_utf8(line).map_err(|_| mistake)?;
            let mut words = line.split_whitespace();
            let Some(what) = words.next() else {
                continue;
            };
            let size = words.next().and_then(size).ok_or(mistake)?;
            let (None, place) = (
                words.next(),
                match what {
                    "total" => &mut budget.total,
                    "free" => &mut budget.free,
                    _ => return Err(mistake),
                },
            ) else {
                return Err(mistake);
            };
            *place = Some(size);
        }
        Ok(budget)
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
    /// Its finished files, oldest first.
    pub finished: Vec<Finished>,
    /// How much its other files have, in bytes; of these nothing is deleted.
    pub other: u64,
}

/// A finished file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// When it was finished.
    pub moment: Tai64n,
    /// Its size, in bytes.
    pub size: u64,
}

impl Log {
    fn size(&self) -> u64 {
        let finished = self.finished.iter();
        finished.fold(self.other, |sum, file| sum.saturating_add(file.size))
    }

    /// How fast it was written lately: what came after its oldest file, in bytes
    /// per day. Of a file from long ago, or from the future, not more can be told
    /// than that the clock was set: many boxes begin in 1970 until they are told the
    /// time. A busy log must not seem quiet for it, nor a quiet one busy.
    fn rate(&self, now: Tai64n) -> u64 {
        const DAY: u64 = 86_400;
        const YEAR: u64 = 366 * DAY;
        let Some(oldest) = self.finished.first() else {
            return 0;
        };
        let bytes = self.size().saturating_sub(oldest.size);
        let seconds = match now.seconds.checked_sub(oldest.moment.seconds) {
            Some(seconds) => seconds.clamp(1, YEAR),
            None => YEAR,
        };
        bytes.saturating_mul(DAY) / seconds
    }
}

/// What is to be done to keep a budget.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// What to delete: the numbers of logs and of finished files in them.
    pub delete: Vec<(usize, usize)>,
    /// How much is still too much after that, in bytes.
    pub missing: u64,
}

/// What to delete of `logs` so that they keep the `budget`, with `available` bytes
/// free now. The log that was written fastest gives way first, its oldest file
/// first, if need be all of its finished files; then the next fastest. But the
/// newest finished file of every other log than the fastest stays, and of no log
/// the one that is being written is touched.
pub fn plan(logs: &[Log], budget: Budget, available: u64, now: Tai64n) -> Plan {
    let used = logs
        .iter()
        .fold(0_u64, |used, log| used.saturating_add(log.size()));
    let above = budget.total.map_or(0, |total| used.saturating_sub(total));
    let below = budget.free.map_or(0, |free| free.saturating_sub(available));
    let mut plan = Plan {
        delete: Vec::new(),
        missing: above.max(below),
    };
    let mut order: Vec<usize> = (0..logs.len()).collect();
    order.sort_by_key(|number| Reverse(logs.get(*number).map(|log| log.rate(now))));
    for (rank, number) in order.into_iter().enumerate() {
        let Some(log) = logs.get(number) else {
            continue;
        };
        let keep = usize::from(rank > 0);
        let may_go = log.finished.len().saturating_sub(keep);
        for (place, file) in log.finished.iter().enumerate().take(may_go) {
            if plan.missing == 0 {
                return plan;
            }
            plan.delete.push((number, place));
            plan.missing = plan.missing.saturating_sub(file.size);
        }
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

    fn moment(seconds: u64) -> Tai64n {
        Tai64n::from_unix(Duration::from_secs(seconds))
    }

    fn log(moments: &[u64], size: u64, other: u64) -> Log {
        let finished = moments.iter().map(|seconds| Finished {
            moment: moment(*seconds),
            size,
        });
        Log {
            finished: finished.collect(),
            other,
        }
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
        assert_eq!(plan(&logs, budget, 10, moment(9)), Plan::default());
        assert_eq!(plan(&logs, NONE, 0, moment(9)), Plan::default());
        assert_eq!(plan(&[], budget, 10, moment(9)), Plan::default());
    }

    #[test]
    fn the_fastest_gives_way_first_and_its_oldest_files_first() {
        let quiet = log(&[1, 100, 200], 100, 0);
        let busy = log(&[900, 910, 920], 100, 0);
        let budget = |total| Budget {
            total: Some(total),
            free: None,
        };
        let logs = [quiet, busy];
        let found = plan(&logs, budget(599), 0, moment(1000));
        assert_eq!(found.delete, [(1, 0)]);
        let found = plan(&logs, budget(400), 0, moment(1000));
        assert_eq!(found.delete, [(1, 0), (1, 1)]);
        // All of the busy one's, then the quiet one's but the last.
        let found = plan(&logs, budget(0), 0, moment(1000));
        assert_eq!(found.delete, [(1, 0), (1, 1), (1, 2), (0, 0), (0, 1)]);
        assert_eq!(found.missing, 100);
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
            let logs = [log(&quiet, 10, 0), log(&busy, 100_000, 0)];
            let found = plan(&logs, budget, 0, moment(now));
            assert_eq!(found.delete, [(1, 0), (1, 1), (1, 2)]);
        }
    }

    #[test]
    fn the_floor_of_free_space_counts_like_the_total() {
        let logs = [log(&[1, 2, 3], 100, 0)];
        let budget = Budget {
            total: Some(250),
            free: Some(1000),
        };
        assert_eq!(plan(&logs, budget, 1000, moment(9)).delete, [(0, 0)]);
        let found = plan(&logs, budget, 800, moment(9));
        assert_eq!(found.delete, [(0, 0), (0, 1)]);
        let found = plan(&logs, budget, 0, moment(9));
        assert_eq!((found.delete.len(), found.missing), (3, 700));
    }

    #[test]
    fn what_is_being_written_counts_but_stays() {
        let logs = [log(&[], 0, 1000), log(&[1, 2], 10, 0)];
        let budget = Budget {
            total: Some(500),
            free: None,
        };
        let found = plan(&logs, budget, 0, moment(9));
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
                };
                2
            ],
            other: u64::MAX / 2,
        };
        let budget = Budget {
            total: Some(1),
            free: Some(u64::MAX),
        };
        let found = plan(&[huge.clone(), huge], budget, 0, moment(9));
        assert_eq!(found.delete.len(), 3);
    }
}
