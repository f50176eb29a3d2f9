//! The loop of multilog: look at what is in stdin, write what becomes of it, and
//! only then take it out.

use super::dir::Dir;
use super::lines::{Lines, READ, Taken};
use super::locked::Locked;
use super::recovery::{self, Found, Resume};
use super::rush::{Room, Rush};
use super::script::Script;
use super::status::StatusFile;
use super::waiter::Waiter;
use crate::error::Error;
use crate::formats::mark::{Mark, Reading, hash};
use crate::formats::tai64n::Tai64n;
use crate::sys::source::{Look, Source};
use crate::sys::{clock, file, memory};
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// So long it waits before the first look that nobody asks for, behind an unfinished
/// line; then twice as long, and so on, but no longer than that.
const SOON: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);
/// After so long an unfinished line to which nothing comes is taken out of the pipe.
const QUIET: Duration = Duration::from_secs(1);

/// So much memory, in bytes, is to be available beside [`Room::Large`]'s buffers: for what
/// is needed for a moment, as the names in a directory.
const MARGIN: usize = 512 * 1024;

/// One running multilog.
struct Shell {
    waiter: Waiter,
    source: Source,
    lines: Lines,
    dirs: Vec<Dir>,
    status: Vec<StatusFile>,
    /// What was read and not yet dealt with, first the held bytes, which are no
    /// longer in the pipe.
    buffer: Vec<u8>,
    /// How many bytes of `buffer` are in use.
    filled: usize,
    /// How many of them are held. Of a stdin that is no pipe, all that are left over.
    held: usize,
    /// How many of them 0.76 would have read.
    seen: usize,
    /// How many bytes are in the pipe that were there at the start, if something of what
    /// comes next is taken for written. What comes after them was in no batch; unless
    /// nothing comes, and the end of the input has ended a line.
    old: Option<usize>,
    /// How much is looked at at once.
    rush: Rush,
    /// What is to be done about an unfinished line that stands in the pipe, if one does.
    unfinished: Option<Unfinished>,
}

/// An unfinished line in the pipe. While it stands there, the kernel tells of a write
/// that there is no room for when it is done, not of each part of it: its writer would
/// wait for room, and this for news. So it is looked at again without that.
#[derive(Clone, Copy)]
struct Unfinished {
    /// When something came to it last.
    since: Instant,
    /// After how long to look again.
    pause: Duration,
}

/// Runs multilog with `arguments` until stdin ends or TERM comes.
///
/// # Errors
/// Those of the set-up, with 0.76's sentences; later, what kept multilog from going
/// on when it was told to end and nothing was lost by that.
pub fn run(arguments: &[&[u8]]) -> Result<(), Error> {
    memory::spare_where_short(2 * MARGIN);
    file::umask(0o022);
    let start = file::open_read(Path::new("."))
        .map_err(|error| Error::unable_to("switch to current directory", error))?;
    let start = Rc::new(start);
    let unable = |error| Error::unable_to("read standard input", error);
    let mut waiter = Waiter::new().map_err(unable)?;
    let mut source = Source::open(&waiter.signals).map_err(unable)?;
    let script = Script::parse(arguments.iter().copied());
    let status = script.status_files.iter();
    let status = status.map(|name| StatusFile::open(name, &start));
    let status = status.collect::<Result<Vec<_>, _>>()?;
    let locked = script.directories.iter();
    let locked = locked.map(|settings| Locked::open(settings, &start));
    let locked = locked.collect::<Result<Vec<_>, _>>()?;
    let reading = source.pipe().and_then(|pipe| reading(pipe, arguments));
    waiter.may_leave = source.pipe().is_some();
    let noted = || locked.iter().map(|dir| &dir.noted);
    let origin = reading.and_then(|reading| recovery::origin(noted(), reading));
    let found: Vec<Found> = match origin {
        Some(_) => locked.iter().map(Locked::found).collect(),
        None => vec![Found::default(); locked.len()],
    };
    let resume = recovery::resume(&found, origin.unwrap_or_else(now));
    // What was taken out of another pipe, or before somebody else took over.
    let stranded = locked
        .iter()
        .filter(|_| found.iter().all(|found| found.mark.is_none()))
        .filter_map(|dir| dir.noted.mark())
        .map(|mark| mark.held.clone())
        .find(|held| !held.is_empty());
    let holds = |dir: &Locked| dir.noted.mark().map(|mark| &mark.held) == stranded.as_ref();
    let holders: Vec<bool> = locked.iter().map(holds).collect();
    let dirs = locked
        .into_iter()
        .map(|dir| Dir::start(dir, script.stamps, &mut waiter));
    let dirs = dirs.collect::<Result<Vec<_>, _>>()?;
    source.hasten();
    let room = room(&script);
    let lines = Lines::new(&script, room);
    let rush = Rush::new(lines.copies(), room, clock::monotonic());
    let mut shell = Shell {
        waiter,
        source,
        lines,
        dirs,
        status,
        buffer: Vec::with_capacity(buffer_size(room.batch())),
        filled: 0,
        held: 0,
        seen: 0,
        old: None,
        rush,
        unfinished: None,
    };
    if let Some(stranded) = stranded {
        shell.hold(&stranded);
        shell.end_line();
        shell.deal(shell.filled, shell.held)?;
        // Not before: a KILL between leaves them twice at the worst.
        for (dir, _) in shell.dirs.iter().zip(holders).filter(|(_, holds)| *holds) {
            dir.forget_found();
        }
    }
    if let Some(reading) = reading {
        // Before the first mark is written: what comes later was in no batch.
        let there = shell.source.available().unwrap_or(0);
        shell.resume(reading, &resume)?;
        shell.old = shell.is_ahead().then_some(there);
    }
    shell.turn_until_end()?;
    let is_done = !shell.is_ahead();
    for dir in shell.dirs {
        dir.close(is_done, &mut shell.waiter)?;
    }
    Ok(())
}

/// The size of the buffer for a batch, in bytes: before it held bytes, behind it a newline.
fn buffer_size(batch: usize) -> usize {
    Mark::LONGEST + batch + 1
}

/// How much memory there is.
fn room(script: &Script) -> Room {
    let large = Room::Large;
    let needed = Lines::needs(script, large) + buffer_size(large.batch()) + MARGIN;
    if memory::is_available(needed) {
        large
    } else {
        Room::Small
    }
}

/// Nanoseconds since 1970: two that begin anew have not the same.
fn now() -> u64 {
    u64::try_from(clock::wall().as_nanos()).unwrap_or(u64::MAX)
}

/// Of which input and script marks speak; None if that cannot be told.
fn reading(pipe: (u64, u64), arguments: &[&[u8]]) -> Option<Reading> {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = boot
        .iter()
        .filter(|byte| byte.is_ascii_hexdigit())
        .map(|byte| char::from(*byte))
        .collect();
    let boot = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    // Those that say which bytes a directory gets. One that comes with another
    // processor, say, goes on where the old one was.
    let tells = |place: usize, argument: &[u8]| match argument.first() {
        Some(b'+' | b'-' | b'.' | b'/') => true,
        Some(b't') => place == 0,
        _ => false,
    };
    let mut words = Vec::new();
    let arguments = arguments.iter().enumerate();
    for (_, argument) in arguments.filter(|(place, argument)| tells(*place, argument)) {
        words.extend_from_slice(argument);
        words.push(0);
    }
    Some(Reading {
        boot,
        pipe,
        script: hash(&words),
    })
}

impl Shell {
    /// Goes on where an earlier multilog was killed.
    fn resume(&mut self, reading: Reading, resume: &Resume) -> Result<(), Error> {
        if let Some(selected) = &resume.long_line {
            self.lines.resume_long_line(selected);
        }
        self.hold(&resume.held);
        for (number, dir) in self.dirs.iter_mut().enumerate() {
            dir.begin_marks(reading, resume, number, &mut self.waiter)?;
        }
        Ok(())
    }

    /// Whether something of what comes next is taken for written.
    fn is_ahead(&self) -> bool {
        self.dirs.iter().any(Dir::is_ahead)
    }

    /// What comes next was in no batch.
    fn expect_nothing(&mut self) -> Result<(), Error> {
        self.old = None;
        for dir in self.dirs.iter_mut().filter(|dir| dir.is_ahead()) {
            dir.expect_nothing(&mut self.waiter)?;
        }
        Ok(())
    }

    /// Takes bytes out of the pipe that are dealt with.
    fn take_out(&mut self, count: usize) {
        self.source.take_out(count);
        self.old = self.old.map(|old| old.saturating_sub(count));
    }

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
                let again = self.unfinished.map(|line| clock::monotonic() + line.pause);
                budgets.chain(again).chain(self.rush.end()).min()
            };
            let ready = self.source.wait(&self.waiter.signals, deadline);
            to_look |= ready.input;
            let is_unasked = !to_look && self.unfinished.is_some();
            to_look |= is_unasked;
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
                Progress::None
            };
            if is_to_rotate {
                for dir in &mut self.dirs {
                    dir.rotate_now(&mut self.waiter)?;
                }
            }
            if is_to_end || progress == Progress::End {
                return Ok(());
            }
            to_look = progress == Progress::Some && is_pipe;
            if !to_look && self.old.is_some_and(|old| old > 0) {
                // All that is left of it is a part of a line.
                self.old = Some(0);
                to_look = true;
            }
            let now = clock::monotonic();
            if self.rush.is_just_over(now) {
                self.release();
            }
            self.unfinished = match self.unfinished {
                // What there is more to look at, the next look deals with.
                _ if to_look || self.filled == self.held => None,
                Some(line) if self.filled == before => Some(Unfinished {
                    pause: (line.pause * if is_unasked { 2 } else { 1 }).min(LONGEST_PAUSE),
                    ..line
                }),
                _ => Some(Unfinished {
                    since: now,
                    pause: SOON,
                }),
            };
            let is_to_go = |line: Unfinished| line.since + QUIET <= now || self.source.is_narrow();
            if self.unfinished.is_some_and(is_to_go) {
                self.hold_unfinished()?;
                // Of a pipe of many short pieces not all was seen, perhaps.
                to_look = is_pipe;
            }
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
    fn look(&mut self) -> Result<Progress, Error> {
        let is_pipe = self.source.pipe().is_some();
        // Of what cannot be put back, only as much is taken as must be.
        let most = if self.waiter.told_to_end && !is_pipe {
            1
        } else {
            // What was in no batch is not looked at together with what was.
            let old = self.old.filter(|old| *old > 0);
            self.rush.batch().min(old.unwrap_or(usize::MAX))
        };
        self.make_room();
        let room = self.buffer.get_mut(self.held..self.held + most);
        // Nothing but the end can follow an error, as in 0.76.
        let look = self.source.look(room.unwrap_or_default());
        let (count, is_all) = match look.unwrap_or(Look::End) {
            Look::Nothing => {
                // What was there, somebody else has read.
                self.filled = self.held;
                self.seen = self.seen.min(self.filled);
                if self.old.is_some() {
                    self.expect_nothing()?;
                }
                return Ok(Progress::None);
            }
            Look::Bytes { count, is_all } => (count, is_all),
            Look::End => (0, true),
        };
        if is_pipe {
            // TERM may have come before these bytes, and been told after them.
            self.waiter.hear();
            if self.is_to_end() {
                return Ok(Progress::Some);
            }
        }
        let is_full = count == self.rush.batch();
        self.rush.found(count, clock::monotonic());
        let before = self.filled;
        self.filled = self.held + count;
        let there = self.buffer.get(..self.filled).unwrap_or_default();
        let last_line = Some(there).filter(|_| self.waiter.told_to_end);
        let last_line = last_line.and_then(|there| memchr::memchr(b'\n', there));
        let is_end = count == 0 || (self.source.is_hung_up() && is_all);
        if self.old == Some(0) && !is_end {
            self.expect_nothing()?;
        }
        if is_end && last_line.is_none() {
            // 0.76 writes what it has before the read that tells it of the end.
            self.deal(self.filled, self.filled)?;
            let real = self.filled;
            self.end_line();
            self.deal(self.filled, real)?;
            return Ok(Progress::End);
        }
        if is_pipe && self.filled == before && self.seen == before {
            return Ok(Progress::None);
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
    fn deal(&mut self, usable: usize, real: usize) -> Result<Progress, Error> {
        let mut done = 0;
        loop {
            let input = self.buffer.get(done..usable).unwrap_or_default();
            let in_line: Vec<bool> = (0..self.dirs.len())
                .map(|number| self.lines.long_line(number) == Some(true))
                .collect();
            let now = Tai64n::from_unix(clock::wall());
            let Taken { bytes, seen } = self.lines.take(input, self.seen, now);
            self.seen = seen;
            if bytes == 0 {
                break;
            }
            let taken = input.get(..bytes).unwrap_or_default();
            self.waiter.show(self.lines.stderr());
            for (number, status) in self.status.iter().enumerate() {
                if let Some(content) = self.lines.status(number) {
                    status.write(content, &mut self.waiter)?;
                }
            }
            for ((number, dir), in_line) in self.dirs.iter_mut().enumerate().zip(in_line) {
                let (text, flushes) = self.lines.output(number, taken);
                dir.write(text, flushes, in_line, &mut self.waiter)?;
            }
            for (number, dir) in self.dirs.iter_mut().enumerate() {
                let (text, _) = self.lines.output(number, taken);
                let long_line = self.lines.long_line(number);
                dir.note(text.len(), long_line, &[], &mut self.waiter)?;
            }
            let out = (done + bytes).min(real);
            self.take_out(out.saturating_sub(self.held.max(done)));
            done += bytes;
        }
        if done == 0 {
            if self.source.pipe().is_none() {
                self.held = self.filled;
            }
            return Ok(Progress::None);
        }
        self.buffer.copy_within(done..self.filled, 0);
        self.filled -= done;
        self.held = if self.source.pipe().is_some() {
            0
        } else {
            self.filled
        };
        Ok(Progress::Some)
    }

    /// Takes an unfinished line out of the pipe and keeps it: there it keeps others
    /// from their room, and would have to be looked for again and again.
    fn hold_unfinished(&mut self) -> Result<(), Error> {
        let pending = self.filled - self.held;
        let held = self.buffer.get(..self.filled).unwrap_or_default();
        for (number, dir) in self.dirs.iter_mut().enumerate() {
            let long_line = self.lines.long_line(number);
            dir.note(0, long_line, held, &mut self.waiter)?;
        }
        self.take_out(pending);
        self.held = self.filled;
        self.unfinished = None;
        Ok(())
    }

    /// Puts `bytes`, which are not in the pipe, before what is.
    fn hold(&mut self, bytes: &[u8]) {
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
    fn end_line(&mut self) {
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
enum Progress {
    /// Something was dealt with; there may be more.
    Some,
    /// There is nothing that could be dealt with now.
    None,
    /// There will never be anything more, and all is dealt with.
    End,
}
