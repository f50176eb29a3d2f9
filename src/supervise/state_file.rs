//! The writer of `supervise/state` (the record, [`crate::formats::state`]).
//!
//! Only the supervise that holds `supervise/lock` may make a [`StateFile`]: make it after
//! [`super::dir::ServiceDir::open`], and write once before `ok` is opened, so that who finds a
//! supervise finds its record. Then write after each change: before the 18 bytes or after
//! them does not matter, but before supervise sends the service a signal or exits.

use crate::child::{Pid, PidSpace, ProcessId};
use crate::error::Error;
use crate::formats::state::{State, StateRecord, StateWriter, SvscanNote};
use crate::sys::file::{self, Access, Identity};
use crate::sys::{errno, lock, output, process};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

const PATH: &str = "supervise/state";
/// Where a file of somebody else's is put that has that name.
const ASIDE: &str = "supervise/state.old";
const NOTE: &str = "supervise/svscan";
const PROGRAM: &str = "supervise";

/// The name of the process of every svscan.
const SVSCAN: &str = "svscan";

/// Who has started a supervise.
#[derive(Clone, Copy, Debug)]
pub struct StartedBy {
    /// In which its pids and start times mean something; None: unknown.
    pub space: Option<PidSpace>,
    /// The svscan that has started it, if one has.
    pub svscan: Option<ProcessId>,
}

impl StartedBy {
    /// Who has started this process, a supervise that was executed.
    pub fn of_this_supervise() -> StartedBy {
        StartedBy {
            space: process::pid_space(),
            svscan: process::parent_named(SVSCAN),
        }
    }

    /// What this process, an svscan, is for the supervises that it starts.
    pub fn of_children() -> StartedBy {
        let own = Pid::new(std::process::id());
        StartedBy {
            space: process::pid_space(),
            svscan: own.map(|pid| ProcessId {
                pid,
                start: process::started(pid),
            }),
        }
    }
}

/// The record of the service in the current directory, open for writing.
///
/// A record lock (fcntl(2)) on the file tells a reader which process writes it: no other
/// descriptor of the file may be opened and closed in this process.
pub struct StateFile {
    /// None: it is not open, or was removed.
    open: Option<OpenFile>,
    writer: StateWriter,
    sequence: u64,
    /// A failure has been printed, and there was no success since.
    is_reported: bool,
}

struct OpenFile {
    file: File,
    id: Identity,
    /// The record lock is this process's. Whoever may read the file can keep it from that;
    /// then the record is written nevertheless, and commands use the 18 bytes.
    is_claimed: bool,
}

impl StateFile {
    /// That of this process, which holds `supervise/lock`. The file is opened with the
    /// first write.
    pub fn open(started_by: StartedBy) -> StateFile {
        StateFile {
            open: None,
            writer: StateWriter {
                space: started_by.space,
                supervise: Pid::new(std::process::id()).unwrap_or(Pid::MIN),
                svscan: started_by.svscan,
            },
            sequence: 0,
            is_reported: false,
        }
    }

    /// Writes `state` in one write. A failure is printed, with the `name` of the service,
    /// when it is the first one; false: try again later. Without `supervise/` there is
    /// nothing to be tried.
    pub fn write(&mut self, name: &OsStr, state: &State) -> bool {
        match self.try_write(state) {
            Ok(()) => self.is_reported = false,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
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

    fn try_write(&mut self, state: &State) -> io::Result<()> {
        let there = fs::symlink_metadata(PATH).ok();
        let id = there.as_ref().map(file::identity);
        let open = match self.open.take_if(|open| Some(open.id) == id) {
            Some(open) => open,
            None => self.open_file()?,
        };
        let OpenFile {
            file, is_claimed, ..
        } = self.open.insert(open);
        *is_claimed = *is_claimed || lock::claim(file).is_ok();
        self.sequence = self.sequence.wrapping_add(1);
        let record = StateRecord {
            sequence: self.sequence,
            writer: self.writer,
            state: *state,
        };
        if file.write_at(&record.encode(), 0)? != StateRecord::BYTES {
            return Err(ErrorKind::WriteZero.into());
        }
        // A later version's, or what somebody has written behind it.
        match there {
            Some(there) if there.len() > StateRecord::BYTES as u64 => {
                file.set_len(StateRecord::BYTES as u64)
            }
            _ => Ok(()),
        }
    }

    /// Opens it, made if it is not there. What has its name and is no record of this
    /// user's own is put aside.
    fn open_file(&mut self) -> io::Result<OpenFile> {
        let path = Path::new(PATH);
        let file = match file::create_new(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match self.reopen(path) {
                Err(error) if errno::is_not_own(&error) => {
                    // Two names for a moment: nothing that is there is replaced.
                    fs::hard_link(path, ASIDE)?;
                    fs::remove_file(path)?;
                    file::create_new(path)?
                }
                reopened => reopened?,
            },
            created => created?,
        };
        let id = file::identity(&file.metadata()?);
        Ok(OpenFile {
            file,
            id,
            is_claimed: false,
        })
    }

    /// Opens the record of an earlier supervise, and goes on counting from there.
    fn reopen(&mut self, path: &Path) -> io::Result<File> {
        let file = file::open_own(path, Access::Write, &[file::euid()])?;
        let mut bytes = [0; StateRecord::LONGEST];
        let length = file.read_at(&mut bytes, 0)?;
        let bytes = bytes.get(..length).unwrap_or_default();
        if !bytes.is_empty() && !bytes.starts_with(b"version ") {
            return Err(errno::not_own());
        }
        if let Some(before) = StateRecord::decode(bytes) {
            self.sequence = self.sequence.max(before.sequence);
        }
        Ok(file)
    }
}

/// Another supervise runs in the current directory: notes the svscan that has started this
/// one, if one has, for it will start another when that one has left. A file of somebody
/// else's is left alone, and a failure is no harm: then svscan is looked for in `/proc`.
pub fn note_svscan(started_by: StartedBy) {
    let note = started_by.space.zip(started_by.svscan);
    let note = note.map(|(space, svscan)| SvscanNote { space, svscan }.encode());
    let _ = note.map_or(Ok(()), |bytes| write_note(&bytes));
}

fn write_note(bytes: &[u8]) -> io::Result<()> {
    let path = Path::new(NOTE);
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
    use std::io::{Read, Write};
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
            // It is that of a process that has ended.
            assert!(!is_read(2));
            let mut file = StateFile::open(StartedBy::of_this_supervise());
            write(&mut file, 3);
            assert!(is_read(3));
            let bytes = fs::read(PATH).unwrap();
            assert_eq!(StateRecord::decode(&bytes).unwrap().sequence, 3);
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
            assert_eq!(StateRecord::decode(&bytes).unwrap().state.starts, 2);
            (&let_go).write_all(b".").unwrap();
            child::wait(reader).unwrap();
            write(&mut file, 3);
            assert!(is_read(3));
        });
    }

    #[test]
    fn what_is_removed_is_made_again_and_a_longer_record_is_cut() {
        in_a_service("state-removed", || {
            let longer = [b"version 2\n", [b' '; 3000].as_slice()].concat();
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
                write_note(&note(byte)).unwrap();
                assert_eq!(fs::read(NOTE).unwrap(), note(byte));
            }
            fs::write(NOTE, "mine").unwrap();
            assert!(write_note(&note(b'3')).is_err());
            assert_eq!(fs::read(NOTE).unwrap(), b"mine");
        });
    }
}
