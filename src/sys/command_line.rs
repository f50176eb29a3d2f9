//! The name and the command line of this process, as ps(1) shows them.

use std::ffi::CStr;
use std::io;

/// The addresses of what `/proc/PID` shows of this process's memory: `struct prctl_mm_map` of
/// linux/prctl.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Map {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: *const u64,
    auxv_size: u32,
    exe_fd: u32,
}

// From linux/prctl.h; the libc crate does not define them.
const PR_SET_MM: i32 = 35;
const PR_SET_MM_MAP: usize = 14;

impl Map {
    /// The current map; None if it cannot be changed (PR_SET_MM_MAP in prctl(2): the kernel
    /// does not support it, a seccomp filter refuses it, or `/proc` is not mounted).
    pub fn read() -> Option<Map> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let map = parse(&stat)?;
        // Setting the current values tests whether setting is allowed.
        map.set().ok()?;
        Some(map)
    }

    /// In a child: sets its name to `name` and its command line to `words`, each terminated by
    /// a NUL byte, until its next exec.
    ///
    /// # Errors
    /// What prctl(2) says.
    pub fn show(&self, name: &CStr, words: &'static [u8]) -> io::Result<()> {
        let start = words.as_ptr().addr() as u64;
        let map = Map {
            arg_start: start,
            arg_end: start.saturating_add(words.len() as u64),
            ..*self
        };
        map.set()?;
        // SAFETY: PR_SET_NAME reads a C string of any length.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
        Ok(())
    }

    fn set(&self) -> io::Result<()> {
        // SAFETY: sbrk of 0 only queries.
        let brk = unsafe { libc::sbrk(0) }.addr() as u64;
        let map = Map { brk, ..*self };
        // SAFETY: the kernel reads the map. It only shows these addresses to other processes,
        // except brk, which is unchanged.
        let result = unsafe {
            libc::prctl(
                PR_SET_MM,
                PR_SET_MM_MAP,
                &raw const map,
                size_of::<Map>(),
                0usize,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Parses `/proc/PID/stat`, see proc(5).
fn parse(stat: &str) -> Option<Map> {
    // Field 2, the name, may contain any characters.
    let (_, behind) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
    let field = |number: usize| -> Option<u64> { fields.get(number.checked_sub(3)?)?.parse().ok() };
    let map = Map {
        start_code: field(26)?,
        end_code: field(27)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk: 0,
        start_stack: field(28)?,
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        auxv: std::ptr::null(),
        auxv_size: 0,
        exe_fd: u32::MAX,
    };
    // The kernel shows zeros to unprivileged processes.
    (map.arg_start != 0).then_some(map)
}
