//! Keeps the budgets that a log directory is under: looks for them, at all logs
//! below them, and deletes what the plan says.
//!
//! There is no one in charge: every multilog does this when it has finished a
//! file. Two that do it at once delete the same files.

use super::budget::{self, Budget, Impossible, Log};
use super::pace::Pace;
use super::script::Directory;
use super::survey::Survey;
use super::turn::Turn;
use super::waiter::say;
use crate::formats::tai64n::Tai64n;
use crate::sys::{clock, directory, errno, file};
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

/// What is said of a budget that may have been meant for something else.
const UNMARKED: &str =
    "not followed: not being right above a log or its service, it must begin with # multilog";
/// What is said if there are too many files.
const CUT: &str = "there is more below it than can be looked at";

/// Keeps the budgets of one log directory.
pub struct Keeper {
    name: Vec<u8>,
    /// How large a file of the log can be, in bytes.
    file: u64,
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
            file: settings.size,
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
        let result = each_above(directory, |place| {
            above.push("/..");
            let kept = match read(place, file::euid()) {
                Found::Budget(budget) => {
                    keep_one(&place.parent, directory, self.pace, budget, self.file)
                }
                Found::Wrong(why) => Err(why),
                Found::Nothing | Found::Unmarked { is_budget: false } => return,
                Found::Unmarked { is_budget: true } => Err(UNMARKED.to_owned()),
            };
            match kept {
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

/// A directory above a log directory.
struct Place {
    parent: File,
    /// Whether budgets in it are for this log without saying so: it is right above the
    /// log directory, or above a service or log directory that this is in.
    is_near: bool,
}

/// Shows `see` the directories above `directory`, the nearest first, as far as they are
/// on its file system.
fn each_above(directory: &File, mut see: impl FnMut(&Place)) -> io::Result<()> {
    let id = |dirfd: &File| dirfd.metadata().map(|m| file::identity(&m));
    let mut place = Place {
        parent: directory.try_clone()?,
        is_near: true,
    };
    for _ in 0..ABOVE {
        let parent = match directory::open(&place.parent, OsStr::new("..")) {
            Ok(parent) => parent,
            // One that this user may not read.
            Err(error) if !errno::is_too_many_files(&error) => break,
            Err(error) => return Err(error),
        };
        let (below, above) = (id(&place.parent)?, id(&parent)?);
        if below == above || below.0 != above.0 {
            break;
        }
        place.parent = parent;
        see(&place);
        place.is_near &= is_of_service(&place.parent);
    }
    Ok(())
}

/// Whether `dirfd` is the directory of a service or of its logger, or a log directory.
fn is_of_service(dirfd: &File) -> bool {
    let has = |name: &str| directory::stat(dirfd, OsStr::new(name)).is_ok();
    has("run") || (has("lock") && has("current"))
}

/// Keeps `budget`, which was found in the directory `top`; or gives what is wrong.
/// `own`, written at this pace in files of at most `file` bytes, is the log directory of
/// the one who looks.
fn keep_one(top: &File, own: &File, pace: Pace, budget: Budget, file: u64) -> Result<Kept, String> {
    let mut all = Kept::default();
    let capacity = directory::space(top).map_err(reason)?.total;
    let (budget, impossible) = budget.possible(file, capacity);
    let end = clock::monotonic() + LONGEST_LOOK;
    loop {
        let kept = keep_once(top, own, pace, budget)?;
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

/// The same, as far as is told at once.
fn keep_once(top: &File, own: &File, pace: Pace, budget: Budget) -> Result<Kept, String> {
    if budget == Budget::default() {
        return Ok(Kept::default());
    }
    let mut survey = Survey::of(top, own).map_err(reason)?;
    if let Some(log) = survey.own() {
        log.own = Some(pace);
    }
    let available = directory::space(top).map_err(reason)?.available;
    let now = Tai64n::from_unix(clock::wall());
    let plan = budget::plan(&survey.logs, budget, available, !survey.is_partial, now);
    // Where that is not allowed to this user, it is up to the multilog that writes
    // there: it comes here sooner, because it writes more.
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

/// What there is of a budget in a directory.
enum Found {
    /// Nothing, or something that is no file.
    Nothing,
    /// This.
    Budget(Budget),
    /// What is wrong with it.
    Wrong(String),
    /// A file far above the log that does not say that it is for logs. `is_budget`: it
    /// reads like one.
    Unmarked { is_budget: bool },
}

/// Reads the budget in `place`. Nobody but root and `user`, as whom multilog runs, can
/// have logs deleted by it.
fn read(place: &Place, user: u32) -> Found {
    let (text, wrong) = match text(&place.parent, user) {
        Ok(Some(found)) => found,
        Ok(None) => return Found::Nothing,
        Err(error) => return Found::Wrong(reason(error)),
    };
    let budget = Budget::parse(&text).map_err(|mistake| mistake.to_string());
    if !place.is_near && !budget::is_marked(&text) {
        let is_budget = wrong.is_none() && budget.is_ok_and(|budget| budget != Budget::default());
        return Found::Unmarked { is_budget };
    }
    match wrong.map_or(budget, Err) {
        Ok(budget) => Found::Budget(budget),
        Err(why) => Found::Wrong(why),
    }
}

/// The text of the budget in `top`, and why a multilog of `user` does not follow it, if so.
fn text(top: &File, user: u32) -> io::Result<Option<(Vec<u8>, Option<String>)>> {
    let name = OsStr::new(NAME);
    let found = match directory::find(top, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let metadata = found.metadata()?;
    if metadata.is_dir() {
        // A service of this name, say.
        return Ok(None);
    }
    if !metadata.is_file() {
        let why = "not followed: it is no plain file".to_owned();
        return Ok(Some((Vec::new(), Some(why))));
    }
    let opened = file::open_found(&found, || directory::open_file(top, name))?;
    let mut text = Vec::new();
    opened.take(LONGEST).read_to_end(&mut text)?;
    let why = if !file::is_trusted(&metadata, user) {
        Some("not followed: others than root and this user can write it".to_owned())
    } else if metadata.len() > LONGEST {
        // Half of it may say `total 5` where the whole says `total 500M`.
        Some(format!("not followed: it is longer than {LONGEST} bytes"))
    } else {
        None
    };
    Ok(Some((text, why)))
}

/// What there is of budgets for the log directory `directory`, whose files have at most
/// `file` bytes and whose multilog runs as `user`, as text for its administrator.
///
/// # Errors
/// What openat(2) and fstat(2) say.
pub fn report(directory: &File, file: u64, user: u32) -> io::Result<Vec<u8>> {
    let mut report = Vec::new();
    let mut is_any = false;
    each_above(directory, |place| {
        let state = match read(place, user) {
            Found::Nothing | Found::Unmarked { is_budget: false } => return,
            Found::Unmarked { is_budget: true } => UNMARKED.to_owned(),
            Found::Wrong(why) => why,
            Found::Budget(budget) => {
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

/// How a budget in the directory `top` stands.
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
