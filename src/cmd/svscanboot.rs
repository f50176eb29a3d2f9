//! `svscanboot [--shared-group] [--timeline file] [dir]`: start svscan and readproctitle,
//! and stop all services in order.

use super::svscan::{options, words};
use crate::error::TEMPORARY;
use crate::service;
use crate::svscan::ScanOptions;
use crate::svscanboot::{self, ScannerOptions};

/// The program. Arguments after the directory are ignored; 0.76 ignores all.
pub fn main() -> u8 {
    super::main("svscanboot", |arguments| {
        let (_, given) = super::split(arguments, "svscanboot");
        let usage = "usage: svscanboot [--shared-group] [--timeline file] [dir]";
        let (options, rest) = options(given, usage)?;
        let directory = match rest.first() {
            Some(directory) => directory.clone(),
            None => service::root().into_os_string(),
        };
        // Only the first svscan records how the services start: a later one would only record
        // that they are running.
        let later = ScanOptions {
            timeline: None,
            ..options
        };
        let options = ScannerOptions {
            next: words(options),
            later: words(later),
        };
        let ended = svscanboot::run(&directory, options)?;
        Ok(if ended { 0 } else { TEMPORARY })
    })
}
