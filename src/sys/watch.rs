//! inotify(7): watch directories for changes.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Which directory a [`Change`] is in.
pub use nix::sys::inotify::WatchDescriptor;

/// How an entry changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// A directory of this name was created here, so it may still be empty.
    DirectoryMade,
    /// Anything else was created here: a file, a link.
    Made,
    /// It was opened or written.
    Opened,
    /// A directory was moved here, with its contents.
    DirectoryMovedHere,
    /// Anything else was moved here, or the entry was moved away or removed.
    Moved,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The entry `name` was created, moved, removed or, if requested, opened. Examine it again:
    /// several changes may be merged.
    Entry {
        /// The watch of its directory.
        wd: WatchDescriptor,
        /// The name of the entry.
        name: OsString,
        /// The kind of change.
        how: How,
    },
    /// The watched directory itself was renamed.
    Renamed(WatchDescriptor),
    /// The event queue overflowed (IN_Q_OVERFLOW): examine everything again.
    Lost,
    /// The watch has ended: its directory was removed or unmounted (IN_IGNORED).
    Ended(WatchDescriptor),
}

/// An inotify instance: a set of watches, and a descriptor that becomes readable when there are
/// changes.
pub struct Watch(Inotify);

impl Watch {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE if the user has too many instances (fs.inotify.max_user_instances):
    /// inotify_init(2).
    pub fn new() -> io::Result<Watch> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Inotify::init(flags).map(Watch).map_err(super::io)
    }

    /// Watches the directory `path` for entries that are created, moved and removed.
    ///
    /// # Errors
    /// ENOSPC if the user has too many watches; ENOTDIR; see inotify_add_watch(2).
    pub fn entries(&self, path: &Path) -> io::Result<WatchDescriptor> {
        self.add(path, AddWatchFlags::empty())
    }

    /// As [`Watch::entries`], also for entries that are opened.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn entries_and_opens(&self, path: &Path) -> io::Result<WatchDescriptor> {
        self.add(path, AddWatchFlags::IN_OPEN)
    }

    /// As [`Watch::entries`], also for entries that are written.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn entries_and_writes(&self, path: &Path) -> io::Result<WatchDescriptor> {
        self.add(path, AddWatchFlags::IN_MODIFY)
    }

    /// Watches the directory `path` for being renamed itself, in addition to an existing watch.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn itself(&self, path: &Path) -> io::Result<WatchDescriptor> {
        let mask = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ONLYDIR | too();
        self.0.add_watch(path, mask).map_err(super::io)
    }

    /// Watches `path` for being moved or removed itself (of a symbolic link, the link), in
    /// addition to an existing watch.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn moves_of(&self, path: &Path) -> io::Result<WatchDescriptor> {
        let mask = AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_DONT_FOLLOW
            | too();
        self.0.add_watch(path, mask).map_err(super::io)
    }

    /// As [`Watch::entries`], in addition to an existing watch.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn entries_too(&self, path: &Path) -> io::Result<WatchDescriptor> {
        self.add(path, too())
    }

    fn add(&self, path: &Path, more: AddWatchFlags) -> io::Result<WatchDescriptor> {
        let mask = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ONLYDIR
            | more;
        self.0.add_watch(path, mask).map_err(super::io)
    }

    /// Removes the watch `wd`.
    pub fn forget(&self, wd: WatchDescriptor) {
        let _ = self.0.rm_watch(wd);
    }

    /// Reads the pending changes, up to one buffer; empty if there are none.
    pub fn changes(&self) -> Vec<Change> {
        let Ok(events) = self.0.read_events() else {
            return Vec::new();
        };
        events
            .into_iter()
            .filter_map(|event| {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    return Some(Change::Lost);
                }
                let wd = event.wd;
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    return Some(Change::Ended(wd));
                }
                if event.mask.contains(AddWatchFlags::IN_MOVE_SELF) {
                    return Some(Change::Renamed(wd));
                }
                Some(Change::Entry {
                    wd,
                    name: event.name?,
                    how: how(event.mask),
                })
            })
            .collect()
    }
}

/// IN_MASK_ADD, which nix does not define: add to an existing watch.
fn too() -> AddWatchFlags {
    AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD)
}

fn how(mask: AddWatchFlags) -> How {
    if mask.intersects(AddWatchFlags::IN_OPEN | AddWatchFlags::IN_MODIFY) {
        How::Opened
    } else if mask.contains(AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ISDIR) {
        How::DirectoryMovedHere
    } else if !mask.contains(AddWatchFlags::IN_CREATE) {
        How::Moved
    } else if mask.contains(AddWatchFlags::IN_ISDIR) {
        How::DirectoryMade
    } else {
        How::Made
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
