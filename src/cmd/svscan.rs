//! `svscan [--shared-group] [--timeline file] [dir]`: keep one supervise running for each directory.

use crate::error::Error;
use crate::svscan::{self, ScanOptions};
use crate::svscanboot::shell::{SHARED_GROUP, TIMELINE};
use std::ffi::OsString;

/// The program. As in 0.76, arguments behind the directory are ignored.
pub fn main() -> u8 {
    super::main("svscan", |arguments| {
        let (_, words) = super::split(arguments, "svscan");
        let usage = "usage: svscan [--shared-group] [--timeline file] [dir]";
        let (options, words) = options(words, usage)?;
        svscan::run(words.first().map(AsRef::as_ref), options).map(|()| 0)
    })
}

/// The options that `words` begin with, and the words after them: 0.76 has none, and
/// what is not exactly one of these is a directory.
pub(super) fn options<'a>(
    words: &'a [OsString],
    usage: &'static str,
) -> Result<(ScanOptions<'a>, &'a [OsString]), Error> {
    let mut options = ScanOptions::default();
    let mut words = words;
    loop {
        words = match words {
            [first, rest @ ..] if first == SHARED_GROUP => {
                options.shared_group = true;
                rest
            }
            [first, rest @ ..] if first == TIMELINE => {
                let (file, rest) = rest.split_first().ok_or(Error::Usage(usage))?;
                options.timeline = Some(file);
                rest
            }
            _ => return Ok((options, words)),
        };
    }
}
