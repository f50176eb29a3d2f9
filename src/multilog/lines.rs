//! From what was read to what is to be written: lines, their stamps, who selects them.

use super::cutter::LINE;
use super::pattern::Pattern;
use super::rush::Room;
use super::script::{Action, Script};
use crate::formats::journal::JournalEntry;
use crate::formats::tai64n::Tai64n;
use std::mem::MaybeUninit;

/// How much 0.76 reads at once, in bytes: before each read it writes what it has,
/// which [`super::cutter`] must know.
pub const READ: usize = 1024;
/// What a stamp and the blank behind it add to a line, in bytes.
pub const STAMP: usize = Tai64n::TEXT + 1;
/// So much of a line is shown on stderr, in bytes.
const SHOWN: usize = 200;
/// The size of a status file, in bytes.
pub const STATUS: usize = 1001;

/// Turns input into what each directory is to get.
#[derive(Debug)]
pub struct Lines {
    /// What is done with each line, in this order.
    tests: Vec<Test>,
    /// Whether lines get a stamp.
    stamps: bool,
    room: Room,
    /// For each directory, where what it gets stands.
    shares: Vec<Share>,
    /// Whether one has [`Share::Own`].
    has_own: bool,
    /// Which directory's lines `text` is for, if not for those of all.
    owner: Option<usize>,
    /// For each directory, whether it gets this line.
    selected: Vec<bool>,
    /// Whether the input stands in a line whose beginning was consumed.
    in_long_line: bool,
    /// The last stamp given, and the one that the unfinished line has.
    last: Tai64n,
    begun: Option<Tai64n>,
    /// The stamp that was shown last, and its text.
    shown: (Tai64n, [u8; Tai64n::TEXT]),
    /// The lines with their stamps, if they get any: all, or those of `owner`.
    text: Vec<u8>,
    /// Where in it (or in the input) 0.76 would have written before a read.
    flushes: Vec<usize>,
    /// For each directory with [`Share::Own`], the same of its own.
    own: Vec<(Vec<u8>, Vec<usize>)>,
    /// What is to be written to stderr.
    stderr: Vec<u8>,
    /// For each status file, its new content.
    status: Vec<Vec<u8>>,
}

/// An [`Action`] in the form in which it is done.
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

/// Where what a directory gets stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Share {
    /// It gets every line, and if there are stamps, those are in `text`.
    All,
    /// It does not, and its lines are in `text`: no directory gets all, and this saves
    /// a copy.
    Text,
    /// It does not, and its lines are in a buffer of its own.
    Own,
}

/// How far [`Lines::take`] came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// So many bytes of the input are dealt with. The others come again.
    pub bytes: usize,
    /// So many of the others 0.76 would have read by now.
    pub seen: usize,
}

impl Lines {
    /// For the given script. What is allocated here is enough for ever, so that no
    /// allocation fails later; unused, it takes no memory.
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

    /// How much [`Lines::new`] allocates for `script`, in bytes.
    pub fn needs(script: &Script, room: Room) -> usize {
        let buffers =
            copies(&shares(script)) + usize::from(script.stamps) + usize::from(shows(script));
        buffers * capacity(script, room)
    }

    /// Takes lines from `input`: whole ones, and what there is of one of 1000
    /// bytes or more; the beginning of a shorter one is left. `seen` bytes of
    /// `input` 0.76 would have read before this. `now` is the time; if it has not
    /// passed since the last line, the next stamp is a nanosecond later.
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

    /// How many directories get a copy of their own, since they do not get every line.
    pub fn copies(&self) -> usize {
        copies(&self.shares)
    }

    /// Forgets what was made, and gives the memory that it had: until the next
    /// [`Lines::take`] nobody needs it.
    pub fn unused(&mut self) -> impl Iterator<Item = &mut [MaybeUninit<u8>]> {
        let texts = self.own.iter_mut().map(|(text, _)| text);
        texts.chain([&mut self.text, &mut self.stderr]).map(|text| {
            text.clear();
            text.spare_capacity_mut()
        })
    }

    /// What directory `number` gets, and where 0.76 would have written before a
    /// read; `taken` is the part of the input that was taken.
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

    /// What is to be written to stderr.
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

    /// Whether the input stands in a line whose beginning was consumed.
    pub fn is_in_long_line(&self) -> bool {
        self.in_long_line
    }

    /// The stamp of the next line that begins, if it is `now`. What was given before can be
    /// ahead of the clock, by so many nanoseconds as there were lines.
    pub fn next_stamp(&self, now: Tai64n) -> Tai64n {
        if now > self.last || now.seconds.saturating_add(1) < self.last.seconds {
            now
        } else {
            self.last
        }
    }

    /// The stamp of the unfinished line that the input begins with, if it has got one.
    pub fn begun(&self) -> Option<Tai64n> {
        self.begun
    }

    /// If the input stands in a line whose beginning was consumed, whether
    /// directory `number` gets it.
    pub fn long_line(&self, number: usize) -> Option<bool> {
        self.in_long_line
            .then(|| self.selected.get(number).copied().unwrap_or(false))
    }

    /// The input goes on where another process was: in a `long_line`, of which it tells
    /// for each directory whether it gets the rest, or in a line with the stamp `begun`.
    pub fn resume(&mut self, long_line: Option<&[bool]>, begun: Option<Tai64n>) {
        self.in_long_line = long_line.is_some();
        for (place, given) in self.selected.iter_mut().zip(long_line.unwrap_or_default()) {
            *place = *given;
        }
        self.begun = begun;
    }

    /// Whether the lines of this time are wanted in `text`.
    fn is_kept(&self) -> bool {
        match self.owner {
            Some(owner) => self.selected.get(owner).copied().unwrap_or(false),
            None => self.shares.contains(&Share::All),
        }
    }

    /// How much there is to write, in bytes.
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

    /// 0.76 would write now; `at`: so much of the input is taken.
    fn flush(&mut self, at: usize) {
        self.flush_in_line(at, 0);
    }

    /// 0.76 would have written when `back` bytes of this line were missing; now
    /// `at` bytes of the input are taken.
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

    /// Takes a line, which `is_whole` if its newline is there, or the rest of one.
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

/// For each directory, where what it gets stands.
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

/// The size of a buffer for what is made of lines, in bytes. With stamps: for what is
/// enough, what one read of 0.76 adds to it, with a stamp for each byte, and then all the
/// rest of a batch in one line. Without: for a batch, to which only [`show`] adds, less
/// than a hundredth.
fn capacity(script: &Script, room: Room) -> usize {
    let batch = room.batch() + JournalEntry::LONGEST + LINE;
    if script.stamps {
        room.enough() + READ * (STAMP + 1) + batch
    } else {
        batch + batch / 100
    }
}

/// Appends what `e` shows of a line.
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
