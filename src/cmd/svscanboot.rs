//! `svscanboot [--timeline file] [dir]`: start svscan and readproctitle, and end all in
//! order.

use super::svscan::timeline;
use crate::error::TEMPORARY;
use crate::{boot, service};

/// The program. Arguments behind the directory are ignored; 0.76 ignores all.
pub fn main() -> u8 {
    super::main("svscanboot", |arguments| {
        let (_, words) = super::split(arguments, "svscanboot");
        let (timeline, words) = timeline(words, "usage: svscanboot [--timeline file] [dir]")?;
        let directory = match words.first() {
            Some(directory) => directory.clone(),
            None => service::root().into_os_string(),
        };
        let ended = boot::run(&directory, timeline)?;
        Ok(if ended { 0 } else { TEMPORARY })
    })
}
