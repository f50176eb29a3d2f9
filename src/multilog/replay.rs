//! Completes what an earlier multilog left incomplete.

use super::dir::LogDir;
use super::recovery::{Interrupted, Resume};
use super::shell::Shell;
use crate::error::Error;
use crate::formats::journal::{BatchFate, batch_hash};
use crate::sys::source::Look;

impl Shell {
    /// Completes what an earlier multilog left incomplete.
    ///
    /// # Errors
    /// As [`super::waiter::Waiter::retry`].
    pub fn recover(&mut self, resume: Resume) -> Result<(), Error> {
        let lines = match resume {
            Resume::Anew(lines) => lines,
            Resume::Batch(interrupted) => self.finish(&interrupted)?,
        };
        if !lines.is_empty() {
            self.hold(&lines);
            self.deal(self.filled, self.filled)?;
        }
        if self.batch.is_some() {
            // Before the first entry, those of another series count, too.
            return self.keep(0);
        }
        if !lines.is_empty() {
            // Not before: after a KILL in between they are there twice at worst.
            self.dirs.iter().for_each(LogDir::forget);
        }
        Ok(())
    }

    /// Completes a batch. Returns the held bytes, as a line, if that is impossible: then
    /// another program has read from the pipe.
    fn finish(&mut self, left: &Interrupted) -> Result<Vec<u8>, Error> {
        let batch = &left.batch;
        let is_held = batch.fate == BatchFate::Held;
        if left.is_out {
            let begun = batch.begun.filter(|_| is_held);
            self.lines.resume(left.after.as_deref(), begun);
            self.hold(if is_held { &batch.held } else { &[] });
            return Ok(Vec::new());
        }
        let length = usize::try_from(batch.length).unwrap_or(usize::MAX);
        let pending = if is_held { length } else { 0 };
        let held = batch.held.len().saturating_sub(pending);
        self.hold(batch.held.get(..held).unwrap_or_default());
        if !self.shows(length, batch.hash) {
            self.hold(&[]);
            let mut line = batch.held.clone();
            line.extend((!line.is_empty()).then_some(b'\n'));
            return Ok(line);
        }
        self.lines.resume(left.before.as_deref(), batch.begun);
        if is_held {
            // It is still in the pipe. Some directory has the entry before it, and must not
            // fall two entries behind.
            let number = batch.number.saturating_sub(1);
            self.batch
                .iter_mut()
                .for_each(|batch| batch.number = number);
            return Ok(Vec::new());
        }
        self.filled = self.held + length;
        let real = self.filled;
        if batch.fate == BatchFate::Ended {
            self.end_line();
        }
        self.seen = usize::try_from(batch.seen).map_or(0, |seen| seen.min(real));
        let usable = self.filled;
        let taken = self.deal_batch(0..usable, real, batch.stamp, Some(left))?;
        self.consume(taken)?;
        Ok(Vec::new())
    }

    /// Whether the pipe begins with `length` bytes of this [`batch_hash`]; then they are
    /// appended to the held bytes.
    fn shows(&mut self, length: usize, hash: u64) -> bool {
        let end = self.held.saturating_add(length);
        if self.buffer.capacity() <= end {
            return false;
        }
        self.buffer.resize(end + 1, 0);
        let room = self.buffer.get_mut(self.held..end);
        let Some(room) = room.filter(|_| length > 0) else {
            return true;
        };
        let look = self.source.look(room);
        matches!(look, Ok(Look::Bytes(count)) if count == length) && batch_hash(room) == hash
    }
}
