//! Records how services start: in svscan, in its supervises and in the children that exec
//! `./run`.
//!
//! They share one open file, to which each appends its lines with one write(2): the
//! kernel orders the writes, so no process waits for another. svscan closes the file when
//! it has started all services that it found, a supervise before it waits for its first
//! event, and exec closes it in all other processes. A failed write is reported once; then
//! no process writes any more.

use crate::error::Error;
use crate::formats::tai64n::Tai64n;
use crate::formats::timeline::{self, Label, TimelineEvent};
use crate::softlimit::Resource;
use crate::sys::shared::Flag;
use crate::sys::{clock, errno, file, limits, output};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// More bytes than all others can write between the check of the size and a write.
const OTHERS: u64 = 64 * 1024;
/// The maximum number of bytes in one write: a write to a pipe is atomic up to this size.
const AT_ONCE: usize = 4096;

/// The time at which svscan began, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    monotonic: Instant,
    wall: Duration,
}

impl Beginning {
    /// Now.
    pub fn now() -> Beginning {
        Beginning {
            monotonic: clock::monotonic(),
            wall: clock::wall(),
        }
    }
}

/// The open file.
struct Sink {
    file: File,
    /// The path on the command line, for the message.
    path: OsString,
    began: Instant,
    /// Set once a write has failed in some process.
    gave_up: Flag,
    /// The limit on the size of files, in bytes.
    most: u64,
}

impl Sink {
    /// The time from the beginning to `at`, in nanoseconds.
    fn nanoseconds(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Whether the next write could exceed the limit, which causes SIGXFSZ.
    fn is_too_large(&self) -> bool {
        let is = |size: u64| size.saturating_add(OTHERS) > self.most;
        self.most < u64::MAX && self.file.metadata().is_ok_and(|file| is(file.len()))
    }

    fn write(&self, mut lines: &[u8]) {
        while !lines.is_empty() && !self.gave_up.is_set() {
            let written = match self.is_too_large() {
                true => Err(errno::too_big()),
                false => (&self.file).write(lines),
            };
            let error = match written {
                Ok(written) if written == lines.len() => return,
                // The rest has to be written to learn the error.
                Ok(written @ 1..) => {
                    lines = lines.get(written..).unwrap_or_default();
                    continue;
                }
                Ok(0) => ErrorKind::WriteZero.into(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            if self.gave_up.set() {
                let error = Error::unable("write", &self.path, "", error);
                output::err_nonblocking(&error.warning("svscan"));
            }
        }
    }
}

/// The recorder of svscan.
pub struct Recorder {
    sink: Sink,
    began: Beginning,
    /// Lines that are not written yet.
    lines: Vec<u8>,
}

impl Recorder {
    /// Opens `path`, and creates it if it does not exist; it keeps its contents.
    ///
    /// # Errors
    /// `unable to open PATH`.
    pub fn open(path: &OsStr, began: Beginning) -> Result<Recorder, Error> {
        let unable = |error| Error::unable("open", path, "", error);
        Ok(Recorder {
            sink: Sink {
                file: file::open_append_shown(Path::new(path)).map_err(unable)?,
                path: path.to_owned(),
                began: began.monotonic,
                gave_up: Flag::new().map_err(unable)?,
                most: limits::soft(Resource::FileSize).map_err(unable)?,
            },
            began,
            lines: Vec::with_capacity(AT_ONCE),
        })
    }

    /// Replaces the contents of the file by the first line.
    pub fn begin(&mut self) {
        // A file that cannot be truncated, as a pipe, has no contents.
        let _ = self.sink.file.set_len(0);
        let header = timeline::header(Tai64n::from_unix(self.began.wall));
        self.sink.write(&header);
    }

    /// Notes an event, to be written soon.
    pub fn note(&mut self, event: TimelineEvent, at: Instant, name: &OsStr, is_log: bool) {
        let at = self.sink.nanoseconds(at);
        self.take(|lines| timeline::push(event, at, &label(name, is_log), lines));
    }

    fn take(&mut self, push: impl Fn(&mut Vec<u8>)) {
        let before = self.lines.len();
        push(&mut self.lines);
        if self.lines.len() > AT_ONCE {
            self.lines.truncate(before);
            self.write();
            push(&mut self.lines);
        }
    }

    fn write(&mut self) {
        self.sink.write(&self.lines);
        self.lines.clear();
    }

    /// svscan has started all services that it found.
    pub fn end(mut self) {
        let at = self.sink.nanoseconds(clock::monotonic());
        self.take(|lines| timeline::push_scanned(at, lines));
        self.write();
    }

    /// In a child: the recorder of this supervise. svscan itself writes its own events.
    pub fn of(self, name: &OsStr, is_log: bool) -> Record<'_> {
        // Freeing it would write to memory that is shared with svscan.
        std::mem::forget(self.lines);
        Record {
            sink: self.sink,
            name,
            is_log,
            noted: [None; NOTED],
        }
    }
}

/// The maximum number of events of a supervise.
const NOTED: usize = 4;

/// The recorder of a supervise.
pub struct Record<'a> {
    sink: Sink,
    name: &'a OsStr,
    is_log: bool,
    /// Bytes that are not written yet.
    noted: [Option<(TimelineEvent, u64)>; NOTED],
}

impl Record<'_> {
    /// Notes an event that happens now, for [`Record::end`].
    pub fn note(&mut self, event: TimelineEvent) {
        let now = self.now();
        if let Some(place) = self.noted.iter_mut().find(|place| place.is_none()) {
            *place = Some((event, now));
        }
    }

    /// Writes the notes, and closes the file.
    pub fn end(self) {
        self.write_all(self.noted.iter().flatten());
        // As in `of`.
        std::mem::forget(self.sink.path);
    }

    /// In a child: writes an event that happens now, and nothing else.
    pub fn write(&self, event: TimelineEvent) {
        self.write_all([(event, self.now())].iter());
    }

    fn now(&self) -> u64 {
        self.sink.nanoseconds(clock::monotonic())
    }

    fn write_all<'a>(&self, events: impl Iterator<Item = &'a (TimelineEvent, u64)>) {
        let label = label(self.name, self.is_log);
        let mut lines = Vec::new();
        for (event, at) in events {
            timeline::push(*event, *at, &label, &mut lines);
        }
        self.sink.write(&lines);
    }
}

impl AsFd for Record<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sink.file.as_fd()
    }
}

fn label(name: &OsStr, is_log: bool) -> Vec<u8> {
    let name = name.as_bytes().to_vec();
    Label { name, is_log }.encode()
}
