//! A multilog that is killed at every step of what it does, and goes on.
//!
//! The pipe, the directories and the marks in them are played here, in the order
//! of `shell` and `dir`; lines, cuts, marks and where to go on are the real ones.

use super::*;
use crate::formats::mark::{FileId, Reading};
use crate::formats::tai64n::Tai64n;
use crate::multilog::cutter::Cutter;
use crate::multilog::lines::{Lines, Taken};
use crate::multilog::script::Script;
use crate::numbers::Numbers;

const READING: Reading = Reading {
    boot: [7; 16],
    pipe: (1, 2),
    script: 3,
};

impl Kill {
    /// Whether it may begin at this place; `exactly`: if no other has shifted it.
    fn may_repeat_at(&self, at: usize, exactly: bool) -> bool {
        let behind = self.behind.unwrap_or(self.from);
        if exactly {
            at == self.from || at == behind
        } else {
            (self.from..=behind + self.most).contains(&at)
        }
    }
}

/// What outlives a KILL, of one directory.
#[derive(Clone, Default)]
struct Log {
    /// All files, in the order in which they were begun.
    files: Vec<Vec<u8>>,
    current: Option<usize>,
    previous: Option<usize>,
    /// The mode of `current` says so.
    is_safe: bool,
    lock: Vec<u8>,
}

/// Every file has an inode of its own.
fn id(file: usize) -> FileId {
    FileId {
        inode: file as u64 + 100,
        born: 1,
    }
}

impl Log {
    fn length(&self) -> usize {
        self.files.iter().map(Vec::len).sum()
    }
}

/// What outlives a KILL.
#[derive(Clone)]
struct World {
    /// What was not written to the pipe yet.
    to_come: Vec<u8>,
    pipe: Vec<u8>,
    logs: Vec<Log>,
}

/// The process was killed.
struct Killed;

/// Where something may stand twice because of that.
#[derive(Clone, Copy, Debug)]
struct Kill {
    /// Here in the text of a directory.
    from: usize,
    /// Or behind what was held, which comes first.
    behind: Option<usize>,
    /// How much, in bytes.
    most: usize,
}

/// In the memory of the process, of one directory.
struct Dir {
    cutter: Cutter,
    size: u64,
    written: u64,
    mark: Mark,
}

/// How a situation is played.
struct Play {
    script: Script,
    numbers: Numbers,
    world: World,
    /// So many steps the process does before it is killed.
    left: Option<usize>,
    steps: usize,
    /// How much is looked at at once, in bytes.
    batch: usize,
    /// Whether marks fail to be written now and then.
    marks_fail: bool,
    /// Something may stand twice if the process is killed now.
    may_repeat: bool,
    /// How long the last two batches can be in a directory.
    lengths: [usize; 2],
    /// For each directory, where in its text the process was killed.
    kills: Vec<Vec<Kill>>,
}

impl Play {
    fn new(script: &Script, seed: u64, input: &[u8]) -> Play {
        let count = script.directories.len();
        Play {
            script: script.clone(),
            numbers: Numbers(seed),
            world: World {
                to_come: input.to_vec(),
                pipe: vec![],
                logs: vec![Log::default(); count],
            },
            left: None,
            steps: 0,
            batch: 4000,
            marks_fail: false,
            may_repeat: false,
            lengths: [0, 0],
            kills: vec![vec![]; count],
        }
    }

    /// Something that cannot be half done; the KILL may come before it.
    fn step(&mut self) -> Result<(), Killed> {
        match &mut self.left {
            Some(0) => return Err(Killed),
            Some(left) => *left -= 1,
            None => {}
        }
        self.steps += 1;
        Ok(())
    }

    /// One process from its start to its end: killed, told to end, or by itself.
    /// True if there is nothing more to do.
    fn process(&mut self, left: Option<usize>) -> bool {
        self.left = left;
        self.may_repeat = false;
        match self.run() {
            Ok(is_done) => is_done,
            Err(Killed) => {
                let [before, last] = self.lengths;
                let most = if self.may_repeat { before.max(last) } else { 0 };
                let marks = self.world.logs.iter();
                let marks = marks.filter_map(|log| Mark::decode(&log.lock));
                let held = marks.map(|mark| mark.held.len()).max();
                for (kills, log) in self.kills.iter_mut().zip(&self.world.logs) {
                    let from = log.length();
                    let stamp = if self.script.stamps { 26 } else { 0 };
                    let behind = held
                        .filter(|held| *held > 0)
                        .map(|held| from + stamp + held);
                    kills.push(Kill { from, behind, most });
                }
                false
            }
        }
    }

    fn run(&mut self) -> Result<bool, Killed> {
        let mut lines = Lines::new(&self.script);
        let found: Vec<Found> = self
            .world
            .logs
            .iter()
            .map(|log| {
                let mark = Mark::decode(&log.lock);
                let file = mark.as_ref().map(|mark| mark.file);
                let mut files = [log.current, log.previous].into_iter().flatten();
                let size = files.find(|place| Some(id(*place)) == file);
                Found {
                    mark,
                    size: size.map(|place| log.files[place].len() as u64),
                }
            })
            .collect();
        let resume = resume(&found);
        // Until all is marked anew, files may have got other names.
        self.may_repeat = true;
        let mut dirs = Vec::new();
        for number in 0..self.world.logs.len() {
            dirs.push(self.start(number)?);
        }
        if let Some(selected) = &resume.long_line {
            lines.resume_long_line(selected);
        }
        for number in resume.order {
            let dir = &mut dirs[number];
            dir.written = resume.written[number];
            dir.mark.batch = resume.batch + 1;
            dir.mark.moved = dir.written;
            dir.mark.long_line = lines.long_line(number);
            dir.mark.long_line_before = dir.mark.long_line;
            dir.mark.held = resume.held.clone();
            self.write_mark(number, dir)?;
        }
        self.may_repeat = self.marks_fail;
        self.turn(&mut lines, &mut dirs, resume.held)
    }

    /// Puts the files in order.
    fn start(&mut self, number: usize) -> Result<Dir, Killed> {
        if !self.world.logs[number].is_safe {
            self.step()?;
            self.world.logs[number].previous = None;
            self.step()?;
            self.world.logs[number].current = None;
            self.step()?;
            self.create(number);
        }
        self.step()?;
        let log = &mut self.world.logs[number];
        log.is_safe = false;
        let current = log.current.unwrap();
        let size = log.files[current].len() as u64;
        Ok(Dir {
            cutter: Cutter::new(self.script.directories[number].size, size),
            size,
            written: 0,
            mark: Mark {
                reading: READING,
                batch: 0,
                file: id(current),
                size,
                moved: 0,
                length: 0,
                long_line: None,
                long_line_before: None,
                held: vec![],
            },
        })
    }

    fn create(&mut self, number: usize) {
        let log = &mut self.world.logs[number];
        log.current = Some(log.files.len());
        log.files.push(vec![]);
    }

    fn write_mark(&mut self, number: usize, dir: &Dir) -> Result<(), Killed> {
        self.step()?;
        let lock = &mut self.world.logs[number].lock;
        let is_needed = !dir.mark.held.is_empty() || dir.mark.long_line.is_some();
        if self.marks_fail && !is_needed && self.numbers.one_in(5) {
            lock.clear();
            return Ok(());
        }
        // What stands behind a mark is of a longer one.
        let bytes = dir.mark.encode();
        let rest = lock.get(bytes.len()..).unwrap_or_default().to_vec();
        *lock = [bytes, rest].concat();
        Ok(())
    }

    fn turn(
        &mut self,
        lines: &mut Lines,
        dirs: &mut [Dir],
        mut buffer: Vec<u8>,
    ) -> Result<bool, Killed> {
        // So many bytes of the buffer are not in the pipe any more.
        let mut held = buffer.len();
        let mut seen = held;
        loop {
            let more = self
                .numbers
                .below(self.batch.min(self.world.to_come.len()) + 1);
            let more: Vec<u8> = self.world.to_come.drain(..more).collect();
            self.world.pipe.extend(more);
            if self.numbers.one_in(10) {
                for (number, dir) in dirs.iter_mut().enumerate() {
                    if dir.size > 0 {
                        dir.cutter.begin();
                        self.rotate(number, dir)?;
                    }
                }
            }
            let is_in_line = seen > 0 || lines.is_in_long_line();
            if !is_in_line && self.numbers.one_in(30) {
                self.close(dirs)?;
                return Ok(false);
            }
            buffer.truncate(held);
            let look = self.world.pipe.len().min(self.batch);
            buffer.extend_from_slice(&self.world.pipe[..look]);
            let real = buffer.len();
            let is_end = self.world.to_come.is_empty() && look == self.world.pipe.len();
            if is_end {
                let is_unfinished = match buffer.last() {
                    Some(byte) => *byte != b'\n',
                    None => lines.is_in_long_line(),
                };
                if is_unfinished {
                    buffer.push(b'\n');
                }
            }
            let mut done = 0;
            loop {
                let input = buffer[done..].to_vec();
                let in_line: Vec<bool> = (0..dirs.len())
                    .map(|number| lines.long_line(number) == Some(true))
                    .collect();
                let Taken { bytes, seen: now } = lines.take(&input, seen, Tai64n::default());
                seen = now;
                if bytes == 0 {
                    break;
                }
                let taken = &input[..bytes];
                // Each piece of a line that comes again may get a stamp.
                let pieces = taken.split(|byte| *byte == b'\n').count();
                self.lengths = [self.lengths[1], bytes + 26 * pieces];
                for (number, dir) in dirs.iter_mut().enumerate() {
                    let (text, flushes) = lines.output(number, taken);
                    self.write(number, dir, text, flushes, in_line[number])?;
                }
                for (number, dir) in dirs.iter_mut().enumerate() {
                    let length = lines.output(number, taken).0.len();
                    self.note(number, dir, length, lines.long_line(number), &[])?;
                }
                let out = (done + bytes).min(real);
                self.take_out(out.saturating_sub(held.max(done)))?;
                done += bytes;
            }
            buffer.drain(..done);
            if done > 0 {
                held = 0;
            }
            if is_end {
                self.close(dirs)?;
                assert_eq!((&self.world.pipe, buffer), (&vec![], vec![]));
                return Ok(true);
            }
            let pending = buffer.len() - held;
            if pending > 0 && self.numbers.one_in(3) {
                self.lengths = [buffer.len() + 26; 2];
                for (number, dir) in dirs.iter_mut().enumerate() {
                    self.note(number, dir, 0, lines.long_line(number), &buffer)?;
                }
                self.take_out(pending)?;
                held = buffer.len();
            }
        }
    }

    fn write(
        &mut self,
        number: usize,
        dir: &mut Dir,
        text: &[u8],
        flushes: &[usize],
        in_line: bool,
    ) -> Result<(), Killed> {
        let there = usize::try_from(dir.written).unwrap().min(text.len());
        dir.written -= there as u64;
        let (old, text) = text.split_at(there);
        let in_line = old.last().map_or(in_line, |byte| *byte != b'\n');
        let places: Vec<usize> = flushes
            .iter()
            .map(|place| place.saturating_sub(there))
            .collect();
        let mut cuts = vec![];
        dir.cutter.cut(text, &places, in_line, &mut cuts);
        let mut from = 0;
        for to in cuts {
            self.append(number, dir, &text[from..to])?;
            self.rotate(number, dir)?;
            from = to;
        }
        self.append(number, dir, &text[from..])
    }

    /// A write may be interrupted anywhere.
    fn append(&mut self, number: usize, dir: &mut Dir, text: &[u8]) -> Result<(), Killed> {
        let mut text = text;
        while !text.is_empty() {
            self.step()?;
            let count = self.numbers.below(text.len()) + 1;
            let log = &mut self.world.logs[number];
            log.files[log.current.unwrap()].extend_from_slice(&text[..count]);
            dir.size += count as u64;
            text = &text[count..];
        }
        Ok(())
    }

    fn rotate(&mut self, number: usize, dir: &mut Dir) -> Result<(), Killed> {
        self.step()?;
        let log = &mut self.world.logs[number];
        log.previous = log.current.take();
        self.step()?;
        self.create(number);
        dir.mark.moved += dir.size - dir.mark.size;
        dir.mark.size = 0;
        dir.mark.file = id(self.world.logs[number].current.unwrap());
        dir.size = 0;
        self.write_mark(number, dir)?;
        self.step()?;
        self.world.logs[number].previous = None;
        Ok(())
    }

    fn note(
        &mut self,
        number: usize,
        dir: &mut Dir,
        length: usize,
        long_line: Option<bool>,
        held: &[u8],
    ) -> Result<(), Killed> {
        dir.mark.batch += 1;
        dir.mark.size = dir.size;
        dir.mark.moved = dir.written;
        dir.mark.length = length as u64;
        dir.mark.long_line_before = std::mem::replace(&mut dir.mark.long_line, long_line);
        dir.mark.held = held.to_vec();
        self.write_mark(number, dir)?;
        // The last one: nothing tells any more whether the batch is still there.
        self.may_repeat |= number + 1 == self.world.logs.len();
        Ok(())
    }

    /// The bytes leave the pipe in several pieces.
    fn take_out(&mut self, count: usize) -> Result<(), Killed> {
        let mut left = count;
        while left > 0 {
            self.step()?;
            let piece = self.numbers.below(left) + 1;
            self.world.pipe.drain(..piece);
            left -= piece;
        }
        self.may_repeat = self.marks_fail;
        Ok(())
    }

    fn close(&mut self, dirs: &[Dir]) -> Result<(), Killed> {
        for (number, dir) in dirs.iter().enumerate() {
            self.step()?;
            self.world.logs[number].is_safe = true;
            self.step()?;
            if dir.written == 0 {
                self.world.logs[number].lock.clear();
            }
        }
        Ok(())
    }

    /// What is wrong with what stands in the logs.
    fn check(&self, input: &[u8]) -> Result<(), String> {
        for (number, log) in self.world.logs.iter().enumerate() {
            let expected = expected(&self.script, input, number);
            let text = log.files.concat();
            let kills = &self.kills[number];
            let stamps = self.script.stamps;
            // The second is slow, and for the few cases in which what stands twice
            // has in it what stands twice.
            let wrong = wrong(&text, &expected, kills, stamps, true)
                .and_then(|_| wrong(&text, &expected, kills, stamps, false));
            if let Some(at) = wrong {
                let around = &text[at.saturating_sub(400)..text.len().min(at + 100)];
                return Err(format!(
                    "directory {number}, kills {kills:?}, {at} of {} bytes, not {}: {}",
                    text.len(),
                    expected.len(),
                    around.escape_ascii(),
                ));
            }
        }
        Ok(())
    }
}

/// What a directory gets if nobody is killed.
fn expected(script: &Script, input: &[u8], number: usize) -> Vec<u8> {
    let mut lines = Lines::new(script);
    let mut all = input.to_vec();
    if all.last().is_some_and(|byte| *byte != b'\n') {
        all.push(b'\n');
    }
    let mut expected = Vec::new();
    let (mut at, mut seen) = (0, 0);
    while at < all.len() {
        let taken = lines.take(&all[at..], seen, Tai64n::default());
        expected.extend_from_slice(lines.output(number, &all[at..at + taken.bytes]).0);
        (at, seen) = (at + taken.bytes, taken.seen);
    }
    expected
}

/// Where it shows that `text` is not `expected`, but for pieces that may stand there twice: at
/// most one for each of `kills`. With `stamps`, those
/// are not compared.
fn wrong(
    text: &[u8],
    expected: &[u8],
    kills: &[Kill],
    stamps: bool,
    exactly: bool,
) -> Option<usize> {
    let is_stamp = stamps_of(expected, stamps);
    let fits = |place: usize, byte: u8| {
        let wanted = expected.get(place);
        wanted.is_some_and(|wanted| *wanted == byte || is_stamp[place])
    };
    // At which places of `expected` one can be: reading on, or passing over what
    // stands twice, which ends before that place of `text` or there.
    let mut reading: Vec<usize> = vec![0];
    let mut passing: Vec<(usize, usize)> = vec![];
    let kills: Vec<&Kill> = kills.iter().filter(|kill| kill.most > 0).collect();
    for (at, byte) in text.iter().enumerate() {
        for kill in &kills {
            if kill.may_repeat_at(at, exactly) {
                let end = at + kill.most;
                passing
                    .iter_mut()
                    .for_each(|(_, last)| *last = end.max(*last));
                passing.extend(reading.iter().map(|place| (*place, end)));
                passing.sort_unstable();
                passing.reverse();
                passing.dedup_by_key(|(place, _)| *place);
            }
        }
        let ends = passing.iter().map(|(place, _)| *place);
        let mut places: Vec<usize> = reading
            .into_iter()
            .chain(ends)
            .filter(|place| fits(*place, *byte))
            .map(|place| place + 1)
            .collect();
        if places.len() > 1 {
            places.sort_unstable();
            places.dedup();
        }
        reading = places;
        passing.retain(|(_, last)| *last > at);
        if reading.is_empty() && passing.is_empty() {
            return Some(at);
        }
    }
    let mut places = reading.iter().chain(passing.iter().map(|(place, _)| place));
    (!places.any(|place| *place == expected.len())).then_some(text.len())
}

/// For each byte of a text whether it is of a stamp.
fn stamps_of(text: &[u8], stamps: bool) -> Vec<bool> {
    let mut place = 0;
    let of = |byte: &u8| {
        place += 1;
        let is_stamp = stamps && place <= 26;
        if *byte == b'\n' {
            place = 0;
        }
        is_stamp
    };
    text.iter().map(of).collect()
}

fn script(words: &[&str]) -> Script {
    Script::parse(words.iter().map(|word| word.as_bytes()))
}

/// Lines that begin with a, b or c and are told apart by their numbers.
fn input(numbers: &mut Numbers, lines: usize, longest: usize) -> Vec<u8> {
    let mut input = Vec::new();
    for number in 0..lines {
        let letter = b"abc"[numbers.below(3)];
        input.push(letter);
        if numbers.one_in(4) {
            let mut place = 0;
            let length = numbers.below(longest);
            while place < length {
                let piece = format!("{number}.{place} ");
                place += piece.len();
                input.extend(piece.bytes());
            }
        } else {
            input.extend(format!("{number}").bytes());
        }
        input.push(b'\n');
    }
    if numbers.one_in(2) {
        input.extend(b"c unfinished");
    }
    input
}

/// The first word decides what a line is: what is mended of one that stands twice
/// in part does not change who gets it.
const SCRIPTS: [&[&str]; 5] = [
    &["s4096", "./a"],
    &["s4096", "./a", "-b*", "./b"],
    &["s4096", "-a*", "./a", "+*", "-b*", "./b", "-c*", "./c"],
    &["t", "s4096", "./a", "-* b*", "./b"],
    &["t", "s4096", "-* a*", "./a", "-* b*", "./b"],
];

#[test]
fn the_check_finds_what_is_lost_and_what_stands_twice() {
    let expected = b"one\ntwo\nthree\n";
    let is_whole = |text: &[u8], expected: &[u8], kills: &[(usize, usize)], stamps| {
        let kill = |(from, most): &(usize, usize)| Kill {
            from: *from,
            behind: None,
            most: *most,
        };
        let kills: Vec<Kill> = kills.iter().map(kill).collect();
        wrong(text, expected, &kills, stamps, true).is_none()
    };
    assert!(is_whole(expected, expected, &[], false));
    assert!(!is_whole(b"one\nthree\n", expected, &[(4, 9)], false));
    assert!(!is_whole(b"one\ntwo\ntwo\nthree\n", expected, &[], false));
    assert!(!is_whole(
        b"one\ntwo\ntwo\nthree\n",
        expected,
        &[(8, 3)],
        false
    ));
    assert!(is_whole(
        b"one\ntwo\ntwo\nthree\n",
        expected,
        &[(8, 4)],
        false
    ));
    assert!(!is_whole(b"one\ntwo\n", expected, &[(8, 4)], false));
    assert!(!is_whole(b"two\none\nthree\n", expected, &[(4, 4)], false));
}

#[test]
fn killed_at_every_step_it_loses_nothing() {
    for (number, words) in SCRIPTS.into_iter().enumerate() {
        let script = script(words);
        let seed = number as u64 * 77 + 5;
        let input = input(&mut Numbers(seed), 16, 2500);
        let play = |kills: &[usize]| {
            let mut play = Play::new(&script, seed + 1, &input);
            let mut coming = kills.iter().copied();
            while !play.process(coming.next()) {}
            if let Err(why) = play.check(&input) {
                panic!("{words:?}, killed at {kills:?}: {why}");
            }
            play.steps
        };
        let steps = play(&[]);
        assert!(steps > 60, "{steps}");
        for first in 0..steps {
            play(&[first]);
            // And again, soon, while it puts all in order.
            if first % 3 == number % 3 {
                play(&[first, 3, 3]);
                play(&[first, 6, 6]);
            }
        }
    }
}

#[test]
fn killed_again_and_again_it_loses_nothing() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let (mut exact, mut repeated) = (0, 0);
    for round in 0..100_u64 {
        let script = script(SCRIPTS[numbers.below(SCRIPTS.len())]);
        let input = input(&mut numbers, 80, 3000);
        let mut play = Play::new(&script, round * 3 + 1, &input);
        play.batch = [50, 500, 4000, 70_000][numbers.below(4)];
        play.marks_fail = round % 5 == 4;
        for _ in 0..numbers.below(8) {
            let most = [10, 40, 300][numbers.below(3)];
            if play.process(Some(numbers.below(most))) {
                break;
            }
        }
        while !play.process(None) {}
        if let Err(why) = play.check(&input) {
            panic!("round {round}, {:?}: {why}", play.script);
        }
        let length: usize = play.world.logs.iter().map(Log::length).sum();
        let count = play.script.directories.len();
        let wanted: usize = (0..count)
            .map(|number| expected(&play.script, &input, number).len())
            .sum();
        if length == wanted {
            exact += 1;
        } else {
            repeated += 1;
        }
    }
    // Mostly nothing stands twice, but the play has that, too.
    assert!(exact > 40 && repeated > 5, "{exact} {repeated}");
}

/// A mark as it stands after batch `batch`.
fn mark(batch: u64) -> Mark {
    Mark {
        reading: READING,
        batch,
        file: id(0),
        size: 1000,
        moved: 0,
        length: 70,
        long_line: None,
        long_line_before: None,
        held: vec![],
    }
}

fn found(mark: Mark, size: Option<u64>) -> Found {
    Found {
        mark: Some(mark),
        size,
    }
}

#[test]
fn the_cases_of_the_table_are_told_apart() {
    // Nothing is known: nothing is there.
    let nothing = resume(&[Found::default(), Found::default()]);
    let expected = Resume {
        order: vec![0, 1],
        written: vec![0, 0],
        ..Resume::default()
    };
    assert_eq!(nothing, expected);
    // One is marked, the other not: the batch is whole in the pipe.
    let one = resume(&[found(mark(5), Some(1000)), found(mark(4), Some(1030))]);
    assert_eq!((one.batch, one.written), (5, vec![70, 30]));
    assert_eq!(one.order, [0, 1]);
    let other = resume(&[found(mark(4), Some(1030)), found(mark(5), Some(1000))]);
    assert_eq!(other.order, [1, 0]);
    // All are marked, one has grown: that is of the next.
    let grown = resume(&[found(mark(5), Some(1000)), found(mark(5), Some(1001))]);
    assert_eq!((grown.batch, grown.written), (5, vec![0, 1]));
    // All are marked, none has grown: it is taken for gone.
    let still = resume(&[found(mark(5), Some(1000)), found(mark(5), Some(1000))]);
    assert_eq!((still.batch, still.written), (5, vec![0, 0]));
    // Killed again and again while all were marked anew: the lowest tells.
    let nothing = Mark {
        moved: 40,
        length: 0,
        ..mark(9)
    };
    let again = resume(&[
        found(nothing, Some(1000)),
        found(mark(5), Some(1010)),
        found(mark(4), Some(1020)),
    ]);
    assert_eq!((again.batch, again.written), (9, vec![40, 80, 20]));
    // A directory whose mark is gone gets all.
    let gone = resume(&[found(mark(5), Some(1010)), Found::default()]);
    assert_eq!((gone.batch, gone.written), (5, vec![10, 0]));
    // What went to earlier files counts; a file that is not there does not.
    let moved = Mark {
        moved: 400,
        size: 0,
        ..mark(5)
    };
    assert_eq!(resume(&[found(moved.clone(), Some(9))]).written, [409]);
    assert_eq!(resume(&[found(moved, None)]).written, [400]);
    assert_eq!(resume(&[found(mark(5), Some(1))]).written, [0]);
}

#[test]
fn the_long_line_and_the_held_bytes_are_those_where_the_pipe_stands() {
    let before = Mark {
        long_line: Some(false),
        ..mark(4)
    };
    let after = Mark {
        held: b"held".to_vec(),
        ..mark(5)
    };
    for (is_logged, is_known) in [(true, true), (false, true), (true, false)] {
        let after = Mark {
            long_line_before: is_known.then_some(is_logged),
            ..after.clone()
        };
        let still_there = resume(&[found(after, None), found(before.clone(), None)]);
        assert_eq!(still_there.long_line, Some(vec![is_logged, false]));
        assert_eq!(still_there.held, b"");
    }
    let gone = resume(&[found(after.clone(), None), found(after, None)]);
    assert_eq!((gone.long_line, gone.held), (None, b"held".to_vec()));
}
