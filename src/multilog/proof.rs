//! Whether bytes that are taken for written before a KILL are those in the files.

use super::lines::STAMP;
use crate::formats::tai64n::Tai64n;
use crate::sys::{errno, limits};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The last stamp there can be, and where in it the nanoseconds begin.
const LAST: &[u8; Tai64n::TEXT] = b"@ffffffffffffffff3b9ac9ff";
const NANOSECONDS: usize = 17;

/// No more files than this are kept open to be looked at.
const MOST_FILES: usize = 64;

/// More than a batch becomes is never doubtful, in bytes.
const MOST_DOUBTFUL: usize = 256 * 1024;

/// What of the next bytes is in a directory's files already, from before a KILL.
pub struct Before<F = File> {
    /// How much, in bytes.
    length: u64,
    /// So much stands before that of the last batch, which may still be in the pipe, in
    /// bytes. It is whole lines.
    doubtful: usize,
    /// Where it stands, if that can be looked at.
    tail: Option<Tail<F>>,
    /// Whether lines have stamps.
    stamps: bool,
}

/// What [`Before::take`] has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// So many bytes of the text are in the files.
    pub length: usize,
    /// If they end amid another stamp than the text has there: what completes that,
    /// in place of as many bytes of the text behind them.
    pub rest: Option<Vec<u8>>,
}

impl<F: FileExt> Before<F> {
    /// Nothing, until [`Before::expect`]. `tail`: the end of the files as they were found.
    pub fn new(tail: Option<Tail<F>>, stamps: bool) -> Before<F> {
        Before {
            length: 0,
            doubtful: 0,
            tail,
            stamps,
        }
    }

    /// The next `length` bytes are taken for the last of the files. If the pipe proves to
    /// hold something of the last batch, of which `doubtful` bytes stand before them, that
    /// comes first.
    pub fn expect(&mut self, length: u64, doubtful: u64) {
        (self.length, self.doubtful) = (length, 0);
        let Some(mut tail) = self.tail.take() else {
            return;
        };
        let Some(surplus) = tail.length().checked_sub(length) else {
            return;
        };
        let doubtful = usize::try_from(doubtful).unwrap_or(usize::MAX);
        if doubtful <= MOST_DOUBTFUL && doubtful as u64 <= surplus {
            self.doubtful = doubtful;
        }
        tail.skip(surplus - self.doubtful as u64);
        self.tail = Some(tail);
    }

    /// How much is still to come, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What is known of `text`, which comes next. `in_line`: it begins in the middle
    /// of a line. None if something else stands in the files where it should: then the
    /// pipe holds something else than it did at the KILL, because somebody else has
    /// read from it, and nothing of what comes next is in the files. So it is if
    /// they cannot be read: better that something stands there twice.
    pub fn take(&mut self, text: &[u8], in_line: bool) -> Option<Known> {
        let mut length = within(self.length, text);
        let mut rest = None;
        if length > 0 && self.tail.is_some() {
            let Some((doubtful, found)) = self.find(text, in_line) else {
                (self.length, self.tail) = (0, None);
                return None;
            };
            self.length += doubtful as u64;
            length = found.len();
            if let Some(tail) = &mut self.tail {
                tail.skip((std::mem::take(&mut self.doubtful) - doubtful + length) as u64);
            }
            if self.stamps {
                rest = rest_of_stamp(&found, text, in_line);
            }
        }
        self.length -= length as u64;
        if self.length == 0 {
            self.tail = None;
        }
        Some(Known { length, rest })
    }

    /// How much of what is doubtful `text` begins with, in bytes, and what of the files
    /// it repeats. Where it can be less, it is: what is taken for less than it is stands
    /// twice, what is taken for more is lost. None: it repeats nothing, or what it
    /// repeats begins amid a line that has a stamp.
    fn find(&self, text: &[u8], in_line: bool) -> Option<(usize, Vec<u8>)> {
        let tail = self.tail.as_ref()?;
        let is_there = |found: &[u8]| {
            let new = text.get(..found.len()).unwrap_or_default();
            is_same(found, new, in_line, self.stamps)
        };
        let behind = within(self.length, text);
        let found = tail.look(self.doubtful, behind).ok()?;
        if is_there(&found) {
            return Some((0, found));
        }
        let all = tail.look(0, self.doubtful + behind).ok()?;
        let mut starts = (0..self.doubtful).rev();
        let found = starts.find_map(|start| {
            let doubtful = self.doubtful - start;
            let of_files = |text| {
                let length = within(self.length + doubtful as u64, text);
                all.get(start..start + length)
            };
            let line = memchr::memrchr(b'\n', all.get(..start)?).map_or(0, |end| end + 1);
            if self.stamps && start > line {
                // The pipe holds no stamp; and the rest of a line has got another one.
                if start <= line + STAMP {
                    return None;
                }
                let rest = text.get(STAMP..).filter(|rest| !rest.is_empty())?;
                let found = of_files(rest)?;
                return is_same(found, rest.get(..found.len())?, true, true).then_some(None);
            }
            let found = of_files(text)?;
            is_there(found).then_some(Some((doubtful, start, found.len())))
        });
        let (doubtful, start, length) = found.flatten()?;
        let mut found = all;
        found.truncate(start + length);
        found.drain(..start);
        Some((doubtful, found))
    }
}

/// `length`, but no more than `text` has.
fn within(length: u64, text: &[u8]) -> usize {
    usize::try_from(length).map_or(text.len(), |length| length.min(text.len()))
}

/// The end of what a directory's files hold, one after the other.
pub struct Tail<F = File> {
    pieces: VecDeque<Piece<F>>,
}

struct Piece<F> {
    file: F,
    /// Where in the file it begins, in bytes, and where it ends.
    from: u64,
    to: u64,
}

impl Tail {
    /// The last `length` bytes of `files`, given by name in the current directory
    /// and size in bytes, oldest first; less if there is less or it cannot be opened.
    pub fn of(files: Vec<(OsString, u64)>, length: u64) -> Tail {
        // Directories that are opened later need some, too.
        Tail::through(files, length, |name| {
            // Another user may have put a link there.
            let file = crate::sys::file::open_read_nofollow(Path::new(name))?;
            match limits::is_in_first_quarter(&file) {
                true => Ok(file),
                false => Err(errno::too_many_files()),
            }
        })
    }
}

impl<F: FileExt> Tail<F> {
    /// The same of files that are opened by `open`.
    pub fn through<N>(
        files: Vec<(N, u64)>,
        length: u64,
        open: impl Fn(&N) -> io::Result<F>,
    ) -> Tail<F> {
        let mut pieces = VecDeque::new();
        let mut missing = length;
        for (name, size) in files.into_iter().rev() {
            if missing == 0 || pieces.len() == MOST_FILES {
                break;
            }
            if size == 0 {
                continue;
            }
            let Ok(file) = open(&name) else {
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

    /// How long it is, in bytes.
    fn length(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.to - piece.from).sum()
    }

    /// Leaves its first `count` bytes out from now on, or all if there are fewer.
    fn skip(&mut self, count: u64) {
        let mut left = count;
        while left > 0
            && let Some(first) = self.pieces.front_mut()
        {
            let cut = left.min(first.to - first.from);
            first.from += cut;
            left -= cut;
            if first.from == first.to {
                self.pieces.pop_front();
            }
        }
    }

    /// `length` of its bytes, from the one behind `skipped` on.
    ///
    /// # Errors
    /// See pread(2); UnexpectedEof if there are fewer.
    fn look(&self, skipped: usize, length: usize) -> io::Result<Vec<u8>> {
        let mut skipped = skipped as u64;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length)?;
        for piece in &self.pieces {
            let from = piece.to.min(piece.from + skipped);
            skipped -= from - piece.from;
            let there = usize::try_from(piece.to - from).unwrap_or(usize::MAX);
            let begun = bytes.len();
            bytes.resize(begun + there.min(length - begun), 0);
            let new = bytes.get_mut(begun..).unwrap_or_default();
            piece.file.read_exact_at(new, from)?;
        }
        if bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

/// Whether `new` says what `old` says: byte for byte or, if lines have `stamps`,
/// with other stamps. `in_line`: they begin in the middle of a line.
fn is_same(old: &[u8], new: &[u8], in_line: bool, stamps: bool) -> bool {
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

/// If `old`, which is what stands in the files of the text `new`, ends amid another
/// stamp than `new` has there: what completes that. Of what the whole stamp was no more
/// is known, but it was not after the one in `new`, unless the clock was set back. So
/// it becomes the last with that beginning: no earlier than it was and than the line
/// before it, and no later than the line behind it. `in_line`: as in [`is_same`].
fn rest_of_stamp(old: &[u8], new: &[u8], in_line: bool) -> Option<Vec<u8>> {
    let start = match memchr::memrchr(b'\n', new.get(..old.len())?) {
        Some(newline) => newline + 1,
        None if in_line => return None,
        None => 0,
    };
    let begun = old.get(start..)?;
    let stamp = new.get(start..start + Tai64n::TEXT)?;
    let (beginning, rest) = stamp.split_at_checked(begun.len())?;
    let last = LAST.get(begun.len()..)?;
    let most = LAST.get(NANOSECONDS..)?;
    match begun.cmp(beginning) {
        Ordering::Equal => None,
        // It was set back.
        Ordering::Greater => Some(vec![b'0'; rest.len()]),
        // There are no more nanoseconds than that in a second.
        Ordering::Less if begun.get(NANOSECONDS..).is_none_or(|n| most.starts_with(n)) => {
            Some(last.to_vec())
        }
        Ordering::Less => Some(vec![b'f'; rest.len()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tail of `length` bytes of files that hold `contents`.
    fn tail(contents: &[&str], length: u64) -> Tail {
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let name = format!("daemontools-rs-tail-{process}-{thread:?}");
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
        assert_eq!(all.length(), 7);
        assert_eq!(all.look(0, 3).unwrap(), b"bcd");
        assert_eq!(all.look(1, 5).unwrap(), b"cdefg");
        assert_eq!(all.look(4, 3).unwrap(), b"fgh");
        assert!(all.look(4, 4).is_err());
        all.skip(3);
        assert_eq!(all.look(0, 4).unwrap(), b"efgh");
        assert_eq!(all.look(4, 0).unwrap(), b"");
        all.skip(9);
        assert_eq!(all.length(), 0);
        assert!(all.look(0, 1).is_err());
    }

    #[test]
    fn what_was_written_is_known_until_something_else_comes() {
        let known = |length| Some(Known { length, rest: None });
        let mut before = Before::new(Some(tail(&["old\nab", "c\nde"], 7)), false);
        before.expect(6, 0);
        assert_eq!(before.take(b"abc", false), known(3));
        assert_eq!(before.length(), 3);
        assert_eq!(before.take(b"\ndef\n", true), known(3));
        assert_eq!((before.length(), before.take(b"de", false)), (0, known(0)));

        let mut before = Before::new(Some(tail(&["abc\nde"], 6)), false);
        before.expect(6, 0);
        assert_eq!(before.take(b"abc\n", false), known(4));
        assert_eq!(before.take(b"xy", false), None);
        assert_eq!((before.length(), before.take(b"de", false)), (0, known(0)));
        // The files are shorter than what is expected: nothing can be looked at.
        let mut before = Before::new(Some(tail(&["ab"], 6)), false);
        before.expect(6, 0);
        assert_eq!(before.take(b"xyz", false), known(3));
    }

    #[test]
    fn more_than_a_batch_becomes_is_never_doubtful() {
        let batch = "x".repeat(MOST_DOUBTFUL);
        for (doubtful, expected) in [(MOST_DOUBTFUL, MOST_DOUBTFUL), (MOST_DOUBTFUL + 1, 0)] {
            let length = MOST_DOUBTFUL as u64 + 6;
            let mut before = Before::new(Some(tail(&["\n", &batch, "\nend\n"], length)), false);
            before.expect(5, doubtful as u64);
            assert_eq!(before.doubtful, expected, "{doubtful}");
        }
    }

    #[test]
    fn a_batch_that_is_still_in_the_pipe_is_known_by_what_stands_behind_it() {
        let expecting = |length, doubtful| {
            let mut before = Before::new(Some(tail(&["old\nab\n", "cd\nef\ng"], 10)), false);
            before.expect(length, doubtful);
            before
        };
        let known = |length| Some(Known { length, rest: None });
        // `ab` and `cd` are gone, or they are not, also if that is found out piece by piece.
        assert_eq!(expecting(4, 6).take(b"ef\ngh\n", false), known(4));
        assert_eq!(expecting(4, 6).take(b"ab\ncd\nef\ngh\n", false), known(10));
        let mut before = expecting(4, 6);
        assert_eq!(before.take(b"", false), known(0));
        assert_eq!(before.take(b"ab\n", false), known(3));
        assert_eq!(before.length(), 7);
        assert_eq!(before.take(b"cd\nef\ngh\n", false), known(7));
        assert_eq!(
            (before.length(), before.take(b"ab\n", false)),
            (0, known(0))
        );
        // Once they are known to be gone they do not come any more.
        let mut before = expecting(4, 6);
        assert_eq!(before.take(b"ef\n", false), known(3));
        assert_eq!(before.take(b"ab\n", false), None);
        // A part of them is gone, also of a line.
        assert_eq!(expecting(4, 6).take(b"cd\nef\ngh\n", false), known(7));
        assert_eq!(expecting(4, 6).take(b"b\ncd\nef\ngh\n", false), known(9));
        // Something else.
        assert_eq!(expecting(4, 6).take(b"ab\nce\n", false), None);
        assert_eq!(expecting(4, 3).take(b"ab\n", false), None);
        assert_eq!(expecting(4, 3).take(b"cd\n", false), known(3));
        // Nothing stands behind them: nothing tells.
        assert_eq!(expecting(0, 6).take(b"ef\n", false), known(0));
        // They are not where they should be: a processor has them.
        assert_eq!(expecting(4, 7).take(b"ef\n", false), known(3));
        assert_eq!(expecting(4, 7).take(b"ab\n", false), None);
    }

    #[test]
    fn where_more_than_one_part_of_a_batch_would_do_the_shortest_is_taken() {
        let mut before = Before::new(Some(tail(&["a\nb\na\nb\na\nb\n", "a\nb"], 15)), false);
        before.expect(3, 12);
        let known = before.take(b"b\na\nb\n", false).unwrap();
        assert_eq!(known.length, 5);
        // Stamps say nothing, and where they begin is known of lines only.
        let line = "@400000006553f10f00000005 a\n";
        let mut before = Before::new(Some(tail(&[line, line, line, &line[..27]], 111)), true);
        before.expect(27, 84);
        let other = line.replace('5', "6");
        let text = [&other.replace('a', "b"), other.as_str()].concat();
        assert_eq!(before.take(text.as_bytes(), false), None);
        let mut before = Before::new(
            Some(tail(&[line, "@400000006553f10f00000005 b\n", line], 84)),
            true,
        );
        before.expect(28, 56);
        let text = [&other.replace('a', "b"), other.as_str()].concat();
        assert_eq!(before.take(text.as_bytes(), false).unwrap().length, 56);
    }

    #[test]
    fn a_text_that_ends_amid_a_stamp_is_completed() {
        let old = "@4000000065";
        let mut before = Before::new(Some(tail(&[old], 11)), true);
        before.expect(11, 0);
        let known = before.take(b"@400000006653f10f00000005 text\n", false);
        let known = known.unwrap();
        assert_eq!((known.length, known.rest.unwrap().len()), (11, 14));
        let mut before = Before::new(Some(tail(&[old], 11)), false);
        before.expect(11, 0);
        let known = before.take(b"@400000006653f10f00000005 text\n", false);
        assert_eq!(known, None);
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

    #[test]
    fn a_stamp_is_completed_to_one_between_the_old_and_the_new() {
        let line = |seconds: u64, nanoseconds: u32| {
            format!("@40000000{seconds:08x}{nanoseconds:08x} text\n").into_bytes()
        };
        let before = line(0x6553_f10f, 5);
        let lines = |seconds, nanoseconds| [before.clone(), line(seconds, nanoseconds)].concat();
        let start = before.len();
        let places = [
            (0x6553_f10f, 7),
            (0x6553_f10f, 999_999_990),
            (0x6553_f0ff, 0x0b9a_c9ff),
        ];
        let later = [
            (0x6553_f10f, 999_999_995),
            (0x6553_f110, 3),
            (0x6600_0000, 9),
        ];
        for (old, new) in places.iter().flat_map(|old| later.map(|new| (*old, new))) {
            let (old, new) = (lines(old.0, old.1), lines(new.0, new.1));
            for end in start..=start + STAMP {
                let rest = rest_of_stamp(&old[..end], &new, false);
                let Some(rest) = rest else {
                    let is_prefix = old[start..end] == new[start..end];
                    assert!(is_prefix || end == start + STAMP);
                    continue;
                };
                let whole = [&old[start..end], &rest].concat();
                assert!(old[start..start + Tai64n::TEXT] <= *whole);
                assert!(*whole <= new[start..start + Tai64n::TEXT]);
                assert!(whole[17..] <= b"3b9ac9ff"[..]);
            }
        }
        // In the line itself there is nothing to complete.
        assert_eq!(rest_of_stamp(b"abc", b"xyz", true), None);
        // The clock was set back.
        let (old, new) = (line(0x6553_f110, 7), line(0x6553_f10f, 7));
        let rest = rest_of_stamp(&old[..17], &new, false);
        assert_eq!(rest.as_deref(), Some(&b"00000000"[..]));
    }
}
