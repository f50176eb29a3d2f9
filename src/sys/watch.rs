//! inotify(7): be told of changes in directories.

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
    /// A directory of this name was made here, and so is perhaps empty still.
    DirectoryMade,
    /// Anything else of this name was made here: a file, a link.
    Made,
    /// It was only opened, or written to.
    Opened,
    /// A directory was moved here, with all that it holds.
    DirectoryMovedHere,
    /// It is anything else that was moved here, or it was moved away or removed.
    Moved,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something happened to the entry `name`: it was made, moved, removed or,
    /// if asked for, opened. Look at it again: many changes may come as one.
    Entry {
        /// The directory it is in.
        wd: WatchDescriptor,
        /// The entry's name there.
        name: OsString,
        /// How it changed.
        how: How,
    },
    /// The watched directory itself was renamed.
    Renamed(WatchDescriptor),
    /// The kernel lost events: look at everything again.
    Lost,
    /// The watched directory itself is no longer watched (removed or unmounted).
    Ended(WatchDescriptor),
}

/// A set of watched directories, and a readable descriptor that tells of changes in them.
pub struct Watch(Inotify);

impl Watch {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE when the user has too many already (fs.inotify.max_user_instances): inotify_init(2).
    pub fn new() -> io::Result<Watch> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Inotify::init(flags).map(Watch).map_err(super::io)
    }

    /// Watches the entries of the directory `path` being made, moved and removed.
    ///
    /// # Errors
    /// ENOSPC when the user watches too much already; ENOTDIR; see inotify_add_watch(2).
    pub fn entries(&self, path: &Path) -> io::Result<WatchDescriptor> {
        self.add(path, AddWatchFlags::empty())
    }

    /// As [`Watch::entries`], and entries being opened too.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn entries_and_opens(&self, path: &Path) -> io::Result<WatchDescriptor> {
        self.add(path, AddWatchFlags::IN_OPEN)
    }

    /// As [`Watch::entries`], and entries being written to, too.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn entries_and_writes(&self, path: &Path) -> io::Result<WatchDescriptor> {
        self.add(path, AddWatchFlags::IN_MODIFY)
    }

    /// Watches the directory `path` itself being renamed, in addition to what is
    /// watched of it already.
    ///
    /// # Errors
    /// As [`Watch::entries`].
    pub fn itself(&self, path: &Path) -> io::Result<WatchDescriptor> {
        let mask = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ONLYDIR | too();
        self.0.add_watch(path, mask).map_err(super::io)
    }

    /// Watches `path` itself, of a symbolic link the link, being moved or removed, in
    /// addition to what is watched of it already.
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

    /// As [`Watch::entries`], in addition to what is watched of it already.
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

    /// The changes that have come: up to a buffer full of them, none if there are none.
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

/// IN_MASK_ADD, which nix has no name for: add to what is watched already.
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
