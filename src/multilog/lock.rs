//! `lock` of a log directory: it is locked while multilog runs, and contains the journal.

use super::files::Files;
use crate::formats::journal::JournalEntry;
use crate::sys::{directory, file, lock};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const NAME: &str = "lock";

/// The file, locked.
pub struct Lock {
    file: File,
    /// It is gone, and another process has locked its replacement; that was reported.
    is_told: bool,
}

impl Lock {
    /// Opens the one in the current directory, with these `files`; created if it does not
    /// exist.
    ///
    /// # Errors
    /// As [`Files::open_lock`].
    pub fn open(files: Files) -> io::Result<File> {
        files.open_lock(NAME)
    }

    /// Locks it.
    ///
    /// # Errors
    /// EAGAIN if another process holds it; those of flock(2).
    pub fn of(file: File) -> io::Result<Lock> {
        lock::try_exclusive(&file)?;
        let is_told = false;
        Ok(Lock { file, is_told })
    }

    /// The journal entry in it.
    pub fn read(&self) -> Option<JournalEntry> {
        let mut bytes = vec![0; JournalEntry::LONGEST];
        let count = self.file.read_at(&mut bytes, 0).unwrap_or(0);
        JournalEntry::decode(bytes.get(..count)?)
    }

    /// Writes a journal entry.
    ///
    /// # Errors
    /// Those of pwrite(2); WriteZero if not all of it was written.
    pub fn write(&self, entry: &JournalEntry) -> io::Result<()> {
        let bytes = entry.encode();
        match self.file.write_at(&bytes, 0) {
            Ok(count) if count < bytes.len() => Err(io::ErrorKind::WriteZero.into()),
            result => result.map(drop),
        }
    }

    /// Marks the batch of the journal entry as written.
    ///
    /// # Errors
    /// Those of pwrite(2); WriteZero if nothing was written.
    pub fn commit(&self) -> io::Result<()> {
        let (place, byte) = JournalEntry::COMMIT;
        self.file.write_all_at(&[byte], place)
    }

    /// Removes the journal entry.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    pub fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Whether it is still in `directory`, where the next multilog opens it.
    pub fn is_in(&self, directory: &File) -> bool {
        let own = self.file.metadata().map(|metadata| file::id(&metadata));
        let there = directory::stat(directory, OsStr::new(NAME));
        matches!((own, there), (Ok(own), Ok(there)) if own == (there.device(), there.inode()))
    }

    /// Whether this is the first time that its replacement cannot be used.
    pub fn is_to_tell(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }

    /// Switches to `again`, its replacement, and locks that; false if there is nothing to
    /// report: it is the same file, through a link.
    ///
    /// # Errors
    /// As [`Lock::of`]; None if that was reported before.
    pub fn replace(&mut self, again: File) -> Result<bool, Option<io::Error>> {
        let identity = |file: &File| file.metadata().ok().as_ref().map(file::id);
        if identity(&self.file) == identity(&again) {
            return Ok(false);
        }
        match Lock::of(again) {
            Ok(again) => {
                *self = again;
                Ok(true)
            }
            Err(error) => {
                let is_to_tell = self.is_to_tell();
                Err(is_to_tell.then_some(error))
            }
        }
    }
}
