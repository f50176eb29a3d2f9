//! `lock` of a log directory: held while multilog runs, and its journal.

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
    /// It is gone, and another process has the one in its place: that was told.
    is_told: bool,
}

impl Lock {
    /// Opens the one in the current directory, of these `files`, which is made if it is not
    /// there.
    ///
    /// # Errors
    /// As [`Files::open_lock`].
    pub fn open(files: Files) -> io::Result<File> {
        files.open_lock(NAME)
    }

    /// Locks it.
    ///
    /// # Errors
    /// EAGAIN if another process has it, else what flock(2) says.
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
    /// What pwrite(2) says; WriteZero if not all of it was written.
    pub fn write(&self, entry: &JournalEntry) -> io::Result<()> {
        let bytes = entry.encode();
        match self.file.write_at(&bytes, 0) {
            Ok(count) if count < bytes.len() => Err(io::ErrorKind::WriteZero.into()),
            result => result.map(drop),
        }
    }

    /// Makes the journal entry say that its batch is written.
    ///
    /// # Errors
    /// What pwrite(2) says; WriteZero if nothing was written.
    pub fn commit(&self) -> io::Result<()> {
        let (place, byte) = JournalEntry::COMMIT;
        self.file.write_all_at(&[byte], place)
    }

    /// Removes the journal entry.
    ///
    /// # Errors
    /// What ftruncate(2) says.
    pub fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Whether it is where the next multilog looks for it: in `directory`.
    pub fn is_in(&self, directory: &File) -> bool {
        let own = self
            .file
            .metadata()
            .map(|metadata| file::identity(&metadata));
        let there = directory::stat(directory, OsStr::new(NAME));
        matches!((own, there), (Ok(own), Ok(there)) if own == (there.device(), there.inode()))
    }

    /// Whether this is the first time that what is in its place cannot be used.
    pub fn is_to_tell(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }

    /// Goes over to `again`, which is where it should be, and locks that; false if
    /// there is nothing to tell of that: it is the same, through a link.
    ///
    /// # Errors
    /// As [`Lock::of`]; None if that was told before.
    pub fn replace(&mut self, again: File) -> Result<bool, Option<io::Error>> {
        let identity = |file: &File| file.metadata().ok().as_ref().map(file::identity);
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
