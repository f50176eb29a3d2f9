//! The fast look-up of the ids of an account: in `/etc/passwd` itself, if the C library is
//! certain to have the same result.

use super::nsswitch;
use super::passwd::{self, Answer};
use crate::sys::ids::Ids;
use crate::sys::{errno, file};
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// The socket of nscd, which the C library queries first.
const NSCD: &CStr = c"/var/run/nscd/socket";
const NSSWITCH: &str = "/etc/nsswitch.conf";
const PASSWD: &str = "/etc/passwd";

/// The variables that make the dynamic linker load other code than the system's:
/// nss_wrapper and the like answer instead of the system's databases.
const LINKER: [&str; 3] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"];

/// The maximum size in bytes of nsswitch.conf, and of a line of `/etc/passwd`; a longer
/// one gives no answer. The buffer grows from a page by a factor of 4.
const MOST: usize = 64 << 10;

/// The ids of the account `name`, if it is certain that getpwnam(3) in a dynamic program
/// would return the same. None means: ask getpwnam(3).
pub(super) fn look_up(name: &OsStr) -> Option<Ids> {
    let unchanged = LINKER.iter().all(|name| std::env::var_os(name).is_none());
    if unchanged && file::is_missing(NSCD) && files_come_first() {
        in_passwd(name)
    } else {
        None
    }
}

fn files_come_first() -> bool {
    let Ok(mut file) = File::open(NSSWITCH) else {
        return false;
    };
    let mut text = Text::new();
    loop {
        match text.read(&mut file) {
            Ok(0) => return nsswitch::files_come_first(text.get()),
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn in_passwd(name: &OsStr) -> Option<Ids> {
    let mut file = File::open(PASSWD).ok()?;
    let mut text = Text::new();
    // Only as far as necessary: the rest of the file is irrelevant.
    while text.read(&mut file).ok()? > 0 {
        match passwd::look_up(text.get(), name.as_bytes()) {
            Answer::Certain { uid, gid } => return Some(Ids { uid, gid }),
            Answer::AskNss => return None,
            Answer::Behind(lines) => text.drop_first(lines),
        }
    }
    None
}

/// The part of a file that was read and is still needed.
struct Text {
    room: Vec<u8>,
    length: usize,
}

impl Text {
    /// A page is enough for most files, and a larger buffer would have to be zeroed first.
    fn new() -> Text {
        let room = vec![0; 4096];
        Text { room, length: 0 }
    }

    /// Reads until the buffer is full; 0 at the end of the file.
    fn read(&mut self, file: &mut File) -> io::Result<usize> {
        if self.length == self.room.len() {
            self.make_room()?;
        }
        let room = self.room.get_mut(self.length..).unwrap_or_default();
        let count = loop {
            match file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.length += count;
        Ok(count)
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.room.len() >= MOST {
            return Err(errno::too_big());
        }
        self.room.resize(self.room.len() * 4, 0);
        Ok(())
    }

    fn get(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }

    /// Drops the first `count` bytes. The rest of the file is read in larger pieces.
    fn drop_first(&mut self, count: usize) {
        if self.length == self.room.len() {
            let _ = self.make_room();
        }
        self.room.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ids;

    #[test]
    fn what_it_says_is_what_the_c_library_says() {
        let accounts = std::fs::read_to_string(PASSWD).unwrap();
        let names = accounts.lines().filter_map(|line| line.split(':').next());
        for name in names.chain(["nosuch", "", "0", "+"]) {
            let name = OsStr::new(name);
            if let Some(certain) = look_up(name) {
                let found = ids::account(name).unwrap();
                // A package that is being installed may change it.
                let has_changed = std::fs::read_to_string(PASSWD).unwrap() != accounts;
                assert!(found == Some(certain) || has_changed, "{name:?}: {found:?}");
            }
        }
    }
}
