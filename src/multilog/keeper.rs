//! Enforces the budgets that apply to a log directory: examines all logs below them, at a
//! limited rate, and deletes what the plan says.
//!
//! There is no coordinator: every multilog does this when it has finished a file. Two that do
//! it at the same time delete the same files.

use super::budget::{self, Budget, Impossible, Log};
use super::budget_file::{BudgetFound, NAME, each_above, read};
use super::rate::WriteRate;
use super::rate_limit::RateLimit;
use super::script::Directory;
use super::survey::Survey;
use super::waiter::say;
use crate::formats::tai64n::Tai64n;
use crate::sys::{clock, directory, errno, file};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// The maximum duration of one check in which several rounds of deletions are needed: the log's
/// lines wait meanwhile.
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// The part of a budget that may be written between two checks is 1/PART.
const PART: u64 = 100;

/// The message about a budget that may be meant for something else.
const UNMARKED: &str =
    "not followed: not being right above a log or its service, it must begin with # multilog";
/// The message about too many files.
const CUT: &str = "there is more below it than can be looked at";

/// Enforces the budgets of one log directory.
pub struct Keeper {
    name: Vec<u8>,
    /// The maximum size of a file of the log, in bytes.
    file: u64,
    limit: RateLimit,
    /// The number of bytes written since `counted`, and the rate until then.
    written: u64,
    counted: Instant,
    rate: WriteRate,
    /// The last message, so that it is not repeated.
    complaint: Option<String>,
}

impl Keeper {
    /// For this directory.
    pub fn new(settings: &Directory) -> Keeper {
        Keeper {
            name: settings.name.clone(),
            file: settings.size,
            limit: RateLimit::default(),
            written: 0,
            counted: clock::monotonic(),
            rate: WriteRate::default(),
            complaint: None,
        }
    }

    /// `bytes` bytes were written.
    pub fn count(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }

    /// A file of `size` bytes was finished. Enforces the budgets, unless it is too soon for
    /// that. `directory` is the log directory. Errors are reported once.
    pub fn check(&mut self, directory: &File, size: u64) {
        if self.limit.is_now(size, clock::monotonic()) {
            self.look(directory);
        }
    }

    /// When a postponed [`Keeper::look`] is due.
    pub fn due(&self) -> Option<Instant> {
        self.limit.due()
    }

    /// Enforces the budgets. Returns the number of deleted files.
    pub fn look(&mut self, directory: &File) -> usize {
        let mut deleted = 0;
        let mut complaint = None;
        let (mut allowance, mut is_due) = (u64::MAX, false);
        let now = clock::monotonic();
        let time = now.saturating_duration_since(std::mem::replace(&mut self.counted, now));
        self.rate.add(std::mem::take(&mut self.written), time);
        let mut above = OsStr::from_bytes(&self.name).to_owned();
        let result = each_above(directory, |place| {
            above.push("/..");
            let kept = match read(place, file::euid()) {
                BudgetFound::Budget(budget) => {
                    keep_one(&place.parent, directory, self.rate, budget, self.file)
                }
                BudgetFound::Wrong(why) => Err(why),
                BudgetFound::Nothing | BudgetFound::Unmarked { is_budget: false } => return,
                BudgetFound::Unmarked { is_budget: true } => Err(UNMARKED.to_owned()),
            };
            match kept {
                Ok(kept) => {
                    deleted += kept.deleted;
                    allowance = allowance.min(kept.allowance.unwrap_or(u64::MAX));
                    is_due |= kept.is_due;
                    if let Some(why) = kept.complaint {
                        complaint = Some((above.clone(), why.to_owned()));
                    }
                }
                Err(why) => complaint = Some((above.clone(), why)),
            }
        });
        if let Err(error) = result
            && errno::is_too_many_files(&error)
        {
            complaint = Some((above, reason(error)));
        }
        let said = complaint.as_ref().map(|(_, why)| why.clone());
        if let Some((above, why)) = complaint
            && said != self.complaint
        {
            say(&format!("{NAME} in "), &above, &format!(": {why}"));
        }
        self.complaint = said;
        let end = clock::monotonic();
        let took = end.saturating_duration_since(now);
        self.limit = RateLimit::after(end, took, allowance, is_due);
        deleted
    }
}

/// The result for one budget.
#[derive(Default)]
struct Kept {
    /// The number of deleted files.
    deleted: usize,
    /// The number of bytes after which the next check is due; None if it does not matter.
    allowance: Option<u64>,
    /// There is more to delete.
    is_due: bool,
    /// The remaining problem.
    complaint: Option<&'static str>,
}

/// Enforces `budget`, which is in the directory `top`, or returns the problem. `own`, written
/// at this rate in files of at most `file` bytes, is the log directory of the caller.
fn keep_one(
    top: &File,
    own: &File,
    rate: WriteRate,
    budget: Budget,
    file: u64,
) -> Result<Kept, String> {
    let mut all = Kept::default();
    let capacity = directory::space(top).map_err(reason)?.total;
    let (budget, impossible) = budget.possible(file, capacity);
    let end = clock::monotonic() + LONGEST_LOOK;
    loop {
        let kept = keep_once(top, own, rate, budget)?;
        all = Kept {
            deleted: all.deleted + kept.deleted,
            complaint: kept.complaint.or(impossible.map(Impossible::why)),
            ..kept
        };
        if !all.is_due || clock::monotonic() >= end {
            return Ok(all);
        }
    }
}

/// One round of that, for the files that one survey lists.
fn keep_once(top: &File, own: &File, rate: WriteRate, budget: Budget) -> Result<Kept, String> {
    if budget == Budget::default() {
        return Ok(Kept::default());
    }
    let mut survey = Survey::of(top, own).map_err(reason)?;
    if let Some(log) = survey.own() {
        log.own = Some(rate);
    }
    let available = directory::space(top).map_err(reason)?.available;
    let now = Tai64n::from_unix(clock::wall());
    let plan = budget::plan(&survey.logs, budget, available, !survey.is_partial, now);
    // If this user may not delete it, the multilog that writes there must: it checks sooner,
    // because it writes more.
    let delete = |(log, place): &&(usize, usize)| survey.delete(top, own, *log, *place);
    let deleted = plan.delete.iter().filter(delete).count();
    let least = [budget.total, budget.free].into_iter().flatten().min();
    let is_due = plan.has_more && deleted > 0;
    let complaint = match plan.missing {
        _ if survey.is_cut => Some(CUT),
        1.. if !is_due => Some("there is more than it allows, in files that are not to be deleted"),
        _ => None,
    };
    Ok(Kept {
        deleted,
        allowance: least.map(|bytes| bytes / PART),
        is_due,
        complaint,
    })
}

/// A report on the budgets of the log directory `directory`, whose files have at most `file`
/// bytes and whose multilog runs as `user`, as text for its administrator.
///
/// # Errors
/// Those of openat(2) and fstat(2).
pub fn report(directory: &File, file: u64, user: u32) -> io::Result<Vec<u8>> {
    let mut report = Vec::new();
    let mut is_any = false;
    each_above(directory, |place| {
        let state = match read(place, user) {
            BudgetFound::Nothing | BudgetFound::Unmarked { is_budget: false } => return,
            BudgetFound::Unmarked { is_budget: true } => UNMARKED.to_owned(),
            BudgetFound::Wrong(why) => why,
            BudgetFound::Budget(budget) => {
                is_any = true;
                state(&place.parent, directory, budget, file).unwrap_or_else(reason)
            }
        };
        let path = directory::path(&place.parent).unwrap_or_default();
        report.extend_from_slice(path.join(NAME).as_os_str().as_bytes());
        report.extend_from_slice(format!(": {state}\n").as_bytes());
    })?;
    if !is_any {
        let path = directory::path(directory).unwrap_or_default();
        report.extend_from_slice(path.as_os_str().as_bytes());
        report.extend_from_slice(b": no budget is in force\n");
    }
    Ok(report)
}

/// The state of a budget in the directory `top`, as text.
fn state(top: &File, own: &File, budget: Budget, file: u64) -> io::Result<String> {
    let space = directory::space(top)?;
    let survey = Survey::of(top, own)?;
    let used = survey.logs.iter().map(Log::size);
    let used = used.fold(0, u64::saturating_add);
    let (budget, impossible) = budget.possible(file, space.total);
    let mut parts = Vec::new();
    if let Some(total) = budget.total {
        let logs = survey.logs.len();
        parts.push(format!("total {total}, used {used} by {logs} logs"));
    }
    if let Some(free) = budget.free {
        parts.push(format!("free {free}, available {}", space.available));
    }
    parts.extend(impossible.map(|impossible| impossible.why().to_owned()));
    if survey.is_cut {
        parts.push(CUT.to_owned());
    }
    if parts.is_empty() {
        parts.push("it limits nothing".to_owned());
    }
    Ok(parts.join("; "))
}

fn reason(error: io::Error) -> String {
    crate::error::reason(&error).to_owned()
}
