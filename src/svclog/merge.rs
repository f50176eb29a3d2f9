//! Merges the lines of several logs in the order of their timestamps. Little more than one
//! line of each log is in memory.

use super::tail::begins_line;
use crate::formats::tai64n::Tai64n;
use memchr::memchr;

/// A longer line is passed on in pieces of this size, in bytes.
const LONGEST: usize = 64 * 1024;

/// The bytes that were read of one log and are not shown yet.
#[derive(Debug, Default)]
pub struct UnshownLines {
    bytes: Vec<u8>,
    /// The number of bytes taken.
    taken: usize,
    /// The last timestamp: that of the lines without one that follow.
    stamp: Option<Tai64n>,
    /// The line that comes next has begun already.
    is_inside: bool,
}

impl UnshownLines {
    /// The next file begins with `head`. A line that the previous file began continues in
    /// it, unless a crash has truncated that line.
    pub fn begin(&mut self, head: &[u8]) {
        if begins_line(head) {
            self.end();
        }
    }

    /// Ends an incomplete line.
    pub fn end(&mut self) {
        let last = self.rest().last();
        if last.map_or(self.is_inside, |last| *last != b'\n') {
            self.bytes.push(b'\n');
        }
    }

    /// Takes the next bytes of the log.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// The length of the next line, or of a piece of it, if there is one.
    fn next(&self) -> Option<usize> {
        let rest = self.rest();
        match memchr(b'\n', rest) {
            Some(end) => Some(end + 1),
            None => Some(rest.len()).filter(|length| *length >= LONGEST),
        }
    }

    /// Whether there is a line to show; if not, more is to be read.
    pub fn has_line(&self) -> bool {
        self.next().is_some()
    }

    /// When the next line was written.
    fn moment(&self) -> Option<Tai64n> {
        let stamp = self.rest().first_chunk().and_then(Tai64n::parse);
        stamp.filter(|_| !self.is_inside).or(self.stamp)
    }

    /// Takes the next line, or a piece of it.
    pub fn take(&mut self) -> Vec<u8> {
        let length = self.next().unwrap_or(0);
        self.stamp = self.moment();
        let line = self.rest().get(..length).unwrap_or_default().to_vec();
        self.taken += length;
        self.is_inside = line.last().is_some_and(|last| *last != b'\n');
        line
    }
}

/// The index of the log with the oldest line; of lines that are equally old, of the first log.
/// None if none has a line.
pub fn oldest<'a>(logs: impl Iterator<Item = &'a UnshownLines>) -> Option<usize> {
    let ready = logs.enumerate().filter(|(_, lines)| lines.has_line());
    // Nothing comes between the pieces of a line.
    let order = |lines: &UnshownLines| (!lines.is_inside, lines.moment());
    let oldest = ready.min_by_key(|(index, lines)| (order(lines), *index));
    oldest.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;
    use std::time::Duration;

    fn stamp(second: u64) -> String {
        let stamp = Tai64n::from_unix(Duration::from_secs(second)).text();
        String::from_utf8(stamp.to_vec()).unwrap()
    }

    /// All lines of `logs`, each read in pieces of random size, as they are shown.
    fn merged(logs: &[String], seed: u64) -> String {
        let mut numbers = Numbers(seed);
        let mut rest: Vec<&[u8]> = logs.iter().map(String::as_bytes).collect();
        let mut all: Vec<UnshownLines> = logs.iter().map(|_| UnshownLines::default()).collect();
        let mut shown = Vec::new();
        loop {
            for (lines, rest) in all.iter_mut().zip(&mut rest) {
                while !lines.has_line() && !rest.is_empty() {
                    let size = 1 + numbers.below(40);
                    let (piece, behind) = rest.split_at(size.min(rest.len()));
                    lines.put(piece);
                    *rest = behind;
                }
                if rest.is_empty() {
                    lines.end();
                }
            }
            match oldest(all.iter()) {
                Some(index) => shown.extend(all[index].take()),
                None => return String::from_utf8(shown).unwrap(),
            }
        }
    }

    #[test]
    fn lines_come_in_the_order_of_their_stamps() {
        let line = |second, text: &str| format!("{} {text}\n", stamp(second));
        let a = line(10, "a") + "of a\n\n" + &line(20, "a") + &line(40, "a");
        let b = line(5, "b") + &line(10, "b") + &line(30, "b");
        let c = "none\n".to_owned() + &line(40, "c") + line(35, "back").trim_end();
        let expected = [
            "none\n".to_owned(),
            line(5, "b"),
            line(10, "a") + "of a\n\n",
            line(10, "b"),
            line(20, "a"),
            line(30, "b"),
            line(40, "a"),
            line(40, "c"),
            line(35, "back"),
        ];
        for seed in 1..100 {
            assert_eq!(
                merged(&[a.clone(), b.clone(), c.clone()], seed),
                expected.concat()
            );
        }
    }

    #[test]
    fn a_long_line_is_shown_in_pieces_with_nothing_in_between() {
        let long = format!("{} {}\n", stamp(10), "x".repeat(5 * LONGEST));
        let other = format!("{} y\n", stamp(10)) + &format!("{} z\n", stamp(11));
        let expected = [long.as_str(), &other].concat();
        assert_eq!(merged(&[long, other], 3), expected);
        let mut lines = UnshownLines::default();
        lines.put("x".repeat(LONGEST).as_bytes());
        assert_eq!(lines.take().len(), LONGEST);
        lines.begin(stamp(1).as_bytes());
        assert_eq!(lines.take(), b"\n", "a crash has cut it off");
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let mut lines = UnshownLines::default();
        lines.put(b"half");
        assert!(!lines.has_line());
        assert_eq!(oldest([&lines].into_iter()), None);
        lines.begin(b"no stamp");
        assert!(!lines.has_line(), "it goes on in the next file");
        lines.begin(stamp(1).as_bytes());
        assert_eq!(lines.take(), b"half\n");
        lines.put(b"rest");
        lines.end();
        lines.end();
        assert_eq!(lines.take(), b"rest\n");
        assert!(!lines.has_line());
    }
}
