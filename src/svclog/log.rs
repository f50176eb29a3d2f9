//! A log directory that is read while multilog writes it.

use super::files::{self, Fate, Id, Look, Next};
use super::printer::Printer;
use super::tail::{Backwards, Since, begins_line, compressed};
use super::{Failure, show};
use crate::error::Error;
use crate::formats::logname;
use crate::formats::tai64n::Tai64n;
use crate::sys::folder::{self, Facts};
use crate::sys::{file, output};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much is read at a time, in bytes.
const AT_ONCE: usize = 64 * 1024;

/// So many finished files are opened before the first of them is read: what is
/// open cannot be deleted before it was read.
const OPEN_AT_ONCE: usize = 64;

/// How often something is looked at again that moved while it was looked at.
const TRIES: usize = 20;

/// A log directory, and how far it was read.
pub(super) struct Log {
    path: PathBuf,
    folder: File,
    /// The finished files that were read, or are older than what is to be.
    known: BTreeSet<OsString>,
    /// The newest of them.
    last: Option<OsString>,
    /// The file that was `current` when it was opened.
    active: Option<Active>,
    /// It was said that lines may be missing here.
    is_gap: bool,
    buffer: Vec<u8>,
}

struct Active {
    file: File,
    id: Id,
    /// So much of it was read, in bytes.
    at: u64,
    /// Its start was shown to the printer.
    has_begun: bool,
    state: Option<(u64, i64)>,
    tries: usize,
}

/// Where to begin.
pub(super) struct Start {
    /// In this finished file; None: in the one that is still written.
    file: Option<OsString>,
    /// At this byte of it.
    at: u64,
}

impl Log {
    /// Opens the log directory `path` and finds out what is in it.
    pub(super) fn open(path: &Path) -> Result<Log, Failure> {
        let unable = |doing, error| Error::unable(doing, path.as_os_str(), "", error);
        let folder = file::open_read(path).map_err(|error| unable("open directory", error))?;
        let mut log = Log {
            path: path.to_owned(),
            folder,
            known: BTreeSet::new(),
            last: None,
            active: None,
            is_gap: false,
            buffer: vec![0; AT_ONCE],
        };
        for _ in 0..TRIES {
            log.known.clear();
            log.last = None;
            let look = log.look()?;
            // What is no file may stay there for ever, so it tells nothing.
            let files = look.new.iter().filter(|(_, id)| id.is_some());
            log.last = files.map(|(name, _)| name).next_back().cloned();
            log.known.clone_from(&look.finished);
            if log.open_next(&look)? {
                break;
            }
        }
        Ok(log)
    }

    /// Whether there is nothing of multilog in the directory.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.active.is_none()
    }

    /// Whether nothing is open that will be written to.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_none()
    }

    /// Whether the directory was removed.
    pub(super) fn is_removed(&self) -> bool {
        self.folder.metadata().is_ok_and(|m| m.nlink() == 0)
    }

    /// The directory that is open.
    pub(super) fn folder(&self) -> &File {
        &self.folder
    }

    fn unable(&self, doing: &'static str, name: &OsStr, error: io::Error) -> Failure {
        let path = self.path.join(name);
        Error::unable(doing, path.as_os_str(), "", error).into()
    }

    fn warn_gap(&mut self) {
        if !self.is_gap {
            let why = b"lines may be missing here: files were deleted before they were read";
            warn(&[show(&self.path), b": ", why]);
        }
        self.is_gap = true;
    }

    /// What `name` is, if it is a plain file.
    fn facts(&self, name: impl AsRef<OsStr>) -> Option<Facts> {
        folder::facts(&self.folder, name.as_ref())
            .ok()
            .filter(|facts| facts.is_file)
    }

    /// Opens a finished file.
    fn open_finished(&self, name: &OsStr) -> Result<Finished, Failure> {
        let opened = match folder::facts(&self.folder, name) {
            Ok(facts) if !facts.is_file => return Ok(Finished::NoFile),
            Ok(_) => folder::open_file(&self.folder, name),
            Err(error) => Err(error),
        };
        match opened {
            Ok(file) => Ok(Finished::Open(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Finished::Deleted),
            Err(error) => Err(self.unable("open", name, error)),
        }
    }

    /// Looks at the directory, in the order that [`Look`] demands.
    fn look(&self) -> Result<Look, Failure> {
        let names = || {
            folder::names(&self.folder).map_err(|error| {
                Failure::from(Error::unable("read", self.path.as_os_str(), "", error))
            })
        };
        let previous = self
            .facts("previous")
            .map(|facts| (id(&facts), facts.links));
        let processed = self.facts("processed").is_some();
        let first = names()?;
        let finished = files::certain(&first, names()?, &self.known);
        let new = finished
            .difference(&self.known)
            .map(|name| (name.clone(), self.facts(name).as_ref().map(id)))
            .collect();
        Ok(Look {
            previous,
            processed,
            new,
            finished,
            last: self.last.as_ref().map(|last| self.facts(last).is_some()),
            current: self.facts("current").map(|facts| (id(&facts), facts.size)),
            state: self.state(),
        })
    }

    fn state(&self) -> Option<(u64, i64)> {
        self.facts("state")
            .map(|facts| (facts.inode, facts.changed))
    }

    /// Opens what is written now. False if the directory has changed meanwhile.
    fn open_next(&mut self, before: &Look) -> Result<bool, Failure> {
        let (name, id) = match files::next(before) {
            Next::Previous(id) => ("previous", id),
            Next::Current(id) => ("current", id),
            Next::Nothing => return Ok(true),
        };
        let state = self.state();
        let name = OsStr::new(name);
        let opened = folder::open_file(&self.folder, name).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, (metadata.dev(), metadata.ino())))
        });
        let file = match opened {
            Ok((file, found)) if found == id => file,
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.unable("open", name, error)),
        };
        if !files::is_next(id, before, &self.look()?) {
            return Ok(false);
        }
        self.active = Some(Active {
            file,
            id,
            at: 0,
            has_begun: false,
            state,
            tries: 0,
        });
        Ok(true)
    }

    /// Shows everything that is new.
    pub(super) fn catch_up(&mut self, printer: &mut Printer) -> Result<(), Failure> {
        let mut tries = 0;
        while tries < TRIES {
            self.read_active(printer)?;
            if let Some(active) = &mut self.active {
                let current = folder::facts(&self.folder, OsStr::new("current"));
                if current.is_ok_and(|facts| id(&facts) == active.id) {
                    return Ok(());
                }
                // It is complete, and this is the rest of it.
                let links = active.file.metadata().map_or(0, |m| m.nlink());
                self.read_active(printer)?;
                if !self.leave_active(links)? {
                    return Ok(());
                }
                continue;
            }
            let look = self.look()?;
            if !look.follows() {
                self.warn_gap();
                self.last = None;
            }
            self.known.retain(|name| look.finished.contains(name));
            if look.new.is_empty() {
                match self.open_next(&look)? {
                    true if self.active.is_none() => return Ok(()),
                    true => tries = 0,
                    false => tries += 1,
                }
                continue;
            }
            tries = 0;
            let names: Vec<OsString> = look.new.into_iter().map(|(name, _)| name).collect();
            for names in names.chunks(OPEN_AT_ONCE) {
                self.read_finished(names, printer)?;
            }
        }
        // It changes all the time; the caller comes back.
        Ok(())
    }

    /// Finds out what has become of the file that was `current`, and had `links`
    /// names. False if that is to be waited for.
    fn leave_active(&mut self, links: u64) -> Result<bool, Failure> {
        let look = self.look()?;
        let Some(active) = &mut self.active else {
            return Ok(true);
        };
        match files::fate(active.id, links, active.state, &look) {
            Fate::Pending => return Ok(false),
            Fate::Unknown => {
                active.tries += 1;
                if active.tries < TRIES {
                    return Ok(true);
                }
            }
            Fate::Finished(name) => self.now_known(name),
            Fate::Processed(name) => {
                // It went when it was processed, which is after the next `current` is
                // made; if that is still there, no later one can have been deleted.
                let went = active.file.metadata().ok().and_then(|m| changed(&m));
                let made = folder::open_file(&self.folder, OsStr::new("current"))
                    .and_then(|file| file.metadata()?.created());
                let is_certain = made.is_ok_and(|made| went.is_some_and(|went| made < went));
                self.now_known(name);
                if !is_certain {
                    self.warn_gap();
                }
            }
            Fate::Deleted => {
                self.last = None;
                self.warn_gap();
            }
        }
        self.active = None;
        Ok(true)
    }

    fn now_known(&mut self, name: OsString) {
        self.known.insert(name.clone());
        self.last = Some(name);
    }

    /// Shows what has come in the file that is written.
    fn read_active(&mut self, printer: &mut Printer) -> Result<(), Failure> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        if !active.has_begun {
            let head = head(&active.file);
            if head.is_empty() {
                return Ok(());
            }
            active.has_begun = true;
            printer.begin(&head).map_err(Failure::Output)?;
        }
        let end = size(&active.file);
        if end < active.at {
            // Somebody else has emptied it, and what came since begins anew.
            active.at = 0;
            warn(&[show(&self.path), b"/current: it was cut, and is shown anew"]);
        }
        let from = active.at;
        let result = pour(&active.file, &mut active.at, end, &mut self.buffer, printer);
        self.is_gap &= active.at == from;
        result.map_err(|trouble| self.trouble(OsStr::new("current"), trouble))
    }

    fn trouble(&self, name: &OsStr, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Read(error) => self.unable("read", name, error),
            Trouble::Write(error) => Failure::Output(error),
        }
    }

    /// Shows these finished files.
    fn read_finished(&mut self, names: &[OsString], printer: &mut Printer) -> Result<(), Failure> {
        let opened: Vec<_> = names
            .iter()
            .map(|name| (name, self.open_finished(name)))
            .collect();
        for (name, file) in opened {
            match file? {
                Finished::Open(file) => {
                    self.now_known(name.clone());
                    self.read_one(name, &file, 0, printer)?;
                }
                Finished::Deleted => {
                    self.now_known(name.clone());
                    self.warn_gap();
                }
                Finished::NoFile => {
                    self.known.insert(name.clone());
                }
            }
        }
        Ok(())
    }

    /// Shows the finished file `name` from the byte `at`.
    fn read_one(
        &mut self,
        name: &OsStr,
        file: &File,
        at: u64,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let head = head(file);
        if let Some(program) = compressed(&head) {
            warn(&[
                show(&self.path.join(name)),
                b": compressed (",
                program.as_bytes(),
                b") and not shown",
            ]);
            return Ok(());
        }
        if at == 0 {
            printer.begin(&head).map_err(Failure::Output)?;
        }
        self.is_gap = false;
        let mut at = at;
        pour(file, &mut at, size(file), &mut self.buffer, printer)
            .map_err(|trouble| self.trouble(name, trouble))
    }

    /// Where the last `lines` lines begin.
    pub(super) fn last_lines(&mut self, lines: u64) -> Result<Start, Failure> {
        let mut backwards = Backwards::new(lines);
        // Of the file behind: whether it begins with a stamp.
        let mut begins = false;
        let mut start = Start { file: None, at: 0 };
        let mut left_out = LeftOut::default();
        let names = self.known.iter().rev().cloned().map(Some);
        for name in std::iter::once(None).chain(names) {
            if begins && backwards.line_begins() {
                break;
            }
            begins = false;
            let opened;
            let file = match (&name, &self.active) {
                (Some(name), _) => match self.open_finished(name)? {
                    Finished::Open(file) => {
                        opened = file;
                        &opened
                    }
                    Finished::NoFile => continue,
                    // And all that are older with it.
                    Finished::Deleted => break,
                },
                (None, Some(active)) => &active.file,
                (None, None) => continue,
            };
            let head = head(file);
            if let (Some(name), Some(_)) = (&name, compressed(&head)) {
                left_out.0.push(name.clone());
                // What it ends in cannot be told.
                begins = true;
                continue;
            }
            let size = size(file);
            let mut end = size;
            while end > 0 {
                let count = end.min(AT_ONCE as u64);
                let at = end - count;
                let buffer = self.buffer.get_mut(..usize::try_from(count).unwrap_or(0));
                let piece = read_up_to(file, buffer.unwrap_or_default(), at).map_err(|error| {
                    self.unable(
                        "read",
                        name.as_deref().unwrap_or(OsStr::new("current")),
                        error,
                    )
                })?;
                let piece = self.buffer.get(..piece).unwrap_or_default();
                if let Some(place) = backwards.feed(piece) {
                    let at = at + place as u64;
                    let start = Start { file: name, at };
                    left_out.tell(self, &start);
                    return Ok(start);
                }
                end = at;
            }
            if size > 0 {
                begins = begins_line(&head);
                start = Start { file: name, at: 0 };
            }
        }
        left_out.tell(self, &start);
        Ok(start)
    }

    /// Where the lines since `moment` begin.
    pub(super) fn since(&mut self, moment: Tai64n) -> Result<Start, Failure> {
        let mut left_out = LeftOut::default();
        let names: Vec<OsString> = self
            .known
            .iter()
            // All its lines are older than its name.
            .filter(|name| logname::moment(name.as_bytes()) >= Some(moment))
            .cloned()
            .collect();
        for name in names {
            let Finished::Open(file) = self.open_finished(&name)? else {
                continue;
            };
            if compressed(&head(&file)).is_some() {
                left_out.0.push(name);
                continue;
            }
            if let Some(at) = self.since_in(&name, &file, moment)? {
                let start = Start {
                    file: Some(name),
                    at,
                };
                left_out.tell(self, &start);
                return Ok(start);
            }
        }
        let mut start = Start { file: None, at: 0 };
        left_out.tell(self, &start);
        let Some(active) = self.active.take() else {
            return Ok(start);
        };
        let at = if written(&active.file) < Some(moment) {
            Ok(None)
        } else {
            self.since_in(OsStr::new("current"), &active.file, moment)
        };
        let end = size(&active.file);
        self.active = Some(active);
        start.at = at?.unwrap_or(end);
        Ok(start)
    }

    /// Where the lines since `moment` begin in `file`: at its start if no line in it
    /// has a stamp, because it was still written then.
    fn since_in(
        &mut self,
        name: &OsStr,
        file: &File,
        moment: Tai64n,
    ) -> Result<Option<u64>, Failure> {
        let mut since = Since::new(moment);
        let mut at = 0;
        loop {
            let count = read_up_to(file, &mut self.buffer, at)
                .map_err(|error| self.unable("read", name, error))?;
            if count == 0 {
                return Ok((!since.has_stamps() && at > 0).then_some(0));
            }
            let found = since.feed(self.buffer.get(..count).unwrap_or_default());
            if found.is_some() {
                return Ok(found);
            }
            at += count as u64;
        }
    }

    /// Shows everything from `start` on.
    pub(super) fn show(&mut self, start: &Start, printer: &mut Printer) -> Result<(), Failure> {
        let from = start.file.clone();
        let names: Vec<OsString> = self
            .known
            .iter()
            .filter(|name| from.as_ref().is_some_and(|from| *name >= from))
            .cloned()
            .collect();
        for name in names {
            let at = if Some(&name) == from.as_ref() {
                start.at
            } else {
                0
            };
            match self.open_finished(&name)? {
                Finished::Open(file) => self.read_one(&name, &file, at, printer)?,
                Finished::Deleted => self.warn_gap(),
                Finished::NoFile => {}
            }
        }
        if let (Some(active), None) = (&mut self.active, from) {
            active.at = start.at;
            active.has_begun = start.at > 0;
        }
        self.read_active(printer)
    }
}

impl Start {
    /// The later one of the two.
    pub(super) fn later(self, other: Start) -> Start {
        let place = |start: &Start| (start.file.is_none(), start.file.clone(), start.at);
        if place(&self) >= place(&other) {
            self
        } else {
            other
        }
    }
}

/// Compressed files that were passed over.
#[derive(Default)]
struct LeftOut(Vec<OsString>);

impl LeftOut {
    /// Says so of those before `start`; those behind it come up when they would be shown.
    fn tell(&self, log: &Log, start: &Start) {
        let is_before = |name: &&OsString| start.file.as_ref().is_none_or(|file| *name < file);
        let before = || self.0.iter().filter(is_before);
        if let Some(newest) = before().max() {
            let others = match before().count() - 1 {
                0 => String::new(),
                count => format!(" and {count} older ones"),
            };
            warn(&[
                show(&log.path.join(newest)),
                others.as_bytes(),
                b": compressed and not shown",
            ]);
        }
    }
}

/// What is there under the name of a finished file.
enum Finished {
    Open(File),
    Deleted,
    /// A directory, a link: nothing of multilog's.
    NoFile,
}

enum Trouble {
    Read(io::Error),
    Write(io::Error),
}

/// Shows `file` from the byte `at` to the byte `end`, and moves `at` on.
fn pour(
    file: &File,
    at: &mut u64,
    end: u64,
    buffer: &mut [u8],
    printer: &mut Printer,
) -> Result<(), Trouble> {
    while *at < end {
        let most = usize::try_from(end - *at).unwrap_or(usize::MAX);
        let room = most.min(buffer.len());
        let room = buffer.get_mut(..room).unwrap_or_default();
        let count = read_up_to(file, room, *at).map_err(Trouble::Read)?;
        if count == 0 {
            break;
        }
        *at += count as u64;
        let bytes = room.get(..count).unwrap_or_default();
        printer.put(bytes).map_err(Trouble::Write)?;
    }
    Ok(())
}

/// Reads at the byte `at` until `buffer` is full or the file ends.
fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut there = 0;
    while let Some(room) = buffer.get_mut(there..).filter(|room| !room.is_empty()) {
        match file.read_at(room, at + there as u64) {
            Ok(0) => break,
            Ok(count) => there += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}

/// The first bytes of `file`: enough for a stamp.
fn head(file: &File) -> Vec<u8> {
    let mut head = vec![0; Tai64n::TEXT];
    let count = read_up_to(file, &mut head, 0).unwrap_or(0);
    head.truncate(count);
    head
}

fn size(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// When the file of this `metadata` was changed, renamed or unlinked last.
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    let nanoseconds = Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?);
    UNIX_EPOCH.checked_add(seconds + nanoseconds)
}

/// When `file` was written to last.
fn written(file: &File) -> Option<Tai64n> {
    let modified = file.metadata().ok()?.modified().ok()?;
    modified
        .duration_since(UNIX_EPOCH)
        .ok()
        .map(Tai64n::from_unix)
}

fn warn(what: &[&[u8]]) {
    output::err(&[b"svclog: warning: ".as_slice(), &what.concat(), b"\n"].concat());
}

fn id(facts: &Facts) -> Id {
    (facts.device, facts.inode)
}
