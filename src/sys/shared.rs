//! Memory that a process and its children share.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that this process shares with its children until they exec; cleared at first. It
/// takes one shared page of memory.
#[derive(Debug)]
pub struct Flag(NonNull<AtomicBool>);

impl Flag {
    /// A new one.
    ///
    /// # Errors
    /// ENOMEM, see mmap(2).
    pub fn new() -> io::Result<Flag> {
        // SAFETY: a new mapping; its length is rounded up to whole pages.
        let flag = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<AtomicBool>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if flag == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(flag.cast())
            .map(Flag)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.flag().load(Ordering::Relaxed)
    }

    /// Sets it; returns true in the first process that does so, and only there.
    pub fn set(&self) -> bool {
        !self.flag().swap(true, Ordering::Relaxed)
    }

    fn flag(&self) -> &AtomicBool {
        // SAFETY: it is mapped until this is dropped; zero, the initial value, is a valid bool;
        // and it is accessed only here.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, to which no reference is left.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicBool>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::sys::child;

    #[test]
    fn one_of_all_children_is_the_first_to_raise_it() {
        let flag = Flag::new().unwrap();
        assert!(!flag.is_set());
        for first in [true, false, false] {
            let pid = child::spawn(|| u8::from(flag.set())).unwrap();
            assert_eq!(child::wait(pid).unwrap(), End::Exited(u8::from(first)));
            assert!(flag.is_set());
        }
        assert!(!flag.set());
    }
}
