//! The descriptors that this process was started with, for a child that is to have
//! no others.

use std::io;

/// Numbers of open descriptors above 2, in rising order.
#[derive(Debug)]
pub struct Descriptors(Vec<u32>);

impl Descriptors {
    /// Those open now. Asked before this process has opened any, it is those that
    /// it was given.
    ///
    /// # Errors
    /// If there is no `/proc` to ask, see proc(5).
    pub fn open_now() -> io::Result<Descriptors> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        // The one by which they were read is gone.
        numbers.retain(|number| *number > 2 && is_open(*number));
        numbers.sort_unstable();
        Ok(Descriptors(numbers))
    }

    /// In a child: closes all others above 2.
    ///
    /// # Errors
    /// ENOSYS before Linux 5.9, EPERM where a filter does not know close_range(2);
    /// nothing is closed then.
    pub fn close_others(&self) -> io::Result<()> {
        let mut first = 3;
        for number in &self.0 {
            if first < *number {
                close_range(first, number.saturating_sub(1))?;
            }
            first = number.saturating_add(1);
        }
        close_range(first, u32::MAX)
    }
}

fn is_open(number: u32) -> bool {
    // SAFETY: F_GETFD only asks; any number is allowed.
    i32::try_from(number).is_ok_and(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes numbers and touches no memory. What is closed belongs to the
    // parent's code, none of which runs in this child any more.
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
    use std::os::fd::AsRawFd;

    #[test]
    fn a_child_keeps_what_was_there_and_nothing_that_came_later() {
        // A process of its own: other tests open and close what they like.
        let pid = child::spawn(|| {
            let before: Vec<File> = (0..3).map(|_| File::open("/dev/null").unwrap()).collect();
            let gap = before[1].as_raw_fd();
            let [first, _, last] = [0, 1, 2].map(|i| before[i].as_raw_fd());
            let mut before = before;
            drop(before.remove(1));
            let given = Descriptors::open_now().unwrap();
            let later = File::open("/dev/null").unwrap();
            let high = last + 10;
            // SAFETY: dup2 takes numbers; this one is nobody's.
            unsafe { libc::dup2(first, high) };
            given.close_others().unwrap();
            let open = |fd: i32| is_open(u32::try_from(fd).unwrap());
            let right = open(first) && open(last) && !open(gap) && !open(high);
            std::mem::forget(later);
            u8::from(!right)
        });
        assert_eq!(child::wait_for(pid.unwrap()), End::Exited(0));
    }
}
