//! The memory of the last argument of this process, which ps(1) shows.

use super::start;
use std::ffi::{CStr, c_char};

/// The last argument of this process, in the memory that `/proc/PID/cmdline` shows.
#[derive(Debug)]
pub struct Title {
    start: *mut c_char,
    length: usize,
}

impl Title {
    /// The last argument, on the first call. None: there is none after `argv[0]`, it has been
    /// taken already, or the C library does not pass it (only glibc does).
    pub fn take() -> Option<Title> {
        let start = start::take_last_argument();
        if start.is_null() {
            return None;
        }
        // SAFETY: an argument is a C string that lives as long as the process, and is not being
        // written: it is taken once.
        let length = unsafe { CStr::from_ptr(start) }.count_bytes();
        Some(Title { start, length })
    }

    /// Its length in bytes, which cannot change.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Overwrites it with `bytes`: excess bytes are dropped, and after fewer bytes the old ones
    /// remain.
    pub fn show(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(self.length);
        // SAFETY: the kernel made this memory writable, and `length` bytes of it are the
        // argument, without the terminating NUL. There is no reference to it: Rust copies the
        // command line when it is queried, and this is the only thread.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr().cast::<c_char>(), self.start, count);
        }
    }
}
