//! Open files: without blocking (O_NONBLOCK), and close-on-exec ([`std::fs::OpenOptions`] sets
//! O_CLOEXEC itself).

use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::statfs;
use nix::sys::time::TimeSpec;
use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Sets the times of a file to now; symbolic links are not followed.
///
/// # Errors
/// See utimensat(2).
pub fn touch(path: &Path) -> io::Result<()> {
    let now = &TimeSpec::UTIME_NOW;
    utimensat(AT_FDCWD, path, now, now, UtimensatFlags::NoFollowSymlink).map_err(super::io)
}

/// Opens for reading (O_RDONLY | O_NONBLOCK).
///
/// # Errors
/// Those of open(2).
pub fn open_read(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Opens the directory `path` for reading; links are followed.
///
/// # Errors
/// Those of open(2).
pub fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(path)
}

/// Opens the plain file at `path` for reading; links are followed. Other types are refused
/// before they are opened: another user may have made a link to a device or a FIFO, and opening
/// some of these has side effects.
///
/// # Errors
/// Those of open(2); EINVAL if it is not a plain file.
pub fn open_read_plain(path: &Path) -> io::Result<File> {
    open_found(&open_path(path)?, || open_read(path))
}

/// Opens `path` without any effect on the file (O_PATH); links are followed.
///
/// # Errors
/// Those of open(2).
pub fn open_path(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)
}

/// Reopens `found`, an O_PATH descriptor, for reading, if it is a plain file. `again` opens it
/// by name, where `/proc` is not mounted.
///
/// # Errors
/// As [`open_read_plain`].
pub fn open_found(found: &File, again: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    if !found.metadata()?.is_file() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    match open_read(Path::new(&link)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => again(),
        opened => opened,
    }
}

/// Reads at most the first `length` bytes of a plain file.
///
/// # Errors
/// Those of [`open_read_plain`] and read(2).
pub fn read_start(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let file = open_read_plain(path)?;
    let mut start = Vec::new();
    file.take(length as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Opens for writing (O_WRONLY | O_NONBLOCK); ENXIO for a FIFO without a reader.
///
/// # Errors
/// Those of open(2).
pub fn open_write(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// As [`open_read`], but with O_NOFOLLOW: another user may own the directory.
///
/// # Errors
/// ELOOP for a link to an existing file; else those of open(2).
pub fn open_read_nofollow(path: &Path) -> io::Result<File> {
    open_nofollow(OpenOptions::new().read(true), path)
}

/// As [`open_read_nofollow`], for a plain file only.
///
/// # Errors
/// EPERM if it is not a plain file; those of [`open_read_nofollow`].
pub fn open_plain_nofollow(path: &Path) -> io::Result<File> {
    let file = open_read_nofollow(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(super::errno::not_own()),
    }
}

/// As [`open_write`], but with O_NOFOLLOW.
///
/// # Errors
/// As [`open_read_nofollow`].
pub fn open_write_nofollow(path: &Path) -> io::Result<File> {
    open_nofollow(OpenOptions::new().write(true), path)
}

/// As [`open_append`], but with O_NOFOLLOW: the target of a dangling link is not created,
/// either.
///
/// # Errors
/// As [`open_read_nofollow`].
pub fn open_append_nofollow(path: &Path) -> io::Result<File> {
    open_nofollow(
        OpenOptions::new().append(true).create(true).mode(0o600),
        path,
    )
}

fn open_nofollow(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            // The error of its target, as if the link were followed.
            Some(libc::ELOOP) => path.metadata().err().unwrap_or(error),
            _ => error,
        })
}

/// Opens for appending; created with mode 0600 if it does not exist.
///
/// # Errors
/// Those of open(2).
pub fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// As [`open_append`], but created with mode 0644.
///
/// # Errors
/// Those of open(2).
pub fn open_append_shown(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Opens for writing and truncates; created with mode 0644 if it does not exist.
///
/// # Errors
/// Those of open(2).
pub fn open_truncate(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Opens for reading and writing at any offset; created with mode 0600 if it does not exist.
///
/// # Errors
/// Those of open(2).
pub fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// The access mode of [`open_own`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// For reading.
    Read,
    /// For appending; created if it does not exist.
    Append,
    /// For reading and writing at any offset; created if it does not exist.
    Write,
}

/// Opens `path` if it is a plain file with one hard link that one of `owners` owns; created
/// with mode 0600. A link as the last component is not followed.
///
/// # Errors
/// ELOOP, ENXIO, EPERM: see [`super::errno::is_not_own`]; else those of open(2).
pub fn open_own(path: &Path, access: Access, owners: &[u32]) -> io::Result<File> {
    let makes = access != Access::Read;
    let file = OpenOptions::new()
        .read(access != Access::Append)
        .write(access == Access::Write)
        .append(access == Access::Append)
        .create(makes)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)?;
    own_at(file, path, owners)
}

/// Returns `file`, which was opened at `path`, if it is a plain file of one of `owners` with
/// this name as its only hard link. One lstat(2) of `path` checks all of that: between the open
/// and an fstat(2), the owner of the directory could remove a second name.
///
/// # Errors
/// EPERM.
pub fn own_at(file: File, path: &Path, owners: &[u32]) -> io::Result<File> {
    let opened = id(&file.metadata()?);
    let is_its = |there: &Metadata| id(there) == opened && is_own(there, owners);
    match path.symlink_metadata() {
        Ok(there) if is_its(&there) => Ok(file),
        _ => Err(super::errno::not_own()),
    }
}

/// Whether the file with this `metadata` is a plain file with one hard link that one of
/// `owners` owns.
pub fn is_own(metadata: &Metadata, owners: &[u32]) -> bool {
    metadata.is_file() && metadata.nlink() == 1 && owners.contains(&metadata.uid())
}

/// Whether the effective user is root.
pub fn is_root() -> bool {
    euid() == 0
}

/// Opens a plain file of the effective user for writing; refuses links, hard links and special
/// files.
///
/// # Errors
/// ELOOP, EPERM; those of open(2).
pub fn open_write_own(path: &Path) -> io::Result<File> {
    own_at(open_write_nofollow(path)?, path, &[euid()])
}

/// As [`open_write_own`], for the file `name` in `directory`, which must not be a link, must
/// belong to the effective user and must not be writable for others: so nobody else created the
/// file.
///
/// # Errors
/// As [`open_write_own`].
pub fn open_write_own_in(directory: &Path, name: &CStr) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let directory = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(directory)?;
    let metadata = directory.metadata()?;
    if metadata.uid() != euid() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(&directory, name, flags, Mode::empty()).map_err(super::io)?;
    let opened = File::from(opened);
    match is_own(&opened.metadata()?, &[euid()]) {
        true => Ok(opened),
        false => Err(super::errno::not_own()),
    }
}

/// The effective user id of this process.
pub fn euid() -> u32 {
    // SAFETY: geteuid only queries, and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether the file with this `metadata` is a plain file that only root and `user` can have
/// written.
pub fn is_trusted(metadata: &Metadata, user: u32) -> bool {
    let owned = [0, user].contains(&metadata.uid());
    metadata.is_file() && owned && metadata.mode() & 0o022 == 0
}

/// Creates an empty file of mode 0644, open for reading and writing; fails if anything exists
/// there, even a link (O_EXCL).
///
/// # Errors
/// EEXIST; those of open(2).
pub fn create_new(path: &Path) -> io::Result<File> {
    create(path, true)
}

fn create(path: &Path, is_read: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(is_read)
        .write(true)
        .create_new(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Replaces what is at `path`, unless that is a directory, by a new empty file of mode 0644,
/// open for writing: a link is not followed, and another hard link of the old file is unaffected.
///
/// # Errors
/// Those of open(2) and unlink(2).
pub fn create_anew(path: &Path) -> io::Result<File> {
    match create(path, false) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            create(path, false)
        }
        result => result,
    }
}

/// Sets the umask.
pub fn umask(mask: u32) {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
}

/// Creates a directory of mode 0700 (minus the umask).
///
/// # Errors
/// Those of mkdir(2).
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Has the kernel start to write `length` bytes of `file` from the offset `from` to disk
/// (sync_file_range(2)), without waiting for it. A later fsync, which alone guarantees that
/// they are there, takes less time.
pub fn sync_file_range(file: &File, from: u64, length: u64) {
    use std::os::fd::AsRawFd;
    if let (Ok(from), Ok(length)) = (i64::try_from(from), i64::try_from(length)) {
        // SAFETY: takes numbers only. fsync will report an error, too.
        unsafe {
            libc::sync_file_range(file.as_raw_fd(), from, length, libc::SYNC_FILE_RANGE_WRITE)
        };
    }
}

/// Clears O_NONBLOCK: reads from and writes to `file` block.
///
/// # Errors
/// Those of fcntl(2).
pub fn set_blocking(file: &File) -> io::Result<()> {
    change_flag(file, OFlag::O_NONBLOCK, false)
}

/// Sets O_NONBLOCK: reads from and writes to `file` do not block.
///
/// # Errors
/// Those of fcntl(2).
pub fn set_nonblocking(file: &File) -> io::Result<()> {
    change_flag(file, OFlag::O_NONBLOCK, true)
}

fn change_flag(file: &File, flag: OFlag, on: bool) -> io::Result<()> {
    let flags = fcntl(file.as_fd(), FcntlArg::F_GETFL).map_err(super::io)?;
    let mut flags = OFlag::from_bits_retain(flags);
    flags.set(flag, on);
    fcntl(file.as_fd(), FcntlArg::F_SETFL(flags))
        .map(drop)
        .map_err(super::io)
}

/// Leaves `file` open until this process ends, also on exec.
///
/// # Errors
/// Those of fcntl(2).
pub fn leave_open(file: File) -> io::Result<()> {
    use std::os::fd::IntoRawFd;
    fcntl(&file, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).map_err(super::io)?;
    let _ = file.into_raw_fd();
    Ok(())
}

/// Changes the current directory to the open `directory` (fchdir(2)).
///
/// # Errors
/// Those of fchdir(2).
pub fn change_directory(directory: &File) -> io::Result<()> {
    nix::unistd::fchdir(directory).map_err(super::io)
}

/// Whether `path` certainly does not exist (ENOENT, ENOTDIR). False if that cannot be
/// determined.
pub fn is_missing(path: &CStr) -> bool {
    // SAFETY: a C string that is only read.
    let found = unsafe { libc::access(path.as_ptr(), libc::F_OK) } == 0;
    let error = io::Error::last_os_error().kind();
    !found
        && matches!(
            error,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
}

/// Whether this process may execute `path`, by its effective ids (faccessat(2)). For root:
/// whether any execute bit is set.
pub fn may_execute(path: &Path) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: `name` is a C string that lives through the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}

/// The identity of a file: device and inode.
pub type FileId = (u64, u64);

/// The identity of the file with this `metadata`.
pub fn id(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// The identity of the file at `path`, links followed; None if it cannot be determined.
pub fn id_at(path: &Path) -> Option<FileId> {
    path.metadata().ok().as_ref().map(id)
}

/// Whether the directory that `path`, a link in `/proc`, refers to was deleted: it has no hard
/// link left. False if that cannot be determined.
pub fn is_deleted(path: &Path) -> bool {
    let found = path.metadata().ok().filter(|found| found.is_dir());
    found.is_some_and(|found| found.nlink() == 0 || is_shown_deleted(path, id(&found)))
}

/// As [`is_deleted`] for the current directory; `/proc` is consulted only in addition.
pub fn is_current_directory_deleted() -> bool {
    let found = Path::new(".").metadata().ok();
    found.is_some_and(|found| {
        found.nlink() == 0 || is_shown_deleted(Path::new("/proc/self/cwd"), id(&found))
    })
}

/// overlayfs does not maintain the link count of directories in a lower layer; there, the `
/// (deleted)` of proc(5) shows it, unless a directory of that name exists.
fn is_shown_deleted(link: &Path, directory: FileId) -> bool {
    std::fs::read_link(link).is_ok_and(|shown| {
        shown.as_os_str().as_bytes().ends_with(b" (deleted)") && id_at(&shown) != Some(directory)
    })
}

/// The type number of the file system (statfs(2)) that contains the directory at `path`, which
/// need not be readable.
///
/// # Errors
/// Those of statfs(2).
pub fn file_system_at(path: &Path) -> io::Result<i64> {
    let found = statfs::statfs(path).map_err(super::io)?;
    #[allow(
        clippy::useless_conversion,
        reason = "the type's width differs by architecture"
    )]
    Ok(i64::from(found.filesystem_type().0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_file_that_was_opened_by_a_second_name_is_not_ones_own_once_that_is_gone() {
        let base = std::env::temp_dir().join(format!("second-name-{}", std::process::id()));
        std::fs::create_dir(&base).unwrap();
        let (victim, name) = (base.join("victim"), base.join("name"));
        std::fs::write(&victim, "").unwrap();
        let open = || {
            std::fs::hard_link(&victim, &name).unwrap();
            let file = open_write_nofollow(&name).unwrap();
            std::fs::remove_file(&name).unwrap();
            // fstat(2) alone shows nothing suspicious now.
            assert!(is_own(&file.metadata().unwrap(), &[euid()]));
            file
        };
        assert!(own_at(open(), &name, &[euid()]).is_err());
        let opened = open();
        std::fs::write(&name, "").unwrap();
        assert!(own_at(opened, &name, &[euid()]).is_err());
        assert!(own_at(open_write_nofollow(&name).unwrap(), &name, &[euid()]).is_ok());
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn only_a_plain_file_is_opened_whatever_a_link_leads_to() {
        use crate::sys::{child, clock, process};
        let base = std::env::temp_dir().join(format!("plain-{}", std::process::id()));
        std::fs::create_dir(&base).unwrap();
        let (fifo, link, plain) = (base.join("fifo"), base.join("link"), base.join("plain"));
        super::super::fifo::make(&fifo).unwrap();
        std::fs::write(&plain, "text").unwrap();
        // Opening the FIFO for reading would unblock it.
        let writer = child::spawn(|| u8::from(std::fs::write(&fifo, "").is_err())).unwrap();
        let deadline = clock::monotonic() + std::time::Duration::from_secs(60);
        let sleeps = || {
            let stat = std::fs::read_to_string(process::path(writer).join("stat"));
            stat.is_ok_and(|stat| stat.contains(") S "))
        };
        while !sleeps() {
            assert!(clock::monotonic() < deadline);
            std::thread::yield_now();
        }
        for special in [&fifo, Path::new("/dev/null"), &base] {
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(special, &link).unwrap();
            let error = read_start(&link, 9).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{special:?}");
        }
        assert!(sleeps());
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&plain, &link).unwrap();
        assert_eq!(read_start(&link, 3).unwrap(), b"tex");
        drop(open_read(&fifo));
        child::wait(writer).unwrap();
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_new_file_may_be_read_by_all_whether_it_takes_the_place_of_another_or_not() {
        let path = std::env::temp_dir().join(format!("new-{}", std::process::id()));
        let mode = |file: File| file.metadata().unwrap().mode() & 0o777;
        let created = mode(create_new(&path).unwrap());
        assert!(create_new(&path).is_err());
        // The umask takes away what it does.
        for shown in [created, mode(create_anew(&path).unwrap())] {
            assert_eq!((shown & !0o644, shown & 0o600), (0, 0o600));
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_directory_is_deleted_when_it_has_no_name_whatever_it_was_called() {
        use std::os::fd::AsRawFd;
        let base = std::env::temp_dir().join(format!("deleted-{}", std::process::id()));
        let [first, second] = ["a", "a (deleted)"].map(|name| base.join(name));
        std::fs::create_dir_all(&first).unwrap();
        let directory = File::open(&first).unwrap();
        let link = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        assert!(!is_deleted(&link));
        std::fs::rename(&first, &second).unwrap();
        assert!(!is_deleted(&link));
        std::fs::remove_dir(&second).unwrap();
        assert!(is_deleted(&link));
        std::fs::remove_dir(&base).unwrap();
        assert!(!is_deleted(&base));
    }
}
