//! Keeps the budgets that a log directory is under: looks for them, at all logs
//! below them, and deletes what the plan says.
//!
//! There is no one in charge: every multilog does this when it has finished a
//! file. Two that do it at once delete the same files.

use super::budget::{self, Budget};
use super::pace::Pace;
use super::script::Directory;
use super::survey::Survey;
use super::turn::Turn;
use super::waiter::say;
use crate::formats::tai64n::Tai64n;
use crate::sys::{clock, errno, file, folder};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// The name of the file.
const NAME: &str = "budget";
/// How much of it is read, in bytes.
const LONGEST: u64 = 4096;
/// From how many directories above it is looked for.
const ABOVE: usize = 32;
/// So long one look goes on where there is more to delete than is told at once: what
/// it has to write waits meanwhile.
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// So much may be written unseen between two looks: the so manieth part of what it
/// gives.
const PART: u64 = 100;

/// Keeps the budgets of one log directory.
pub struct Keeper {
    name: Vec<u8>,
    next: Option<Turn>,
    /// It was too soon to look, so that is still to be done.
    is_due: bool,
    /// How much was finished since the last look, in bytes,
    unseen: u64,
    /// and how much that may be until another look is wanted sooner.
    allowance: u64,
    /// How much was written since `counted`, in bytes; and how fast until then.
    written: u64,
    counted: Instant,
    pace: Pace,
    /// What was complained of last, so that it is said once.
    complaint: Option<String>,
}

impl Keeper {
    /// For the given directory.
    pub fn new(settings: &Directory) -> Keeper {
        Keeper {
            name: settings.name.clone(),
            next: None,
            is_due: false,
            unseen: 0,
            allowance: u64::MAX,
            written: 0,
            counted: clock::monotonic(),
            pace: Pace::default(),
            complaint: None,
        }
    }

    /// So many bytes were written.
    pub fn count(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }

    /// A file of `size` bytes was finished. Sees that the budgets are kept, unless
    /// it is too soon for that. `directory` is the log directory. Whatever goes
    /// wrong is said once, and no more.
    pub fn check(&mut self, directory: &File, size: u64) {
        self.unseen = self.unseen.saturating_add(size);
        if self.next().is_some_and(|next| clock::monotonic() < next) {
            self.is_due = true;
        } else {
            self.look(directory);
        }
    }

    /// When what it was too soon for is to be made up for by [`Keeper::look`].
    pub fn due(&self) -> Option<Instant> {
        self.next().filter(|_| self.is_due)
    }

    fn next(&self) -> Option<Instant> {
        let is_much = self.unseen >= self.allowance;
        self.next.map(|turn| turn.at(is_much))
    }

    /// Sees that the budgets are kept. Returns how many files were deleted for that.
    pub fn look(&mut self, directory: &File) -> usize {
        let mut deleted = 0;
        let mut complaint = None;
        self.is_due = false;
        self.unseen = 0;
        self.allowance = u64::MAX;
        let now = clock::monotonic();
        let time = now.saturating_duration_since(std::mem::replace(&mut self.counted, now));
        self.pace.add(std::mem::take(&mut self.written), time);
        let mut above = OsStr::from_bytes(&self.name).to_owned();
        let mut here = directory.try_clone();
        for _ in 0..ABOVE {
            let parent = here.and_then(|here| {
                let parent = folder::open(&here, OsStr::new(".."))?;
                let id = |folder: &File| folder.metadata().map(|m| file::identity(&m));
                let same = id(&here)? == id(&parent)?;
                Ok((!same).then_some(parent))
            });
            let Ok(Some(parent)) = parent else {
                break;
            };
            above.push("/..");
            match keep_one(&parent, directory, self.pace) {
                Ok(kept) => {
                    deleted += kept.deleted;
                    self.allowance = self.allowance.min(kept.allowance.unwrap_or(u64::MAX));
                    self.is_due |= kept.is_due;
                    if let Some(why) = kept.complaint {
                        complaint = Some((above.clone(), why.to_owned()));
                    }
                }
                Err(why) => complaint = Some((above.clone(), why)),
            }
            here = Ok(parent);
        }
        let said = complaint.as_ref().map(|(_, why)| why.clone());
        if let Some((above, why)) = complaint
            && said != self.complaint
        {
            say(&format!("{NAME} in "), &above, &format!(": {why}"));
        }
        self.complaint = said;
        let end = clock::monotonic();
        self.next = Some(Turn::after(end, end.saturating_duration_since(now)));
        deleted
    }
}

/// What came of one budget.
#[derive(Default)]
struct Kept {
    /// How many files were deleted.
    deleted: usize,
    /// After how much more it is to be looked at again, in bytes; None: it does not
    /// matter.
    allowance: Option<u64>,
    /// There is more to delete.
    is_due: bool,
    /// What is wrong in spite of that.
    complaint: Option<&'static str>,
}

/// Keeps the budget in the directory `top`, if there is one; or gives what is wrong.
/// `own`, written at this pace, is the log directory of the one who looks.
fn keep_one(top: &File, own: &File, pace: Pace) -> Result<Kept, String> {
    let mut all = Kept::default();
    let Some(budget) = read(top)? else {
        return Ok(all);
    };
    let end = clock::monotonic() + LONGEST_LOOK;
    loop {
        let kept = keep_once(top, own, pace, budget)?;
        all = Kept {
            deleted: all.deleted + kept.deleted,
            ..kept
        };
        if !all.is_due || clock::monotonic() >= end {
            return Ok(all);
        }
    }
}

/// The same, as far as is told at once.
fn keep_once(top: &File, own: &File, pace: Pace, budget: Budget) -> Result<Kept, String> {
    let mut survey = Survey::of(top, own).map_err(reason)?;
    if let Some(log) = survey.own() {
        log.own = Some(pace);
    }
    let available = folder::available(top).map_err(reason)?;
    let now = Tai64n::from_unix(clock::wall());
    let plan = budget::plan(&survey.logs, budget, available, !survey.is_partial, now);
    // Where that is not allowed to this user, it is up to the multilog that writes
    // there: it comes here sooner, because it writes more.
    let delete = |(log, place): &&(usize, usize)| survey.delete(top, own, *log, *place);
    let deleted = plan.delete.iter().filter(delete).count();
    let least = [budget.total, budget.free].into_iter().flatten().min();
    let is_due = plan.has_more && deleted > 0;
    let complaint = match plan.missing {
        _ if survey.is_cut => Some("there is more below it than can be looked at"),
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

/// Reads the budget in `top`. Nobody but root and this user can have logs deleted
/// by it.
fn read(top: &File) -> Result<Option<Budget>, String> {
    let opened = match folder::open_file(top, OsStr::new(NAME)) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reason(error)),
    };
    let metadata = opened.metadata().map_err(reason)?;
    if metadata.is_dir() {
        // A service of this name, say.
        return Ok(None);
    }
    if !metadata.is_file() {
        return Err("not followed: it is no plain file".to_owned());
    }
    if !file::is_trusted(&metadata) {
        return Err("not followed: others than root and this user can write it".to_owned());
    }
    // Half of it may say `total 5` where the whole says `total 500M`.
    if metadata.len() > LONGEST {
        return Err(format!("not followed: it is longer than {LONGEST} bytes"));
    }
    let mut text = Vec::new();
    opened
        .take(LONGEST)
        .read_to_end(&mut text)
        .map_err(reason)?;
    let budget = Budget::parse(&text).map_err(|mistake| mistake.to_string())?;
    Ok(Some(budget))
}

fn reason(error: io::Error) -> String {
    errno::reason(&error).to_owned()
}
