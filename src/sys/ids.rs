//! Users and groups: look-ups in the system's databases (getpwnam(3)), and changing the ids of
//! this process (setresuid(2)).

use nix::unistd::{Gid, Uid};
use std::ffi::{CString, OsStr, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// The ids of an account in the user database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The user id.
    pub uid: u32,
    /// The id of its primary group.
    pub gid: u32,
}

/// Whether this program can query the system's databases. A program that is linked statically
/// with glibc cannot: the dynamic linker loads what nsswitch.conf names. (musl has no
/// nsswitch.conf.)
pub const HAS_DATABASES: bool = !cfg!(all(target_feature = "crt-static", target_env = "gnu"));

/// The ids of the account `name`, from the sources that nsswitch.conf names; None if there is
/// no such account.
///
/// # Errors
/// Those of getpwnam_r(3) if the database cannot be queried; ENOSYS without [`HAS_DATABASES`].
pub fn account(name: &OsStr) -> io::Result<Option<Ids>> {
    // SAFETY: a zeroed passwd (numbers and null pointers) is a valid one to be written to.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    look_up(name, |name, buffer, length| {
        let mut found = std::ptr::null_mut();
        // SAFETY: a C string, an entry and a result to write to, a buffer of that length.
        let error = unsafe { libc::getpwnam_r(name, &mut entry, buffer, length, &mut found) };
        let ids = Ids {
            uid: entry.pw_uid,
            gid: entry.pw_gid,
        };
        (error, (!found.is_null()).then_some(ids))
    })
}

/// The id of the group `name`, as [`account`].
///
/// # Errors
/// As [`account`].
pub fn group(name: &OsStr) -> io::Result<Option<u32>> {
    // SAFETY: as in `account`.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    look_up(name, |name, buffer, length| {
        let mut found = std::ptr::null_mut();
        // SAFETY: as in `account`.
        let error = unsafe { libc::getgrnam_r(name, &mut entry, buffer, length, &mut found) };
        (error, (!found.is_null()).then_some(entry.gr_gid))
    })
}

/// ENOSYS if this program has no databases: the compiler then removes the code that would query
/// them.
fn check_databases() -> io::Result<()> {
    if HAS_DATABASES {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Repeats the query with larger buffers until the answer fits (ERANGE).
fn look_up<T>(
    name: &OsStr,
    mut ask: impl FnMut(*const c_char, *mut c_char, usize) -> (i32, Option<T>),
) -> io::Result<Option<T>> {
    match CString::new(name.as_bytes()) {
        Ok(name) => look_up_again(|buffer, length| ask(name.as_ptr(), buffer, length)),
        Err(_) => Ok(None),
    }
}

/// As [`look_up`], for a key that `ask` knows.
fn look_up_again<T>(
    mut ask: impl FnMut(*mut c_char, usize) -> (i32, Option<T>),
) -> io::Result<Option<T>> {
    check_databases()?;
    let mut buffer: Vec<c_char> = vec![0; 1024];
    loop {
        match ask(buffer.as_mut_ptr(), buffer.len()) {
            (0, found) => return Ok(found),
            (libc::EINTR, _) => {}
            (libc::ERANGE, _) if buffer.len() < 1 << 26 => buffer.resize(buffer.len() * 4, 0),
            // The errors that getpwnam_r(3) lists for "not found".
            (libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM, _) => return Ok(None),
            (error, _) => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The groups of the account `name`, including `gid` (getgrouplist(3)).
///
/// # Errors
/// Those of getgrgid_r(3) if the database cannot be queried; EINVAL if there are more than a
/// process can have.
pub fn groups_of(name: &OsStr, gid: u32) -> io::Result<Vec<u32>> {
    let name = CString::new(name.as_bytes())?;
    // getgrouplist(3) does not report a failing database: it treats it as one without the
    // account.
    // SAFETY: as in `account`.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    look_up_again(|buffer, length| {
        let mut found = std::ptr::null_mut();
        // SAFETY: as in `account`.
        let error = unsafe { libc::getgrgid_r(gid, &mut entry, buffer, length, &mut found) };
        (error, Some(()))
    })?;
    let groups = nix::unistd::getgrouplist(&name, Gid::from_raw(gid)).map_err(super::io)?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

/// Sets the supplementary groups to `groups` and the real, effective and saved group id to
/// `gid`, and verifies the result.
///
/// # Errors
/// Those of setgroups(2) and setresgid(2); EPERM if they succeeded without effect.
pub fn set_group(gid: u32, groups: &[u32]) -> io::Result<()> {
    let list: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let wanted = Gid::from_raw(gid);
    nix::unistd::setgroups(&list).map_err(super::io)?;
    nix::unistd::setresgid(wanted, wanted, wanted).map_err(super::io)?;
    let now = nix::unistd::getresgid().map_err(super::io)?;
    let sorted = |mut list: Vec<u32>| {
        list.sort_unstable();
        list.dedup();
        list
    };
    let has = sorted(supplementary_groups()?);
    if [now.real, now.effective, now.saved] == [wanted; 3] && has == sorted(groups.to_vec()) {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

/// The supplementary groups of this process (getgroups(2)). nix's wrapper first reads the
/// maximum number from `/proc`, which takes longer than everything else here.
fn supplementary_groups() -> io::Result<Vec<u32>> {
    // SAFETY: with size 0 it only counts.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut list = vec![0; usize::try_from(count).map_err(|_| io::Error::last_os_error())?];
    // SAFETY: a place for `count` groups to write to.
    let count = unsafe { libc::getgroups(count, list.as_mut_ptr()) };
    list.truncate(usize::try_from(count).map_err(|_| io::Error::last_os_error())?);
    Ok(list)
}

/// Sets the real, effective and saved user id to `uid`, and verifies the result. Unless `uid`
/// is root, it drops all capabilities, including those that the next program could gain: the
/// kernel drops them when root becomes another user, but not with `SECBIT_NO_SETUID_FIXUP`, not
/// for a non-root caller with CAP_SETUID, and never the inheritable set (capabilities(7)).
///
/// # Errors
/// Those of setresuid(2), capget(2) and capset(2); EINVAL for 2^32-1, which setresuid(2) takes
/// for "unchanged"; EPERM if they succeeded without effect.
pub fn set_user(uid: u32) -> io::Result<()> {
    if uid == u32::MAX {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let wanted = Uid::from_raw(uid);
    nix::unistd::setresuid(wanted, wanted, wanted).map_err(super::io)?;
    let now = nix::unistd::getresuid().map_err(super::io)?;
    let is_so = [now.real, now.effective, now.saved] == [wanted; 3];
    if !is_so || (uid != 0 && !capabilities::drop_all()?) {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    Ok(())
}

mod capabilities {
    use std::io;

    /// `struct __user_cap_header_struct` of capget(2).
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }

    /// `struct __user_cap_data_struct` of capget(2): capabilities 0 to 31; then
    /// another for 32 to 63.
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }

    /// `_LINUX_CAPABILITY_VERSION_3`.
    const VERSION: u32 = 0x2008_0522;

    /// Clears the ambient, effective, permitted and inheritable sets; returns whether the last
    /// three, without which the ambient set is empty, are empty now.
    pub(super) fn drop_all() -> io::Result<bool> {
        // SAFETY: takes numbers only. Before Linux 4.3 there is no ambient set, and it fails
        // with EINVAL.
        unsafe {
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_CLEAR_ALL,
                0,
                0,
                0,
            )
        };
        let mut sets = get()?;
        if is_empty(&sets) {
            return Ok(true);
        }
        for half in &mut sets {
            *half = Sets::default();
        }
        let header = Header {
            version: VERSION,
            pid: 0,
        };
        // SAFETY: a header and two sets, as version 3 has them, to read from.
        if unsafe { libc::syscall(libc::SYS_capset, &header, sets.as_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(is_empty(&get()?))
    }

    fn is_empty(sets: &[Sets; 2]) -> bool {
        sets.iter()
            .all(|half| half.effective == 0 && half.permitted == 0 && half.inheritable == 0)
    }

    fn get() -> io::Result<[Sets; 2]> {
        let mut header = Header {
            version: VERSION,
            pid: 0,
        };
        let mut sets = [Sets::default(); 2];
        // SAFETY: a header and two sets, as version 3 has them, to write to.
        match unsafe { libc::syscall(libc::SYS_capget, &mut header, sets.as_mut_ptr()) } {
            0 => Ok(sets),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_and_nobody_without_a_name_is() {
        let root = account(OsStr::new("root")).unwrap().unwrap();
        assert_eq!(root, Ids { uid: 0, gid: 0 });
        assert_eq!(group(OsStr::new("root")).unwrap(), Some(0));
        for name in ["", "no such account", "0", "a:b", "a\0b"] {
            assert_eq!(account(OsStr::new(name)).unwrap(), None, "{name:?}");
            assert_eq!(group(OsStr::new(name)).unwrap(), None, "{name:?}");
        }
        assert_eq!(account(OsStr::from_bytes(b"\xff")).unwrap(), None);
        assert!(groups_of(OsStr::new("root"), 0).unwrap().contains(&0));
    }
}
