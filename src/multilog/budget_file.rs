//! The files `budget` above a log directory: finds and reads them.

use super::budget::{self, Budget};
use crate::sys::{directory, errno, file};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};

/// The name of the file.
pub const NAME: &str = "budget";
/// The maximum number of bytes to read of it.
const LONGEST: u64 = 4096;
/// The number of directories above the log in which it is searched.
const ABOVE: usize = 32;

/// A directory above a log directory.
pub struct ParentDir {
    /// The directory.
    pub parent: File,
    /// Whether budgets in it apply to this log without saying so: it is directly above the log
    /// directory, or above a service or log directory that contains it.
    pub is_near: bool,
}

/// Calls `see` with the directories above `directory`, the nearest first, as far as they are on
/// its file system.
///
/// # Errors
/// Those of openat(2) and fstat(2).
pub fn each_above(directory: &File, mut see: impl FnMut(&ParentDir)) -> io::Result<()> {
    let id = |dirfd: &File| dirfd.metadata().map(|m| file::id(&m));
    let mut place = ParentDir {
        parent: directory.try_clone()?,
        is_near: true,
    };
    for _ in 0..ABOVE {
        let parent = match directory::open(&place.parent, OsStr::new("..")) {
            Ok(parent) => parent,
            // This user may not read it.
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

/// The budget in a directory.
pub enum BudgetFound {
    /// None, or not a file.
    Nothing,
    /// This.
    Budget(Budget),
    /// Its error.
    Wrong(String),
    /// A file farther above the log whose first line does not say that it is for logs.
    /// `is_budget`: its contents are those of a budget.
    Unmarked {
        /// Whether they are.
        is_budget: bool,
    },
}

/// Reads the budget in `place`. Only root and `user`, as whom multilog runs, can have logs
/// deleted by it.
pub fn read(place: &ParentDir, user: u32) -> BudgetFound {
    let (text, wrong) = match text(&place.parent, user) {
        Ok(Some(found)) => found,
        Ok(None) => return BudgetFound::Nothing,
        Err(error) => return BudgetFound::Wrong(crate::error::reason(&error).to_owned()),
    };
    let budget = Budget::parse(&text).map_err(|mistake| mistake.to_string());
    if !place.is_near && !budget::is_marked(&text) {
        let is_budget = wrong.is_none() && budget.is_ok_and(|budget| budget != Budget::default());
        return BudgetFound::Unmarked { is_budget };
    }
    match wrong.map_or(budget, Err) {
        Ok(budget) => BudgetFound::Budget(budget),
        Err(why) => BudgetFound::Wrong(why),
    }
}

/// The text of the budget in `top`, and why a multilog of `user` ignores it, if it does.
fn text(top: &File, user: u32) -> io::Result<Option<(Vec<u8>, Option<String>)>> {
    let name = OsStr::new(NAME);
    let found = match directory::find(top, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let metadata = found.metadata()?;
    if metadata.is_dir() {
        // For example, a service of this name.
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
        // A truncated text may say `total 5` instead of `total 500M`.
        Some(format!("not followed: it is longer than {LONGEST} bytes"))
    } else {
        None
    };
    Ok(Some((text, why)))
}
