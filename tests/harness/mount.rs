//! File systems of a test's own.

use super::{Scratch, Suite, finish, has, is_root, skip_unless};
use std::path::PathBuf;
use std::process::Command;

/// A file system that is gone when the test is.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// mount(8) with these arguments, on `place`.
    pub(crate) fn new(scratch: &Scratch, arguments: &[&str], place: &str) -> Option<Mount> {
        let mut command = scratch.command(Suite::Ours, "mount");
        command.args(arguments).arg(scratch.at(place));
        (finish(command).code == 0).then(|| Mount(scratch.at(place)))
    }

    /// As [`Mount::new`]; None, having said why, if there can be none here.
    pub(crate) fn if_possible(
        test: &str,
        scratch: &Scratch,
        arguments: &[&str],
        place: &str,
    ) -> Option<Mount> {
        if !is_root(test) || !has(test, &["mount", "umount"]) {
            return None;
        }
        let mount = Mount::new(scratch, arguments, place);
        skip_unless(test, mount.is_some(), "nothing can be mounted here");
        mount
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        let _ = command.arg("-l").arg(&self.0).status();
    }
}
