//! Memory that a process and its children share.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that this process and all its children see, until they become other
/// programs; down at first. It takes a page of memory, which is one for all of them.
#[derive(Debug)]
pub struct Flag(NonNull<AtomicBool>);

impl Flag {
    /// A new one.
    ///
    /// # Errors
    /// ENOMEM, see mmap(2).
    pub fn new() -> io::Result<Flag> {
        // SAFETY: a new mapping, of a length that is rounded up to whole pages.
        let place = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<AtomicBool>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(place.cast())
            .map(Flag)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    /// Whether somebody has raised it.
    pub fn is_up(&self) -> bool {
        self.place().load(Ordering::Relaxed)
    }

    /// Raises it; true for the one process that is the first to do so.
    pub fn raise(&self) -> bool {
        !self.place().swap(true, Ordering::Relaxed)
    }

    fn place(&self) -> &AtomicBool {
        // SAFETY: mapped until this is dropped, zero at first, which is a valid bool,
        // and used by nobody in any other way.
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
        assert!(!flag.is_up());
        for first in [true, false, false] {
            let pid = child::spawn(|| u8::from(flag.raise())).unwrap();
            assert_eq!(child::wait(pid).unwrap(), End::Exited(u8::from(first)));
            assert!(flag.is_up());
        }
        assert!(!flag.raise());
    }
}
