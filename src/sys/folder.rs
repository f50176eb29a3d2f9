//! What is in a directory that is open, by names below it: nobody can lead that
//! elsewhere with a link.

use super::stat;
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

/// What there is to know of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Whether it is a plain file.
    pub is_file: bool,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its size, in bytes.
    pub size: u64,
    /// How much it takes of its file system, in bytes: whole blocks, but a hole nothing.
    pub stored: u64,
    /// The device it is on.
    pub device: u64,
    /// Its inode's number.
    pub inode: u64,
    /// Who owns it.
    pub user: u32,
    /// How many names it has.
    pub links: u64,
    /// When it was changed, renamed or linked last, in nanoseconds since
    /// 1970-01-01 00:00 UTC.
    pub changed: i64,
}

/// Opens the directory `path`, links followed, if this process may pass through
/// it; to read what names are in it takes more.
///
/// # Errors
/// What open(2) and chdir(2) say.
pub fn open_to_pass(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let folder = nix::fcntl::open(path, flags, Mode::empty()).map_err(super::io)?;
    let may_pass = AccessFlags::X_OK;
    faccessat(&folder, c".", may_pass, AtFlags::AT_EACCESS).map_err(super::io)?;
    Ok(File::from(folder))
}

/// Opens the directory `path`, links followed, for nothing but to be named by it.
///
/// # Errors
/// What open(2) says.
pub fn open_to_name(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let folder = nix::fcntl::open(path, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(folder))
}

/// Opens the file `name` below `folder`, if its last part is no link, for nothing but to
/// be named by it: without any permission on it.
///
/// # Errors
/// What openat(2) says.
pub fn open_file_to_name(folder: &File, name: &str) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(folder, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// What stands under `name` in `folder`, links followed, for [`super::file::open_found`].
///
/// # Errors
/// What openat(2) says.
pub fn find(folder: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let found = openat(folder, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(found))
}

/// Opens the directory `name` in `folder`; a link is none.
///
/// # Errors
/// What openat(2) says.
pub fn open(folder: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(folder, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// Opens the file `name` in `folder` for reading, without waiting for anybody.
///
/// # Errors
/// What openat(2) says.
pub fn open_file(folder: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(folder, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// As [`open_file`], but not through a link: another user may own `folder`.
///
/// # Errors
/// Of a link: ELOOP; else what openat(2) says.
pub fn open_file_nofollow(folder: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let flags = flags | OFlag::O_CLOEXEC;
    let opened = openat(folder, name, flags, Mode::empty()).map_err(super::io)?;
    Ok(File::from(opened))
}

/// The names in `folder`, but `.` and `..`.
///
/// # Errors
/// What readdir(3) says.
pub fn names(folder: &File) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    each(folder, |name| {
        names.push(name.to_owned());
        ControlFlow::Continue(())
    })?;
    Ok(names)
}

/// Shows `see` the same one by one, however many there are, until it has seen enough.
///
/// # Errors
/// What readdir(3) says.
pub fn each(folder: &File, mut see: impl FnMut(&OsStr) -> ControlFlow<()>) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = openat(folder, c".", flags, Mode::empty()).map_err(super::io)?;
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

/// What `name` in `folder` is; of a link, the link itself.
///
/// # Errors
/// What statx(2) says.
pub fn facts(folder: &File, name: &OsStr) -> io::Result<Facts> {
    let name = CString::new(name.as_bytes())?;
    let stat = stat::at(folder, &name)?;
    Ok(Facts {
        is_file: stat.is_file(),
        is_directory: stat.is_directory(),
        size: stat.size(),
        stored: stat.blocks().saturating_mul(512),
        device: stat.device(),
        inode: stat.inode(),
        user: stat.user(),
        links: stat.links(),
        changed: stat.changed(),
    })
}

/// Where the directory open as `folder` is now: its real path.
///
/// # Errors
/// If there is no `/proc` to ask, see proc(5).
pub fn path(folder: &File) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Removes the file `name` from `folder`; false if it was not there.
///
/// # Errors
/// What unlinkat(2) says.
pub fn remove(folder: &File, name: &OsStr) -> io::Result<bool> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
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

/// The room of the file system of `folder`.
///
/// # Errors
/// What fstatfs(2) says.
pub fn space(folder: &File) -> io::Result<Space> {
    let stat = nix::sys::statfs::fstatfs(folder).map_err(super::io)?;
    let block = u64::try_from(stat.block_size()).unwrap_or(0);
    Ok(Space {
        total: stat.blocks().saturating_mul(block),
        available: stat.blocks_available().saturating_mul(block),
    })
}
