//! `svok dir`: test whether a supervise runs. 0: yes, 100: no, 111: unknown.

use crate::error::{Error, USAGE};
use crate::service::{self, Supervised};
use crate::sys::signals;
use std::io::ErrorKind;
use std::path::Path;

/// The program. As in 0.76, arguments after the first are ignored.
pub fn main() -> u8 {
    signals::restore_sigpipe();
    super::main("svok", |arguments| {
        let [_, name, ..] = arguments else {
            return Err(Error::Usage("usage: svok dir"));
        };
        std::env::set_current_dir(name)
            .map_err(|error| Error::unable("chdir to", name, "", error))?;
        match service::is_supervised(Path::new("")) {
            Supervised::Yes => Ok(0),
            Supervised::No => Ok(USAGE),
            Supervised::Unknown(error) if error.kind() == ErrorKind::NotFound => Ok(USAGE),
            Supervised::Unknown(error) => Err(Error::unable("open", name, "/supervise/ok", error)),
        }
    })
}
