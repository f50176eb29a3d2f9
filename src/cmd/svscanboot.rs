//! `svscanboot [dir]`: start svscan and readproctitle, and end all in order.

use crate::error::TEMPORARY;
use crate::{boot, service};

/// The program. Arguments behind the first are ignored; 0.76 ignores all.
pub fn main() -> u8 {
    super::main("svscanboot", |arguments| {
        let directory = match arguments.get(1) {
            Some(directory) => directory.clone(),
            None => service::root().into_os_string(),
        };
        let ended = boot::run(&directory)?;
        Ok(if ended { 0 } else { TEMPORARY })
    })
}
