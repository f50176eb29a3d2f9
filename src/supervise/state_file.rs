//! The writer of `supervise/state`, the record ([`crate::formats::state`]).
//!
//! Only the supervise that holds `supervise/lock` may create a [`StateFile`]: create it after
//! [`super::dir::ServiceDir::open`], and write once before `ok` is opened, so that clients that
//! find a supervise find its record. Then write after each change: before or after the 18
//! bytes, but before supervise sends a signal to the service or exits.

use super::takeover::{FoundRecord, Here, Past};
use crate::child::{End, Pid, PidSpace, ProcessId};
use crate::error::Error;
use crate::formats::handover::{HANDOVER, Handover, Upgradable};
use crate::formats::state::{ChildLine, State, StateRecord, StateWriter};
use crate::formats::svscan_note::{NotedEnd, SvscanNote};
use crate::softlimit::Resource;
use crate::sys::file::{self, Access, FileId};
use crate::sys::{clock, errno, limits, lock, output, process};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

const PATH: &str = "supervise/state";
/// The new name of a file of another owner that had this name.
const ASIDE: &str = "supervise/state.old";
const NOTE: &str = "supervise/svscan";
const PROGRAM: &str = "supervise";

/// The process name of svscan.
const SVSCAN: &str = "svscan";
const SVSCANBOOT: &str = "svscanboot";

/// The size of the file.
const BYTES: u64 = StateRecord::OFFSET + StateRecord::BYTES as u64;

/// What started a supervise.
#[derive(Clone, Copy, Debug)]
pub struct StartedBy<'a> {
    /// The scope of its pids and start times; None: unknown.
    pub space: Option<PidSpace>,
    /// The svscan that started it, if any.
    pub svscan: Option<ProcessId>,
    /// The svscanboot that started that svscan, or that svscan.
    pub tree: Option<ProcessId>,
    /// The path of the program `supervise`, as installed, for an upgrade.
    pub program: Option<&'a OsStr>,
}

impl StartedBy<'static> {
    /// For this process, a supervise that was executed.
    pub fn of_this_supervise() -> Self {
        StartedBy::below(process::parent_named(SVSCAN))
    }

    /// For the supervises that this process, an svscan, starts.
    pub fn of_children() -> Self {
        let own = Pid::new(std::process::id());
        StartedBy::below(own.map(|pid| ProcessId {
            pid,
            start: process::started(pid),
        }))
    }

    fn below(svscan: Option<ProcessId>) -> Self {
        StartedBy {
            space: process::pid_space(),
            svscan,
            tree: svscan.map(|svscan| process::above(svscan, SVSCANBOOT)),
            program: None,
        }
    }
}

/// The path of a program, if it fits into a line of the record.
fn as_line(path: &OsStr) -> Option<String> {
    let path = path.to_str()?;
    let is_line = path.len() <= Upgradable::LONGEST_PROGRAM && !path.contains('\n');
    is_line.then(|| path.to_owned())
}

/// The record of the service in the current directory, open for writing.
///
/// A record lock (fcntl(2)) on the file identifies its writer to readers: this process must not
/// open and close another descriptor of the file.
pub struct StateFile {
    /// None if it is not open, or was removed.
    open: Option<OpenFile>,
    writer: StateWriter,
    sequence: u64,
    upgradable: Upgradable,
    /// A failure was reported, and there was no success since.
    is_reported: bool,
}

struct OpenFile {
    file: File,
    id: FileId,
    /// This process has the record lock. Other users who may read the file can prevent that;
    /// then the record is written nevertheless, and clients use the 18 bytes.
    is_claimed: bool,
    /// This supervise has written the whole file.
    is_own: bool,
}

impl StateFile {
    /// The record of this process, which holds `supervise/lock`. The file is opened by the
    /// first write.
    pub fn open(started_by: StartedBy<'_>) -> StateFile {
        StateFile {
            open: None,
            upgradable: Upgradable {
                format: HANDOVER,
                program: started_by.program.and_then(as_line),
                done: 0,
                refused: 0,
            },
            writer: StateWriter {
                space: started_by.space,
                supervise: Pid::new(std::process::id()).unwrap_or(Pid::MIN),
                svscan: started_by.svscan,
                tree: started_by.tree,
                directory: file::id_at(Path::new(".")),
            },
            sequence: 0,
            is_reported: false,
        }
    }

    /// The record `writer` in `file`, which the last program of this process has written with
    /// [`StateFile::hand_over`], to be continued.
    pub fn handed_over(
        file: File,
        id: FileId,
        record: StateRecord,
        upgradable: Upgradable,
    ) -> StateFile {
        StateFile {
            upgradable: Upgradable {
                format: HANDOVER,
                done: upgradable.done.saturating_add(1),
                ..upgradable
            },
            open: Some(OpenFile {
                file,
                id,
                is_claimed: false,
                is_own: true,
            }),
            writer: record.writer,
            sequence: record.sequence,
            is_reported: false,
        }
    }

    /// The path of the program to continue as; None: it is unknown.
    pub fn program(&self) -> Option<&str> {
        self.upgradable.program.as_deref()
    }

    /// Writes `state` and `handover` for the next program of this process, which is to inherit
    /// this descriptor of the file.
    ///
    /// # Errors
    /// The record could not be written; see open(2), pwrite(2).
    pub fn hand_over(&mut self, state: &State, handover: &Handover) -> io::Result<BorrowedFd<'_>> {
        self.try_write(state, Some(handover))?;
        let open = self.open.as_ref().ok_or(ErrorKind::NotFound)?;
        Ok(open.file.as_fd())
    }

    /// An upgrade was refused, or failed: the next record says so.
    pub fn note_refusal(&mut self) {
        self.upgradable.refused = self.upgradable.refused.saturating_add(1);
    }

    /// The location of this supervise.
    pub fn here(&self) -> Here {
        Here {
            space: self.writer.space,
            directory: self.writer.directory,
        }
    }

    /// The contents that an earlier supervise left, before anything is written. An unreadable
    /// file counts as empty.
    pub fn past(&self) -> Past {
        let file = file::open_own(Path::new(PATH), Access::Read, &[file::euid()]);
        file.map_or(Past::NOTHING, |file| self.read_past(&file))
    }

    fn read_past(&self, file: &File) -> Past {
        let bytes = &contents(file);
        let record = bytes.get(ChildLine::BYTES..).unwrap_or_default();
        Past {
            record: match StateRecord::decode(record) {
                Some(record) => FoundRecord::Whole(record),
                None if self.writer.is_named_in(record) => FoundRecord::Torn,
                None => FoundRecord::Nothing,
            },
            child: ChildLine::decode(bytes),
            ended: self.note(),
        }
    }

    /// How `process` ended, if it was a child of svscan, which has noted that.
    pub fn noted_end(&self, process: ProcessId) -> Option<End> {
        let ended = self.note()?;
        (ended.process == process && process.start.is_some()).then_some(ended.end)
    }

    fn note(&self) -> Option<NotedEnd> {
        let file = file::open_own(Path::new(NOTE), Access::Read, &[file::euid()]).ok()?;
        let mut bytes = [0; SvscanNote::BYTES];
        let length = file.read_at(&mut bytes, 0).ok()?;
        let note = SvscanNote::decode(bytes.get(..length)?)?;
        note.ended.filter(|_| self.writer.space == Some(note.space))
    }

    /// In a child, before the exec of the service: records its pid.
    pub fn note_child(&self) {
        let Some((open, pid)) = self.open.as_ref().zip(Pid::new(std::process::id())) else {
            return;
        };
        let at = clock::since_boot();
        let line = ChildLine::encode(Some(ChildLine { pid, at }));
        // If this fails and the parent is killed now, the service is in no record.
        let _ = open.file.write_at(&line, 0);
    }

    /// Writes `state` in one write(2). The first failure is printed, with the `name` of the
    /// service; false: try again later. Without `supervise/`, or if the limit on file sizes is
    /// smaller than a record, it does nothing.
    pub fn write(&mut self, name: &OsStr, state: &State) -> bool {
        match self.try_write(state, None) {
            Ok(()) => self.is_reported = false,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FileTooLarge) => {
            }
            Err(error) => {
                let error = Error::unable("write", name, "/supervise/state", error);
                if !std::mem::replace(&mut self.is_reported, true) {
                    output::err_nonblocking(&error.warning(PROGRAM));
                }
                return false;
            }
        }
        true
    }

    fn try_write(&mut self, state: &State, handover: Option<&Handover>) -> io::Result<()> {
        let there = self.open.take().and_then(|open| {
            let there = fs::symlink_metadata(PATH).ok()?;
            (open.id == file::id(&there)).then_some((open, there.len()))
        });
        let (open, length) = match there {
            Some(there) => there,
            None => self.open_file()?,
        };
        let open = self.open.insert(open);
        open.is_claimed = open.is_claimed || lock::claim(&open.file).is_ok();
        self.sequence = self.sequence.wrapping_add(1);
        let record = StateRecord {
            sequence: self.sequence,
            writer: self.writer,
            state: *state,
        };
        let encode = |before: &[u8]| record.encode(before, Some(&self.upgradable), handover);
        let (bytes, offset) = match open.is_own {
            true => (encode(&[]), StateRecord::OFFSET),
            // A child of another supervise has recorded its pid by now, if it counts.
            false => (encode(&ChildLine::encode(None)), 0),
        };
        if open.file.write_at(&bytes, offset)? != bytes.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        open.is_own = true;
        // It is longer: from a later version, or somebody appended to it.
        match length > BYTES {
            true => open.file.set_len(BYTES),
            false => Ok(()),
        }
    }

    /// Opens the file, creating it if it does not exist; returns its length, too. A file of that
    /// name that is not a record of this user is renamed.
    fn open_file(&mut self) -> io::Result<(OpenFile, u64)> {
        // A write beyond the limit would kill supervise (SIGXFSZ).
        if limits::soft(Resource::FileSize)? < BYTES {
            return Err(errno::too_big());
        }
        let path = Path::new(PATH);
        let file = match file::create_new(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match self.reopen(path) {
                Err(error) if errno::is_not_own(&error) => {
                    // link(2), not rename(2): an existing file is not replaced.
                    fs::hard_link(path, ASIDE)?;
                    fs::remove_file(path)?;
                    file::create_new(path)?
                }
                reopened => reopened?,
            },
            created => created?,
        };
        let metadata = file.metadata()?;
        let open = OpenFile {
            file,
            id: file::id(&metadata),
            is_claimed: false,
            is_own: false,
        };
        Ok((open, metadata.len()))
    }

    /// Opens the record of an earlier supervise, and continues its sequence numbers.
    fn reopen(&mut self, path: &Path) -> io::Result<File> {
        let file = file::open_own(path, Access::Write, &[file::euid()])?;
        let bytes = &contents(&file);
        if !bytes.is_empty() && !bytes.starts_with(b"child ") {
            return Err(errno::not_own());
        }
        let record = bytes.get(ChildLine::BYTES..).unwrap_or_default();
        if let Some(before) = StateRecord::decode(record) {
            self.sequence = self.sequence.max(before.sequence);
        }
        Ok(file)
    }
}

/// What `file` contains, which is a record perhaps. An unreadable file counts as empty. On the
/// heap, where it is freed: the stack would keep the page.
fn contents(file: &File) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES as usize + 1);
    let _ = file
        .take(StateRecord::LONGEST as u64)
        .read_to_end(&mut bytes);
    bytes
}

/// Whether there is a record in the current directory, and no process that writes it.
pub(super) fn has_lost_its_writer() -> bool {
    let file = file::open_plain_nofollow(Path::new(PATH));
    file.is_ok_and(|file| lock::claimed_by(&file).is_none())
}

/// A supervise runs in `directory` that another svscan, or none, has started: records the svscan
/// of `started_by`, if any, because that will start another supervise when this one has exited.
/// A file of another owner is left alone; a failure is harmless: then svscan is searched in
/// `/proc`. `ended` is the process of the service, if this svscan has reaped that.
pub fn note_svscan(directory: &Path, started_by: StartedBy<'_>, ended: Option<NotedEnd>) {
    let Some((space, svscan)) = started_by.space.zip(started_by.svscan) else {
        return;
    };
    let note = SvscanNote {
        space,
        svscan,
        ended,
    };
    let _ = write_note(&directory.join(NOTE), &note.encode());
}

fn write_note(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = match file::create_new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            file::open_own(path, Access::Write, &[file::euid()])?
        }
        created => created?,
    };
    let mut before = [0; SvscanNote::BYTES];
    let length = file.read_at(&mut before, 0).unwrap_or(0);
    if length > 0 && !before.starts_with(b"version ") {
        return Err(errno::not_own());
    }
    match before == bytes {
        true => Ok(()),
        false => file.write_all_at(bytes, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::formats::state::ServicePhase;
    use crate::formats::status::Want;
    use crate::formats::tai64n::Tai64n;
    use crate::service;
    use crate::sys::child;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Runs `work` in a process of its own, in a new directory that has `supervise/`.
    fn in_a_service(test: &str, work: impl FnOnce()) {
        let base = std::env::temp_dir().join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(base.join("supervise")).unwrap();
        let done = || {
            std::env::set_current_dir(&base).unwrap();
            work();
            0
        };
        let end = child::wait(child::spawn(done).unwrap()).unwrap();
        assert_eq!(end, End::Exited(0));
        fs::remove_dir_all(&base).unwrap();
    }

    fn state(starts: u64) -> State {
        State {
            phase: ServicePhase::Up,
            want: Want::Up,
            paused: false,
            leaving: false,
            process: None,
            since: Tai64n::default(),
            commands: 0,
            starts,
            last_end: None,
        }
    }

    fn write(file: &mut StateFile, starts: u64) {
        assert!(file.write(OsStr::new("x"), &state(starts)));
    }

    /// What another process reads.
    fn is_read(starts: u64) -> bool {
        let reads = || {
            let here = process::pid_space().unwrap();
            let record = service::read_state(Path::new("."), here);
            u8::from(record.is_none_or(|record| record.state.starts != starts))
        };
        child::wait(child::spawn(reads).unwrap()).unwrap() == End::Exited(0)
    }

    #[test]
    fn what_is_written_is_read_as_long_as_the_writer_lives() {
        in_a_service("state-lives", || {
            let child = child::spawn(|| {
                let mut file = StateFile::open(StartedBy::of_this_supervise());
                write(&mut file, 1);
                write(&mut file, 2);
                u8::from(!is_read(2))
            });
            assert_eq!(child::wait(child.unwrap()).unwrap(), End::Exited(0));
            let metadata = fs::metadata(PATH).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o644);
            // It belongs to a process that has ended.
            assert!(!is_read(2));
            let mut file = StateFile::open(StartedBy::of_this_supervise());
            write(&mut file, 3);
            assert!(is_read(3));
            let bytes = fs::read(PATH).unwrap();
            assert_eq!(
                StateRecord::decode(&bytes[ChildLine::BYTES..])
                    .unwrap()
                    .sequence,
                3
            );
        });
    }

    #[test]
    fn who_locks_the_file_for_reading_does_not_keep_it_from_being_written() {
        in_a_service("state-read-lock", || {
            let mut earlier = StateFile::open(StartedBy::of_this_supervise());
            write(&mut earlier, 1);
            drop(earlier);
            let (mut locked, lock_taken) = io::pipe().unwrap();
            let (gate, let_go) = io::pipe().unwrap();
            let reader = child::spawn(|| {
                let file = File::open(PATH).unwrap();
                lock::read_lock(&file).unwrap();
                (&lock_taken).write_all(b".").unwrap();
                let _ = (&gate).read(&mut [0]);
                0
            });
            let reader = reader.unwrap();
            locked.read_exact(&mut [0]).unwrap();
            let mut file = StateFile::open(StartedBy::of_this_supervise());
            write(&mut file, 2);
            assert!(!is_read(2));
            let bytes = fs::read(PATH).unwrap();
            assert_eq!(
                StateRecord::decode(&bytes[ChildLine::BYTES..])
                    .unwrap()
                    .state
                    .starts,
                2
            );
            (&let_go).write_all(b".").unwrap();
            child::wait(reader).unwrap();
            write(&mut file, 3);
            assert!(is_read(3));
        });
    }

    #[test]
    fn what_is_removed_is_made_again_and_a_longer_record_is_cut() {
        in_a_service("state-removed", || {
            let longer = [b"child 0 0\n", [b' '; 3000].as_slice()].concat();
            fs::write(PATH, longer).unwrap();
            let mut file = StateFile::open(StartedBy::of_this_supervise());
            write(&mut file, 1);
            assert!(is_read(1));
            fs::remove_file(PATH).unwrap();
            write(&mut file, 2);
            assert!(is_read(2));
            fs::rename(PATH, "supervise/moved").unwrap();
            write(&mut file, 3);
            assert!(is_read(3));
            fs::remove_dir_all("supervise").unwrap();
            write(&mut file, 4);
            fs::create_dir("supervise").unwrap();
            write(&mut file, 5);
            assert!(is_read(5));
        });
    }

    #[test]
    fn what_is_somebody_elses_is_put_aside_and_neither_written_nor_deleted() {
        for kind in 0..4 {
            in_a_service(&format!("state-aside-{kind}"), || {
                fs::write("victim", "mine").unwrap();
                match kind {
                    0 => symlink("../victim", PATH).unwrap(),
                    1 => fs::hard_link("victim", PATH).unwrap(),
                    2 => fs::write(PATH, "mine").unwrap(),
                    _ => crate::sys::fifo::make(Path::new(PATH)).unwrap(),
                }
                let mut file = StateFile::open(StartedBy::of_this_supervise());
                write(&mut file, 1);
                assert!(is_read(1));
                assert_eq!(fs::read("victim").unwrap(), b"mine");
                assert!(fs::symlink_metadata(ASIDE).is_ok());
                // Where there is something already, there is no record.
                fs::remove_file(PATH).unwrap();
                fs::write(PATH, "mine, too").unwrap();
                assert!(!file.write(OsStr::new("x"), &state(2)));
                assert_eq!(fs::read(PATH).unwrap(), b"mine, too");
            });
        }
    }

    #[test]
    fn a_note_is_written_over_another_and_over_nothing_else() {
        in_a_service("state-note", || {
            let note = |byte: u8| [b"version ", [byte; SvscanNote::BYTES - 8].as_slice()].concat();
            for byte in [b'1', b'2', b'2'] {
                write_note(Path::new(NOTE), &note(byte)).unwrap();
                assert_eq!(fs::read(NOTE).unwrap(), note(byte));
            }
            fs::write(NOTE, "mine").unwrap();
            assert!(write_note(Path::new(NOTE), &note(b'3')).is_err());
            assert_eq!(fs::read(NOTE).unwrap(), b"mine");
        });
    }
}
