//! The start of multilog: opens everything and checks for what an earlier one left.

use super::batch_size::{BatchSize, Room};
use super::dir::LogDir;
use super::lines::Lines;
use super::locked::Locked;
use super::recovery::{self, Found, Resume};
use super::script::Script;
use super::shell::{Shell, buffer_size};
use super::status::StatusFile;
use super::waiter::Waiter;
use crate::error::Error;
use crate::formats::journal::{Batch, InputId, hash};
use crate::sys::source::Source;
use crate::sys::{clock, file, memory};
use std::fs;
use std::path::Path;
use std::rc::Rc;

/// The memory, in bytes, that must be available in addition to [`Room::Large`]'s buffers: for
/// temporary needs, such as the names in a directory.
const MARGIN: usize = 512 * 1024;

/// Opens the files of `arguments`. Returns where to continue, too.
///
/// # Errors
/// Why it cannot start, with 0.76's messages.
pub fn open(arguments: &[&[u8]]) -> Result<(Shell, Resume), Error> {
    memory::spare_where_short(2 * MARGIN);
    file::umask(0o022);
    let start = file::open_read(Path::new("."))
        .map_err(|error| Error::unable_to("switch to current directory", error))?;
    let start = Rc::new(start);
    let unable = |error| Error::unable_to("read standard input", error);
    let mut waiter = Waiter::new().map_err(unable)?;
    let mut source = Source::open(&waiter.signals).map_err(unable)?;
    let script = Script::parse(arguments.iter().copied());
    let status = script.status_files.iter();
    let status = status.map(|name| StatusFile::open(name, &start));
    let status = status.collect::<Result<Vec<_>, _>>()?;
    let locked = script.directories.iter();
    let locked = locked.map(|settings| Locked::open(settings, &start));
    let locked = locked.collect::<Result<Vec<_>, _>>()?;
    let input = source.pipe().and_then(|pipe| input(pipe, arguments));
    waiter.may_leave = source.pipe().is_some();
    let found: Vec<Found> = locked.iter().map(|dir| dir.found.clone()).collect();
    let resume = recovery::resume(&found, input);
    let dirs = locked
        .into_iter()
        .map(|dir| LogDir::start(dir, &mut waiter));
    let dirs = dirs.collect::<Result<Vec<_>, _>>()?;
    let batch = input.map(|input| match &resume {
        Resume::Batch(interrupted) => interrupted.batch.clone(),
        Resume::Anew(_) => Batch {
            input,
            number: now(),
            ..Batch::default()
        },
    });
    source.hasten();
    let room = room(&script);
    let lines = Lines::new(&script, room);
    let batch_size = BatchSize::new(lines.copies(), room, clock::monotonic());
    let shell = Shell {
        waiter,
        source,
        lines,
        dirs,
        status,
        batch,
        buffer: Vec::with_capacity(buffer_size(room.batch())),
        filled: 0,
        held: 0,
        seen: 0,
        batch_size,
        unfinished: None,
        most: 0,
    };
    Ok((shell, resume))
}

/// The amount of available memory.
fn room(script: &Script) -> Room {
    let large = Room::Large;
    let needed = Lines::needs(script, large) + buffer_size(large.batch()) + MARGIN;
    if memory::is_available(needed) {
        large
    } else {
        Room::Small
    }
}

/// Nanoseconds since 1970: two new series never have the same.
fn now() -> u64 {
    u64::try_from(clock::wall().as_nanos()).unwrap_or(u64::MAX)
}

/// The subject of the journal; None if it cannot be determined.
fn input(pipe: (u64, u64), arguments: &[&[u8]]) -> Option<InputId> {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = boot
        .iter()
        .filter(|byte| byte.is_ascii_hexdigit())
        .map(|byte| char::from(*byte))
        .collect();
    let boot = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    // The arguments that determine which bytes a directory gets. A multilog that is started
    // with another processor, say, continues where the old one was.
    let tells = |index: usize, argument: &[u8]| match argument.first() {
        Some(b'+' | b'-' | b'.' | b'/') => true,
        Some(b't') => index == 0,
        _ => false,
    };
    let mut words = Vec::new();
    let arguments = arguments.iter().enumerate();
    for (_, argument) in arguments.filter(|(index, argument)| tells(*index, argument)) {
        words.extend_from_slice(argument);
        words.push(0);
    }
    Some(InputId {
        boot,
        pipe,
        script: hash(&words),
    })
}
