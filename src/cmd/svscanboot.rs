//! `svscanboot [--shared-group] [--timeline file] [dir]`: start svscan and readproctitle,
//! and stop all services in order.

use super::svscan::options;
use crate::error::TEMPORARY;
use crate::{service, svscanboot};

/// The program. Arguments after the directory are ignored; 0.76 ignores all.
pub fn main() -> u8 {
    super::main("svscanboot", |arguments| {
        let (_, words) = super::split(arguments, "svscanboot");
        let usage = "usage: svscanboot [--shared-group] [--timeline file] [dir]";
        let (options, words) = options(words, usage)?;
        let directory = match words.first() {
            Some(directory) => directory.clone(),
            None => service::root().into_os_string(),
        };
        let ended = svscanboot::run(&directory, options)?;
        Ok(if ended { 0 } else { TEMPORARY })
    })
}
