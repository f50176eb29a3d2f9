//! Examines a service directory that may not be complete yet.

use super::late::Inspection;
use super::settling::{Observation, QUIET};
use crate::file_systems;
use crate::service;
use crate::sys::{clock, file};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A temporary file of an unpacker that has not changed for this time is a leftover.
const STALE: Duration = Duration::from_secs(5);

/// The maximum number of entries of a directory that are examined.
const ENTRIES: usize = 4096;

/// Whether the directory at `path`, with this `metadata`, seems to have been created just now,
/// and has no `run` yet.
pub(super) fn is_unfinished(path: &Path, metadata: &Metadata) -> bool {
    let is_old = quiet_for(clock::wall(), change(metadata)).is_some_and(|time| time >= QUIET);
    !is_old && !may_run(path)
}

/// Examines the directory at `path`, with this `metadata`.
pub(super) fn observe(path: &Path, metadata: &Metadata) -> Observation {
    let now = clock::wall();
    let mut digest = DefaultHasher::new();
    let mut newest = Duration::ZERO;
    let log = path.join("log");
    let may_start = may_run(path);
    let mut is_complete = may_start && (!log.is_dir() || may_run(&log));
    let mut has_temporary = false;
    is_complete.hash(&mut digest);
    // Only what another supervise does not change.
    let supervise = path.join("supervise").symlink_metadata();
    let supervise = supervise.map(|metadata| (metadata.ino(), metadata.mode()));
    supervise.ok().hash(&mut digest);
    let down = path.join("down").metadata().ok();
    let has_down = down.is_some();
    let part = |name| path.join(name).metadata().ok();
    for part in [
        Some(metadata.clone()),
        down,
        part("run"),
        part("log"),
        part("log/run"),
    ] {
        newest = newest.max(part.as_ref().map(change).unwrap_or_default());
        part.as_ref().map(state).hash(&mut digest);
    }
    for directory in [path, &log] {
        for entry in std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .take(ENTRIES)
        {
            let Some(entry) = entry.ok().filter(|entry| is_temporary(&entry.file_name())) else {
                continue;
            };
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            has_temporary = true;
            let change = change(&metadata);
            is_complete &= quiet_for(now, change).is_some_and(|time| time >= STALE);
            newest = newest.max(change);
            (entry.file_name(), state(&metadata)).hash(&mut digest);
        }
    }
    Observation {
        is_complete,
        is_unpacking: has_temporary && !may_start,
        has_down,
        // The timestamps of a file server are those of its own clock.
        quiet_for: quiet_for(now, newest).filter(|_| !file_systems::is_remote_at(path)),
        digest: digest.finish(),
    }
}

/// Checks the directory at `path` for files that appeared late.
pub(super) fn inspect(path: &Path) -> Inspection {
    let is_there = |name| path.join(name).metadata().is_ok();
    // A write to a FIFO changes its mtime. supervise creates `ok` after `control`.
    let time = |name| path.join(name).symlink_metadata().ok();
    let made = time("supervise/ok").map(|ok| modified(&ok));
    let written = time("supervise/control").map(|control| modified(&control));
    let commanded = written.filter(|written| made.is_some_and(|made| *written > made));
    Inspection {
        has_down: is_there("down"),
        has_log: is_there("log"),
        want: service::read_status(path).ok().map(|status| status.want),
        commanded: commanded.map(|at| clock::wall().saturating_sub(at)),
    }
}

fn may_run(path: &Path) -> bool {
    let run = path.join("run");
    file::may_execute(&run) && !run.is_dir()
}

/// A fingerprint of the state of a file.
fn state(metadata: &Metadata) -> (u64, u64, u32, i64, i64) {
    (
        metadata.ino(),
        metadata.size(),
        metadata.mode(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
}

/// The time of the last change, since 1970. A file system that keeps whole seconds
/// rounds it down: it may have been up to a second later.
fn change(metadata: &Metadata) -> Duration {
    let seconds = Duration::from_secs(metadata.ctime().try_into().unwrap_or(0));
    match metadata.ctime_nsec().try_into() {
        Ok(0) | Err(_) => seconds + Duration::from_secs(1),
        Ok(nanoseconds) => seconds + Duration::from_nanos(nanoseconds),
    }
}

fn modified(metadata: &Metadata) -> Duration {
    let seconds = Duration::from_secs(metadata.mtime().try_into().unwrap_or(0));
    seconds + Duration::from_nanos(metadata.mtime_nsec().try_into().unwrap_or(0))
}

/// The time from `change` to `now`; None for a change in the future.
fn quiet_for(now: Duration, change: Duration) -> Option<Duration> {
    now.checked_sub(change)
}

/// Whether `name` is a temporary name that an unpacker uses until a file is complete.
fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let ends_in = |separator: u8, length: usize, is_part: fn(&u8) -> bool| {
        let begin = name.len().checked_sub(length);
        let (front, back) = begin.map_or((name, &[][..]), |begin| name.split_at(begin));
        // At least one byte of the file's own name comes first.
        back.len() == length
            && matches!(front, [_, .., last] if *last == separator)
            && back.iter().all(is_part)
    };
    // dpkg; apk; Ansible; rsync: .NAME.XXXXXX; rpm: NAME;XXXXXXXX
    name.ends_with(b".dpkg-new")
        || name.ends_with(b".dpkg-tmp")
        || name.starts_with(b".apk.")
        || name.starts_with(b".ansible_tmp")
        || name.starts_with(b".") && ends_in(b'.', 6, u8::is_ascii_alphanumeric)
        || ends_in(b';', 8, u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_names_of_unpackers_are_known() {
        for name in [
            "run.dpkg-new",
            "log.dpkg-tmp",
            ".run.aB3dE9",
            ".data.bin.Xx0yZz",
            "run;5f3a1b2c",
            ".apk.0123456789abcdef",
            ".ansible_tmpk2j3run",
        ] {
            assert!(is_temporary(OsStr::new(name)), "{name}");
        }
        for name in [
            "run",
            "down",
            "log",
            "supervise",
            "run.dpkg-old",
            "run.sh",
            ".run.swp",
            ".aB3dE9",
            "..aB3dE",
            "run.aB3dE9",
            ";5f3a1b2c",
            "run;5f3a1b2g",
            "",
            ".",
            "a",
        ] {
            assert!(!is_temporary(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_change_of_each_part_that_counts_is_seen_and_what_supervise_makes_is_not() {
        use std::fs;
        use std::io::Write;
        use std::os::unix::fs::PermissionsExt;
        let base = std::env::temp_dir().join(format!("look-{}", std::process::id()));
        for directory in ["log", "supervise"] {
            fs::create_dir_all(base.join(directory)).unwrap();
        }
        let parts = ["run", "down", "log/run", "run.dpkg-new", "log/.run.aB3dE9"];
        // By their sizes: a clock may be too coarse.
        let append = |name: &str| {
            let mut options = fs::File::options();
            let file = options.create(true).append(true).open(base.join(name));
            file.unwrap().write_all(b"#!").unwrap();
        };
        parts.iter().for_each(|part| append(part));
        let digest = || observe(&base, &base.metadata().unwrap()).digest;
        let mut seen = digest();
        let mut is_seen = |what: &str| {
            let now = digest();
            assert_ne!(now, seen, "{what}");
            seen = now;
        };
        for part in parts {
            append(part);
            is_seen(part);
        }
        for directory in ["log", "supervise"] {
            let closed = fs::Permissions::from_mode(0o711);
            fs::set_permissions(base.join(directory), closed).unwrap();
            is_seen(directory);
        }
        append("supervise/status");
        assert_eq!(digest(), seen);
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_change_in_the_future_does_not_tell_how_long_it_is_quiet() {
        let second = Duration::from_secs(1);
        assert_eq!(quiet_for(second, second * 2), None);
        assert_eq!(quiet_for(second * 2, second), Some(second));
    }
}
