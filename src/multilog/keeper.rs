//! Keeps the budgets that a log directory is under: looks for them, at all logs
//! below them, and deletes what the plan says.
//!
//! There is no one in charge: every multilog does this when it has finished a
//! file. Two that do it at once delete the same files.

use super::budget::{self, Budget, Finished, Log, Pace, Turn};
use super::script::Directory;
use super::waiter::say;
use crate::formats::{logname, tai64n::Tai64n};
use crate::sys::file::{self, Identity};
use crate::sys::{clock, errno, folder};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// The name of the file.
const NAME: &str = "budget";
/// How much of it is read, in bytes.
const LONGEST: u64 = 4096;
/// From how many directories above it is looked for.
const ABOVE: usize = 32;
/// How far below it log directories are looked for.
const BELOW: usize = 6;
/// How many names are looked at for one budget.
const MOST: usize = 50_000;
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

/// A log directory below a budget.
struct Found {
    /// From the budget's directory to this one.
    way: Vec<OsString>,
    /// The names of the finished files in `log`.
    names: Vec<OsString>,
    /// Which directory it is.
    identity: Option<Identity>,
    log: Log,
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
                    self.allowance = self.allowance.min(kept.allowance);
                    if kept.is_exceeded {
                        let why =
                            "there is more than it allows, in files that are not to be deleted";
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
struct Kept {
    /// How many files were deleted.
    deleted: usize,
    /// After how much more it is to be looked at again, in bytes.
    allowance: u64,
    /// There is more than it allows in spite of that.
    is_exceeded: bool,
}

/// Keeps the budget in the directory `top`, if there is one; or gives what is wrong.
/// `own`, written at this pace, is the log directory of the one who looks.
fn keep_one(top: &File, own: &File, pace: Pace) -> Result<Kept, String> {
    let Some(budget) = read(top)? else {
        return Ok(Kept {
            deleted: 0,
            allowance: u64::MAX,
            is_exceeded: false,
        });
    };
    let mut found = find(top)?;
    let own = file::identity(&own.metadata().map_err(reason)?);
    if let Some(found) = found.iter_mut().find(|found| found.identity == Some(own)) {
        found.log.own = Some(pace);
    }
    let available = folder::available(top).map_err(reason)?;
    let now = Tai64n::from_unix(clock::wall());
    let logs: Vec<Log> = found.iter().map(|found| found.log.clone()).collect();
    let plan = budget::plan(&logs, budget, available, now);
    let mut deleted = 0;
    for (number, place) in plan.delete {
        let file = found
            .get(number)
            .and_then(|found| Some((&found.way, found.names.get(place)?)));
        let Some((way, name)) = file else {
            continue;
        };
        // Where that is not allowed to this user, it is up to the multilog that
        // writes there: it comes here sooner, because it writes more.
        if delete(top, way, name).unwrap_or(false) {
            deleted += 1;
        }
    }
    let least = [budget.total, budget.free].into_iter().flatten().min();
    Ok(Kept {
        deleted,
        allowance: least.map_or(u64::MAX, |bytes| bytes / PART),
        is_exceeded: plan.missing > 0,
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

/// Finds the log directories below `top`, on the same file system.
fn find(top: &File) -> Result<Vec<Found>, String> {
    let device = top.metadata().map_err(reason)?.dev();
    let mut found = Vec::new();
    let mut seen = 0;
    let mut ways: Vec<Vec<OsString>> = vec![Vec::new()];
    while let Some(way) = ways.pop() {
        // One that is gone, or closed to this user, holds no log of ours.
        let Ok(here) = follow(top, &way) else {
            continue;
        };
        let Ok(names) = folder::names(&here) else {
            continue;
        };
        seen += names.len();
        if seen > MOST {
            return Err(format!("more than {MOST} files are below it"));
        }
        let has = |name: &str| names.iter().any(|n| n == name);
        // While a file is finished there may be no `current` yet.
        let is_log = has("lock") && (has("current") || has("previous"));
        let goes_on = way.len() < BELOW;
        if !is_log && !goes_on {
            continue;
        }
        let mut files = Vec::new();
        for name in names {
            let Ok(facts) = folder::facts(&here, &name) else {
                continue;
            };
            // A log may hold others, as main/errors in main.
            if goes_on && facts.is_directory && facts.device == device {
                let mut further = way.clone();
                further.push(name);
                ways.push(further);
            } else if is_log && facts.is_file {
                // Else anybody could empty the others' logs with a hole of a terabyte.
                files.push((name, facts.stored));
            }
        }
        if is_log {
            found.push(look(&here, way, files));
        }
    }
    Ok(found)
}

/// What is in the log directory `here`, which has files of these names and sizes.
fn look(here: &File, way: Vec<OsString>, files: Vec<(OsString, u64)>) -> Found {
    let metadata = here.metadata().ok();
    let changed = metadata.as_ref().map(MetadataExt::mtime);
    let changed = changed.and_then(|seconds| u64::try_from(seconds).ok());
    let mut log = Log {
        changed: Tai64n::from_unix(Duration::from_secs(changed.unwrap_or(0))),
        ..Log::default()
    };
    let mut finished = Vec::new();
    for (name, size) in files {
        let bytes = name.as_bytes();
        let is_ours = bytes.len() == Tai64n::TEXT + 2
            && [b".s", b".u"].iter().any(|end| bytes.ends_with(*end));
        match logname::moment(bytes) {
            Some(moment) if is_ours => finished.push((name, Finished { moment, size })),
            _ => log.other = log.other.saturating_add(size),
        }
    }
    finished.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let (names, files) = finished.into_iter().unzip();
    log.finished = files;
    Found {
        way,
        names,
        identity: metadata.as_ref().map(file::identity),
        log,
    }
}

fn delete(top: &File, way: &[OsString], name: &OsStr) -> io::Result<bool> {
    folder::remove(&follow(top, way)?, name)
}

fn follow(top: &File, way: &[OsString]) -> io::Result<File> {
    let mut here = top.try_clone()?;
    for name in way {
        here = folder::open(&here, name)?;
    }
    Ok(here)
}

fn reason(error: io::Error) -> String {
    errno::reason(&error).to_owned()
}
