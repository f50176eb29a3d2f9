//! The files `budget` above a log directory: where they are, and what they say.

use super::budget::{self, Budget};
use crate::sys::{directory, errno, file};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};

/// The name of the file.
pub const NAME: &str = "budget";
/// How much of it is read, in bytes.
const LONGEST: u64 = 4096;
/// From how many directories above it is looked for.
const ABOVE: usize = 32;

/// A directory above a log directory.
pub struct ParentDir {
    /// The directory.
    pub parent: File,
    /// Whether budgets in it are for this log without saying so: it is right above the
    /// log directory, or above a service or log directory that this is in.
    pub is_near: bool,
}

/// Shows `see` the directories above `directory`, the nearest first, as far as they are
/// on its file system.
///
/// # Errors
/// What openat(2) and fstat(2) say.
pub fn each_above(directory: &File, mut see: impl FnMut(&ParentDir)) -> io::Result<()> {
    let id = |dirfd: &File| dirfd.metadata().map(|m| file::identity(&m));
    let mut place = ParentDir {
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

/// What there is of a budget in a directory.
pub enum BudgetFound {
    /// Nothing, or something that is no file.
    Nothing,
    /// This.
    Budget(Budget),
    /// What is wrong with it.
    Wrong(String),
    /// A file far above the log that does not say that it is for logs. `is_budget`: it
    /// reads like one.
    Unmarked {
        /// Whether it does.
        is_budget: bool,
    },
}

/// Reads the budget in `place`. Nobody but root and `user`, as whom multilog runs, can
/// have logs deleted by it.
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
