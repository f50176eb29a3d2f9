//! What svscan has the kernel watch.

use super::PROGRAM;
use crate::sys::watch::{Place, Watch};
use crate::sys::{file, output};
use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// What is watched: the scan directory, and all that its symbolic links lead through.
pub(super) struct Watched {
    pub(super) watch: Watch,
    pub(super) here: Place,
    /// Nothing can change in the scan directory without being told.
    pub(super) is_complete: bool,
    /// For each entry that is a link: what it leads through.
    ways: HashMap<OsString, Vec<Step>>,
    /// It has been said that there are not watches enough.
    is_said: bool,
}

/// One step on the way of a symbolic link.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// An entry of this name in that directory: a link on the way, or its end.
    Entry(Place, OsString),
    /// A directory on the way, which may be renamed.
    Directory(Place),
}

impl Step {
    fn place(&self) -> Place {
        match self {
            Step::Entry(place, _) | Step::Directory(place) => *place,
        }
    }
}

/// A link may lead through so many others, as for the kernel.
const LINKS: usize = 40;

impl Watched {
    pub(super) fn start() -> Option<Watched> {
        let here = Path::new(".");
        let watch = Watch::new().ok()?;
        let place = watch
            .entries(here)
            .inspect_err(|error| {
                say(error);
            })
            .ok()?;
        Some(Watched {
            watch,
            here: place,
            is_complete: !file::is_change_missed_at(here),
            ways: HashMap::new(),
            is_said: false,
        })
    }

    /// The entries that a change may concern.
    pub(super) fn concerned(&self, change: &Step) -> Vec<OsString> {
        let here = match change {
            Step::Entry(place, name) if *place == self.here => Some(name.clone()),
            _ => None,
        };
        self.ways
            .iter()
            .filter(|(_, way)| way.contains(change))
            .map(|(entry, _)| entry.clone())
            .chain(here)
            .collect()
    }

    /// Takes note of what the link `name` leads through: its target may be
    /// replaced without a change here. Tells whether all of that is watched, and
    /// by nobody else can be changed.
    pub(super) fn follow(&mut self, name: &OsStr) -> bool {
        let is_link = std::fs::symlink_metadata(name).is_ok_and(|m| m.is_symlink());
        let (way, is_watched) = if is_link {
            self.way(name)
        } else {
            (Vec::new(), true)
        };
        let old = if way.is_empty() {
            self.ways.remove(name)
        } else {
            self.ways.insert(name.to_owned(), way)
        };
        for step in old.into_iter().flatten() {
            let place = step.place();
            let used = |way: &Vec<Step>| way.iter().any(|step| step.place() == place);
            if place != self.here && !self.ways.values().any(used) {
                self.watch.forget(place);
            }
        }
        is_watched
    }

    /// Goes the way of a path as the kernel does, and watches each step. Tells, too,
    /// whether that went well: whatever the error, even that of a step that is not
    /// there just now, its target may be replaced without a word.
    fn way(&mut self, name: &OsStr) -> (Vec<Step>, bool) {
        let mut steps = Vec::new();
        let mut is_watched = true;
        let mut directory = PathBuf::from(".");
        let mut links = 0;
        let mut ahead: VecDeque<OsString> = VecDeque::from([name.to_owned()]);
        while let Some(part) = ahead.pop_front() {
            let path = directory.join(&part);
            let target = std::fs::read_link(&path).ok();
            let is_end = ahead.is_empty();
            let is_entry = (target.is_some() || is_end) && part != "..";
            let (step, watched) = if is_entry {
                let place = self.watch.entries_too(&directory);
                let step = place.map(|place| Step::Entry(place, part.clone()));
                (step, &directory)
            } else {
                (self.watch.itself(&path).map(Step::Directory), &path)
            };
            is_watched &= step.is_ok() && !file::is_change_missed_at(watched);
            match step {
                Ok(step) => steps.push(step),
                Err(error) if !self.is_said => self.is_said = say(&error),
                Err(_) => {}
            }
            let Some(target) = target else {
                directory = path;
                continue;
            };
            links += 1;
            if links > LINKS {
                return (steps, false);
            }
            if target.is_absolute() {
                directory = PathBuf::from("/");
            }
            let parts = target.components().filter_map(|part| match part {
                Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
            });
            for part in parts.collect::<Vec<_>>().into_iter().rev() {
                ahead.push_front(part);
            }
        }
        (steps, is_watched)
    }
}

/// If `error` is that the user watches too much already, says what follows from it:
/// what somebody can mend who knows of it.
fn say(error: &io::Error) -> bool {
    let is_full = error.kind() == ErrorKind::StorageFull;
    if is_full {
        let what = "no inotify watch is left, looking around every 5 seconds";
        output::err_without_waiting(format!("{PROGRAM}: warning: {what}\n").as_bytes());
    }
    is_full
}
