//! From input to output: splits lines, adds timestamps, selects lines.

use super::batch_size::Room;
use super::cutter::LINE;
use super::pattern::Pattern;
use super::script::{Action, Script};
use crate::formats::journal::JournalEntry;
use crate::formats::tai64n::Tai64n;
use std::mem::MaybeUninit;

/// The read size of 0.76, in bytes: it flushes before each read, which [`super::cutter`] must
/// know.
pub const READ: usize = 1024;
/// The size of a timestamp and the space after it, in bytes.
pub const STAMP: usize = Tai64n::TEXT + 1;
/// The maximum part of a line on stderr, in bytes.
const SHOWN: usize = 200;
/// The size of a status file, in bytes.
pub const STATUS: usize = 1001;

/// Converts input to the output of each directory.
#[derive(Debug)]
pub struct Lines {
    /// The actions for each line, in order.
    tests: Vec<Test>,
    /// Whether lines get a timestamp.
    stamps: bool,
    room: Room,
    /// For each directory, where its output is.
    shares: Vec<Share>,
    /// Whether one has [`Share::Own`].
    has_own: bool,
    /// The directory whose lines are in `text`, if not all lines are.
    owner: Option<usize>,
    /// For each directory, whether it gets this line.
    selected: Vec<bool>,
    /// Whether the input continues a line whose beginning was consumed.
    in_long_line: bool,
    /// The last timestamp, and that of the unfinished line.
    last: Tai64n,
    begun: Option<Tai64n>,
    /// The last timestamp that was formatted, and its text.
    shown: (Tai64n, [u8; Tai64n::TEXT]),
    /// The lines with their timestamps, if they get any: all, or those of `owner`.
    text: Vec<u8>,
    /// The offsets in it (or in the input) at which 0.76 would have flushed before a read.
    flushes: Vec<usize>,
    /// For each directory with [`Share::Own`], its own text and offsets.
    own: Vec<(Vec<u8>, Vec<usize>)>,
    /// The output for stderr.
    stderr: Vec<u8>,
    /// For each status file, its new content.
    status: Vec<Vec<u8>>,
}

/// An [`Action`], prepared for execution.
#[derive(Debug)]
enum Test {
    Deselect(Pattern),
    Select(Pattern),
    Stderr,
    Status(usize),
    Log(usize),
}

impl Test {
    fn of(action: &Action) -> Test {
        match action {
            Action::Deselect(pattern) => Test::Deselect(Pattern::new(pattern)),
            Action::Select(pattern) => Test::Select(Pattern::new(pattern)),
            Action::Stderr => Test::Stderr,
            Action::Status(number) => Test::Status(*number),
            Action::Log(number) => Test::Log(*number),
        }
    }
}

/// Where the output of a directory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Share {
    /// It gets every line; if there are timestamps, they are in `text`.
    All,
    /// It does not, and its lines are in `text`: no directory gets all lines, and this saves a
    /// copy.
    Text,
    /// It does not, and its lines are in a buffer of its own.
    Own,
}

/// The progress of [`Lines::take`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The number of input bytes that were processed. The others are passed again.
    pub bytes: usize,
    /// The number of the others that 0.76 would have read by now.
    pub seen: usize,
}

impl Lines {
    /// For the given script. Everything is allocated here, so that no allocation fails later;
    /// unused pages take no memory.
    pub fn new(script: &Script, room: Room) -> Lines {
        let shares = shares(script);
        let capacity = capacity(script, room);
        let buffer = |is_used: bool| Vec::with_capacity(if is_used { capacity } else { 0 });
        Lines {
            tests: script.actions.iter().map(Test::of).collect(),
            stamps: script.stamps,
            room,
            selected: vec![true; shares.len()],
            has_own: shares.contains(&Share::Own),
            owner: shares.iter().position(|share| *share == Share::Text),
            in_long_line: false,
            last: Tai64n::default(),
            begun: None,
            shown: (Tai64n::default(), Tai64n::default().text()),
            text: buffer(script.stamps),
            flushes: Vec::new(),
            own: shares
                .iter()
                .map(|share| (buffer(*share == Share::Own), vec![]))
                .collect(),
            stderr: buffer(shows(script)),
            status: vec![Vec::with_capacity(STATUS); script.status_files.len()],
            shares,
        }
    }

    /// The number of bytes that [`Lines::new`] allocates for `script`.
    pub fn needs(script: &Script, room: Room) -> usize {
        let buffers =
            copies(&shares(script)) + usize::from(script.stamps) + usize::from(shows(script));
        buffers * capacity(script, room)
    }

    /// Takes lines from `input`: complete ones, and a partial one of 1000 bytes or more; a
    /// shorter partial line is left. 0.76 would have read `seen` bytes of `input` before this.
    /// `now` is the time; if it has not advanced since the last line, the next timestamp is a
    /// nanosecond later.
    pub fn take(&mut self, input: &[u8], seen: usize, now: Tai64n) -> Taken {
        self.text.clear();
        self.flushes.clear();
        self.stderr.clear();
        for (text, flushes) in &mut self.own {
            text.clear();
            flushes.clear();
        }
        for status in &mut self.status {
            status.clear();
        }
        self.last = self.next_stamp(now);
        let before = if self.stamps { STAMP } else { 0 };
        let mut read = if seen == 0 { READ } else { seen };
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            let newline = memchr::memchr(b'\n', rest);
            let length = match newline {
                Some(place) => place + 1,
                None if self.in_long_line || rest.len() + before >= LINE => rest.len(),
                None => {
                    if self.stamps && self.begun.is_none() {
                        self.begun = Some(self.stamp());
                    }
                    break;
                }
            };
            let line = rest.get(..length).unwrap_or_default();
            if at + length > read {
                if !self.in_long_line && read - at + before < LINE {
                    self.flush(at);
                    if self.made() > self.room.enough() {
                        return Taken {
                            bytes: at,
                            seen: read - at,
                        };
                    }
                    read += READ;
                }
                self.put(line, newline.is_some());
                while at + length > read {
                    self.flush_in_line(at + length, at + length - read);
                    read += READ;
                }
            } else {
                self.put(line, newline.is_some());
            }
            self.in_long_line = newline.is_none();
            at += length;
        }
        self.flush(at);
        Taken {
            bytes: at,
            seen: input.len() - at,
        }
    }

    /// The number of directories that get a copy of their own, because they do not get every
    /// line.
    pub fn copies(&self) -> usize {
        copies(&self.shares)
    }

    /// Discards the output and releases its memory: it is not needed until the next
    /// [`Lines::take`].
    pub fn unused(&mut self) -> impl Iterator<Item = &mut [MaybeUninit<u8>]> {
        let texts = self.own.iter_mut().map(|(text, _)| text);
        texts.chain([&mut self.text, &mut self.stderr]).map(|text| {
            text.clear();
            text.spare_capacity_mut()
        })
    }

    /// The output of directory `number`, and the offsets at which 0.76 would have flushed
    /// before a read; `taken` is the part of the input that was taken.
    pub fn output<'a>(&'a self, number: usize, taken: &'a [u8]) -> (&'a [u8], &'a [usize]) {
        match self.shares.get(number) {
            Some(Share::All) if !self.stamps => (taken, &self.flushes),
            Some(Share::All | Share::Text) => (&self.text, &self.flushes),
            Some(Share::Own) | None => self
                .own
                .get(number)
                .map_or((&[], &[]), |(text, flushes)| (text, flushes)),
        }
    }

    /// The output for stderr.
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// The new content of status file `number`, if it gets any.
    pub fn status(&self, number: usize) -> Option<&[u8]> {
        self.status
            .get(number)
            .map(Vec::as_slice)
            .filter(|content| !content.is_empty())
    }

    /// Whether the input continues a line whose beginning was consumed.
    pub fn is_in_long_line(&self) -> bool {
        self.in_long_line
    }

    /// The timestamp of the next line, at `now`. Earlier ones can be ahead of the clock, by as
    /// many nanoseconds as there were lines.
    pub fn next_stamp(&self, now: Tai64n) -> Tai64n {
        if now > self.last || now.seconds.saturating_add(1) < self.last.seconds {
            now
        } else {
            self.last
        }
    }

    /// The timestamp of the unfinished line at the beginning of the input, if it has one.
    pub fn begun(&self) -> Option<Tai64n> {
        self.begun
    }

    /// If the input continues a line whose beginning was consumed, whether directory `number`
    /// gets it.
    pub fn long_line(&self, number: usize) -> Option<bool> {
        self.in_long_line
            .then(|| self.selected.get(number).copied().unwrap_or(false))
    }

    /// The input continues where another process stopped: in a `long_line`, for which each
    /// directory has a flag whether it gets the rest, or in a line with the timestamp `begun`.
    pub fn resume(&mut self, long_line: Option<&[bool]>, begun: Option<Tai64n>) {
        self.in_long_line = long_line.is_some();
        for (place, given) in self.selected.iter_mut().zip(long_line.unwrap_or_default()) {
            *place = *given;
        }
        self.begun = begun;
    }

    /// Whether these lines are needed in `text`.
    fn is_kept(&self) -> bool {
        match self.owner {
            Some(owner) => self.selected.get(owner).copied().unwrap_or(false),
            None => self.shares.contains(&Share::All),
        }
    }

    /// The size of the output, in bytes.
    fn made(&self) -> usize {
        let own = self.own.iter().map(|(text, _)| text.len());
        let status = self.status.iter().map(Vec::len);
        own.chain(status).sum::<usize>() + self.text.len() + self.stderr.len()
    }

    fn stamp(&mut self) -> Tai64n {
        let stamp = self.last;
        self.last = stamp.next();
        stamp
    }

    /// 0.76 would flush now; `at` bytes of the input are taken.
    fn flush(&mut self, at: usize) {
        self.flush_in_line(at, 0);
    }

    /// 0.76 would have flushed when `back` bytes of this line were missing; now `at` bytes of
    /// the input are taken.
    fn flush_in_line(&mut self, at: usize, back: usize) {
        let end = if self.stamps { self.text.len() } else { at };
        let is_others = self.owner.is_some() && !self.is_kept();
        let missing = if is_others { 0 } else { back };
        self.flushes.push(end.saturating_sub(missing));
        for ((text, flushes), selected) in self.own.iter_mut().zip(&self.selected) {
            let back = if *selected { back } else { 0 };
            flushes.push(text.len().saturating_sub(back));
        }
    }

    /// Takes a line, which `is_whole` if it includes its newline, or the rest of one.
    fn put(&mut self, line: &[u8], is_whole: bool) {
        let start = self.text.len();
        if self.stamps {
            if !self.in_long_line {
                let stamp = match self.begun.take() {
                    Some(stamp) => stamp,
                    None => self.stamp(),
                };
                let (before, text) = &mut self.shown;
                stamp.renew(*before, text);
                *before = stamp;
                self.text.extend_from_slice(text);
                self.text.push(b' ');
            }
            self.text.extend_from_slice(line);
        }
        let line = if self.stamps {
            self.text.get(start..).unwrap_or_default()
        } else {
            line
        };
        if !self.in_long_line {
            let length = line.len() - usize::from(is_whole);
            let head = line.get(..length.min(LINE)).unwrap_or(line);
            let mut selected = true;
            for test in &self.tests {
                match test {
                    Test::Deselect(wanted) => selected = selected && !wanted.matches(head),
                    Test::Select(wanted) => selected = selected || wanted.matches(head),
                    Test::Stderr if selected => show(head, &mut self.stderr),
                    Test::Status(number) if selected => {
                        if let Some(status) = self.status.get_mut(*number) {
                            status.clear();
                            status.extend_from_slice(head);
                            status.resize(STATUS, b'\n');
                        }
                    }
                    Test::Log(number) => {
                        if let Some(place) = self.selected.get_mut(*number) {
                            *place = selected;
                        }
                    }
                    Test::Stderr | Test::Status(_) => {}
                }
            }
        }
        if self.has_own {
            let others = self.own.iter_mut().zip(&self.shares).zip(&self.selected);
            for (((text, _), share), selected) in others {
                if *selected && *share == Share::Own {
                    text.extend_from_slice(line);
                }
            }
        }
        if !self.is_kept() {
            self.text.truncate(start);
        }
    }
}

/// For each directory, where its output is.
fn shares(script: &Script) -> Vec<Share> {
    let mut may_deselect = false;
    let mut shares = Vec::new();
    for action in &script.actions {
        match action {
            Action::Deselect(_) => may_deselect = true,
            Action::Log(_) if may_deselect => shares.push(Share::Own),
            Action::Log(_) => shares.push(Share::All),
            _ => {}
        }
    }
    if script.stamps
        && let Some(first @ Share::Own) = shares.first_mut()
    {
        *first = Share::Text;
    }
    shares
}

fn copies(shares: &[Share]) -> usize {
    shares.iter().filter(|share| **share == Share::Own).count()
}

fn shows(script: &Script) -> bool {
    script.actions.contains(&Action::Stderr)
}

/// The size of an output buffer, in bytes. With timestamps: the threshold, what one read of
/// 0.76 adds to it, with a timestamp for each byte, and the rest of a batch in one line.
/// Without: a batch, to which only [`show`] adds, less than a hundredth.
fn capacity(script: &Script, room: Room) -> usize {
    let batch = room.batch() + JournalEntry::LONGEST + LINE;
    if script.stamps {
        room.enough() + READ * (STAMP + 1) + batch
    } else {
        batch + batch / 100
    }
}

/// Appends the output of `e` for a line.
fn show(head: &[u8], stderr: &mut Vec<u8>) {
    match head.get(..SHOWN) {
        Some(shown) if head.len() > SHOWN => {
            stderr.extend_from_slice(shown);
            stderr.extend_from_slice(b"...\n");
        }
        _ => {
            stderr.extend_from_slice(head);
            stderr.push(b'\n');
        }
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
