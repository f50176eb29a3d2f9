//! Finds where the last lines of a log begin, backwards from its end, and where the lines since
//! a time begin, forwards. Takes bytes in pieces of any size.

use crate::formats::tai64n::Tai64n;
use memchr::{memchr, memrchr};

/// Counts lines from the end of a log backwards.
#[derive(Clone, Debug)]
pub struct Backwards {
    /// The number of line ends still to pass; that of the last line does not count.
    left: u64,
    is_at_end: bool,
}

impl Backwards {
    /// For the last `lines` lines.
    pub fn new(lines: u64) -> Backwards {
        Backwards {
            left: lines,
            is_at_end: true,
        }
    }

    /// Takes the bytes before those taken so far. Some: the lines begin at this offset in
    /// `bytes`.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.left == 0 {
            return Some(bytes.len());
        }
        let mut end = bytes.len();
        if self.is_at_end && end > 0 {
            self.is_at_end = false;
            // The last line ends with the log, with a newline or without.
            if bytes.ends_with(b"\n") {
                end -= 1;
            }
        }
        while let Some(index) = memrchr(b'\n', bytes.get(..end)?) {
            self.left -= 1;
            if self.left == 0 {
                return Some(index + 1);
            }
            end = index;
        }
        None
    }

    /// The bytes so far begin with a line, so a line ends before them, with or without a
    /// newline. Returns whether the wanted lines begin here.
    pub fn line_begins(&mut self) -> bool {
        if !self.is_at_end {
            self.left = self.left.saturating_sub(1);
        }
        self.is_at_end = true;
        self.left == 0
    }
}

/// Searches for the first line with a timestamp at or after a time.
#[derive(Clone, Debug)]
pub struct Since {
    moment: Tai64n,
    /// The number of bytes taken.
    taken: u64,
    /// The start of the current line, if not more than a timestamp of it was taken.
    start: Option<Vec<u8>>,
    has_stamps: bool,
}

impl Since {
    /// For the lines since `moment`, from the start of a file.
    pub fn new(moment: Tai64n) -> Since {
        Since {
            moment,
            taken: 0,
            start: Some(Vec::new()),
            has_stamps: false,
        }
    }

    /// Takes the next bytes of the file. Some: the line begins at this offset in the file.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<u64> {
        let mut rest = bytes;
        loop {
            if let Some(start) = &mut self.start {
                let wanted = Tai64n::TEXT - start.len();
                let (more, behind) = rest
                    .split_at_checked(wanted.min(rest.len()))
                    .unwrap_or((rest, &[]));
                // A shorter line has no timestamp.
                let more = memchr(b'\n', more).map_or(more, |end| more.get(..end).unwrap_or(more));
                start.extend_from_slice(more);
                if more.len() == wanted {
                    let found = start.first_chunk().and_then(Tai64n::parse);
                    self.has_stamps |= found.is_some();
                    if found.is_some_and(|stamp| stamp >= self.moment) {
                        let back = start.len() as u64;
                        return Some((self.taken + more.len() as u64).saturating_sub(back));
                    }
                    self.start = None;
                    self.taken += more.len() as u64;
                    rest = behind;
                } else if more.len() < rest.len() {
                    // At its newline.
                    self.start = None;
                    self.taken += more.len() as u64;
                    rest = rest.get(more.len()..).unwrap_or_default();
                } else {
                    self.taken += more.len() as u64;
                    return None;
                }
            }
            let Some(end) = memchr(b'\n', rest) else {
                self.taken += rest.len() as u64;
                return None;
            };
            self.taken += end as u64 + 1;
            rest = rest.get(end + 1..).unwrap_or_default();
            self.start = Some(Vec::new());
        }
    }

    /// Whether any line so far had a timestamp.
    pub fn has_stamps(&self) -> bool {
        self.has_stamps
    }
}

/// Whether `bytes`, the start of a file, begin with a line that has a timestamp, and not
/// with the rest of a line that the previous file began.
pub fn begins_line(bytes: &[u8]) -> bool {
    bytes.first_chunk().and_then(Tai64n::parse).is_some()
}

/// Whether the file that begins with `bytes` is compressed: gzip, compress, bzip2, xz,
/// zstd, lz4 or zip.
pub fn is_compressed(bytes: &[u8]) -> bool {
    const MAGIC: [&[u8]; 7] = [
        b"\x1f\x8b",
        b"\x1f\x9d",
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"PK\x03\x04",
    ];
    MAGIC.iter().any(|magic| bytes.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The last `lines` lines of `log`, read in pieces of `size` bytes.
    fn last(log: &str, lines: u64, size: usize) -> String {
        let mut backwards = Backwards::new(lines);
        let mut from = log.len();
        for piece in log.as_bytes().rchunks(size) {
            from -= piece.len();
            if let Some(index) = backwards.feed(piece) {
                return log[from + index..].to_owned();
            }
        }
        log.to_owned()
    }

    #[test]
    fn the_last_lines_are_the_same_however_the_log_is_cut() {
        for size in 1..20 {
            for (log, lines, expected) in [
                ("a\nb\nc\n", 0, ""),
                ("a\nb\nc\n", 1, "c\n"),
                ("a\nb\nc\n", 2, "b\nc\n"),
                ("a\nb\nc\n", 3, "a\nb\nc\n"),
                ("a\nb\nc\n", 4, "a\nb\nc\n"),
                ("a\nb\nc", 1, "c"),
                ("a\nb\nc", 2, "b\nc"),
                ("\n\n\n", 1, "\n"),
                ("\n\n\n", 2, "\n\n"),
                ("a", 1, "a"),
                ("", 1, ""),
                ("long line\nanother long line\n", 1, "another long line\n"),
            ] {
                assert_eq!(last(log, lines, size), expected, "{log:?} {lines} {size}");
            }
        }
    }

    #[test]
    fn where_a_file_begins_with_a_line_another_one_ends() {
        for (before, index) in [("x\ncut off", 2), ("x\ny\n", 2), ("x\n\n", 2)] {
            let mut backwards = Backwards::new(2);
            assert_eq!(backwards.feed(b"b\n"), None);
            assert!(!backwards.line_begins());
            assert_eq!(backwards.feed(before.as_bytes()), Some(index), "{before}");
        }
        let mut backwards = Backwards::new(1);
        assert_eq!(backwards.feed(b"b\n"), None);
        assert!(backwards.line_begins());
        let mut backwards = Backwards::new(1);
        assert!(!backwards.line_begins(), "nothing came behind it");
        assert_eq!(backwards.feed(b"x\ncut off"), Some(2));
    }

    fn stamp(second: u64) -> Tai64n {
        Tai64n::from_unix(Duration::from_secs(second))
    }

    fn since(log: &[u8], second: u64, size: usize) -> Option<u64> {
        let mut since = Since::new(stamp(second));
        log.chunks(size).find_map(|piece| since.feed(piece))
    }

    #[test]
    fn lines_since_a_moment_begin_at_the_first_stamp_that_is_not_earlier() {
        let mut log = b"the rest of a line\n".to_vec();
        let mut starts = Vec::new();
        for second in [10, 20, 20, 30] {
            starts.push(log.len() as u64);
            log.extend_from_slice(&stamp(second).text());
            log.extend_from_slice(b" text\nno stamp, of the same moment\n\n@4000\n");
        }
        for size in 1..100 {
            for (second, line) in [(0, 0), (10, 0), (11, 1), (20, 1), (21, 3), (30, 3)] {
                let found = since(&log, second, size);
                assert_eq!(found, Some(starts[line]), "{second} {size}");
            }
            assert_eq!(since(&log, 31, size), None);
            assert_eq!(since(b"", 0, size), None);
        }
    }

    #[test]
    fn a_stamp_in_the_middle_of_a_line_or_broken_is_none() {
        let text = String::from_utf8(stamp(10).text().to_vec()).unwrap();
        for log in [
            format!("x {text} y\n"),
            text[..20].to_owned(),
            format!("{}\n{}\n", &text[..12], &text[12..]),
        ] {
            for size in 1..40 {
                assert_eq!(since(log.as_bytes(), 0, size), None, "{log} {size}");
            }
            let mut whole = Since::new(stamp(0));
            whole.feed(log.as_bytes());
            assert!(!whole.has_stamps());
        }
        let mut late = Since::new(stamp(20));
        assert_eq!(late.feed(text.as_bytes()), None);
        assert!(late.has_stamps());
    }

    #[test]
    fn compressed_files_are_told_by_their_first_bytes() {
        for start in [
            b"\x1f\x8b\x08\x00".as_slice(),
            b"BZh91AY",
            b"\xfd7zXZ\0\0",
            b"(\xb5/\xfd",
            b"PK\x03\x04",
        ] {
            assert!(is_compressed(start), "{}", start.escape_ascii());
        }
        assert!(!is_compressed(b"@4000") && !is_compressed(b""));
        assert!(begins_line(&stamp(10).text()));
        assert!(!begins_line(b"@400000"));
    }
}
