//! `svscan [--timeline file] [dir]`: keep one supervise running for each directory.

use crate::error::Error;

/// The option beyond 0.76: one only as the very first argument.
const TIMELINE: &str = "--timeline";

/// The program. As in 0.76, arguments behind the directory are ignored.
pub fn main() -> u8 {
    super::main("svscan", |arguments| {
        let (_, words) = super::split(arguments, "svscan");
        let (timeline, words) = match words {
            [first, rest @ ..] if first == TIMELINE => match rest {
                [file, rest @ ..] => (Some(file.as_os_str()), rest),
                [] => return Err(Error::Usage("usage: svscan [--timeline file] [dir]")),
            },
            _ => (None, words),
        };
        crate::svscan::run(words.first().map(AsRef::as_ref), timeline).map(|()| 0)
    })
}
