//! The loop of multilog: look at what is in stdin, journal it, write what becomes of it, and
//! only then take it out.

use super::begin;
use super::dir::{Dir, Output};
use super::lines::{Lines, READ};
use super::recovery::Interrupted;
use super::rush::Rush;
use super::status::StatusFile;
use super::waiter::Waiter;
use crate::error::Error;
use crate::formats::journal::{Batch, BatchFate, JournalEntry, batch_hash};
use crate::formats::tai64n::Tai64n;
use crate::sys::source::{Look, Source};
use crate::sys::{clock, memory};
use std::ops::Range;
use std::time::{Duration, Instant};

/// After so long an unfinished line to which nothing comes is taken out of the pipe.
const QUIET: Duration = Duration::from_secs(1);
/// The same if a write may wait for room.
const SOON: Duration = Duration::from_millis(32);
/// The size of the smallest pipe, in bytes.
const PAGE: usize = 4096;

/// One running multilog.
pub struct Shell {
    pub(super) waiter: Waiter,
    pub(super) source: Source,
    pub(super) lines: Lines,
    pub(super) dirs: Vec<Dir>,
    pub(super) status: Vec<StatusFile>,
    /// The last batch, if there is a journal: if stdin is a pipe.
    pub(super) batch: Option<Batch>,
    /// What was read and not yet dealt with, first the held bytes, which are no
    /// longer in the pipe.
    pub(super) buffer: Vec<u8>,
    /// How many bytes of `buffer` are in use.
    pub(super) filled: usize,
    /// How many of them are held. Of a stdin that is no pipe, all that are left over.
    pub(super) held: usize,
    /// How many of them 0.76 would have read.
    pub(super) seen: usize,
    /// How much is looked at at once.
    pub(super) rush: Rush,
    /// Until when an unfinished line stays in the pipe if nothing comes to it.
    pub(super) unfinished: Option<Instant>,
    /// How much a look has found at most since there was no unfinished line, in bytes.
    pub(super) most: usize,
}

/// Runs multilog with `arguments` until stdin ends or TERM comes.
///
/// # Errors
/// Those of the set-up, with 0.76's sentences; later, what kept multilog from going
/// on when it was told to end and nothing was lost by that.
pub fn run(arguments: &[&[u8]]) -> Result<(), Error> {
    let (mut shell, resume) = begin::open(arguments)?;
    shell.recover(resume)?;
    shell.turn_until_end()?;
    for dir in shell.dirs {
        dir.close(&mut shell.waiter)?;
    }
    Ok(())
}

/// The size of the buffer for a batch, in bytes: before it held bytes, behind it a newline.
pub(super) fn buffer_size(batch: usize) -> usize {
    JournalEntry::LONGEST + batch + 1
}

impl Shell {
    /// Reads and writes until there is nothing more to read, or TERM came and the
    /// line that was begun is finished.
    fn turn_until_end(&mut self) -> Result<(), Error> {
        // What is no pipe may keep us waiting in a read, deaf to signals: it is
        // looked at only when there is something.
        let is_pipe = self.source.pipe().is_some();
        let mut to_look = is_pipe;
        loop {
            // It may have been told while it waited for something else.
            let is_told = self.waiter.told_to_rotate || self.is_to_end();
            let deadline = if to_look || is_told {
                Some(clock::monotonic())
            } else {
                let budgets = self.dirs.iter().filter_map(Dir::budget_due);
                let others = self.unfinished.into_iter().chain(self.rush.end());
                budgets.chain(others).min()
            };
            let ready = self.source.wait(&self.waiter.signals, deadline);
            to_look |= ready.input;
            if ready.signal {
                self.waiter.hear();
            }
            let is_to_rotate = std::mem::take(&mut self.waiter.told_to_rotate);
            let is_to_end = self.is_to_end();
            self.dirs.iter_mut().for_each(Dir::keep_budget);
            let before = self.filled;
            // What came before ALRM belongs to the files that it finishes.
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
            if self.rush.is_just_over(now) {
                self.release();
            }
            let is_dealt_with = progress == Dealt::Some;
            let pending = self.filled - self.held;
            // A full look leaves what 0.76's next read would go beyond.
            let has_more = || self.most == usize::MAX || self.source.has_news(pending);
            to_look = is_pipe && is_dealt_with && has_more();
            if !to_look {
                let is_new = is_dealt_with || self.filled != before;
                // Of a pipe of many short pieces not all was seen, perhaps.
                to_look = self.keep_unfinished(is_new, now)?;
            }
        }
    }

    /// Holds the unfinished line that is left in the pipe, if it is time for that. Whether it
    /// was. `is_new`: something came to it just now.
    fn keep_unfinished(&mut self, is_new: bool, now: Instant) -> Result<bool, Error> {
        let pending = self.filled - self.held;
        let unfinished = self.unfinished.take().filter(|_| !is_new);
        if pending == 0 {
            self.most = 0;
            return Ok(false);
        }
        let until = unfinished.unwrap_or_else(|| now + self.patience());
        let is_time = until <= now;
        if is_time {
            self.most = 0;
            self.keep(pending)?;
        } else {
            self.unfinished = Some(until);
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

    /// Whether TERM came, and the line that was begun is finished.
    fn is_to_end(&self) -> bool {
        self.waiter.told_to_end && !self.is_in_line()
    }

    /// Whether 0.76 would have read a part of a line and not yet its end.
    fn is_in_line(&self) -> bool {
        self.seen > 0 || self.lines.is_in_long_line()
    }

    /// Looks once at what is in stdin and deals with the lines in it.
    fn look(&mut self) -> Result<Dealt, Error> {
        let is_pipe = self.source.pipe().is_some();
        // Of what cannot be put back, only as much is taken as must be.
        let most = if self.waiter.told_to_end && !is_pipe {
            1
        } else {
            self.rush.batch()
        };
        self.make_room();
        let room = self.buffer.get_mut(self.held..self.held + most);
        // Nothing but the end can follow an error, as in 0.76.
        let look = self.source.look(room.unwrap_or_default());
        let count = match look.unwrap_or(Look::End) {
            Look::Nothing => {
                // What was there, somebody else has read.
                self.filled = self.held;
                self.seen = self.seen.min(self.filled);
                return Ok(Dealt::None);
            }
            Look::Bytes(count) => count,
            Look::End => 0,
        };
        if is_pipe {
            // TERM may have come before these bytes, and been told after them.
            self.waiter.hear();
            if self.is_to_end() {
                return Ok(Dealt::Some);
            }
        }
        let is_full = count == self.rush.batch();
        self.most = self.most.max(if is_full { usize::MAX } else { count });
        self.rush.found(count, clock::monotonic());
        let before = self.filled;
        self.filled = self.held + count;
        let there = self.buffer.get(..self.filled).unwrap_or_default();
        let last_line = Some(there).filter(|_| self.waiter.told_to_end);
        let last_line = last_line.and_then(|there| memchr::memchr(b'\n', there));
        let is_end = count == 0 || self.source.ends_after(count);
        if is_end && last_line.is_none() {
            // 0.76 writes what it has before the read that tells it of the end.
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
        } else if is_full && !self.waiter.told_to_end {
            // There may be more, and 0.76's next read would go beyond this.
            self.seen + (self.filled - self.seen) / READ * READ
        } else {
            self.filled
        };
        self.deal(usable, self.filled)
    }

    /// Gives back the memory that a rush has taken.
    fn release(&mut self) {
        self.buffer.truncate(self.filled);
        memory::release(self.buffer.spare_capacity_mut());
        self.lines.unused().for_each(memory::release);
    }

    /// Makes the buffer as long as a batch needs it; that much is allocated.
    fn make_room(&mut self) {
        let size = buffer_size(self.rush.batch());
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
    }

    /// Deals with the lines in the first `usable` bytes of the buffer; of the whole
    /// buffer `real` bytes came from stdin.
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
    /// journals them, writes what becomes of them, and takes them out of the pipe. `left`:
    /// they were being written when an earlier multilog was killed. Gives how many bytes it
    /// took.
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
                // The same again is what it was.
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
        // One that has to wait keeps no other from what is its.
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

    /// Journals that the `pending` bytes after those that are held, part of a line, are held,
    /// too, and takes them out of the pipe.
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

    /// The next batch, if there is a journal: these bytes of the buffer, which are in the
    /// pipe. What is held begins at `start`.
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

    /// If the input stands in a long line, for each directory whether it gets that.
    fn long_line(&self) -> Vec<Option<bool>> {
        let numbers = 0..self.dirs.len();
        numbers.map(|number| self.lines.long_line(number)).collect()
    }

    /// The first `done` bytes of the buffer are dealt with. What was held is not any more;
    /// the journal says so, lest it becomes a line of its own when that does not count.
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

    /// Puts `bytes`, which are not in the pipe, before what is.
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

    /// Ends the last line, if it is not.
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

/// What came of a look at stdin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dealt {
    /// Something was dealt with; there may be more.
    Some,
    /// There is nothing that could be dealt with now.
    None,
    /// There will never be anything more, and all is dealt with.
    End,
}
