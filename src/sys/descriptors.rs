//! File descriptors by number: closing those that a child should not inherit, and placing those
//! of the next program.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The numbers of open descriptors above 2, in ascending order.
#[derive(Clone, Debug)]
pub struct Descriptors(Vec<u32>);

impl Descriptors {
    /// The descriptors that are open now: the inherited ones, if this process has not opened
    /// any yet.
    ///
    /// # Errors
    /// If `/proc` is not mounted, see proc(5).
    pub fn open_now() -> io::Result<Descriptors> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        // The descriptor of `/proc/self/fd` itself is closed by now.
        numbers.retain(|number| *number > 2 && is_open(*number));
        numbers.sort_unstable();
        Ok(Descriptors(numbers))
    }

    /// In a child: closes all descriptors above 2 except these and `kept` (close_range(2)).
    ///
    /// # Errors
    /// ENOSYS before Linux 5.9, EPERM if a seccomp filter refuses close_range(2); nothing is
    /// closed then.
    pub fn close_others(&self, kept: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let kept = kept.and_then(|fd| u32::try_from(fd.as_raw_fd()).ok());
        let is_before = |number: &u32| kept.is_some_and(|kept| *number < kept);
        let (before, behind) = self.0.split_at(self.0.partition_point(is_before));
        let mut first = 3;
        for number in before.iter().chain(&kept).chain(behind) {
            if first < *number {
                close_range(first, number.saturating_sub(1))?;
            }
            first = number.saturating_add(1);
        }
        close_range(first, u32::MAX)
    }
}

/// Marks all open descriptors above 2 close-on-exec.
pub fn close_all_on_exec() {
    // SAFETY: takes numbers and touches no memory.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    // Linux before 5.11.
    if marked != 0
        && let Ok(Descriptors(numbers)) = Descriptors::open_now()
    {
        for number in numbers.iter().flat_map(|number| i32::try_from(*number)) {
            // SAFETY: takes numbers; nothing is closed.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

/// Whether the next program inherits `fd` (close-on-exec is cleared).
pub fn hand_on(fd: BorrowedFd<'_>, is_inherited: bool) {
    let flag = if is_inherited { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: takes numbers; nothing is closed.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flag) };
}

/// The descriptor `number`, which the last program of this process has left open with
/// [`hand_on`]. None if it is not open or not inherited on exec: so each can be taken once.
pub fn take(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: takes numbers. It is not one of 0 to 2, and descriptors that this program opens
    // are close-on-exec: it was inherited, and has no other owner.
    unsafe {
        let is_inherited = number > 2 && libc::fcntl(number, libc::F_GETFD) == 0;
        let taken = is_inherited.then(|| OwnedFd::from_raw_fd(number))?;
        hand_on(taken.as_fd(), false);
        Some(taken)
    }
}

/// Duplicates `fd` to the descriptor `number`, which stays open on exec (dup2(2)). If `fd` is
/// `number`, only its close-on-exec flag is cleared.
///
/// # Errors
/// What dup2(2) says.
pub fn dup2(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: they take numbers. Nothing here owns what was open as `number`: callers replace
    // it deliberately.
    let placed = unsafe {
        match fd.as_raw_fd() == number {
            true => libc::fcntl(number, libc::F_SETFD, 0),
            false => libc::dup2(fd.as_raw_fd(), number),
        }
    };
    match placed {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// In a child: leaves `fd` and `copies` duplicates of it open for the next program; fewer if
/// there are not enough descriptors.
pub fn duplicate(fd: BorrowedFd<'_>, copies: usize) {
    // SAFETY: they take and return numbers. Nothing here owns the duplicates; they are for the
    // next program.
    unsafe {
        for _ in 0..copies {
            libc::dup(fd.as_raw_fd());
        }
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0);
    }
}

fn is_open(number: u32) -> bool {
    // SAFETY: F_GETFD only queries; any number is allowed.
    i32::try_from(number).is_ok_and(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes numbers and touches no memory. What is closed belongs to code of the
    // parent, none of which runs in this child any more.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::sys::child;
    use std::fs::File;

    #[test]
    fn a_child_keeps_what_was_there_and_nothing_that_came_later() {
        // In a process of its own: other tests open and close descriptors.
        let pid = child::spawn(|| {
            let before: Vec<File> = (0..3).map(|_| File::open("/dev/null").unwrap()).collect();
            let gap = before[1].as_raw_fd();
            let [first, _, last] = [0, 1, 2].map(|i| before[i].as_raw_fd());
            let mut before = before;
            drop(before.remove(1));
            let given = Descriptors::open_now().unwrap();
            let later = File::open("/dev/null").unwrap();
            let [high, kept] = [10, 20].map(|more| last + more);
            for number in [high, kept] {
                // SAFETY: dup2 takes numbers; these are unused.
                unsafe { libc::dup2(first, number) };
            }
            let open = |fd: i32| is_open(u32::try_from(fd).unwrap());
            // `kept` is above the inherited descriptors, one of them, or None.
            // SAFETY: they are open, and stay open.
            let borrowed = [kept, first].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
            given.close_others(Some(borrowed[0])).unwrap();
            let mut right = open(first) && open(last) && !open(gap) && !open(high) && open(kept);
            given.close_others(Some(borrowed[1])).unwrap();
            right &= open(first) && open(last) && !open(kept);
            given.close_others(None).unwrap();
            right &= open(first) && open(last);
            std::mem::forget(later);
            u8::from(!right)
        });
        assert_eq!(child::wait(pid.unwrap()).unwrap(), End::Exited(0));
    }
}
