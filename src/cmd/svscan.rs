//! `svscan [--timeline file] [dir]`: keep one supervise running for each directory.

use crate::boot::shell::TIMELINE;
use crate::error::Error;
use std::ffi::{OsStr, OsString};

/// The program. As in 0.76, arguments behind the directory are ignored.
pub fn main() -> u8 {
    super::main("svscan", |arguments| {
        let (_, words) = super::split(arguments, "svscan");
        let (timeline, words) = timeline(words, "usage: svscan [--timeline file] [dir]")?;
        crate::svscan::run(words.first().map(AsRef::as_ref), timeline).map(|()| 0)
    })
}

/// The file of `--timeline`, and the words behind it, if `words` begin with that: the
/// option beyond 0.76 is one only as the very first argument.
pub(super) fn timeline<'a>(
    words: &'a [OsString],
    usage: &'static str,
) -> Result<(Option<&'a OsStr>, &'a [OsString]), Error> {
    match words {
        [first, rest @ ..] if first == TIMELINE => match rest {
            [file, rest @ ..] => Ok((Some(file.as_os_str()), rest)),
            [] => Err(Error::Usage(usage)),
        },
        _ => Ok((None, words)),
    }
}
