//! Finds the logs below a directory and their sizes on disk. Whatever others put there, it
//! takes little memory and a bounded time.

use super::budget::{Finished, Log};
use crate::formats::{logname, tai64n::Tai64n};
use crate::sys::directory;
use crate::sys::file::{self, FileId};
use crate::sys::stat::Stat;
use crate::sys::{errno, memory};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// The maximum depth of the search.
const BELOW: usize = 6;
/// The maximum number of names in total, and in each subdirectory with everything below it: a
/// user who fills his own directory does not affect the others.
const MOST: usize = 50_000;
const MOST_EACH: usize = 10_000;
/// The maximum memory for [`MOST`] names, in bytes, if one of three is a log.
const AMPLE: usize = 32 << 20;
/// If a limit leaves less: the minimum, and the number of names that fit in it.
const SCARCE: usize = 1 << 20;
const MOST_SCARCE: usize = 1000;
/// The maximum number of finished files of a log to list, from the oldest.
const LISTED: usize = 512;

/// The result.
pub struct Survey {
    /// The logs.
    pub logs: Vec<Log>,
    /// The path components of each log from the top; None for the caller's own.
    paths: Vec<Option<Vec<OsString>>>,
    /// There are more names than the maximum.
    pub is_cut: bool,
    /// For that or another reason, there may be more logs.
    pub is_partial: bool,
}

impl Survey {
    /// Searches below `top`, on the same file system and without following symbolic links.
    /// `own`, the caller's log directory, is always included.
    ///
    /// # Errors
    /// Those of fstat(2); ENOMEM if a limit leaves no memory for this.
    pub fn of(top: &File, own: &File) -> io::Result<Survey> {
        let own_metadata = own.metadata()?;
        let most = if memory::is_available(AMPLE) {
            MOST
        } else if memory::is_available(SCARCE) {
            MOST_SCARCE
        } else {
            return Err(errno::out_of_memory());
        };
        let mut surveyor = Surveyor {
            most,
            survey: Survey {
                logs: Vec::new(),
                paths: Vec::new(),
                is_cut: false,
                is_partial: false,
            },
            device: top.metadata()?.dev(),
            own: file::id(&own_metadata),
            components: Vec::new(),
            seen: 0,
            seen_each: 0,
        };
        surveyor.visit(top);
        let is_missing = surveyor.survey.own().is_none();
        if is_missing && own_metadata.dev() == surveyor.device {
            surveyor.see_own(own);
        }
        Ok(surveyor.survey)
    }

    /// The caller's log directory, if it is on that file system.
    pub fn own(&mut self) -> Option<&mut Log> {
        let index = self.paths.iter().position(Option::is_none)?;
        self.logs.get_mut(index)
    }

    /// Deletes this finished file of this log, if this user may; returns whether it did.
    pub fn delete(&self, top: &File, own: &File, log: usize, index: usize) -> bool {
        let found = self.logs.get(log).and_then(|log| log.finished.get(index));
        let (Some(found), Some(components)) = (found, self.paths.get(log)) else {
            return false;
        };
        let directory = match components {
            None => own.try_clone(),
            Some(components) => follow(top, components),
        };
        let name = logname::finished(found.moment, found.is_safe);
        directory.is_ok_and(|here| directory::remove(&here, OsStr::new(&name)).unwrap_or(false))
    }
}

struct Surveyor {
    survey: Survey,
    device: u64,
    own: FileId,
    /// The path components from the top.
    components: Vec<OsString>,
    /// The maximum number of names.
    most: usize,
    /// The number of names so far, and the number since it descended from the top.
    seen: usize,
    seen_each: usize,
}

impl Surveyor {
    /// Counts a name; returns whether it exceeds the maximum.
    fn is_enough(&mut self) -> bool {
        self.seen += 1;
        self.seen_each += 1;
        let is_enough =
            self.seen > self.most || (!self.components.is_empty() && self.seen_each > MOST_EACH);
        self.survey.is_cut |= is_enough;
        self.survey.is_partial |= is_enough;
        is_enough
    }

    /// Examines the caller's log directory, which the search did not see completely.
    fn see_own(&mut self, own: &File) {
        let mut draft = Draft::of(own);
        let (mut seen, most) = (0, self.most);
        let _ = directory::each(own, |name| {
            seen += 1;
            if seen > MOST_EACH.min(most) {
                self.survey.is_cut = true;
                return ControlFlow::Break(());
            }
            if let Ok(stat) = directory::stat(own, name) {
                draft.add(name, &stat);
            }
            ControlFlow::Continue(())
        });
        self.put(draft, None);
    }

    /// Examines the directory `here`, and below it.
    fn visit(&mut self, here: &File) {
        let mut draft = Draft::of(here);
        let mut is_whole = true;
        let _ = directory::each(here, |name| {
            if self.is_enough() {
                is_whole = false;
                return ControlFlow::Break(());
            }
            let Ok(stat) = directory::stat(here, name) else {
                return ControlFlow::Continue(());
            };
            let goes_on = self.components.len() < BELOW && stat.device() == self.device;
            if stat.is_directory() && goes_on {
                // A log may contain others, such as main/errors in main.
                let Ok(next) = directory::open(here, name) else {
                    self.survey.is_partial = true;
                    return ControlFlow::Continue(());
                };
                if self.components.is_empty() {
                    self.seen_each = 0;
                }
                self.components.push(name.to_owned());
                self.visit(&next);
                self.components.pop();
            } else {
                draft.add(name, &stat);
            }
            ControlFlow::Continue(())
        });
        let own = Some(self.own);
        let is_own = || here.metadata().ok().as_ref().map(file::id) == own;
        if draft.is_log && !is_own() {
            let components = self.components.clone();
            self.put(draft, Some(components));
        } else if draft.is_log && is_whole {
            self.put(draft, None);
        }
    }

    fn put(&mut self, mut draft: Draft, components: Option<Vec<OsString>>) {
        draft.keep_oldest();
        self.survey.logs.push(draft.log);
        self.survey.paths.push(components);
    }
}

/// A possible log.
struct Draft {
    log: Log,
    is_log: bool,
}

impl Draft {
    fn of(directory: &File) -> Draft {
        // Without listing the names, of which there may be too many.
        let has = |name: &str| {
            directory::stat(directory, OsStr::new(name)).is_ok_and(|stat| stat.is_file())
        };
        let changed = directory.metadata().ok().map(|metadata| metadata.mtime());
        let changed = changed.and_then(|seconds| u64::try_from(seconds).ok());
        Draft {
            log: Log {
                changed: Tai64n::from_unix(Duration::from_secs(changed.unwrap_or(0))),
                ..Log::default()
            },
            // During a rotation there may be no `current`.
            is_log: has("lock") && (has("current") || has("previous")),
        }
    }

    fn add(&mut self, name: &OsStr, stat: &Stat) {
        if !stat.is_file() {
            return;
        }
        // Otherwise any user could empty the logs of others with a sparse file of a terabyte,
        // or with a thousand hard links to one file.
        let size = stat.allocated() / stat.links().max(1);
        let name = name.as_bytes();
        let is_safe = name.ends_with(b".s");
        let moment = logname::moment(name);
        match moment.filter(|moment| logname::finished(*moment, is_safe).as_bytes() == name) {
            Some(moment) => {
                self.log.finished.push(Finished {
                    moment,
                    size,
                    is_safe,
                });
                if self.log.finished.len() == 2 * LISTED {
                    self.keep_oldest();
                }
            }
            None => self.log.other = self.log.other.saturating_add(size),
        }
    }

    /// Sorts the finished files, and drops all but the oldest.
    fn keep_oldest(&mut self) {
        let log = &mut self.log;
        log.finished.sort_unstable_by_key(|file| {
            (
                file.moment.checked_next().is_some(),
                file.moment,
                file.is_safe,
            )
        });
        for newer in log.finished.iter().skip(LISTED) {
            log.newer = log.newer.saturating_add(newer.size);
        }
        log.finished.truncate(LISTED);
    }
}

fn follow(top: &File, components: &[OsString]) -> io::Result<File> {
    let mut here = top.try_clone()?;
    for name in components {
        here = directory::open(&here, name)?;
    }
    Ok(here)
}
