//! What ps(1) shows of this process: its name and its command line.

use std::ffi::CStr;
use std::io;

/// Where in this process's memory the kernel finds what `/proc/PID` shows of it:
/// `struct prctl_mm_map` of linux/prctl.h.
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

// Of linux/prctl.h; the crate libc has no names for them.
const PR_SET_MM: i32 = 35;
const PR_SET_MM_MAP: usize = 14;

impl Map {
    /// As it is now; None where it could not be changed (see PR_SET_MM_MAP in
    /// prctl(2): a kernel without it, a filter that refuses it, no `/proc`).
    pub fn read() -> Option<Map> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let map = parse(&stat)?;
        // Setting what is set already shows whether that is allowed.
        map.set().ok()?;
        Some(map)
    }

    /// In a child: has it shown as `name` with the command line `words`, which has a
    /// 0 behind each word, until it becomes another program.
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
        // SAFETY: sbrk of 0 only asks.
        let brk = unsafe { libc::sbrk(0) }.addr() as u64;
        let map = Map { brk, ..*self };
        // SAFETY: the kernel reads the map. It uses what is in it to show things to
        // others, but for brk, which is as it was.
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

/// From the fields of `/proc/PID/stat`, see proc(5).
fn parse(stat: &str) -> Option<Map> {
    // The name, field 2, may hold anything.
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
    // The kernel does not tell everybody.
    (map.arg_start != 0).then_some(map)
}
