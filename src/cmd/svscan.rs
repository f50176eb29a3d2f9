//! `svscan [--shared-group] [--timeline file] [dir]`: keep one supervise running for each directory.

use crate::error::Error;
use crate::svscan::{self, ScanOptions};
use crate::upgrade;
use std::ffi::OsString;

const SHARED_GROUP: &str = "--shared-group";
const TIMELINE: &str = "--timeline";

/// The program. As in 0.76, arguments after the directory are ignored.
pub fn main() -> u8 {
    super::main("svscan", |arguments| {
        let (called, given) = super::split(arguments, "svscan");
        let usage = "usage: svscan [--shared-group] [--timeline file] [dir]";
        let (options, rest) = options(given, usage)?;
        let dir = rest.first().map(AsRef::as_ref);
        if dir.is_some_and(upgrade::is_question) {
            return Ok(upgrade::answer());
        }
        // Only a start is recorded.
        let later = ScanOptions {
            timeline: None,
            ..options
        };
        let again = [&[called.to_owned()], words(later).as_slice(), rest].concat();
        svscan::run(dir, options, again).map(|()| 0)
    })
}

/// Parses the options at the beginning of `words`; returns them and the words after them. 0.76
/// has no options, and takes any other word as a directory.
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

/// The inverse of [`options`].
pub(super) fn words(options: ScanOptions<'_>) -> Vec<OsString> {
    let shared_group = options.shared_group.then(|| SHARED_GROUP.into());
    let timeline = options
        .timeline
        .map(|file| [TIMELINE.into(), file.to_owned()]);
    let words = shared_group
        .into_iter()
        .chain(timeline.into_iter().flatten());
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_are_written() {
        let file = OsString::from("--shared-group");
        for timeline in [None, Some(file.as_os_str())] {
            for shared_group in [false, true] {
                let given = ScanOptions {
                    timeline,
                    shared_group,
                };
                let mut line = words(given);
                line.push("dir".into());
                let (read, rest) = options(&line, "").unwrap();
                assert_eq!((read.timeline, read.shared_group), (timeline, shared_group));
                assert_eq!(rest, ["dir"]);
            }
        }
    }
}
