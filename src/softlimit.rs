//! Soft limits on what a process may use, as softlimit's options ask for them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Something that a process may use only so much of (getrlimit(2)).
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
    /// Resident memory, bytes; Linux does not look at it.
    Resident,
    /// Stack, bytes.
    Stack,
    /// Processor time, seconds.
    ProcessorTime,
}

/// The value a soft limit is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This much, or the hard limit if that is less.
    AtMost(u64),
    /// The hard limit: `=`.
    Highest,
}

/// The letters of softlimit's options: each has an argument.
pub const LETTERS: &[u8] = b"acdflmoprst";

/// What the option `letter` limits, in the order of the calls.
pub fn resources(letter: u8) -> &'static [Resource] {
    match letter {
        b'a' => &[Resource::AddressSpace],
        b'c' => &[Resource::Core],
        b'd' => &[Resource::Data],
        b'f' => &[Resource::FileSize],
        b'l' => &[Resource::LockedMemory],
        b'm' => &[
            Resource::Data,
            Resource::Stack,
            Resource::LockedMemory,
            Resource::AddressSpace,
        ],
        b'o' => &[Resource::OpenFiles],
        b'p' => &[Resource::Processes],
        b'r' => &[Resource::Resident],
        b's' => &[Resource::Stack],
        b't' => &[Resource::ProcessorTime],
        _ => &[],
    }
}

impl Wanted {
    /// Reads an option's argument: `=`, or digits and nothing else. As in 0.76 no
    /// digits at all are 0, and what is 2^64 or more is taken modulo 2^64. None if
    /// it is anything else.
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

    #[test]
    fn every_letter_limits_something_and_no_other_does() {
        for letter in 0..=u8::MAX {
            assert_eq!(resources(letter).is_empty(), !LETTERS.contains(&letter));
        }
    }
}
