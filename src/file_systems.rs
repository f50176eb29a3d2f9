//! On which file systems inotify and timestamps are reliable.

use crate::sys::file;
use std::path::Path;

const REMOTE: [i64; 13] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB2
    0x0102_1997, // 9p
    0x6573_5546, // FUSE
    0x5346_414F, // AFS
    0x7375_7245, // Coda
    0x00C3_6400, // Ceph
    0x0116_1970, // GFS2
    0x7461_636F, // OCFS2
    0x0BD0_0BD0, // Lustre
    0x786F_4256, // VirtualBox's shared folders
];

const LAYERED: [i64; 3] = [
    0x794C_7630, // overlayfs
    0x6175_6673, // aufs
    0xF15F,      // eCryptfs
];

/// Whether another machine or a daemon can change the directory at `path`, which need not
/// be readable, and its times may be those of another clock: NFS, SMB, 9p, FUSE and the like.
pub(crate) fn is_remote_at(path: &Path) -> bool {
    is_of(path, |kind| REMOTE.contains(&kind))
}

/// Whether inotify may miss changes in the directory at `path`: it is remote, or its contents
/// are stored in another file system of this machine, where they can be changed.
pub(crate) fn is_change_missed_at(path: &Path) -> bool {
    is_of(path, |kind| {
        REMOTE.contains(&kind) || LAYERED.contains(&kind)
    })
}

fn is_of(path: &Path, is_among: impl Fn(i64) -> bool) -> bool {
    file::file_system_at(path).is_ok_and(is_among)
}
