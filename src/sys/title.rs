//! The memory of this process's own last argument, which ps(1) shows.

use super::start;
use std::ffi::{CStr, c_char};

/// The last argument of this process, where the kernel put it: what is written
/// there shows in `/proc/PID/cmdline` at once.
#[derive(Debug)]
pub struct Title {
    start: *mut c_char,
    length: usize,
}

impl Title {
    /// The last argument, the first time this is asked. None: there is none behind
    /// the program's own name, it has been taken already, or libc does not tell
    /// where it is (only glibc does).
    pub fn take() -> Option<Title> {
        let start = start::take_last_argument();
        if start.is_null() {
            return None;
        }
        // SAFETY: an argument is a C string that lives as long as the process, and
        // nobody has begun to write there: it is handed out once.
        let length = unsafe { CStr::from_ptr(start) }.count_bytes();
        Some(Title { start, length })
    }

    /// How many bytes it has; that cannot change.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Shows `bytes`, from the first on; what is too long is left out, and behind
    /// what is too short the old bytes stay.
    pub fn show(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(self.length);
        // SAFETY: the kernel made this memory writable, and `length` bytes of it are the
        // word, without the 0 behind. No reference leads there: Rust copies a
        // command line when it is asked for, and this is the only thread.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr().cast::<c_char>(), self.start, count);
        }
    }
}
