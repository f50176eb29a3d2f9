//! What is in a directory that is open, by names below it: nobody can lead that
//! elsewhere with a link.

use super::stat::{self, Stat};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// Opens the directory `path`, links followed, if this process may pass through
/// it; to read what names are in it takes more.
///
/// # Errors
/// What open(2) and chdir(2) say.
pub fn open_to_pass(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dirfd = nix::fcntl::open(path, flags, Mode::empty()).map_err(super::io)?;
    let may_pass = AccessFlags::X_OK;
    faccessat(&dirfd, c".", may_pass, AtFlags::AT_EACCESS).map_err(super::io)?;
    Ok(File::from(dirfd))
}

/// Opens the directory `path`, links followed, for nothing but to be named by it.
///
/// # Errors
/// What open(2) says.
pub fn open_to_name(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dirfd = nix::fcntl::open(path, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(dirfd))
}

/// Opens the file `name` below `dirfd`, if its last part is no link, for nothing but to
/// be named by it: without any permission on it.
///
/// # Errors
/// What openat(2) says.
pub fn open_file_to_name(dirfd: &File, name: &str) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// What stands under `name` in `dirfd`, links followed, for [`super::file::open_found`].
///
/// # Errors
/// What openat(2) says.
pub fn find(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let found = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(found))
}

/// Opens the directory `name` in `dirfd`; a link is none.
///
/// # Errors
/// What openat(2) says.
pub fn open(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// Opens the file `name` in `dirfd` for reading, without waiting for anybody.
///
/// # Errors
/// What openat(2) says.
pub fn open_file(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// As [`open_file`], but not through a link: another user may own `dirfd`.
///
/// # Errors
/// Of a link: ELOOP; else what openat(2) says.
pub fn open_file_nofollow(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let flags = flags | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// The names in `dirfd`, but `.` and `..`.
///
/// # Errors
/// What readdir(3) says.
pub fn names(dirfd: &File) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    each(dirfd, |name| {
        names.push(name.to_owned());
        ControlFlow::Continue(())
    })?;
    Ok(names)
}

/// Shows `see` the same one by one, however many there are, until it has seen enough.
///
/// # Errors
/// What readdir(3) says.
pub fn each(dirfd: &File, mut see: impl FnMut(&OsStr) -> ControlFlow<()>) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, c".", flags, Mode::empty()).map_err(super::io)?;
    let mut stream = Stream::new(opened)?;
    while let Some(name) = stream.next()? {
        if name != b"." && name != b".." && see(OsStr::from_bytes(name)).is_break() {
            break;
        }
    }
    Ok(())
}

/// With inode numbers and offsets of 64 bits on processors of 32 bits, too, where
/// readdir(3) fails with EOVERFLOW.
#[cfg(not(target_env = "gnu"))]
use libc::readdir as readdir64;
#[cfg(target_env = "gnu")]
use libc::readdir64;

/// A directory stream (fdopendir(3)).
struct Stream(NonNull<libc::DIR>);

impl Stream {
    fn new(directory: OwnedFd) -> io::Result<Stream> {
        // SAFETY: the descriptor is open and, if this succeeds, the stream's own.
        let stream = unsafe { libc::fdopendir(directory.as_raw_fd()) };
        let stream = NonNull::new(stream).ok_or_else(io::Error::last_os_error)?;
        let _ = directory.into_raw_fd();
        Ok(Stream(stream))
    }

    /// The next name; None: there is none.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        Errno::clear();
        // SAFETY: the stream is open.
        let Some(entry) = NonNull::new(unsafe { readdir64(self.0.as_ptr()) }) else {
            return match Errno::last() {
                Errno::UnknownErrno => Ok(None),
                error => Err(super::io(error)),
            };
        };
        // SAFETY: the entry stays until the next call, for which the borrow must have
        // ended, and its name ends with a NUL.
        let name = unsafe { CStr::from_ptr((&raw const (*entry.as_ptr()).d_name).cast()) };
        Ok(Some(name.to_bytes()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the stream is open, and nobody uses it any more.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

/// The stat of `name` in `dirfd`; of a symbolic link, that of the link itself.
///
/// # Errors
/// What statx(2) says.
pub fn stat(dirfd: &File, name: &OsStr) -> io::Result<Stat> {
    stat::at(dirfd, &CString::new(name.as_bytes())?)
}

/// Where the directory open as `dirfd` is now: its real path.
///
/// # Errors
/// If there is no `/proc` to ask, see proc(5).
pub fn path(dirfd: &File) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", dirfd.as_raw_fd()))
}

/// Removes the file `name` from `dirfd`; false if it was not there.
///
/// # Errors
/// What unlinkat(2) says.
pub fn remove(dirfd: &File, name: &OsStr) -> io::Result<bool> {
    match unlinkat(dirfd, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(super::io(error)),
    }
}

/// The room of a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// How much it has in all.
    pub total: u64,
    /// How much of that is free for this user.
    pub available: u64,
}

/// The room of the file system of `dirfd`.
///
/// # Errors
/// What fstatfs(2) says.
pub fn space(dirfd: &File) -> io::Result<Space> {
    let stat = nix::sys::statfs::fstatfs(dirfd).map_err(super::io)?;
    let block = u64::try_from(stat.block_size()).unwrap_or(0);
    Ok(Space {
        total: stat.blocks().saturating_mul(block),
        available: stat.blocks_available().saturating_mul(block),
    })
}
