//! Soft resource limits (getrlimit(2)), as softlimit sets them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A resource that a limit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Address space, bytes.
    AddressSpace,
    /// Size of a core file, bytes.
    Core,
    /// Data segment, bytes.
    Data,
    /// Size of a file it writes, bytes.
    FileSize,
    /// Locked memory, bytes.
    LockedMemory,
    /// Open files: one more than the highest descriptor.
    OpenFiles,
    /// Processes of its user.
    Processes,
    /// Resident memory, bytes; Linux ignores this limit.
    Resident,
    /// Stack, bytes.
    Stack,
    /// Processor time, seconds.
    ProcessorTime,
}

/// The value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This much, or the hard limit if that is less.
    AtMost(u64),
    /// The hard limit: `=`.
    Highest,
}

impl Wanted {
    /// Parses the argument of an option: `=`, or only digits. As in 0.76, an empty argument
    /// is 0, and a number of 2^64 or more is taken modulo 2^64. None if it is anything else.
    pub fn read(text: &OsStr) -> Option<Wanted> {
        let text = text.as_bytes();
        if text == b"=" {
            return Some(Wanted::Highest);
        }
        if !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = text.iter().fold(0_u64, |number, digit| {
            let digit = u64::from(digit.wrapping_sub(b'0'));
            number.wrapping_mul(10).wrapping_add(digit)
        });
        Some(Wanted::AtMost(number))
    }

    /// The new soft limit under the hard limit `hard`.
    pub fn under(self, hard: u64) -> u64 {
        match self {
            Wanted::AtMost(number) => number.min(hard),
            Wanted::Highest => hard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Wanted> {
        Wanted::read(OsStr::new(text))
    }

    #[test]
    fn a_value_is_digits_or_an_equals_sign() {
        assert_eq!(read("100"), Some(Wanted::AtMost(100)));
        assert_eq!(read(""), Some(Wanted::AtMost(0)));
        assert_eq!(read("="), Some(Wanted::Highest));
        for bad in ["-", "-1", "12x", "0x10", " 5", "5 ", "==", "=5", "+5", "5k"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_value_too_large_wraps_around() {
        let max = u64::MAX;
        assert_eq!(read(&max.to_string()), Some(Wanted::AtMost(max)));
        assert_eq!(read("18446744073709551616"), Some(Wanted::AtMost(0)));
        assert_eq!(read("18446744073709551621"), Some(Wanted::AtMost(5)));
    }

    #[test]
    fn the_hard_limit_is_the_highest_there_is() {
        assert_eq!(Wanted::AtMost(5).under(10), 5);
        assert_eq!(Wanted::AtMost(50).under(10), 10);
        assert_eq!(Wanted::Highest.under(10), 10);
    }
}
