//! How a service ends, which its 18 bytes of status do not say: supervise writes it to a
//! file that is there for it.

use crate::child::End;
use crate::formats::ended;
use crate::sys::file;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Asks supervise to say how the service ends (see [`ended`]) while this lives. A
/// file that is there already is used as it is, and stays: it is the service's.
pub(super) struct EndRecord {
    path: PathBuf,
    is_ours: bool,
    /// What stood there before.
    before: Vec<u8>,
}

impl EndRecord {
    /// Asks it of the supervise of `directory`.
    pub(super) fn ask(directory: &Path) -> EndRecord {
        let path = directory.join("supervise/ended");
        // Without it we only cannot tell how it ended.
        let is_ours = file::create_new(&path).is_ok();
        let before = read_ended(&path).unwrap_or_default();
        EndRecord {
            path,
            is_ours,
            before,
        }
    }

    /// How the last process ended that ended since then, if that is known.
    pub(super) fn read(&self) -> Option<End> {
        let bytes = read_ended(&self.path).ok()?;
        let (_, end) = ended::decode(&bytes).filter(|_| bytes != self.before)?;
        Some(end)
    }
}

impl Drop for EndRecord {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Another user may have put something else there.
fn read_ended(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = file::open_read_nofollow(path)?;
    file.take(ended::BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
