//! The text of `supervise/state` and `supervise/svscan`: one `key value` per line. The first is
//! the version, the last a checksum, with blanks before it up to a fixed size.

use super::journal::hash;
use super::tai64n::Tai64n;
use crate::child::{End, Pid, PidSpace, ProcessId};
use std::io::Write;

const VERSION: u32 = 1;

/// The length of the last line: a word and 16 digits.
pub(super) const SUM: usize = 21;

/// A text of lines that is being written.
pub(super) struct Text {
    bytes: Vec<u8>,
    /// Where it begins in `bytes`.
    start: usize,
}

impl Text {
    /// A text of `size` bytes behind `before`.
    pub(super) fn after(before: &[u8], size: usize) -> Text {
        let start = before.len();
        let mut bytes = Vec::with_capacity(start + size);
        bytes.extend_from_slice(before);
        let mut text = Text { bytes, start };
        text.line("version", VERSION);
        text
    }

    pub(super) fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to a vector does not fail.
        let _ = writeln!(self.bytes, "{key} {value}");
    }

    pub(super) fn flag(&mut self, key: &str, is_so: bool) {
        self.line(key, if is_so { "yes" } else { "no" });
    }

    pub(super) fn moment(&mut self, key: &str, moment: Tai64n) {
        self.line(key, String::from_utf8_lossy(&moment.text()));
    }

    /// Without a process both are 0.
    pub(super) fn process(&mut self, pid: &str, start: &str, process: Option<ProcessId>) {
        self.line(pid, process.map_or(0, |process| process.pid.get()));
        let started = process.and_then(|process| process.start);
        self.line(start, started.unwrap_or(0));
    }

    /// Device and inode.
    pub(super) fn file(&mut self, key: &str, (device, inode): (u64, u64)) {
        self.line(key, format_args!("{device}:{inode}"));
    }

    pub(super) fn end(&mut self, end: End) {
        match end {
            End::Exited(code) => self.line("ended-exit", code),
            End::Killed(signal) => self.line("ended-signal", signal),
        }
    }

    pub(super) fn space(&mut self, space: Option<PidSpace>) {
        let boot = space.map_or(0, |space| u128::from_be_bytes(space.boot));
        self.line("boot", format_args!("{boot:032x}"));
        self.line("namespace", space.map_or(0, |space| space.namespace));
    }

    /// Pads it to `size` bytes, including the checksum.
    pub(super) fn seal(mut self, size: usize) -> Vec<u8> {
        let bytes = &mut self.bytes;
        let padded = self.start + size.saturating_sub(1 + SUM);
        bytes.resize(padded.max(bytes.len()), b' ');
        bytes.push(b'\n');
        let sum = hash(bytes.get(self.start..).unwrap_or_default());
        let _ = writeln!(bytes, "sum {sum:016x}");
        self.bytes
    }
}

/// A text of lines that was read.
pub(super) struct Fields<'a>(pub(super) &'a str);

impl<'a> Fields<'a> {
    /// None if the checksum is wrong.
    pub(super) fn open(bytes: &'a [u8]) -> Option<Fields<'a>> {
        let (text, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
        let written = sum.strip_prefix(b"sum ")?.strip_suffix(b"\n")?;
        let is_right = written == format!("{:016x}", hash(text)).as_bytes();
        let fields = Fields(std::str::from_utf8(text).ok().filter(|_| is_right)?);
        // Every version has its number here; the keys that are read here are in all versions.
        fields.number::<u32>("version")?;
        Some(fields)
    }

    /// The first line of that key counts.
    pub(super) fn value(&self, key: &str) -> Option<&'a str> {
        let mut lines = self.0.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.value(key)?.parse().ok()
    }

    pub(super) fn moment(&self, key: &str) -> Option<Tai64n> {
        Tai64n::parse(self.value(key)?.as_bytes().try_into().ok()?)
    }

    pub(super) fn process(&self, pid: &str, start: &str) -> Option<Option<ProcessId>> {
        let (pid, start) = (self.number(pid)?, self.number(start)?);
        let start = Some(start).filter(|start| *start != 0);
        Some(Pid::new(pid).map(|pid| ProcessId { pid, start }))
    }

    pub(super) fn space(&self) -> Option<Option<PidSpace>> {
        let boot = u128::from_str_radix(self.value("boot")?, 16).ok()?;
        let namespace = self.number("namespace")?;
        let boot = boot.to_be_bytes();
        Some((namespace != 0).then_some(PidSpace { boot, namespace }))
    }

    /// Device and inode.
    pub(super) fn file(&self, key: &str) -> Option<(u64, u64)> {
        let (device, inode) = self.value(key)?.split_once(':')?;
        let inode = inode.parse().ok().filter(|inode| *inode != 0)?;
        Some((device.parse().ok()?, inode))
    }

    pub(super) fn end(&self) -> Option<End> {
        let exited = self.number("ended-exit").map(End::Exited);
        exited.or_else(|| self.number("ended-signal").map(End::Killed))
    }
}
