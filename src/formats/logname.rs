//! The names of finished log files: `@`, the time at which the file was finished, `.`, and `s`
//! if it is complete and fsynced, `u` if it may not be.
//!
//! Source: multilog(8), section "Automatically rotated logs".

use super::tai64n::Tai64n;

/// The name of a file that was finished at `moment`.
pub fn finished(moment: Tai64n, is_safe: bool) -> String {
    let code = if is_safe { 's' } else { 'u' };
    format!("{}.{code}", String::from_utf8_lossy(&moment.text()))
}

/// Whether `name` counts as a finished file: as in 0.76, it begins with `@` and has at least 25
/// bytes.
pub fn is_finished(name: &[u8]) -> bool {
    name.first() == Some(&b'@') && name.len() >= Tai64n::TEXT
}

/// The time in a name of [`finished`]; None for any other name.
fn exact(name: &[u8]) -> Option<Tai64n> {
    let code = name.get(Tai64n::TEXT..)?;
    moment(name).filter(|_| matches!(code, b".s" | b".u"))
}

/// The least time whose name is greater than the name of this finished file; None if it is not
/// a name of [`finished`], or the greatest one.
pub fn above(name: &[u8]) -> Option<Tai64n> {
    exact(name)?.checked_next()
}

/// A sort key: the least is the oldest file. It is the name, but names above which there is no
/// other are older than all others.
pub fn age(name: &[u8]) -> (bool, &[u8]) {
    (above(name).is_some(), name)
}

/// The time at which the file `name` was finished, if its name contains it.
pub fn moment(name: &[u8]) -> Option<Tai64n> {
    Tai64n::parse(name.first_chunk()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_name_tells_when_and_how_safe() {
        let stamp = Tai64n::from_unix(Duration::new(935_467_445, 787_492_500));
        let name = finished(stamp, true);
        assert_eq!(name, "@4000000037c219bf2ef02e94.s");
        assert!(is_finished(name.as_bytes()));
        assert_eq!(moment(name.as_bytes()), Some(stamp));
        assert!(finished(stamp, false).ends_with(".u"));
        assert!(!is_finished(b"@4000000037c219bf2ef02e9"));
        assert!(is_finished(b"@this-is-an-alien-of-mine"));
        assert_eq!(moment(b"@this-is-an-alien-of-mine"), None);
        assert!(!is_finished(b"current"));
    }

    #[test]
    fn names_above_which_there_is_none_are_the_oldest() {
        let mut names = [
            "@4000000037c219bf2ef02e94.u",
            "@4000000037c219bf2ef02e94.s",
            "@4000000037c219bf2ef02e95.s",
            "@3000000037c219bf2ef02e94.s",
            "@ffffffffffffffffffffffff.s",
            "@fffffffffffffffe3b9ac9ff.s",
            "@4000000037c219bf2ef02e94",
            "@4000000037C219BF2EF02E94.s",
            "@4000000037c219bf2ef02e94.s.gz",
            "@this-is-an-alien-of-mine.s",
        ];
        names.sort_by_key(|name| age(name.as_bytes()));
        let expected = [
            "@4000000037C219BF2EF02E94.s",
            "@4000000037c219bf2ef02e94",
            "@4000000037c219bf2ef02e94.s.gz",
            "@ffffffffffffffffffffffff.s",
            "@this-is-an-alien-of-mine.s",
            "@3000000037c219bf2ef02e94.s",
            "@4000000037c219bf2ef02e94.s",
            "@4000000037c219bf2ef02e94.u",
            "@4000000037c219bf2ef02e95.s",
            "@fffffffffffffffe3b9ac9ff.s",
        ];
        assert_eq!(names, expected);
        for name in &names[..5] {
            assert_eq!(above(name.as_bytes()), None, "{name}");
        }
        for pair in names[5..].windows(2) {
            let above = above(pair[0].as_bytes()).unwrap();
            for is_safe in [false, true] {
                assert!(finished(above, is_safe).as_str() > pair[0]);
            }
        }
    }
}
