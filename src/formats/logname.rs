//! The names of finished log files: `@`, the moment at which the file was
//! finished, `.`, and `s` if it is complete and safely on disk, `u` if it may not be.
//!
//! Source: multilog(8), section "Automatically rotated logs".

use super::tai64n::Tai64n;

/// The name of a file finished at `moment`.
pub fn finished(moment: Tai64n, is_safe: bool) -> String {
    let code = if is_safe { 's' } else { 'u' };
    format!("{}.{code}", String::from_utf8_lossy(&moment.text()))
}

/// Whether `name` counts as a finished file: it begins with `@` and has 25 bytes
/// or more, as 0.76 has it.
pub fn is_finished(name: &[u8]) -> bool {
    name.first() == Some(&b'@') && name.len() >= Tai64n::TEXT
}

/// The moment at which the file `name` was finished, if its name tells.
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
}
