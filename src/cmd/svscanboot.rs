//! `svscanboot [--shared-group] [--timeline file] [dir]`: start svscan and readproctitle,
//! and stop all services in order. `svscanboot --upgrade [dir]`: have the supervises and the svscan
//! that run there become the programs that are installed now.

use super::svc::not_upgraded;
use super::svscan::{options, words};
use crate::error::{Error, TEMPORARY};
use crate::service::{self, NotSent};
use crate::svscan::ScanOptions;
use crate::svscanboot::{self, ScannerOptions};
use crate::sys::{child, output};
use crate::upgrade::{self, NotUpgraded, Probe};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

/// The program. Arguments after the directory are ignored; 0.76 ignores all.
pub fn main() -> u8 {
    super::main("svscanboot", |arguments| {
        let (_, given) = super::split(arguments, "svscanboot");
        if let [option, rest @ ..] = given
            && option == "--upgrade"
        {
            let root = service::root().into_os_string();
            return upgrade(rest.first().unwrap_or(&root));
        }
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

/// Upgrades all in `directory`, one after the other, and says how it went. 1: not all.
#[cold]
fn upgrade(directory: &OsStr) -> Result<u8, Error> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| Error::unable("read", directory, "", error))?;
    let mut probe = Probe::default();
    let (mut upgraded, mut failed) = (0, 0);
    let mut count = |name: &OsStr, result| match result {
        Ok(()) => upgraded += 1,
        Err(NotUpgraded::NotSent(NotSent::NotRunning)) => {}
        // No supervise has run there.
        Err(NotUpgraded::NotSent(NotSent::Open(error))) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            failed += 1;
            output::err(&not_upgraded(b"svscanboot", name, error));
        }
    };
    for name in service::services_of(entries) {
        count(&name, upgrade::upgrade(Path::new(&name), &mut probe));
    }
    let installed = child::sibling_program("svscan");
    if let Some(installed) = installed.as_deref().and_then(OsStr::to_str)
        && let Some(result) = upgrade::upgrade_svscan(Path::new(directory), installed)
    {
        count(OsStr::new("svscan"), result);
    }
    let line = format!("svscanboot: {upgraded} upgraded, {failed} not\n");
    output::out(line.as_bytes()).map_err(|error| Error::unable_to("write", error))?;
    Ok(u8::from(failed > 0))
}
