//! A multilog that is killed, and goes on.
//!
//! The pipe, the directories and the marks in them are played here, in the order
//! of `shell` and `dir`; lines, cuts, marks and where to go on are the real ones.

use super::*;
use crate::formats::tai64n::Tai64n;
use crate::multilog::cutter::Cutter;
use crate::multilog::lines::{Lines, Taken};
use crate::multilog::proof::{Before, Known, Tail};
use crate::multilog::rush::Room;
use crate::multilog::script::Script;
use crate::numbers::Numbers;
use std::io;
use std::os::unix::fs::FileExt;

pub(super) const READING: Reading = Reading {
    boot: [7; 16],
    pipe: (1, 2),
    script: 3,
};

pub(super) const ORIGIN: u64 = 4;

/// What outlives a KILL, of one directory.
#[derive(Clone, Default)]
pub(super) struct Log {
    /// All files, in the order in which they were begun.
    pub(super) files: Vec<Vec<u8>>,
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
    /// What is found of it, as in [`crate::multilog::locked`].
    fn found(&self) -> Found {
        let mark = Mark::decode(&self.lock);
        let place = mark.as_ref().map(|mark| mark.file.inode as usize - 100);
        let files = place.and_then(|place| self.files.get(place..));
        let (file, later) = files.unwrap_or_default().split_first().unzip();
        let is_last = later.is_some_and(|later| later.iter().all(Vec::is_empty));
        Found {
            mark: mark.filter(|_| is_last),
            size: file.filter(|_| is_last).map(|file| file.len() as u64),
        }
    }

    /// What the files end with, as far as the mark speaks of it.
    fn tail(&self, found: &Found) -> Option<Tail<Memory>> {
        let mark = found.mark.as_ref()?;
        let files = self.files.iter().cloned();
        let files = files
            .map(|file| (file.clone(), file.len() as u64))
            .collect();
        let length = found.grown(mark).saturating_add(mark.length);
        let open = |file: &Vec<u8>| Ok(Memory(file.clone()));
        Some(Tail::through(files, length, open))
    }

    pub(super) fn length(&self) -> usize {
        self.files.iter().map(Vec::len).sum()
    }
}

/// What outlives a KILL.
#[derive(Clone)]
pub(super) struct World {
    /// What was not written to the pipe yet.
    to_come: Vec<u8>,
    pipe: Vec<u8>,
    pub(super) logs: Vec<Log>,
}

/// The process was killed.
struct Killed;

/// Where something may stand twice because of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    /// Here in the text of a directory.
    pub(super) from: usize,
    /// Or behind what was held, which comes first.
    pub(super) behind: Option<usize>,
    /// How much, in bytes.
    pub(super) most: usize,
}

impl Kill {
    /// Whether it may begin at this place; `exactly`: if no other has shifted it.
    pub(super) fn may_repeat_at(&self, at: usize, exactly: bool) -> bool {
        let behind = self.behind.unwrap_or(self.from);
        if exactly {
            at == self.from || at == behind
        } else {
            (self.from..=behind + self.most).contains(&at)
        }
    }
}

/// In the memory of the process, of one directory.
struct Dir {
    cutter: Cutter,
    size: u64,
    before: Before<Memory>,
    mark: Mark,
    batch: u64,
}

/// A file that is read.
struct Memory(Vec<u8>);

impl FileExt for Memory {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.get(usize::try_from(offset).unwrap()..);
        let mut rest = rest.unwrap_or_default();
        io::Read::read(&mut rest, buffer)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// How a situation is played.
pub(super) struct Play {
    pub(super) script: Script,
    numbers: Numbers,
    pub(super) world: World,
    /// So many steps the process does before it is killed.
    left: Option<usize>,
    pub(super) steps: usize,
    /// How much is looked at at once, in bytes.
    pub(super) batch: usize,
    /// Whether marks fail to be written now and then.
    pub(super) marks_fail: bool,
    /// Whether unfinished lines are taken out of the pipe and held, and a KILL finds
    /// batches taken out in part.
    pub(super) splits: bool,
    /// So many processes were begun.
    begun: u64,
    /// How often what the pipe began with was not what the files end with.
    pub(super) mismatches: usize,
    /// Something may stand twice if the process is killed now.
    may_repeat: bool,
    /// How long the last two batches can be in a directory.
    lengths: [usize; 2],
    /// For each directory, where in its text the process was killed.
    pub(super) kills: Vec<Vec<Kill>>,
}

impl Play {
    pub(super) fn new(script: &Script, seed: u64, input: &[u8]) -> Play {
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
            splits: true,
            begun: ORIGIN,
            mismatches: 0,
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
    pub(super) fn process(&mut self, left: Option<usize>) -> bool {
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

    fn noted(&self) -> Vec<Noted> {
        let logs = self.world.logs.iter();
        logs.map(|log| Noted::decode(&log.lock)).collect()
    }

    fn run(&mut self) -> Result<bool, Killed> {
        let mut lines = Lines::new(&self.script, Room::Large);
        let logs = self.world.logs.iter();
        let origin = origin(self.noted().iter(), READING);
        let found: Vec<Found> = match origin {
            Some(_) => logs.map(Log::found).collect(),
            None => vec![Found::default(); logs.count()],
        };
        self.begun += 1;
        let resume = resume(&found, origin.unwrap_or(self.begun));
        self.may_repeat = self.marks_fail;
        let mut dirs = Vec::new();
        for (number, found) in found.iter().enumerate() {
            dirs.push(self.start(number, found)?);
        }
        if let Some(selected) = &resume.long_line {
            lines.resume_long_line(selected);
        }
        for (number, dir) in dirs.iter_mut().enumerate() {
            let there = resume.there[number];
            dir.before.expect(there.written, there.doubtful);
            dir.batch = resume.batch;
            dir.mark = resume.mark(READING, number, dir.mark.file, dir.size);
            self.write_mark(number, dir)?;
        }
        self.may_repeat = self.marks_fail;
        self.turn(&mut lines, &mut dirs, resume.held)
    }

    /// Puts the files in order.
    fn start(&mut self, number: usize, found: &Found) -> Result<Dir, Killed> {
        let tail = self.world.logs[number].tail(found);
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
            before: Before::new(tail, self.script.stamps),
            mark: Mark {
                reading: READING,
                batch: 0,
                file: id(current),
                size,
                moved: 0,
                length: 0,
                origin: ORIGIN,
                long_line: None,
                long_line_before: None,
                held: vec![],
            },
            batch: 0,
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
            *lock = vec![0];
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
            if pending > 0 && self.splits && self.numbers.one_in(3) {
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
        let known = match dir.before.take(text, in_line) {
            Some(known) => known,
            None => {
                self.mismatches += 1;
                dir.before.expect(0, 0);
                (dir.mark.moved, dir.mark.length) = (0, 0);
                self.write_mark(number, dir)?;
                Known::default()
            }
        };
        let there = known.length;
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
        dir.batch += 1;
        dir.mark.batch = dir.batch;
        dir.mark.size = dir.size;
        dir.mark.moved = dir.before.length();
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
            let piece = if self.splits {
                self.numbers.below(left) + 1
            } else {
                left
            };
            self.world.pipe.drain(..piece);
            left -= piece;
        }
        self.may_repeat = self.marks_fail;
        Ok(())
    }

    fn close(&mut self, dirs: &[Dir]) -> Result<(), Killed> {
        if dirs.iter().any(|dir| dir.before.length() > 0) {
            return Ok(());
        }
        for number in 0..dirs.len() {
            self.step()?;
            self.world.logs[number].is_safe = true;
            self.step()?;
            self.world.logs[number].lock.clear();
        }
        Ok(())
    }
}
