//! The file `down` of a service directory, which prevents the start of the service at boot.

use super::failure::Failure;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Whether `directory` has a file `down`; a dangling link does not count.
///
/// # Errors
/// Those of stat(2).
pub(super) fn is_there(directory: &Path) -> io::Result<bool> {
    match std::fs::metadata(directory.join("down")) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes it: the service is started at boot.
///
/// # Errors
/// [`Failure::NotPersisted`].
pub(super) fn remove(directory: &Path) -> Result<(), Failure> {
    let path = directory.join("down");
    let doing = "remove down";
    let failed = |source| Failure::NotPersisted { doing, source };
    match std::fs::remove_file(path) {
        Ok(()) => sync(directory).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed(source)),
    }
}

/// Creates it: the service is not started at boot.
///
/// # Errors
/// [`Failure::NotPersisted`].
pub(super) fn create(directory: &Path) -> Result<(), Failure> {
    let path = directory.join("down");
    let doing = "create down";
    let failed = |source| Failure::NotPersisted { doing, source };
    if is_there(directory).map_err(failed)? {
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|_| sync(directory))
        .map_err(failed)
}

/// fsync of the directory, so that even after a crash it is in this state.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
