//! `svok dir`: does a supervise run there? 0: yes, 100: no, 111: cannot tell.

use crate::error::{Error, USAGE};
use crate::service::{self, Origin, Supervised, Trouble};
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

/// The program. As in 0.76, arguments behind the first are ignored.
pub fn main() -> ExitCode {
    super::main("svok", |arguments| {
        let [_, name, ..] = arguments else {
            return Err(Error::Usage("usage: svok dir"));
        };
        match Origin::open()?.visit(name, || service::is_supervised(Path::new(""))) {
            Ok(Supervised::Yes) => Ok(0),
            Ok(Supervised::No) => Ok(USAGE),
            Ok(Supervised::Unknown(error)) if error.kind() == ErrorKind::NotFound => Ok(USAGE),
            Ok(Supervised::Unknown(error)) => {
                Err(Error::unable("open", name, "/supervise/ok", error))
            }
            Err(Trouble::Chdir(error)) => Err(Error::unable("chdir to", name, "", error)),
            Err(Trouble::Back(error)) => Err(error),
        }
    })
}
