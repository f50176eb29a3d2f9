//! Scripts, patterns, lines and where files end beside a slow, plain model of
//! 0.76 that takes a byte at a time, on scripts and inputs that look random.

use super::super::cutter::Cutter;
use super::*;
use crate::multilog::script::Directory;
use crate::numbers::Numbers;
use std::time::Duration;

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

/// The moment `nanoseconds` after 1970.
fn moment(nanoseconds: u64) -> Tai64n {
    Tai64n::from_unix(Duration::from_nanos(nanoseconds))
}

/// What 0.76 leaves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Left {
    /// For each directory, its files.
    files: Vec<Vec<Vec<u8>>>,
    stderr: Vec<u8>,
    /// The status files.
    status: Vec<Vec<u8>>,
}

impl Left {
    fn new(script: &Script) -> Left {
        Left {
            files: vec![vec![vec![]]; script.directories.len()],
            stderr: vec![],
            status: vec![vec![]; script.status_files.len()],
        }
    }

    /// As if there were no sizes.
    fn joined(mut self) -> Left {
        for files in &mut self.files {
            *files = vec![files.concat()];
        }
        self
    }
}

/// 0.76 as it is: one byte after the other, with its buffers.
struct Original<'a> {
    script: &'a Script,
    left: Left,
    /// For each directory, its output buffer.
    buffers: Vec<Vec<u8>>,
    selected: Vec<bool>,
    line: Vec<u8>,
    is_long: bool,
    /// The next stamp, in nanoseconds after 1970.
    stamp: u64,
}

impl Original<'_> {
    fn new(script: &Script) -> Original<'_> {
        Original {
            script,
            left: Left::new(script),
            buffers: vec![vec![]; script.directories.len()],
            selected: vec![true; script.directories.len()],
            line: vec![],
            is_long: false,
            stamp: 0,
        }
    }

    /// 0.76 reads this at this moment.
    fn read(&mut self, bytes: &[u8], now: u64) {
        self.flush();
        self.stamp = self.stamp.max(now);
        for byte in bytes {
            if self.line.is_empty() && !self.is_long && self.script.stamps {
                self.line.extend(moment(self.stamp).text());
                self.line.push(b' ');
                self.stamp += 1;
            }
            match *byte {
                b'\n' => self.end_line(),
                byte if self.is_long => self.put(&[byte]),
                byte => {
                    self.line.push(byte);
                    if self.line.len() == 1000 {
                        self.act();
                        self.is_long = true;
                    }
                }
            }
        }
    }

    fn end(mut self) -> Left {
        self.flush();
        if !self.line.is_empty() || self.is_long {
            self.end_line();
        }
        self.flush();
        self.left
    }

    fn end_line(&mut self) {
        if !self.is_long {
            self.act();
        }
        self.put(b"\n");
        self.is_long = false;
    }

    /// Goes through the script with the line.
    fn act(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut selected = true;
        for action in &self.script.actions {
            match action {
                Action::Deselect(wanted) => selected &= !matches(wanted, &line),
                Action::Select(wanted) => selected |= matches(wanted, &line),
                Action::Stderr if selected => {
                    let shown = &line[..line.len().min(200)];
                    let dots = if line.len() > 200 { "..." } else { "" };
                    self.left
                        .stderr
                        .extend([shown, dots.as_bytes(), b"\n"].concat());
                }
                Action::Status(number) if selected => {
                    let mut content = vec![b'\n'; 1001];
                    content[..line.len()].copy_from_slice(&line);
                    self.left.status[*number] = content;
                }
                Action::Log(number) => self.selected[*number] = selected,
                _ => {}
            }
        }
        self.put(&line);
    }

    /// Sends bytes of the line to the directories that get it.
    fn put(&mut self, bytes: &[u8]) {
        for number in 0..self.buffers.len() {
            if !self.selected[number] {
                continue;
            }
            if bytes.len() > 512 - self.buffers[number].len() {
                let buffered = std::mem::take(&mut self.buffers[number]);
                self.write(number, &buffered);
            }
            if bytes.len() > 512 {
                self.write(number, bytes);
            } else {
                self.buffers[number].extend_from_slice(bytes);
            }
        }
    }

    fn flush(&mut self) {
        for number in 0..self.buffers.len() {
            let buffered = std::mem::take(&mut self.buffers[number]);
            self.write(number, &buffered);
        }
    }

    fn write(&mut self, number: usize, bytes: &[u8]) {
        let size = usize::try_from(self.script.directories[number].size).unwrap();
        let files = &mut self.left.files[number];
        let mut bytes = bytes;
        while !bytes.is_empty() {
            if files.last().unwrap().len() >= size {
                files.push(vec![]);
            }
            let file = files.last_mut().unwrap();
            let mut length = bytes.len().min(size - file.len());
            if file.len() + length >= size - 2000
                && let Some(newline) = bytes[..length].iter().rposition(|byte| *byte == b'\n')
            {
                length = newline + 1;
            }
            file.extend_from_slice(&bytes[..length]);
            if file.len() >= size - 2000 && bytes[length - 1] == b'\n' {
                files.push(vec![]);
            }
            bytes = &bytes[length..];
        }
    }
}

/// A pattern as 0.76 goes through it.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut text = text.iter().peekable();
    let mut pattern = pattern.iter().peekable();
    while let Some(letter) = pattern.next() {
        if *letter == b'*' {
            let Some(wanted) = pattern.peek() else {
                return true;
            };
            while text.peek().is_some_and(|byte| byte != wanted) {
                text.next();
            }
            if text.peek().is_none() {
                return false;
            }
        } else if text.next() != Some(letter) {
            return false;
        }
    }
    text.next().is_none()
}

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
            lines: Lines::new(script),
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
        let mut lines = Lines::new(&script);
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
        let mut lines = Lines::new(&script);
        lines.resume_long_line(&selected);
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
    let mut lines = Lines::new(&Script::parse(script));
    let input = vec![b'\n'; 64 * 1024];
    let (mut at, mut seen, mut rounds) = (0, 0, 0);
    while at < input.len() {
        let taken = lines.take(&input[at..], seen, Tai64n::default());
        let text = lines.output(0, &input[at..at + taken.bytes]).0;
        assert_eq!(text.len(), taken.bytes * 27);
        assert!(text.len() <= ENOUGH + READ * 27, "{}", text.len());
        assert_eq!(lines.output(1, &[]).0, text);
        (at, seen, rounds) = (at + taken.bytes, taken.seen, rounds + 1);
    }
    assert!(rounds > 10);
}

#[test]
fn a_clock_that_is_set_back_is_followed() {
    let script: [&[u8]; 2] = [b"t", b"./a"];
    let mut lines = Lines::new(&Script::parse(script));
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

#[test]
fn patterns_match_as_a_plain_walk_does() {
    let mut numbers = Numbers(0xDEAD_BEEF_0BAD_F00D);
    let mut matched = 0;
    for _ in 0..50_000 {
        let length = numbers.below(30);
        let text = numbers.some(length, b"ab* \0\xff");
        // From the text, so that some match: stars instead of some of it.
        let mut wanted = Vec::new();
        let mut at = 0;
        while at < text.len() {
            if numbers.below(5) == 0 {
                wanted.push(b'*');
                at += numbers.below(6);
            } else {
                wanted.push(if numbers.below(40) == 0 {
                    b'a'
                } else {
                    text[at]
                });
                at += 1;
            }
        }
        if numbers.below(3) == 0 {
            wanted.push(b'*');
        }
        let expected = matches(&wanted, &text);
        matched += usize::from(expected);
        assert_eq!(
            pattern::matches(&wanted, &text),
            expected,
            "{} {}",
            wanted.escape_ascii(),
            text.escape_ascii()
        );
    }
    assert!((10_000..40_000).contains(&matched), "{matched}");
}

/// The number that `word` begins with, modulo 2^64, digit by digit from behind.
fn number(word: &str) -> u128 {
    let digits = word
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(word.len());
    let mut place: u128 = 1;
    let mut sum: u128 = 0;
    for digit in word[..digits].bytes().rev() {
        sum = (sum + u128::from(digit - b'0') * place) % (1 << 64);
        place = place * 10 % (1 << 64);
    }
    sum
}

#[test]
fn scripts_mean_what_their_words_say() {
    let mut numbers = Numbers(0x0123_4567_89AB_CDEF);
    for _ in 0..5_000 {
        let words: Vec<String> = (0..numbers.below(9))
            .map(|_| {
                let kind = numbers.pick(b"tTsn!e=+-./qE \0");
                let length = numbers.below(24);
                let rest = match kind {
                    b's' | b'n' => numbers.some(length, b"0123456789999999999x"),
                    _ => numbers.some(length.min(4), b"a*/."),
                };
                let word = [&[kind], rest.as_slice()].concat();
                String::from_utf8(word).unwrap()
            })
            .collect();
        let script = Script::parse(words.iter().map(|word| word.as_bytes()));
        assert_eq!(
            script.stamps,
            words.first().is_some_and(|word| word.starts_with('t'))
        );
        // What came last before a place; each word by itself.
        let last = |place: usize, letter: char| {
            let before = words[..place].iter().rev();
            before
                .filter_map(move |word| word.strip_prefix(letter))
                .next()
        };
        let (mut actions, mut directories, mut files) = (vec![], vec![], vec![]);
        for (place, word) in words.iter().enumerate() {
            let rest = word.as_bytes().get(1..).unwrap_or_default().to_vec();
            match word.chars().next() {
                Some('-') => actions.push(Action::Deselect(rest)),
                Some('+') => actions.push(Action::Select(rest)),
                Some('e') => actions.push(Action::Stderr),
                Some('=') => {
                    actions.push(Action::Status(files.len()));
                    files.push(rest);
                }
                Some('.' | '/') => {
                    actions.push(Action::Log(directories.len()));
                    let size = last(place, 's').map_or(99_999, number);
                    directories.push(Directory {
                        name: word.clone().into_bytes(),
                        size: u64::try_from(size.clamp(4096, 2_147_483_647)).unwrap(),
                        keep: u64::try_from(last(place, 'n').map_or(10, number).max(2)).unwrap(),
                        processor: last(place, '!').map(|command| command.as_bytes().to_vec()),
                    });
                }
                _ => {}
            }
        }
        assert_eq!(script.actions, actions, "{words:?}");
        assert_eq!(script.directories, directories, "{words:?}");
        assert_eq!(script.status_files, files, "{words:?}");
    }
}
