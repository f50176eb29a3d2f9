//! Operations relative to an open directory (openat(2)): no symbolic link in the path can
//! redirect them.

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

/// Opens the directory `path` with O_PATH, links followed, if this process may search it;
/// listing it requires more.
///
/// # Errors
/// Those of open(2) and chdir(2).
pub fn open_to_pass(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dirfd = nix::fcntl::open(path, flags, Mode::empty()).map_err(super::io)?;
    let may_pass = AccessFlags::X_OK;
    faccessat(&dirfd, c".", may_pass, AtFlags::AT_EACCESS).map_err(super::io)?;
    Ok(File::from(dirfd))
}

/// Opens the directory `path` with O_PATH, links followed.
///
/// # Errors
/// Those of open(2).
pub fn open_to_name(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dirfd = nix::fcntl::open(path, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(dirfd))
}

/// Opens the file `name` below `dirfd` with O_PATH, which requires no permission on it; its
/// last component must not be a link.
///
/// # Errors
/// Those of openat(2).
pub fn open_file_to_name(dirfd: &File, name: &str) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// Opens `name` in `dirfd` with O_PATH, links followed, for [`super::file::open_found`].
///
/// # Errors
/// Those of openat(2).
pub fn find(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let found = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(found))
}

/// Opens the directory `name` in `dirfd`; a link is refused.
///
/// # Errors
/// Those of openat(2).
pub fn open(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// Opens the file `name` in `dirfd` for reading, with O_NONBLOCK.
///
/// # Errors
/// Those of openat(2).
pub fn open_file(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// As [`open_file`], but with O_NOFOLLOW: another user may own `dirfd`.
///
/// # Errors
/// ELOOP for a link; else those of openat(2).
pub fn open_file_nofollow(dirfd: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let flags = flags | OFlag::O_CLOEXEC;
    let opened = openat(dirfd, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// The names of the entries of `dirfd`, without `.` and `..`.
///
/// # Errors
/// Those of readdir(3).
pub fn names(dirfd: &File) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    each(dirfd, |name| {
        names.push(name.to_owned());
        ControlFlow::Continue(())
    })?;
    Ok(names)
}

/// Calls `see` with each of the same names, however many there are, until it breaks.
///
/// # Errors
/// Those of readdir(3).
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

/// readdir(3) with 64-bit inode numbers and offsets on 32-bit processors, too, where the plain
/// one fails with EOVERFLOW.
#[cfg(not(target_env = "gnu"))]
use libc::readdir as readdir64;
#[cfg(target_env = "gnu")]
use libc::readdir64;

/// A directory stream (fdopendir(3)).
struct Stream(NonNull<libc::DIR>);

impl Stream {
    fn new(directory: OwnedFd) -> io::Result<Stream> {
        // SAFETY: the descriptor is open; if this succeeds, the stream owns it.
        let stream = unsafe { libc::fdopendir(directory.as_raw_fd()) };
        let stream = NonNull::new(stream).ok_or_else(io::Error::last_os_error)?;
        let _ = directory.into_raw_fd();
        Ok(Stream(stream))
    }

    /// The next name; None at the end.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        Errno::clear();
        // SAFETY: the stream is open.
        let Some(entry) = NonNull::new(unsafe { readdir64(self.0.as_ptr()) }) else {
            return match Errno::last() {
                Errno::UnknownErrno => Ok(None),
                error => Err(super::io(error)),
            };
        };
        // SAFETY: the entry is valid until the next call, for which the borrow must have ended,
        // and its name ends with a NUL.
        let name = unsafe { CStr::from_ptr((&raw const (*entry.as_ptr()).d_name).cast()) };
        Ok(Some(name.to_bytes()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the stream is open, and is not used after this.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

/// The stat of `name` in `dirfd`; of a symbolic link, that of the link itself.
///
/// # Errors
/// Those of statx(2).
pub fn stat(dirfd: &File, name: &OsStr) -> io::Result<Stat> {
    stat::at(dirfd, &CString::new(name.as_bytes())?)
}

/// The current path of the open directory `dirfd`.
///
/// # Errors
/// If `/proc` is not mounted, see proc(5).
pub fn path(dirfd: &File) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", dirfd.as_raw_fd()))
}

/// Removes the file `name` from `dirfd` (unlinkat(2)); false if it did not exist.
///
/// # Errors
/// Those of unlinkat(2).
pub fn remove(dirfd: &File, name: &OsStr) -> io::Result<bool> {
    match unlinkat(dirfd, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(super::io(error)),
    }
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Its size.
    pub total: u64,
    /// What this user may still use.
    pub available: u64,
}

/// The space of the file system of `dirfd`.
///
/// # Errors
/// Those of fstatfs(2).
pub fn space(dirfd: &File) -> io::Result<Space> {
    let stat = nix::sys::statfs::fstatfs(dirfd).map_err(super::io)?;
    let block = u64::try_from(stat.block_size()).unwrap_or(0);
    Ok(Space {
        total: stat.blocks().saturating_mul(block),
        available: stat.blocks_available().saturating_mul(block),
    })
}
