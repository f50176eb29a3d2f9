//! Decides where a file is full.
//!
//! 0.76 writes through a buffer of 512 bytes, which it flushes when it is full and before every
//! read, and checks for the end of a line only in the chunk that it is about to write. That
//! determines, to the byte, where files end. Here nothing is written in such small pieces, but
//! the files end at the same places, because the buffer is simulated near the end of a file,
//! with offsets only.

/// A file within this distance of its maximum size, in bytes, is full at the end of a line.
const CLOSE: u64 = 2000;
/// The size of 0.76's output buffer, in bytes.
const BUFFER: usize = 512;
/// The part of a line that 0.76 appends at once; it appends the rest byte by byte.
pub const LINE: usize = 1000;

/// The state of the file that is being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cutter {
    size: u64,
    bytes: u64,
}

impl Cutter {
    /// For files of at most `size` bytes (4096 or more), the first of which has `bytes` bytes
    /// now.
    pub fn new(size: u64, bytes: u64) -> Cutter {
        Cutter { size, bytes }
    }

    /// The size of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A new file was begun.
    pub fn begin(&mut self) {
        self.bytes = 0;
    }

    /// Takes `text`, which is written next, and appends to `cuts` the offsets in it at which
    /// one file ends and the next begins. `flushes` are the offsets up to which 0.76 would have
    /// written before a read, in ascending order, the last one the length of `text`. `in_line`:
    /// `text` begins within a line.
    pub fn cut(&mut self, text: &[u8], flushes: &[usize], in_line: bool, cuts: &mut Vec<usize>) {
        let mut from = 0;
        let mut in_line = in_line;
        for to in flushes {
            let Some(group) = text.get(from..*to).filter(|group| !group.is_empty()) else {
                continue;
            };
            let length = group.len() as u64;
            if self.bytes + length + CLOSE < self.size {
                self.bytes += length;
            } else {
                Play {
                    cutter: self,
                    text,
                    end: *to,
                    written: from,
                    buffered: from,
                    cuts,
                }
                .group(in_line);
            }
            in_line = !group.ends_with(b"\n");
            from = *to;
        }
    }
}

/// 0.76's output buffer, from one flush to the next, as offsets in `text`.
struct Play<'a> {
    cutter: &'a mut Cutter,
    text: &'a [u8],
    /// The end of this group.
    end: usize,
    /// It was written up to here.
    written: usize,
    /// It was appended to the buffer up to here.
    buffered: usize,
    cuts: &'a mut Vec<usize>,
}

impl Play<'_> {
    fn group(mut self, in_line: bool) {
        let mut in_line = in_line;
        while self.buffered < self.end {
            let rest = self.text.get(self.buffered..self.end).unwrap_or_default();
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |index| index + 1);
            let content = line - usize::from(rest.get(..line).is_some_and(|l| l.ends_with(b"\n")));
            let head = if in_line { 0 } else { content.min(LINE) };
            self.put(head);
            self.put_bytes(line - head);
            in_line = false;
        }
        self.write(self.end);
    }

    /// Appends `length` bytes at once.
    fn put(&mut self, length: usize) {
        if length > BUFFER - (self.buffered - self.written) {
            self.write(self.buffered);
            if length > BUFFER {
                self.write(self.buffered + length);
            }
        }
        self.buffered += length;
    }

    /// Appends `length` bytes one by one.
    fn put_bytes(&mut self, length: usize) {
        let end = self.buffered + length;
        while self.buffered < end {
            if self.buffered - self.written == BUFFER {
                self.write(self.buffered);
            }
            let room = BUFFER - (self.buffered - self.written);
            self.buffered = end.min(self.buffered + room);
        }
    }

    /// Writes up to the offset `to`, in as many pieces as there are files.
    fn write(&mut self, to: usize) {
        let Cutter { size, .. } = *self.cutter;
        while self.written < to {
            if self.cutter.bytes >= size {
                self.cut();
            }
            let room = usize::try_from(size - self.cutter.bytes).unwrap_or(usize::MAX);
            let mut piece = self.text.get(self.written..to).unwrap_or_default();
            piece = piece.get(..room).unwrap_or(piece);
            if self.cutter.bytes + piece.len() as u64 + CLOSE >= size
                && let Some(newline) = memchr::memrchr(b'\n', piece)
            {
                piece = piece.get(..=newline).unwrap_or(piece);
            }
            self.written += piece.len();
            self.cutter.bytes += piece.len() as u64;
            if self.cutter.bytes + CLOSE >= size && piece.ends_with(b"\n") {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        self.cuts.push(self.written);
        self.cutter.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multilog::model::Original;
    use crate::multilog::script::Script;
    use crate::numbers::Numbers;

    /// The files that 0.76 makes of `input`, with a read of 1024 bytes at a time, if
    /// the first holds `first` bytes.
    fn plain(input: &[u8], size: usize, first: usize) -> Vec<Vec<u8>> {
        let size = format!("s{size}");
        let script = Script::parse([size.as_bytes(), b"./a"]);
        let mut original = Original::new(&script);
        original.left.files = vec![vec![vec![b'o'; first]]];
        for read in input.chunks(1024) {
            original.read(read, 0);
        }
        original.end().files.remove(0)
    }

    /// Where a flush falls if reads are of 1024 bytes: behind the last whole line,
    /// or in one that is longer than 1000.
    fn flushes(input: &[u8]) -> Vec<usize> {
        (1024..input.len())
            .step_by(1024)
            .map(|read| {
                let line = memchr::memrchr(b'\n', &input[..read]).map_or(0, |index| index + 1);
                if read - line >= 1000 { read } else { line }
            })
            .chain([input.len()])
            .collect()
    }

    #[test]
    fn files_end_where_those_of_the_original_end() {
        let mut numbers = Numbers(1);
        for round in 0..600 {
            let longest = [3, 40, 300, 700, 1200, 9000][round % 6];
            let mut input = vec![];
            while input.len() < 30_000 {
                let length = numbers.below(longest);
                input.extend(std::iter::repeat_n(b'x', length));
                input.push(b'\n');
            }
            let size = 4096 + numbers.below(4000);
            let first = numbers.below(2 * size) * (round % 2);
            let files = plain(&input, size, first);
            let mut cutter = Cutter::new(size as u64, first as u64);
            let mut cuts = vec![];
            cutter.cut(&input, &flushes(&input), false, &mut cuts);
            let mut at = 0;
            let mut expected = vec![];
            for (index, file) in files.iter().enumerate() {
                at += file.len();
                if index == 0 {
                    at -= first;
                }
                expected.push(at);
            }
            expected.pop();
            assert_eq!(cuts, expected, "round {round}");
            assert_eq!(cutter.bytes(), files.last().unwrap().len() as u64);
        }
    }

    #[test]
    fn a_long_line_goes_through_files_of_exactly_the_size() {
        let mut input = vec![b'x'; 10_000];
        input.push(b'\n');
        let mut cutter = Cutter::new(4096, 0);
        let mut cuts = vec![];
        cutter.cut(&input, &flushes(&input), false, &mut cuts);
        assert_eq!(cuts, [4096, 8192]);
        assert_eq!(cutter.bytes(), 10_001 - 8192);
    }
}
