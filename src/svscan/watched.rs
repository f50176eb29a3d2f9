//! The inotify watches of svscan.

use super::PROGRAM;
use crate::file_systems;
use crate::sys::output;
use crate::sys::watch::{Watch, WatchDescriptor};
use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The watches: the scan directory, and all directories and links that the paths of its
/// symbolic links lead through.
pub(super) struct Watched {
    pub(super) watch: Watch,
    pub(super) here: WatchDescriptor,
    /// inotify reports every change in the scan directory.
    pub(super) is_complete: bool,
    /// For each entry that is a link: the components of its path.
    paths: HashMap<OsString, Vec<Step>>,
    /// The warning about the limit on watches was printed.
    is_warned: bool,
}

/// One component of the path of a symbolic link.
enum Step {
    /// An entry of this name in that directory: a link in the path, or its last component.
    Entry(WatchDescriptor, OsString),
    /// A directory in the path that does not exist: the path ends here for now.
    Missing(WatchDescriptor, OsString),
    /// A directory in the path, which may be renamed.
    Directory(WatchDescriptor),
}

impl Step {
    fn descriptor(&self) -> WatchDescriptor {
        match self {
            Step::Entry(wd, _) | Step::Missing(wd, _) | Step::Directory(wd) => *wd,
        }
    }

    fn is_entry(&self, wd: WatchDescriptor, name: &OsStr) -> bool {
        match self {
            Step::Entry(at, entry) | Step::Missing(at, entry) => *at == wd && entry == name,
            Step::Directory(_) => false,
        }
    }
}

/// The maximum number of links in a path, as in the kernel.
const LINKS: usize = 40;

impl Watched {
    pub(super) fn start() -> Option<Watched> {
        let here = Path::new(".");
        let watch = Watch::new().ok()?;
        let wd = watch
            .entries(here)
            .inspect_err(|error| {
                warn_if_full(error);
            })
            .ok()?;
        Some(Watched {
            watch,
            here: wd,
            is_complete: !file_systems::is_change_missed_at(here),
            paths: HashMap::new(),
            is_warned: false,
        })
    }

    /// The entries that a change of `name` in the directory `wd` may affect.
    pub(super) fn concerned(&self, wd: WatchDescriptor, name: &OsStr) -> Vec<OsString> {
        let here = (wd == self.here).then(|| name.to_owned());
        self.entries(|step| step.is_entry(wd, name))
            .chain(here)
            .collect()
    }

    /// The entries whose paths lead through the directory `wd`.
    pub(super) fn through(&self, wd: WatchDescriptor) -> impl Iterator<Item = OsString> {
        self.entries(move |step| step.descriptor() == wd)
    }

    fn entries(&self, is_step: impl Fn(&Step) -> bool) -> impl Iterator<Item = OsString> {
        let has_step = move |steps: &Vec<Step>| steps.iter().any(&is_step);
        let paths = self.paths.iter().filter(move |(_, steps)| has_step(steps));
        paths.map(|(entry, _)| entry.clone())
    }

    /// Whether `name` in `wd` is the last component of the path of `entry`.
    pub(super) fn leads_to(&self, entry: &OsStr, wd: WatchDescriptor, name: &OsStr) -> bool {
        let end = self.paths.get(entry).and_then(|steps| steps.last());
        wd == self.here && name == entry
            || end.is_some_and(|end| matches!(end, Step::Entry(..)) && end.is_entry(wd, name))
    }

    /// Watches the path of the link `name`: its target may be replaced without a change in the
    /// scan directory. Returns whether inotify reports every change of that path.
    pub(super) fn follow(&mut self, name: &OsStr) -> bool {
        let is_link = std::fs::symlink_metadata(name).is_ok_and(|m| m.is_symlink());
        let (steps, is_watched) = if is_link {
            self.resolve(name)
        } else {
            (Vec::new(), true)
        };
        let old = if steps.is_empty() {
            self.paths.remove(name)
        } else {
            self.paths.insert(name.to_owned(), steps)
        };
        for step in old.into_iter().flatten() {
            let wd = step.descriptor();
            let used = |steps: &Vec<Step>| steps.iter().any(|step| step.descriptor() == wd);
            if wd != self.here && !self.paths.values().any(used) {
                self.watch.forget(wd);
            }
        }
        is_watched
    }

    /// Resolves a path as the kernel does, as far as it exists, and watches each component.
    /// Returns also whether that succeeded: after any error, even a missing component, the
    /// target may be replaced without an event.
    fn resolve(&mut self, name: &OsStr) -> (Vec<Step>, bool) {
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
            let is_missing = !is_entry && is_missing(&path);
            let (step, watched) = if is_entry || is_missing {
                let kind = if is_missing {
                    Step::Missing
                } else {
                    Step::Entry
                };
                let wd = self.watch.entries_too(&directory);
                (wd.map(|wd| kind(wd, part.clone())), &directory)
            } else {
                (self.watch.itself(&path).map(Step::Directory), &path)
            };
            is_watched &= step.is_ok() && !file_systems::is_change_missed_at(watched);
            match step {
                Ok(step) => steps.push(step),
                Err(error) if !self.is_warned => self.is_warned = warn_if_full(&error),
                Err(_) => {}
            }
            if is_missing {
                // It may have been created before it was watched.
                return (steps, false);
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

fn is_missing(path: &Path) -> bool {
    let metadata = path.symlink_metadata();
    metadata.is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// If `error` is the user's limit on watches, prints a warning: an administrator can raise it.
fn warn_if_full(error: &io::Error) -> bool {
    let is_full = error.kind() == ErrorKind::StorageFull;
    if is_full {
        let what = "no inotify watch is left, polling every 5 seconds";
        output::err_nonblocking(format!("{PROGRAM}: warning: {what}\n").as_bytes());
    }
    is_full
}
