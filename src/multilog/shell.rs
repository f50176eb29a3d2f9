//! The main loop of multilog: peek at stdin, journal the batch, write its output, and only then
//! consume it.

use super::batch_size::BatchSize;
use super::begin;
use super::dir::{LogDir, Output};
use super::lines::{Lines, READ};
use super::recovery::Interrupted;
use super::status::StatusFile;
use super::waiter::Waiter;
use crate::error::Error;
use crate::formats::journal::{Batch, BatchFate, JournalEntry, batch_hash};
use crate::formats::tai64n::Tai64n;
use crate::sys::source::{Look, Source};
use crate::sys::{clock, memory};
use std::ops::Range;
use std::time::{Duration, Instant};

/// An unfinished line that does not grow for this time is consumed from the pipe.
const QUIET: Duration = Duration::from_secs(1);
/// The same if a write may wait for room.
const SOON: Duration = Duration::from_millis(32);
/// The pause before the first of the looks into the pipe until then; each is twice as long as
/// the last.
const LOOK: Duration = Duration::from_millis(1);
/// The size of the smallest pipe, in bytes.
const PAGE: usize = 4096;

/// An unfinished line in the pipe.
#[derive(Clone, Copy)]
pub(super) struct Unfinished {
    /// When it is consumed.
    until: Instant,
    /// When the kernel may not have reported that there is more.
    look_at: Instant,
    pause: Duration,
}

impl Unfinished {
    fn new(now: Instant, patience: Duration) -> Unfinished {
        let pause = if patience == SOON { LOOK } else { patience };
        Unfinished {
            until: now + patience,
            look_at: now + pause,
            pause,
        }
    }

    /// After a look at this time.
    fn looked(self, now: Instant) -> Unfinished {
        if now < self.look_at {
            return self;
        }
        let pause = self.pause * 2;
        Unfinished {
            look_at: now + pause,
            pause,
            ..self
        }
    }

    fn due(self) -> Instant {
        self.until.min(self.look_at)
    }
}

/// One running multilog.
pub struct Shell {
    pub(super) waiter: Waiter,
    pub(super) source: Source,
    pub(super) lines: Lines,
    pub(super) dirs: Vec<LogDir>,
    pub(super) status: Vec<StatusFile>,
    /// The last batch, if there is a journal, which requires a pipe as stdin.
    pub(super) batch: Option<Batch>,
    /// Input that was not processed yet: first the held bytes, which are no longer in the pipe.
    pub(super) buffer: Vec<u8>,
    /// The number of bytes of `buffer` in use.
    pub(super) filled: usize,
    /// The number of held bytes among them. If stdin is not a pipe, all that are left over.
    pub(super) held: usize,
    /// The number of them that 0.76 would have read.
    pub(super) seen: usize,
    /// The batch size.
    pub(super) batch_size: BatchSize,
    /// Until when an unfinished line stays in the pipe if nothing comes to it.
    pub(super) unfinished: Option<Unfinished>,
    /// How much a look has found at most since there was no unfinished line, in bytes.
    pub(super) most: usize,
}

/// Runs multilog with `arguments` until end of file or TERM.
///
/// # Errors
/// Those of the set-up, with 0.76's messages; later, the error that multilog was retrying when
/// it was told to exit, if nothing was lost by that.
pub fn run(arguments: &[&[u8]]) -> Result<(), Error> {
    let (mut shell, resume) = begin::open(arguments)?;
    shell.recover(resume)?;
    shell.turn_until_end()?;
    for dir in shell.dirs {
        dir.close(&mut shell.waiter)?;
    }
    Ok(())
}

/// The size of the buffer for a batch, in bytes: held bytes before it, a newline after it.
pub(super) fn buffer_size(batch: usize) -> usize {
    JournalEntry::LONGEST + batch + 1
}

impl Shell {
    /// Reads and writes until end of file, or until TERM was received and the current line is
    /// finished.
    fn turn_until_end(&mut self) -> Result<(), Error> {
        // A read of anything but a pipe may block without handling signals: so poll it first.
        let is_pipe = self.source.pipe().is_some();
        let mut to_look = is_pipe;
        loop {
            // The signal may have arrived during another wait.
            let is_told = self.waiter.told_to_rotate || self.is_to_end();
            let deadline = if to_look || is_told {
                Some(clock::monotonic())
            } else {
                let budgets = self.dirs.iter().filter_map(LogDir::budget_due);
                let unfinished = self.unfinished.map(Unfinished::due);
                let others = unfinished.into_iter().chain(self.batch_size.end());
                budgets.chain(others).min()
            };
            let ready = self.source.wait(&self.waiter.signals, deadline);
            let is_due = |line: Unfinished| line.due() <= clock::monotonic();
            to_look |= ready.input || self.unfinished.is_some_and(is_due);
            if ready.signal {
                self.waiter.hear();
            }
            let is_to_rotate = std::mem::take(&mut self.waiter.told_to_rotate);
            let is_to_end = self.is_to_end();
            self.dirs.iter_mut().for_each(LogDir::keep_budget);
            let before = self.filled;
            // Input from before ALRM belongs to the files that it rotates.
            to_look |= is_to_rotate && is_pipe;
            let progress = if to_look && !is_to_end {
                self.look()?
            } else {
                Dealt::None
            };
            if is_to_rotate {
                for dir in &mut self.dirs {
                    dir.rotate_now(&mut self.waiter)?;
                }
            }
            if is_to_end || progress == Dealt::End {
                return Ok(());
            }
            let now = clock::monotonic();
            if self.batch_size.is_just_over(now) {
                self.release();
            }
            let is_dealt_with = progress == Dealt::Some;
            let pending = self.filled - self.held;
            // A full peek leaves what 0.76's next read would go beyond.
            let has_more = || self.most == usize::MAX || self.source.has_news(pending);
            to_look = is_pipe && is_dealt_with && has_more();
            if !to_look {
                let is_new = is_dealt_with || self.filled != before;
                // A pipe with many short writes may not have been read completely.
                to_look = self.keep_unfinished(is_new, now)?;
            }
        }
    }

    /// Holds the unfinished line in the pipe, if that is due; returns whether it did. `is_new`:
    /// it has just grown.
    fn keep_unfinished(&mut self, is_new: bool, now: Instant) -> Result<bool, Error> {
        let pending = self.filled - self.held;
        let unfinished = self.unfinished.take().filter(|_| !is_new);
        if pending == 0 {
            self.most = 0;
            return Ok(false);
        }
        let line = match unfinished {
            Some(line) => line.looked(now),
            None => Unfinished::new(now, self.patience()),
        };
        let is_time = line.until <= now;
        if is_time {
            self.most = 0;
            self.keep(pending)?;
        } else {
            self.unfinished = Some(line);
        }
        Ok(is_time)
    }

    /// How long an unfinished line may stay in the pipe. As long as it is there, the kernel
    /// does not tell of a write that waits for room before that is done. There may be such a
    /// write if the pipe was full, with pages that are half empty, at a look or after it.
    fn patience(&self) -> Duration {
        match self.source.size() {
            Some(size) if size <= PAGE => Duration::ZERO,
            Some(size) if self.most < size / 4 => QUIET,
            _ => SOON,
        }
    }

    /// Whether TERM was received and the current line is finished.
    fn is_to_end(&self) -> bool {
        self.waiter.interrupted && !self.is_in_line()
    }

    /// Whether 0.76 would have read a part of a line but not its end yet.
    fn is_in_line(&self) -> bool {
        self.seen > 0 || self.lines.is_in_long_line()
    }

    /// Peeks once at stdin and processes the lines in it.
    fn look(&mut self) -> Result<Dealt, Error> {
        let is_pipe = self.source.pipe().is_some();
        // Input that cannot be put back is consumed only as far as necessary.
        let most = if self.waiter.interrupted && !is_pipe {
            1
        } else {
            self.batch_size.batch()
        };
        self.make_room();
        let room = self.buffer.get_mut(self.held..self.held + most);
        // As in 0.76, an error counts as end of file.
        let look = self.source.look(room.unwrap_or_default());
        let count = match look.unwrap_or(Look::End) {
            Look::Nothing => {
                // Another process has read it.
                self.filled = self.held;
                self.seen = self.seen.min(self.filled);
                return Ok(Dealt::None);
            }
            Look::Bytes(count) => count,
            Look::End => 0,
        };
        if is_pipe {
            // TERM may have been sent before these bytes but delivered after them.
            self.waiter.hear();
            if self.is_to_end() {
                return Ok(Dealt::Some);
            }
        }
        let is_full = count == self.batch_size.batch();
        self.most = self.most.max(if is_full { usize::MAX } else { count });
        self.batch_size.found(count, clock::monotonic());
        let before = self.filled;
        self.filled = self.held + count;
        let there = self.buffer.get(..self.filled).unwrap_or_default();
        let last_line = Some(there).filter(|_| self.waiter.interrupted);
        let last_line = last_line.and_then(|there| memchr::memchr(b'\n', there));
        let is_end = count == 0 || self.source.ends_after(count);
        if is_end && last_line.is_none() {
            // 0.76 flushes before the read that returns end of file.
            self.deal(self.filled, self.filled)?;
            let real = self.filled;
            self.end_line();
            self.deal(self.filled, real)?;
            return Ok(Dealt::End);
        }
        if is_pipe && self.filled == before && self.seen == before {
            return Ok(Dealt::None);
        }
        let usable = if let Some(newline) = last_line {
            newline + 1
        } else if is_full && !self.waiter.interrupted {
            // There may be more, and 0.76's next read would go beyond this.
            self.seen + (self.filled - self.seen) / READ * READ
        } else {
            self.filled
        };
        self.deal(usable, self.filled)
    }

    /// Releases the memory of a burst.
    fn release(&mut self) {
        self.buffer.truncate(self.filled);
        memory::release(self.buffer.spare_capacity_mut());
        self.lines.unused().for_each(memory::release);
    }

    /// Extends the buffer to the size that a batch needs; that much is allocated.
    fn make_room(&mut self) {
        let size = buffer_size(self.batch_size.batch());
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
    }

    /// Processes the lines in the first `usable` bytes of the buffer; `real` bytes of the whole
    /// buffer came from stdin.
    pub(super) fn deal(&mut self, usable: usize, real: usize) -> Result<Dealt, Error> {
        let mut done = 0;
        loop {
            let stamp = self.lines.next_stamp(Tai64n::from_unix(clock::wall()));
            match self.deal_batch(done..usable, real, stamp, None)? {
                0 => break,
                bytes => done += bytes,
            }
        }
        self.consume(done)?;
        match done {
            0 => Ok(Dealt::None),
            _ => Ok(Dealt::Some),
        }
    }

    /// Takes lines from this `range` of the buffer, of which `real` bytes came from stdin:
    /// journals them, writes their output, and consumes them from the pipe. `left`: an earlier
    /// multilog was killed while it wrote them. Returns the number of bytes it took.
    pub(super) fn deal_batch(
        &mut self,
        range: Range<usize>,
        real: usize,
        stamp: Tai64n,
        left: Option<&Interrupted>,
    ) -> Result<usize, Error> {
        let (start, seen, begun) = (range.start, self.seen, self.lines.begun());
        let before = self.long_line();
        let input = self.buffer.get(range).unwrap_or_default();
        let taken = self.lines.take(input, seen, stamp);
        self.seen = taken.seen;
        if taken.bytes == 0 {
            return Ok(0);
        }
        let after = self.long_line();
        self.waiter.show(self.lines.stderr());
        for (number, status) in self.status.iter().enumerate() {
            if let Some(content) = self.lines.status(number) {
                status.write(content, &mut self.waiter)?;
            }
        }
        let end = start + taken.bytes;
        let from = start.max(self.held);
        let inside = from..end.min(real).max(from);
        let fate = if end > real {
            BatchFate::Ended
        } else {
            BatchFate::Written
        };
        self.batch = self
            .next_batch(fate, inside.clone(), start)
            .map(|batch| Batch {
                // The same batch again has the same output.
                number: left.map_or(batch.number, |left| left.batch.number),
                seen: seen as u64,
                begun,
                stamp,
                ..batch
            });
        let input = self.buffer.get(start..end).unwrap_or_default();
        for (number, dir) in self.dirs.iter_mut().enumerate() {
            let (text, flushes) = self.lines.output(number, input);
            let output = Output {
                text,
                flushes,
                before: before.get(number).copied().flatten(),
                after: after.get(number).copied().flatten(),
                written: left.map_or(0, |left| left.written(number, text)),
            };
            dir.begin(self.batch.as_ref(), &output, &mut self.waiter)?;
        }
        // A directory that has to wait does not delay the others.
        for waits in [false, true] {
            for (number, dir) in self.dirs.iter_mut().enumerate() {
                let (text, _) = self.lines.output(number, input);
                dir.write(text, waits, &mut self.waiter)?;
            }
        }
        if let Some(first) = self.dirs.first_mut() {
            first.commit(&mut self.waiter)?;
        }
        self.source.take_out(inside.len());
        Ok(taken.bytes)
    }

    /// Journals that the `pending` bytes after the held ones, part of a line, are held, too,
    /// and consumes them from the pipe.
    pub(super) fn keep(&mut self, pending: usize) -> Result<(), Error> {
        let inside = self.held..self.held + pending;
        self.batch = self.next_batch(BatchFate::Held, inside.clone(), 0);
        let long_line = self.long_line();
        for (number, dir) in self.dirs.iter_mut().enumerate() {
            let long_line = long_line.get(number).copied().flatten();
            let output = Output {
                text: &[],
                flushes: &[],
                before: long_line,
                after: long_line,
                written: 0,
            };
            dir.begin(self.batch.as_ref(), &output, &mut self.waiter)?;
        }
        self.source.take_out(pending);
        self.held = inside.end;
        Ok(())
    }

    /// The next batch, if there is a journal: these bytes of the buffer, which are in the pipe.
    /// The held bytes begin at `start`.
    fn next_batch(&self, fate: BatchFate, inside: Range<usize>, start: usize) -> Option<Batch> {
        let last = self.batch.as_ref()?;
        let bytes = |range: Range<usize>| self.buffer.get(range).unwrap_or_default();
        let held = match fate {
            BatchFate::Held => start..inside.end,
            BatchFate::Written | BatchFate::Ended => start..inside.start,
        };
        let pipe = bytes(inside);
        Some(Batch {
            input: last.input,
            number: last.number.saturating_add(1),
            length: pipe.len() as u64,
            hash: batch_hash(pipe),
            fate,
            seen: self.seen as u64,
            stamp: Tai64n::default(),
            begun: self.lines.begun(),
            held: bytes(held).to_vec(),
        })
    }

    /// If the input continues a long line, for each directory whether it gets that.
    fn long_line(&self) -> Vec<Option<bool>> {
        let numbers = 0..self.dirs.len();
        numbers.map(|number| self.lines.long_line(number)).collect()
    }

    /// The first `done` bytes of the buffer are processed. Held bytes among them are not held
    /// any more; the journal records that, because they must not become a separate line later.
    pub(super) fn consume(&mut self, done: usize) -> Result<(), Error> {
        self.buffer.copy_within(done..self.filled, 0);
        self.filled -= done;
        if self.source.pipe().is_none() {
            self.held = self.filled;
        } else if done > 0 && std::mem::take(&mut self.held) > 0 {
            return self.keep(0);
        }
        Ok(())
    }

    /// Inserts `bytes`, which are not in the pipe, before those that are.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.make_room();
        let Some(room) = self.buffer.get_mut(..bytes.len()) else {
            return;
        };
        room.copy_from_slice(bytes);
        self.held = bytes.len();
        self.filled = bytes.len();
        self.seen = bytes.len();
    }

    /// Terminates the last line, if it is incomplete.
    pub(super) fn end_line(&mut self) {
        let last = self.buffer.get(..self.filled).and_then(<[u8]>::last);
        let is_unfinished = match last {
            Some(byte) => *byte != b'\n',
            None => self.lines.is_in_long_line(),
        };
        if is_unfinished && let Some(place) = self.buffer.get_mut(self.filled) {
            *place = b'\n';
            self.filled += 1;
        }
    }
}

/// The result of a peek at stdin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dealt {
    /// Input was processed; there may be more.
    Some,
    /// There is no input that could be processed now.
    None,
    /// End of file, and everything is processed.
    End,
}
