//! What a file is, by statx(2): sizes, times and numbers have 64 bits on processors of
//! 32 bits, too, where the C library's `stat` cannot hold a file of 4 GiB or a year
//! after 2038.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// What statx(2) says of a file.
#[derive(Clone, Copy)]
pub(super) struct Stat(libc::statx);

/// What `fd` is.
///
/// # Errors
/// See statx(2).
pub(super) fn of(fd: impl AsFd) -> io::Result<Stat> {
    statx(fd, c"", libc::AT_EMPTY_PATH)
}

/// What `name` in the directory `dirfd` is; of a link, the link itself.
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

    pub(super) fn is_file(self) -> bool {
        self.is(libc::S_IFREG)
    }

    pub(super) fn is_directory(self) -> bool {
        self.is(libc::S_IFDIR)
    }

    pub(super) fn is_link(self) -> bool {
        self.is(libc::S_IFLNK)
    }

    /// Whether it is a pipe or a FIFO.
    pub(super) fn is_fifo(self) -> bool {
        self.is(libc::S_IFIFO)
    }

    /// In bytes.
    pub(super) fn size(self) -> u64 {
        self.0.stx_size
    }

    /// What it takes on disk, in units of 512 bytes.
    pub(super) fn blocks(self) -> u64 {
        self.0.stx_blocks
    }

    /// As std's `MetadataExt::dev`.
    #[allow(
        clippy::useless_conversion,
        clippy::allow_attributes,
        reason = "the type's width differs by C library"
    )]
    pub(super) fn device(self) -> u64 {
        libc::makedev(self.0.stx_dev_major, self.0.stx_dev_minor).into()
    }

    pub(super) fn inode(self) -> u64 {
        self.0.stx_ino
    }

    /// Who owns it.
    pub(super) fn user(self) -> u32 {
        self.0.stx_uid
    }

    /// How many names it has.
    pub(super) fn links(self) -> u64 {
        self.0.stx_nlink.into()
    }

    /// When it was changed, renamed or linked last, in nanoseconds since 1970-01-01
    /// 00:00 UTC.
    pub(super) fn changed(self) -> i64 {
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
        assert_eq!(stat.blocks(), metadata.blocks());
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
