//! Lines and where files end beside a slow, plain model of 0.76 that takes a byte at
//! a time, on scripts and inputs that look random.

use super::*;
use crate::multilog::cutter::Cutter;
use crate::multilog::model::{Left, Original, moment};
use crate::multilog::script::Directory;
use crate::numbers::Numbers;

/// Lines of about the lengths at which something changes.
fn input(numbers: &mut Numbers, longest: usize) -> Vec<u8> {
    let mut input = Vec::new();
    let count = numbers.below(120);
    let kind = numbers.below(4);
    for _ in 0..count {
        let length = match kind {
            0 => numbers.below(60),
            1 => numbers.pick(&[
                0, 1, 199, 200, 201, 972, 973, 974, 975, 998, 999, 1000, 1001,
            ]),
            2 => numbers.below(longest),
            _ => numbers.pick(&[0, 5, 500, 1023, 1024, 1025, longest]),
        };
        let letters = numbers.pick(&[b"ab".as_slice(), b"x", b"ab *\0\r\xff"]);
        input.extend(numbers.some(length, letters));
        input.push(b'\n');
    }
    if numbers.below(2) == 0 {
        let length = numbers.pick(&[1, 10, 999, 1000, 2500]);
        input.extend(numbers.some(length, b"ab"));
    }
    input
}

fn pattern(numbers: &mut Numbers) -> Vec<u8> {
    let length = numbers.below(6);
    let mut pattern = numbers.some(length, b"aabb*** x");
    if numbers.below(2) == 0 {
        pattern.push(b'*');
    }
    if numbers.below(3) == 0 {
        pattern.splice(0..0, *b"@* ");
    }
    pattern
}

fn script(numbers: &mut Numbers) -> Script {
    let mut words: Vec<Vec<u8>> = Vec::new();
    if numbers.below(2) == 0 {
        words.push(b"t".to_vec());
    }
    for number in 0..=numbers.below(8) {
        words.push(match numbers.below(6) {
            0 => [b"-", pattern(numbers).as_slice()].concat(),
            1 => [b"+", pattern(numbers).as_slice()].concat(),
            2 => b"e".to_vec(),
            3 => format!("={number}").into_bytes(),
            4 => format!("s{}", 4096 + numbers.below(4000)).into_bytes(),
            _ => format!("./{number}").into_bytes(),
        });
    }
    words.push(b"./last".to_vec());
    Script::parse(words.iter().map(Vec::as_slice))
}

/// How long the pieces of an input may be: whole, or a few bytes, or between.
const PIECES: [usize; 5] = [3, 30, 300, 3000, usize::MAX];

/// [`Lines`] and a [`Cutter`] for each directory, used as the shell does.
struct Ours<'a> {
    script: &'a Script,
    lines: Lines,
    cutters: Vec<Cutter>,
    buffer: Vec<u8>,
    seen: usize,
    left: Left,
}

impl Ours<'_> {
    fn new(script: &Script) -> Ours<'_> {
        let cutter = |directory: &Directory| Cutter::new(directory.size, 0);
        Ours {
            script,
            lines: Lines::new(script, Room::Large),
            cutters: script.directories.iter().map(cutter).collect(),
            buffer: vec![],
            seen: 0,
            left: Left::new(script),
        }
    }

    fn read(&mut self, bytes: &[u8], now: u64) {
        self.buffer.extend_from_slice(bytes);
        loop {
            let count = self.script.directories.len();
            let in_line: Vec<bool> = (0..count)
                .map(|number| self.lines.long_line(number) == Some(true))
                .collect();
            let Taken { bytes, seen } = self.lines.take(&self.buffer, self.seen, moment(now));
            self.seen = seen;
            assert!(bytes + seen <= self.buffer.len());
            if bytes == 0 {
                return;
            }
            let taken = &self.buffer[..bytes];
            self.left.stderr.extend_from_slice(self.lines.stderr());
            for (number, content) in self.left.status.iter_mut().enumerate() {
                if let Some(new) = self.lines.status(number) {
                    *content = new.to_vec();
                }
            }
            for (number, in_line) in in_line.into_iter().enumerate() {
                let (text, flushes) = self.lines.output(number, taken);
                assert!(flushes.is_sorted(), "{flushes:?}");
                assert_eq!(flushes.last(), Some(&text.len()));
                let mut cuts = vec![];
                self.cutters[number].cut(text, flushes, in_line, &mut cuts);
                let files = &mut self.left.files[number];
                let mut from = 0;
                for to in cuts {
                    files.last_mut().unwrap().extend_from_slice(&text[from..to]);
                    files.push(vec![]);
                    from = to;
                }
                files.last_mut().unwrap().extend_from_slice(&text[from..]);
            }
            self.buffer.drain(..bytes);
        }
    }

    fn end(mut self, now: u64) -> Left {
        let is_unfinished = match self.buffer.last() {
            Some(byte) => *byte != b'\n',
            None => self.lines.is_in_long_line(),
        };
        if is_unfinished {
            self.read(b"\n", now);
        }
        assert_eq!(self.buffer, b"");
        self.left
    }
}

fn assert_same(script: &Script, ours: &Left, original: &Left) {
    for (number, (ours, original)) in ours.files.iter().zip(&original.files).enumerate() {
        for (file, (ours, original)) in ours.iter().zip(original).enumerate() {
            assert!(
                ours == original,
                "{script:?}\ndirectory {number}, file {file}: {} bytes, not {}",
                ours.len(),
                original.len()
            );
        }
    }
    assert!(ours == original, "{script:?}");
}

#[test]
fn files_are_those_of_the_original_if_its_reads_are_full() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut several = 0;
    for _ in 0..400 {
        let script = script(&mut numbers);
        let input = input(&mut numbers, 5000);
        let mut original = Original::new(&script);
        let now = 1_790_000_000_999_999_990;
        for read in input.chunks(READ) {
            original.read(read, now);
        }
        let original = original.end();
        let mut ours = Ours::new(&script);
        // The shell gives the last read only if there is nothing behind it.
        let batch = READ * (numbers.below(8) + 1);
        for piece in input.chunks(batch) {
            ours.read(piece, now);
        }
        let ours = ours.end(now);
        assert_same(&script, &ours, &original);
        several += usize::from(original.files.iter().any(|files| files.len() > 2));
    }
    // The inputs are worth something.
    assert!(several > 130, "{several}");
}

#[test]
fn what_is_logged_does_not_depend_on_how_the_input_is_cut() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for _ in 0..150 {
        let script = script(&mut numbers);
        let input = input(&mut numbers, 3000);
        let (mut ours, mut original) = (Ours::new(&script), Original::new(&script));
        // A clock that sometimes stands, and comes by the end of a second.
        let mut now = 1_790_000_000_999_999_990;
        for piece in numbers.cut(&input, &PIECES) {
            now += numbers.pick(&[0, 0, 1, 5, 1_000_000_000]);
            ours.read(piece, now);
            original.read(piece, now);
        }
        assert_same(&script, &ours.end(now).joined(), &original.end().joined());
    }
}

#[test]
fn a_line_may_be_cut_at_every_place() {
    let script: [&[u8]; 8] = [b"t", b"=s", b"./a", b"-*y", b"e", b"./b", b"-*", b"./c"];
    let script = Script::parse(script);
    for length in [0, 1, 5, 199, 200, 201, 973, 974, 975, 1000, 1100] {
        let input = [&b"x\n"[..], &vec![b'x'; length], b"y\n\nlast"].concat();
        let mut original = Original::new(&script);
        original.read(&input, 7);
        let original = original.end().joined();
        for place in 0..=input.len() {
            let mut ours = Ours::new(&script);
            ours.read(&input[..place], 7);
            // Looked at twice, as when a signal comes.
            ours.read(b"", 7);
            ours.read(&input[place..], 7);
            assert_same(&script, &ours.end(7).joined(), &original);
        }
    }
}

#[test]
fn what_is_taken_is_whole_lines_and_parts_of_long_ones() {
    let mut numbers = Numbers(0x1234_5678_9ABC_DEF1);
    for _ in 0..400 {
        let script = script(&mut numbers);
        let before = if script.stamps { 26 } else { 0 };
        let mut lines = Lines::new(&script, Room::Large);
        let input = input(&mut numbers, 3000);
        let mut at = 0;
        let mut there = 0;
        let mut seen = 0;
        while there < input.len() {
            there = input.len().min(there + 1 + numbers.below(2000));
            loop {
                let taken = lines.take(&input[at..there], seen, Tai64n::default());
                at += taken.bytes;
                seen = taken.seen;
                if taken.bytes == 0 {
                    break;
                }
            }
            let left = &input[at..there];
            // What is left is the beginning of a line that is not long yet.
            assert!(!left.contains(&b'\n') && left.len() + before < 1000);
            assert_eq!(seen, left.len());
            let start = input[..at].iter().rposition(|byte| *byte == b'\n');
            let begun = at - start.map_or(0, |newline| newline + 1);
            assert_eq!(lines.is_in_long_line(), begun > 0);
            assert!(begun == 0 || (begun + before >= 1000 && left.is_empty()));
        }
    }
}

#[test]
fn what_was_killed_in_a_long_line_goes_on_in_it() {
    let script: [&[u8]; 4] = [b"./a", b"-x*", b"./b", b"t"];
    let script = Script::parse(script);
    for selected in [[true, false], [false, true]] {
        let mut lines = Lines::new(&script, Room::Large);
        lines.resume(Some(&selected), None);
        assert_eq!(lines.long_line(0), Some(selected[0]));
        assert_eq!(lines.long_line(1), Some(selected[1]));
        let input = b"rest\nx\ny\n";
        assert_eq!(lines.take(input, 0, Tai64n::default()).bytes, 9);
        let expected: &[u8] = if selected[1] { b"rest\ny\n" } else { b"y\n" };
        assert_eq!(lines.output(1, input).0, expected);
        assert_eq!(lines.long_line(1), None);
    }
}

#[test]
fn no_more_is_made_at_once_than_there_should_be() {
    let script: [&[u8]; 4] = [b"t", b"./a", b"-nothing", b"./b"];
    for room in [Room::Large, Room::Small] {
        let mut lines = Lines::new(&Script::parse(script), room);
        let input = vec![b'\n'; 64 * 1024];
        let (mut at, mut seen, mut rounds) = (0, 0, 0);
        while at < input.len() {
            let taken = lines.take(&input[at..], seen, Tai64n::default());
            let text = lines.output(0, &input[at..at + taken.bytes]).0;
            assert_eq!(text.len(), taken.bytes * 27);
            assert!(text.len() <= room.enough() + READ * 27, "{}", text.len());
            assert_eq!(lines.output(1, &[]).0, text);
            (at, seen, rounds) = (at + taken.bytes, taken.seen, rounds + 1);
        }
        assert!(rounds > 10);
    }
}

#[test]
fn whatever_comes_no_buffer_grows() {
    let script: [&[u8]; 5] = [b"t", b"e", b"./a", b"-nothing", b"./b"];
    let mut numbers = Numbers(7);
    for (room, stamps) in [
        (Room::Large, true),
        (Room::Small, true),
        (Room::Large, false),
        (Room::Small, false),
    ] {
        let script = || Script::parse(script.into_iter().skip(usize::from(!stamps)));
        let mut lines = Lines::new(&script(), room);
        let buffers = |lines: &Lines| {
            let own: usize = lines.own.iter().map(|(text, _)| text.capacity()).sum();
            own + lines.text.capacity() + lines.stderr.capacity()
        };
        let before = buffers(&lines);
        assert_eq!(before, Lines::needs(&script(), room));
        for round in 0..200 {
            // Short lines to the brim, and then a long one.
            let mut input = vec![b'x'; room.batch() + JournalEntry::LONGEST];
            let short = numbers.below(input.len());
            // Of lines a little longer than is shown, `e` shows the most.
            let length = match round % 3 {
                0 => 1 + numbers.below(2),
                1 => 202,
                _ => 1 + numbers.below(1500),
            };
            for place in (0..short).step_by(length) {
                input[place] = b'\n';
            }
            let taken = lines.take(&input, numbers.below(READ), Tai64n::default());
            assert!(taken.bytes > 0);
        }
        assert_eq!(buffers(&lines), before, "{room:?} {stamps}");
    }
}

#[test]
fn a_clock_that_is_set_back_is_followed() {
    let script: [&[u8]; 2] = [b"t", b"./a"];
    let mut lines = Lines::new(&Script::parse(script), Room::Large);
    let mut out = Vec::new();
    for (input, now) in [
        (&b"\n"[..], 5_000_000_000),
        (b"\n\n", 4_900_000_000),
        (b"\n", 2_000_000_000),
    ] {
        lines.take(input, 0, moment(now));
        out.extend_from_slice(lines.output(0, input).0);
    }
    let expected = [5_000_000_000, 5_000_000_001, 5_000_000_002, 2_000_000_000];
    let expected: Vec<u8> = expected
        .into_iter()
        .flat_map(|at| [&moment(at).text()[..], b" \n"].concat())
        .collect();
    assert_eq!(out, expected);
}
