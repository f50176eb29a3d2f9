//! Open files the way daemontools opens them: never blocking, never inherited
//! by a child ([`std::fs::OpenOptions`] sets O_CLOEXEC by itself).

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

/// Lets a file's times be now; of a symbolic link its own.
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
/// What open(2) says.
pub fn open_read(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Opens the directory `path` for reading, links followed.
///
/// # Errors
/// What open(2) says.
pub fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(path)
}

/// Opens the plain file at `path` for reading, links followed. Nothing else is opened:
/// another user may have made a link to a device or a FIFO, and to some of these the open
/// itself does something.
///
/// # Errors
/// What open(2) says; EINVAL if it is no plain file.
pub fn open_read_plain(path: &Path) -> io::Result<File> {
    let found = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    open_found(&found, || open_read(path))
}

/// Opens for reading what is open with O_PATH as `found`, if it is a plain file; `again`
/// opens it by its name, where there is no `/proc` to do without that.
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

/// The first `length` bytes of a plain file; no more is read.
///
/// # Errors
/// As [`open_read_plain`], and what read(2) says.
pub fn read_start(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let file = open_read_plain(path)?;
    let mut start = Vec::new();
    file.take(length as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Opens for writing (O_WRONLY | O_NONBLOCK). A FIFO that nobody has open for
/// reading says ENXIO.
///
/// # Errors
/// What open(2) says.
pub fn open_write(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// As [`open_read`], but not through a symbolic link at the end of `path`: another user
/// may own the directory it is in.
///
/// # Errors
/// Of a link that leads to a file: ELOOP; else what open(2) says.
pub fn open_read_nofollow(path: &Path) -> io::Result<File> {
    open_nofollow(OpenOptions::new().read(true), path)
}

/// The same for a plain file only.
///
/// # Errors
/// EPERM if it is none; as [`open_read_nofollow`].
pub fn open_plain_nofollow(path: &Path) -> io::Result<File> {
    let file = open_read_nofollow(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(super::errno::not_own()),
    }
}

/// As [`open_write`], but not through a symbolic link at the end of `path`.
///
/// # Errors
/// As [`open_read_nofollow`].
pub fn open_write_nofollow(path: &Path) -> io::Result<File> {
    open_nofollow(OpenOptions::new().write(true), path)
}

/// As [`open_append`], but not through a symbolic link at the end of `path`, and none
/// is made where that leads.
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
            // As if it were followed: what is wrong with where it leads.
            Some(libc::ELOOP) => path.metadata().err().unwrap_or(error),
            _ => error,
        })
}

/// Opens for appending, made with mode 0600 if it is not there.
///
/// # Errors
/// What open(2) says.
pub fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// As [`open_append`], but others may read what is made: mode 0644.
///
/// # Errors
/// What open(2) says.
pub fn open_append_shown(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Opens for writing, emptied, made with mode 0644 if it is not there.
///
/// # Errors
/// What open(2) says.
pub fn open_truncate(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Opens for reading and writing at any place, made with mode 0600 if it is not there.
///
/// # Errors
/// What open(2) says.
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

/// How [`open_own`] opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// For reading.
    Read,
    /// For appending, made if it is not there.
    Append,
    /// For reading and writing at any place, made if it is not there.
    Write,
}

/// Opens `path` if it is a plain file with one name, and one of `owners` owns it; what is
/// made has mode 0600. Of the path only the last component is not followed.
///
/// # Errors
/// ELOOP, ENXIO, EPERM: see [`super::errno::is_not_own`]; else what open(2) says.
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

/// `file` again, which was opened at `path`, if it is a plain file of one of `owners`
/// that has this name and no other. All of that is read at one instant: whoever owns the
/// directory could remove a second name between the open and a look at `file`.
///
/// # Errors
/// EPERM.
pub fn own_at(file: File, path: &Path, owners: &[u32]) -> io::Result<File> {
    let opened = identity(&file.metadata()?);
    let is_its = |there: &Metadata| identity(there) == opened && is_own(there, owners);
    match path.symlink_metadata() {
        Ok(there) if is_its(&there) => Ok(file),
        _ => Err(super::errno::not_own()),
    }
}

/// Whether it is a plain file with one name, and one of `owners` owns it, of which these
/// are the `metadata`.
pub fn is_own(metadata: &Metadata, owners: &[u32]) -> bool {
    metadata.is_file() && metadata.nlink() == 1 && owners.contains(&metadata.uid())
}

/// Whether this process makes and opens files as root.
pub fn is_root() -> bool {
    euid() == 0
}

/// Opens for writing what is plainly a file of this user's own: no link, not even
/// a hard one, nothing special.
///
/// # Errors
/// ELOOP, EPERM; what open(2) says.
pub fn open_write_own(path: &Path) -> io::Result<File> {
    own_at(open_write_nofollow(path)?, path, &[euid()])
}

/// As [`open_write_own`] for the file `name` in `directory`, which must be no link, and
/// this user's own, and nobody else may write it: nobody else put the file there.
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

/// The user as whom this process makes and opens files.
pub fn euid() -> u32 {
    // SAFETY: geteuid only asks, and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether only root and `user` can have written the file of which these are the
/// `metadata`, and it is a plain file.
pub fn is_trusted(metadata: &Metadata, user: u32) -> bool {
    let owned = [0, user].contains(&metadata.uid());
    metadata.is_file() && owned && metadata.mode() & 0o022 == 0
}

/// Makes an empty file of mode 0644 where there is nothing, not even a link.
///
/// # Errors
/// EEXIST; what open(2) says.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Makes an empty file of mode 0644 in the place of what is there, if it is no
/// directory: never through a link, never in a file that has another name.
///
/// # Errors
/// What open(2) and unlink(2) say.
pub fn create_anew(path: &Path) -> io::Result<File> {
    match create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            create_new(path)
        }
        result => result,
    }
}

/// From now on, files are made without the permissions in `mask`.
pub fn umask(mask: u32) {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
}

/// Makes one directory of mode 0700 (less the umask).
///
/// # Errors
/// What mkdir(2) says.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Has the kernel begin to bring to disk what was written to `file` from the byte
/// `from` on, for `length` bytes, without waiting for it. A later fsync, which alone
/// says that it is there, has less to wait for.
pub fn sync_file_range(file: &File, from: u64, length: u64) {
    use std::os::fd::AsRawFd;
    if let (Ok(from), Ok(length)) = (i64::try_from(from), i64::try_from(length)) {
        // SAFETY: takes numbers only. An error is one that fsync will have, too.
        unsafe {
            libc::sync_file_range(file.as_raw_fd(), from, length, libc::SYNC_FILE_RANGE_WRITE)
        };
    }
}

/// Makes reads from and writes to `file` wait, as they do by default.
///
/// # Errors
/// What fcntl(2) says.
pub fn set_blocking(file: &File) -> io::Result<()> {
    change_flag(file, OFlag::O_NONBLOCK, false)
}

/// Makes reads from and writes to `file` not wait.
///
/// # Errors
/// What fcntl(2) says.
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

/// Leaves `file` open to the end of this process and of the programs it becomes.
///
/// # Errors
/// What fcntl(2) says.
pub fn leave_open(file: File) -> io::Result<()> {
    use std::os::fd::IntoRawFd;
    fcntl(&file, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).map_err(super::io)?;
    let _ = file.into_raw_fd();
    Ok(())
}

/// Makes the directory open as `directory` the current one.
///
/// # Errors
/// What fchdir(2) says.
pub fn change_directory(directory: &File) -> io::Result<()> {
    nix::unistd::fchdir(directory).map_err(super::io)
}

/// Whether nothing is at `path`, nor can be: a directory above it is not there, or is
/// none. Where that cannot be told, the answer is no.
pub fn is_missing(path: &CStr) -> bool {
    // SAFETY: a C string, which is only read.
    let found = unsafe { libc::access(path.as_ptr(), libc::F_OK) } == 0;
    let error = io::Error::last_os_error().kind();
    !found
        && matches!(
            error,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
}

/// Whether this process may execute `path`, by its effective ids: for root,
/// whether any execute bit is set.
pub fn may_execute(path: &Path) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: `name` is a C string that lives through the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}

/// Device and inode: no two files have the same at a time.
pub type Identity = (u64, u64);

/// Which file it is of which these are the `metadata`.
pub fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Which file is at `path`, links followed; None if that cannot be told.
pub fn identity_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().as_ref().map(identity)
}

/// Whether the directory that `path`, a link in `/proc`, leads to was deleted: it has no
/// name left. False if that cannot be told.
pub fn is_deleted(path: &Path) -> bool {
    let found = path.metadata().ok().filter(|found| found.is_dir());
    found.is_some_and(|found| found.nlink() == 0 || is_shown_deleted(path, identity(&found)))
}

/// The same for the current directory, which `/proc` is asked about only beside.
pub fn is_current_directory_deleted() -> bool {
    let found = Path::new(".").metadata().ok();
    found.is_some_and(|found| {
        found.nlink() == 0 || is_shown_deleted(Path::new("/proc/self/cwd"), identity(&found))
    })
}

/// overlayfs does not count the names of what is in a lower layer; proc(5) shows it. Not
/// every directory whose name ends so was deleted.
fn is_shown_deleted(link: &Path, directory: Identity) -> bool {
    std::fs::read_link(link).is_ok_and(|shown| {
        shown.as_os_str().as_bytes().ends_with(b" (deleted)")
            && identity_at(&shown) != Some(directory)
    })
}

/// The number of the kind of file system that the directory at `path`, which need not be
/// readable, is in: see statfs(2).
///
/// # Errors
/// What statfs(2) says.
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
            // Of all that the file itself tells, nothing is wrong now.
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
        // An open of the FIFO for reading would let it go on.
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
