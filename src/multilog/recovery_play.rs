//! A multilog that is killed, and goes on.
//!
//! The pipe, the directories and their journals are played here, in the order of `begin`,
//! `replay`, `shell` and `dir`; lines, cuts, entries and where to continue are the real ones.

use super::*;
use crate::formats::journal::{BatchFate, JournaledFile, batch_hash};
use crate::multilog::batch_size::Room;
use crate::multilog::cutter::Cutter;
use crate::multilog::lines::Lines;
use crate::multilog::model::moment;
use crate::multilog::script::Script;
use crate::numbers::Numbers;
use std::ops::Range;

pub(super) const INPUT: InputId = InputId {
    boot: [7; 16],
    pipe: (1, 2),
    script: 3,
};

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
fn id(file: usize) -> JournaledFile {
    JournaledFile {
        inode: file as u64 + 100,
        born: 1,
    }
}

impl Log {
    /// What is found of it, as in [`crate::multilog::locked`].
    fn found(&self) -> Found {
        let entry = JournalEntry::decode(&self.lock);
        let grown = entry.as_ref().and_then(|entry| {
            let place = entry.file.inode as usize - 100;
            let (file, later) = self.files.get(place..)?.split_first()?;
            let grown = file.get(usize::try_from(entry.size).unwrap()..)?;
            let is_last = later.iter().all(Vec::is_empty);
            is_last.then_some(grown.to_vec())
        });
        Found { entry, grown }
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
    pub(super) pipe: Vec<u8>,
    pub(super) logs: Vec<Log>,
}

/// The process was killed.
pub(super) struct Killed;

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
struct LogDir {
    cutter: Cutter,
    size: u64,
    entry: Option<JournalEntry>,
}

/// In the memory of the process.
struct Process {
    lines: Lines,
    dirs: Vec<LogDir>,
    buffer: Vec<u8>,
    held: usize,
    seen: usize,
    batch: Batch,
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
    /// So many processes were begun, and so many batches.
    begun: u64,
    /// How often the pipe did not begin with the batch that should be in it.
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
            begun: 4,
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
                let entries = self.world.logs.iter();
                let entries = entries.filter_map(|log| JournalEntry::decode(&log.lock));
                let held = entries.map(|entry| entry.batch.held.len()).max();
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
        let found: Vec<Found> = self.world.logs.iter().map(Log::found).collect();
        let resume = resume(&found, Some(INPUT));
        self.begun += 1;
        let batch = match &resume {
            Resume::Anew(_) => Batch {
                input: INPUT,
                number: self.begun * 1000,
                ..Batch::default()
            },
            Resume::Batch(interrupted) => interrupted.batch.clone(),
        };
        let mut dirs = Vec::new();
        for number in 0..found.len() {
            dirs.push(self.start(number)?);
        }
        let mut process = Process {
            lines: Lines::new(&self.script, Room::Large),
            dirs,
            buffer: vec![],
            held: 0,
            seen: 0,
            batch,
        };
        let lines = match resume {
            Resume::Anew(lines) => lines,
            Resume::Batch(interrupted) => self.finish(&mut process, &interrupted)?,
        };
        if !lines.is_empty() {
            process.hold(&lines);
            let all = process.buffer.len();
            self.deal(&mut process, all)?;
        }
        self.keep(&mut process, 0)?;
        self.turn(&mut process)
    }

    /// As in [`crate::multilog::replay`].
    fn finish(&mut self, process: &mut Process, left: &Interrupted) -> Result<Vec<u8>, Killed> {
        let batch = &left.batch;
        let is_held = batch.fate == BatchFate::Held;
        if left.is_out {
            let begun = batch.begun.filter(|_| is_held);
            process.lines.resume(left.after.as_deref(), begun);
            process.hold(if is_held { &batch.held } else { &[] });
            return Ok(vec![]);
        }
        let length = usize::try_from(batch.length).unwrap();
        let held = batch.held.len() - if is_held { length } else { 0 };
        process.hold(&batch.held[..held]);
        let there = self.world.pipe.get(..length);
        let Some(there) = there.filter(|there| batch_hash(there) == batch.hash) else {
            self.mismatches += 1;
            process.hold(&[]);
            let newline: &[u8] = if batch.held.is_empty() { b"" } else { b"\n" };
            return Ok([&batch.held, newline].concat());
        };
        process.lines.resume(left.before.as_deref(), batch.begun);
        if is_held {
            process.batch.number -= 1;
            return Ok(vec![]);
        }
        process.buffer.extend_from_slice(there);
        let real = process.buffer.len();
        if batch.fate == BatchFate::Ended {
            process.end_line();
        }
        process.seen = usize::try_from(batch.seen).unwrap();
        let usable = process.buffer.len();
        let taken = self.batch(process, 0..usable, real, batch.stamp, Some(left))?;
        assert_eq!(taken, usable);
        self.consume(process, usable)?;
        Ok(vec![])
    }

    /// Puts the files in order.
    fn start(&mut self, number: usize) -> Result<LogDir, Killed> {
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
        Ok(LogDir {
            cutter: Cutter::new(self.script.directories[number].size, size),
            size,
            entry: None,
        })
    }

    fn create(&mut self, number: usize) {
        let log = &mut self.world.logs[number];
        log.current = Some(log.files.len());
        log.files.push(vec![]);
    }

    fn write_entry(&mut self, number: usize, dir: &LogDir) -> Result<(), Killed> {
        self.step()?;
        let lock = &mut self.world.logs[number].lock;
        // What is after an entry is of a longer one.
        let bytes = dir.entry.as_ref().unwrap().encode();
        let rest = lock.get(bytes.len()..).unwrap_or_default().to_vec();
        *lock = [bytes, rest].concat();
        Ok(())
    }

    fn turn(&mut self, process: &mut Process) -> Result<bool, Killed> {
        loop {
            let more = self
                .numbers
                .below(self.batch.min(self.world.to_come.len()) + 1);
            let more: Vec<u8> = self.world.to_come.drain(..more).collect();
            self.world.pipe.extend(more);
            if self.numbers.one_in(10) {
                for number in 0..process.dirs.len() {
                    let dir = &mut process.dirs[number];
                    if dir.size > 0 {
                        dir.cutter.begin();
                        self.rotate(number, dir)?;
                    }
                }
            }
            let is_in_line = process.seen > 0 || process.lines.is_in_long_line();
            if !is_in_line && self.numbers.one_in(30) {
                self.close(process)?;
                return Ok(false);
            }
            process.buffer.truncate(process.held);
            let look = self.world.pipe.len().min(self.batch);
            process.buffer.extend_from_slice(&self.world.pipe[..look]);
            let real = process.buffer.len();
            let is_end = self.world.to_come.is_empty() && look == self.world.pipe.len();
            self.deal(process, real)?;
            if is_end {
                let real = process.buffer.len();
                process.end_line();
                self.deal(process, real)?;
                self.close(process)?;
                assert_eq!((&self.world.pipe, &process.buffer), (&vec![], &vec![]));
                return Ok(true);
            }
            let pending = process.buffer.len() - process.held;
            if pending > 0 && self.numbers.one_in(3) {
                self.lengths = [process.buffer.len() + 26; 2];
                self.keep(process, pending)?;
            }
        }
    }

    fn deal(&mut self, process: &mut Process, real: usize) -> Result<(), Killed> {
        let (mut done, usable) = (0, process.buffer.len());
        loop {
            self.begun += 1;
            let stamp = process.lines.next_stamp(moment(self.begun * 1000));
            match self.batch(process, done..usable, real, stamp, None)? {
                0 => break,
                taken => done += taken,
            }
        }
        self.consume(process, done)
    }

    fn consume(&mut self, process: &mut Process, done: usize) -> Result<(), Killed> {
        process.buffer.drain(..done);
        if done > 0 && std::mem::take(&mut process.held) > 0 {
            self.keep(process, 0)?;
        }
        Ok(())
    }

    fn batch(
        &mut self,
        process: &mut Process,
        range: Range<usize>,
        real: usize,
        stamp: crate::formats::tai64n::Tai64n,
        left: Option<&Interrupted>,
    ) -> Result<usize, Killed> {
        let (start, begun, seen) = (range.start, process.lines.begun(), process.seen);
        let before = process.long_line();
        let taken = process.lines.take(&process.buffer[range], seen, stamp);
        process.seen = taken.seen;
        if taken.bytes == 0 {
            return Ok(0);
        }
        let end = start + taken.bytes;
        let inside = start.max(process.held)..end.min(real).max(start.max(process.held));
        let input = process.buffer[start..end].to_vec();
        let pipe = process.buffer[inside.clone()].to_vec();
        let after = process.long_line();
        // Each piece of a line that comes again may get a stamp.
        let pieces = input.split(|byte| *byte == b'\n').count();
        self.lengths = [self.lengths[1], input.len() + 26 * pieces];
        process.batch = Batch {
            input: INPUT,
            number: left.map_or(process.batch.number + 1, |left| left.batch.number),
            length: pipe.len() as u64,
            hash: batch_hash(&pipe),
            fate: if end > real {
                BatchFate::Ended
            } else {
                BatchFate::Written
            },
            seen: seen as u64,
            stamp,
            begun,
            held: process.buffer[start..inside.start].to_vec(),
        };
        let batch = process.batch.clone();
        let Process { lines, dirs, .. } = process;
        let mut written = vec![];
        for (number, dir) in dirs.iter_mut().enumerate() {
            let text = lines.output(number, &input).0;
            written.push(left.map_or(0, |left| left.written(number, text)));
            let flags = (before[number], after[number]);
            self.journal(number, dir, &batch, flags, written[number])?;
        }
        for (number, dir) in dirs.iter_mut().enumerate() {
            let (text, flushes) = lines.output(number, &input);
            let in_line = before[number] == Some(true);
            self.write(number, dir, text, flushes, in_line, written[number])?;
        }
        self.step()?;
        let (place, byte) = JournalEntry::COMMIT;
        self.world.logs[0].lock[usize::try_from(place).unwrap()] = byte;
        dirs[0].entry.as_mut().unwrap().is_written = true;
        self.take_out(pipe.len())?;
        Ok(taken.bytes)
    }

    fn keep(&mut self, process: &mut Process, pending: usize) -> Result<(), Killed> {
        let end = process.held + pending;
        let pipe = &process.buffer[process.held..end];
        process.batch = Batch {
            input: INPUT,
            number: process.batch.number + 1,
            length: pipe.len() as u64,
            hash: batch_hash(pipe),
            fate: BatchFate::Held,
            seen: process.seen as u64,
            begun: process.lines.begun(),
            held: process.buffer[..end].to_vec(),
            ..Batch::default()
        };
        let batch = process.batch.clone();
        let long_line = process.long_line();
        for (number, dir) in process.dirs.iter_mut().enumerate() {
            let flags = (long_line[number], long_line[number]);
            self.journal(number, dir, &batch, flags, 0)?;
        }
        process.held = end;
        self.take_out(pending)
    }

    fn journal(
        &mut self,
        number: usize,
        dir: &mut LogDir,
        batch: &Batch,
        (before, after): (Option<bool>, Option<bool>),
        written: usize,
    ) -> Result<(), Killed> {
        dir.entry = Some(JournalEntry {
            batch: batch.clone(),
            is_written: false,
            before,
            after,
            file: id(self.world.logs[number].current.unwrap()),
            size: dir.size,
            moved: written as u64,
        });
        self.write_entry(number, dir)
    }

    fn write(
        &mut self,
        number: usize,
        dir: &mut LogDir,
        text: &[u8],
        flushes: &[usize],
        in_line: bool,
        written: usize,
    ) -> Result<(), Killed> {
        let (old, text) = text.split_at(written);
        let in_line = old.last().map_or(in_line, |byte| *byte != b'\n');
        let places: Vec<usize> = flushes
            .iter()
            .map(|place| place.saturating_sub(written))
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
    fn append(&mut self, number: usize, dir: &mut LogDir, text: &[u8]) -> Result<(), Killed> {
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

    fn rotate(&mut self, number: usize, dir: &mut LogDir) -> Result<(), Killed> {
        self.step()?;
        let log = &mut self.world.logs[number];
        log.previous = log.current.take();
        self.step()?;
        self.create(number);
        let entry = dir.entry.as_mut().unwrap();
        entry.moved += dir.size - entry.size;
        entry.size = 0;
        entry.file = id(self.world.logs[number].current.unwrap());
        dir.size = 0;
        self.write_entry(number, dir)?;
        self.step()?;
        self.world.logs[number].previous = None;
        Ok(())
    }

    /// The bytes leave the pipe in several pieces. Before that is done, and only then, a KILL
    /// can make something stand twice.
    fn take_out(&mut self, count: usize) -> Result<(), Killed> {
        self.may_repeat = count > 0;
        let mut left = count;
        while left > 0 {
            self.step()?;
            let piece = self.numbers.below(left) + 1;
            self.world.pipe.drain(..piece);
            left -= piece;
        }
        self.may_repeat = false;
        Ok(())
    }

    fn close(&mut self, process: &mut Process) -> Result<(), Killed> {
        for number in 0..process.dirs.len() {
            self.step()?;
            self.world.logs[number].is_safe = true;
            self.step()?;
            self.world.logs[number].lock.clear();
        }
        Ok(())
    }
}

impl Process {
    fn hold(&mut self, bytes: &[u8]) {
        self.buffer = bytes.to_vec();
        (self.held, self.seen) = (bytes.len(), bytes.len());
    }

    fn end_line(&mut self) {
        let is_unfinished = match self.buffer.last() {
            Some(byte) => *byte != b'\n',
            None => self.lines.is_in_long_line(),
        };
        if is_unfinished {
            self.buffer.push(b'\n');
        }
    }

    fn long_line(&self) -> Vec<Option<bool>> {
        let numbers = 0..self.dirs.len();
        numbers.map(|number| self.lines.long_line(number)).collect()
    }
}
