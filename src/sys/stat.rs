//! statx(2): sizes, times and inode numbers have 64 bits on 32-bit processors, too, where the
//! C library's `stat` cannot represent a file of 4 GiB or a year after 2038.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The result of statx(2).
#[derive(Clone, Copy, Debug)]
pub struct Stat(libc::statx);

/// The stat of the open file `fd`.
///
/// # Errors
/// See statx(2).
pub(super) fn of(fd: impl AsFd) -> io::Result<Stat> {
    statx(fd, c"", libc::AT_EMPTY_PATH)
}

/// The stat of `name` in the directory `dirfd`; of a symbolic link, that of the link itself.
///
/// # Errors
/// See statx(2).
pub(super) fn at(dirfd: impl AsFd, name: &CStr) -> io::Result<Stat> {
    statx(dirfd, name, libc::AT_SYMLINK_NOFOLLOW)
}

fn statx(dirfd: impl AsFd, name: &CStr, flags: libc::c_int) -> io::Result<Stat> {
    // SAFETY: numbers only: all zeroes are a valid one.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    let fd = dirfd.as_fd().as_raw_fd();
    // SAFETY: `name` ends with a NUL; both live through the call, which writes `stat`.
    let result =
        unsafe { libc::statx(fd, name.as_ptr(), flags, libc::STATX_BASIC_STATS, &mut stat) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(Stat(stat))
}

impl Stat {
    fn is(self, kind: libc::mode_t) -> bool {
        libc::mode_t::from(self.0.stx_mode) & libc::S_IFMT == kind
    }

    /// Whether it is a plain file.
    pub fn is_file(self) -> bool {
        self.is(libc::S_IFREG)
    }

    /// Whether it is a directory.
    pub fn is_directory(self) -> bool {
        self.is(libc::S_IFDIR)
    }

    /// Whether it is a symbolic link.
    pub fn is_link(self) -> bool {
        self.is(libc::S_IFLNK)
    }

    /// Whether it is a pipe or a FIFO.
    pub fn is_fifo(self) -> bool {
        self.is(libc::S_IFIFO)
    }

    /// Its size, in bytes.
    pub fn size(self) -> u64 {
        self.0.stx_size
    }

    /// How much of the file system is allocated to it, in bytes: whole blocks; a hole takes
    /// none.
    pub fn allocated(self) -> u64 {
        self.0.stx_blocks.saturating_mul(512)
    }

    /// The device it is on, as std's `MetadataExt::dev`.
    #[allow(
        clippy::useless_conversion,
        clippy::allow_attributes,
        reason = "the type's width differs by C library"
    )]
    pub fn device(self) -> u64 {
        libc::makedev(self.0.stx_dev_major, self.0.stx_dev_minor).into()
    }

    /// Its inode number.
    pub fn inode(self) -> u64 {
        self.0.stx_ino
    }

    /// The user id of its owner.
    pub fn user(self) -> u32 {
        self.0.stx_uid
    }

    /// Its number of hard links.
    pub fn links(self) -> u64 {
        self.0.stx_nlink.into()
    }

    /// Its ctime: when it was last changed, renamed or linked, in nanoseconds since
    /// 1970-01-01 00:00 UTC.
    pub fn changed(self) -> i64 {
        self.0
            .stx_ctime
            .tv_sec
            .wrapping_mul(1_000_000_000)
            .wrapping_add(self.0.stx_ctime.tv_nsec.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn it_says_what_the_standard_library_says() {
        let file = File::open("/proc/self/exe").unwrap();
        let (stat, metadata) = (of(&file).unwrap(), file.metadata().unwrap());
        assert!(stat.is_file() && !stat.is_directory() && !stat.is_fifo());
        assert_eq!(stat.device(), metadata.dev());
        assert_eq!(stat.inode(), metadata.ino());
        assert_eq!(
            (stat.user(), stat.links()),
            (metadata.uid(), metadata.nlink())
        );
        assert_eq!(stat.size(), metadata.size());
        assert_eq!(stat.allocated(), metadata.blocks() * 512);
        let changed = metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec();
        assert_eq!(stat.changed(), changed);
    }

    #[test]
    fn of_a_link_it_is_the_link_that_counts() {
        let proc = File::open("/proc/self").unwrap();
        let cwd = at(&proc, c"cwd").unwrap();
        assert!(cwd.is_link() && !cwd.is_directory());
        assert!(at(&proc, c"fd").unwrap().is_directory());
        assert!(of(io::pipe().unwrap().0).unwrap().is_fifo());
    }
}
