//! Path resolution for root through directories that other users can change: a symbolic link of
//! another user may only lead to a directory of that user.

use super::stat;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, mkdirat};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The maximum number of links in a path, as in the kernel.
const MOST_LINKS: u32 = 40;

/// Opens the directory `path`, relative to `start`. With `is_made`, a missing last component is
/// created with mode 0700.
///
/// # Errors
/// EPERM if a link in the path belongs neither to root nor to the owner of the directory that
/// it leads to; else those of openat(2).
pub fn open(start: &File, path: &Path, is_made: bool) -> io::Result<File> {
    let mut here = first(start, path.as_os_str())?;
    let mut pending = components(path.as_os_str());
    let mut is_made = is_made;
    let mut owners = Vec::new();
    while let Some(name) = pending.pop_front() {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let next = match openat(&here, name.as_os_str(), flags, Mode::empty()) {
            Err(Errno::ENOENT) if is_made && pending.is_empty() => {
                check(&owners, stat::of(&here)?.user())?;
                // If that fails, opening it fails with the reason.
                let _ = mkdirat(&here, name.as_os_str(), Mode::S_IRWXU);
                is_made = false;
                pending.push_front(name);
                continue;
            }
            next => next.map_err(super::io)?,
        };
        let stat = stat::of(&next)?;
        if !stat.is_link() {
            here = next;
            continue;
        }
        owners.push(stat.user());
        if owners.len() > MOST_LINKS as usize {
            return Err(super::io(Errno::ELOOP));
        }
        // mkdir(2) does not follow a link as the last component, either.
        is_made &= !pending.is_empty();
        let text = readlinkat(&next, c"").map_err(super::io)?;
        if text.as_bytes().first() == Some(&b'/') {
            here = first(start, &text)?;
        }
        for component in components(&text).into_iter().rev() {
            pending.push_front(component);
        }
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = openat(&here, c".", flags, Mode::empty()).map_err(super::io)?;
    let opened = File::from(opened);
    check(&owners, opened.metadata()?.uid())?;
    Ok(opened)
}

/// The directory in which the resolution of `path` starts.
fn first(start: &File, path: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let from = if path.as_bytes().first() == Some(&b'/') {
        c"/"
    } else {
        c"."
    };
    openat(start, from, flags, Mode::empty()).map_err(super::io)
}

fn components(path: &OsStr) -> VecDeque<OsString> {
    let components = path.as_bytes().split(|byte| *byte == b'/');
    let components = components.filter(|component| !component.is_empty());
    components
        .map(|component| OsStr::from_bytes(component).to_owned())
        .collect()
}

/// Fails with EPERM unless links of these `owners` may lead to a directory of `owner`.
fn check(owners: &[u32], owner: u32) -> io::Result<()> {
    let may_lead = |link: &u32| *link == 0 || *link == owner;
    match owners.iter().all(may_lead) {
        true => Ok(()),
        false => Err(super::io(Errno::EPERM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{chown, lchown, symlink};

    #[test]
    fn ways_lead_where_those_of_the_kernel_do() {
        let top = std::env::temp_dir().join(format!("daemontools-rs-walk-{}", std::process::id()));
        fs::create_dir_all(top.join("a/b")).unwrap();
        symlink("a", top.join("link")).unwrap();
        symlink(top.join("link/b"), top.join("a/far")).unwrap();
        symlink("nothing", top.join("dangling")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        fs::write(top.join("file"), "").unwrap();
        let start = File::open(&top).unwrap();
        let id = |file: &File| file.metadata().map(|m| (m.dev(), m.ino())).unwrap();
        for path in [
            "a/b",
            "./a//b/",
            "link/b",
            "a/far",
            "a/b/../far",
            ".",
            "/",
            "/usr/bin",
        ] {
            let opened = open(&start, Path::new(path), true).unwrap();
            let expected = File::open(top.join(path)).unwrap();
            assert_eq!(id(&opened), id(&expected), "{path}");
        }
        for path in ["dangling", "loop", "file", "none/none", "file/x"] {
            let error = open(&start, Path::new(path), true).unwrap_err();
            let expected = File::open(top.join(path).join(".")).unwrap_err();
            assert_eq!(error.raw_os_error(), expected.raw_os_error(), "{path}");
        }
        assert!(!top.join("nothing").exists());
        assert!(open(&start, Path::new("new"), false).is_err());
        open(&start, Path::new("link/new"), true).unwrap();
        assert!(top.join("a/new").is_dir());
        // Links of another user may lead to directories of that user only.
        if lchown(top.join("link"), Some(65_534), None).is_ok() {
            for path in ["link/b", "link/new", "link/newer", "a/far"] {
                let error = open(&start, Path::new(path), true).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{path}");
            }
            assert!(!top.join("a/newer").exists());
            chown(top.join("a/b"), Some(65_534), None).unwrap();
            open(&start, Path::new("link/b"), true).unwrap();
        }
        fs::remove_dir_all(&top).unwrap();
    }
}
