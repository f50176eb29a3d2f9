//! Local time, by the C library.

use crate::civil::Civil;

/// The calls of the C library with 64-bit times. On 32-bit processors glibc has them under
/// other names (since 2.34); there `time_t` ends in 2038.
#[cfg(all(target_env = "gnu", target_pointer_width = "32"))]
mod time64 {
    // SAFETY: these are glibc's declarations of localtime_r(3) and mktime(3) for a 64-bit
    // `time_t`.
    unsafe extern "C" {
        #[link_name = "__localtime64_r"]
        pub(super) fn localtime_r(seconds: *const i64, tm: *mut libc::tm) -> *mut libc::tm;
        #[link_name = "__mktime64"]
        pub(super) fn mktime(tm: *mut libc::tm) -> i64;
    }
}
#[cfg(not(all(target_env = "gnu", target_pointer_width = "32")))]
use libc as time64;

/// The local time `seconds` after 1970-01-01 00:00 UTC (localtime_r(3)): by the environment
/// variable `TZ`, else by `/etc/localtime`, else UTC. They are read on the first call. None if
/// the year is out of range.
pub fn local(seconds: i64) -> Option<Civil> {
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_fallible_conversions,
        reason = "the type's width differs by C library"
    )]
    let seconds = seconds.try_into().ok()?;
    // SAFETY: a zeroed tm is valid: numbers, and a pointer that may be null.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid during the call, which reads one and writes the other.
    if unsafe { time64::localtime_r(&seconds, &mut tm) }.is_null() {
        return None;
    }
    Some(Civil {
        year: tm.tm_year.wrapping_add(1900),
        month: u8::try_from(tm.tm_mon).ok()?.checked_add(1)?,
        day: tm.tm_mday.try_into().ok()?,
        hour: tm.tm_hour.try_into().ok()?,
        minute: tm.tm_min.try_into().ok()?,
        second: tm.tm_sec.try_into().ok()?,
    })
}

/// The time at which it is `civil` in local time, in seconds since 1970-01-01 00:00 UTC: the
/// inverse of [`local`]. Of a local time that occurs twice, at the end of summer time, the
/// earlier is taken; one that is skipped, at its beginning, is shifted by an hour. None if
/// there is no such day.
pub fn moment(civil: Civil) -> Option<i64> {
    // SAFETY: a zeroed tm is valid: numbers, and a pointer that may be null.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    tm.tm_year = civil.year.checked_sub(1900)?;
    tm.tm_mon = i32::from(civil.month).checked_sub(1)?;
    tm.tm_mday = civil.day.into();
    tm.tm_hour = civil.hour.into();
    tm.tm_min = civil.minute.into();
    tm.tm_sec = civil.second.into();
    // -1: mktime determines whether that is in summer time.
    tm.tm_isdst = -1;
    // SAFETY: `tm` is valid during the call, which reads and writes it.
    let seconds = unsafe { time64::mktime(&mut tm) };
    #[allow(
        clippy::useless_conversion,
        reason = "the type's width differs by architecture"
    )]
    let seconds = i64::from(seconds);
    // mktime returns either of the two. Offsets are multiples of a quarter of an hour, and no
    // clock is set back by more than a day.
    let earliest = (1..=24 * 4)
        .rev()
        .filter_map(|quarters| seconds.checked_sub(quarters * 900))
        .find(|moment| local(*moment) == Some(civil));
    let seconds = earliest.unwrap_or(seconds);
    let there = local(seconds)?;
    ((there.year, there.month, there.day) == (civil.year, civil.month, civil.day))
        .then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_is_a_moment_if_there_is_such_a_day() {
        let civil = local(935_467_445).unwrap();
        assert_eq!(moment(civil), Some(935_467_445));
        let no_day = Civil {
            month: 2,
            day: 30,
            ..civil
        };
        assert_eq!(moment(no_day), None);
        assert_eq!(moment(Civil { month: 0, ..civil }), None);
    }

    #[test]
    fn a_moment_is_told_whatever_the_zone() {
        let civil = local(935_467_445).unwrap();
        assert_eq!((civil.year, civil.month, civil.second), (1999, 8, 5));
    }

    #[test]
    fn a_time_after_2038_is_told_on_every_processor() {
        let civil = local(4_118_039_999).unwrap();
        assert_eq!((civil.year, civil.second), (2100, 59));
        assert_eq!(moment(civil), Some(4_118_039_999));
    }

    #[test]
    fn there_is_no_year_of_eleven_digits() {
        assert_eq!(local(i64::MAX), None);
        assert_eq!(local(i64::MIN), None);
    }
}
