//! Whether bytes that are taken for written before a KILL are those in the files.

use super::lines::STAMP;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// No more files than this are kept open to be looked at.
const MOST_FILES: usize = 64;

/// The end of what a directory's files hold, one after the other.
pub struct Tail {
    pieces: VecDeque<Piece>,
}

struct Piece {
    file: File,
    /// Where in the file it begins, in bytes, and where it ends.
    from: u64,
    to: u64,
}

impl Tail {
    /// The last `length` bytes of `files`, given by name in the current directory
    /// and size in bytes, oldest first; less if there is less or it cannot be opened.
    pub fn of(files: Vec<(OsString, u64)>, length: u64) -> Tail {
        let mut pieces = VecDeque::new();
        let mut missing = length;
        for (name, size) in files.into_iter().rev() {
            if missing == 0 || pieces.len() == MOST_FILES {
                break;
            }
            if size == 0 {
                continue;
            }
            let Ok(file) = crate::sys::file::open_read(Path::new(&name)) else {
                break;
            };
            let from = size.saturating_sub(missing);
            missing -= size - from;
            pieces.push_front(Piece {
                file,
                from,
                to: size,
            });
        }
        Tail { pieces }
    }

    /// Only its last `length` bytes; None if it is shorter than that.
    pub fn shortened(mut self, length: u64) -> Option<Tail> {
        let all = self.pieces.iter().map(|piece| piece.to - piece.from);
        let mut surplus = all.sum::<u64>().checked_sub(length)?;
        while surplus > 0 {
            let first = self.pieces.front_mut()?;
            let cut = surplus.min(first.to - first.from);
            first.from += cut;
            surplus -= cut;
            if first.from == first.to {
                self.pieces.pop_front();
            }
        }
        Some(self)
    }

    /// Its next `length` bytes.
    ///
    /// # Errors
    /// See pread(2); UnexpectedEof if there are fewer.
    pub fn next(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let Some(piece) = self.pieces.front_mut() else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let there = usize::try_from(piece.to - piece.from).unwrap_or(usize::MAX);
            let begun = bytes.len();
            bytes.resize(begun + there.min(length - begun), 0);
            let new = bytes.get_mut(begun..).unwrap_or_default();
            piece.file.read_exact_at(new, piece.from)?;
            piece.from += new.len() as u64;
            if piece.from == piece.to {
                self.pieces.pop_front();
            }
        }
        Ok(bytes)
    }
}

/// Whether `new` says what `old` says: byte for byte or, if lines have `stamps`,
/// with other stamps. `in_line`: they begin in the middle of a line.
pub fn is_same(old: &[u8], new: &[u8], in_line: bool, stamps: bool) -> bool {
    if old.len() != new.len() {
        return false;
    }
    if !stamps {
        return old == new;
    }
    let mut place = if in_line { STAMP } else { 0 };
    old.iter().zip(new).all(|(old, new)| {
        let is_stamp = place < STAMP;
        place = if *new == b'\n' && !is_stamp {
            0
        } else {
            place + 1
        };
        is_stamp || old == new
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tail of `length` bytes of files that hold `contents`.
    fn tail(contents: &[&str], length: u64) -> Tail {
        let name = format!("daemontools-rs-tail-{}-{length}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let mut files = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let path = directory.join(number.to_string());
            std::fs::write(&path, content).unwrap();
            files.push((path.into(), content.len() as u64));
        }
        let tail = Tail::of(files, length);
        std::fs::remove_dir_all(&directory).unwrap();
        tail
    }

    #[test]
    fn a_tail_goes_over_the_ends_of_files() {
        let mut all = tail(&["old", "abc", "", "de", "fgh"], 7);
        assert_eq!(all.next(3).unwrap(), b"bcd");
        assert_eq!(all.next(4).unwrap(), b"efgh");
        assert!(all.next(1).is_err());
        let mut part = tail(&["abc", "de"], 5).shortened(3).unwrap();
        assert_eq!(part.next(3).unwrap(), b"cde");
        assert!(tail(&["ab"], 6).shortened(3).is_none());
        assert_eq!(tail(&["ab"], 2).shortened(0).unwrap().next(0).unwrap(), b"");
    }

    #[test]
    fn without_stamps_every_byte_counts() {
        assert!(is_same(b"a\nb\n", b"a\nb\n", false, false));
        assert!(!is_same(b"a\nb\n", b"a\nc\n", false, false));
        assert!(!is_same(b"a\nb\n", b"a\n", false, false));
    }

    #[test]
    fn stamps_may_differ_and_nothing_else() {
        let line = |stamp: &str, text: &str| format!("@40000000{stamp:0>16} {text}\n");
        let old = line("1", "a") + &line("2", "b");
        let new = line("3", "a") + &line("4", "b");
        assert!(is_same(old.as_bytes(), new.as_bytes(), false, true));
        assert!(!is_same(old.as_bytes(), new.as_bytes(), false, false));
        assert!(!is_same(old.as_bytes(), new.as_bytes(), true, true));
        let other = line("3", "a") + &line("4", "c");
        assert!(!is_same(old.as_bytes(), other.as_bytes(), false, true));
        let (old, new) = (format!("end\n{old}"), format!("end\n{new}"));
        assert!(is_same(old.as_bytes(), new.as_bytes(), true, true));
        assert!(!is_same(
            old.as_bytes(),
            new.replace("end", "eNd").as_bytes(),
            true,
            true
        ));
    }
}
