//! 0.76 as it is: a slow, plain model that takes a byte at a time, for the tests.

use super::script::{Action, Script};
use crate::formats::tai64n::Tai64n;
use std::time::Duration;

/// The moment `nanoseconds` after 1970.
pub(super) fn moment(nanoseconds: u64) -> Tai64n {
    Tai64n::from_unix(Duration::from_nanos(nanoseconds))
}

/// What 0.76 leaves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Left {
    /// For each directory, its files.
    pub(super) files: Vec<Vec<Vec<u8>>>,
    pub(super) stderr: Vec<u8>,
    /// The status files.
    pub(super) status: Vec<Vec<u8>>,
}

impl Left {
    pub(super) fn new(script: &Script) -> Left {
        Left {
            files: vec![vec![vec![]]; script.directories.len()],
            stderr: vec![],
            status: vec![vec![]; script.status_files.len()],
        }
    }

    /// As if there were no sizes.
    pub(super) fn joined(mut self) -> Left {
        for files in &mut self.files {
            *files = vec![files.concat()];
        }
        self
    }
}

/// 0.76, one byte after the other, with its buffers.
pub(super) struct Original<'a> {
    script: &'a Script,
    pub(super) left: Left,
    /// For each directory, its output buffer.
    buffers: Vec<Vec<u8>>,
    selected: Vec<bool>,
    line: Vec<u8>,
    is_long: bool,
    /// The next stamp, in nanoseconds after 1970.
    stamp: u64,
}

impl Original<'_> {
    pub(super) fn new(script: &Script) -> Original<'_> {
        Original {
            script,
            left: Left::new(script),
            buffers: vec![vec![]; script.directories.len()],
            selected: vec![true; script.directories.len()],
            line: vec![],
            is_long: false,
            stamp: 0,
        }
    }

    /// 0.76 reads this at this moment.
    pub(super) fn read(&mut self, bytes: &[u8], now: u64) {
        self.flush();
        self.stamp = self.stamp.max(now);
        for byte in bytes {
            if self.line.is_empty() && !self.is_long && self.script.stamps {
                self.line.extend(moment(self.stamp).text());
                self.line.push(b' ');
                self.stamp += 1;
            }
            match *byte {
                b'\n' => self.end_line(),
                byte if self.is_long => self.put(&[byte]),
                byte => {
                    self.line.push(byte);
                    if self.line.len() == 1000 {
                        self.act();
                        self.is_long = true;
                    }
                }
            }
        }
    }

    pub(super) fn end(mut self) -> Left {
        self.flush();
        if !self.line.is_empty() || self.is_long {
            self.end_line();
        }
        self.flush();
        self.left
    }

    fn end_line(&mut self) {
        if !self.is_long {
            self.act();
        }
        self.put(b"\n");
        self.is_long = false;
    }

    /// Goes through the script with the line.
    fn act(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut selected = true;
        for action in &self.script.actions {
            match action {
                Action::Deselect(wanted) => selected &= !matches(wanted, &line),
                Action::Select(wanted) => selected |= matches(wanted, &line),
                Action::Stderr if selected => {
                    let shown = &line[..line.len().min(200)];
                    let dots = if line.len() > 200 { "..." } else { "" };
                    self.left
                        .stderr
                        .extend([shown, dots.as_bytes(), b"\n"].concat());
                }
                Action::Status(number) if selected => {
                    let mut content = vec![b'\n'; 1001];
                    content[..line.len()].copy_from_slice(&line);
                    self.left.status[*number] = content;
                }
                Action::Log(number) => self.selected[*number] = selected,
                _ => {}
            }
        }
        self.put(&line);
    }

    /// Sends bytes of the line to the directories that get it.
    fn put(&mut self, bytes: &[u8]) {
        for number in 0..self.buffers.len() {
            if !self.selected[number] {
                continue;
            }
            if bytes.len() > 512 - self.buffers[number].len() {
                let buffered = std::mem::take(&mut self.buffers[number]);
                self.write(number, &buffered);
            }
            if bytes.len() > 512 {
                self.write(number, bytes);
            } else {
                self.buffers[number].extend_from_slice(bytes);
            }
        }
    }

    fn flush(&mut self) {
        for number in 0..self.buffers.len() {
            let buffered = std::mem::take(&mut self.buffers[number]);
            self.write(number, &buffered);
        }
    }

    fn write(&mut self, number: usize, bytes: &[u8]) {
        let size = usize::try_from(self.script.directories[number].size).unwrap();
        let files = &mut self.left.files[number];
        let mut bytes = bytes;
        while !bytes.is_empty() {
            if files.last().unwrap().len() >= size {
                files.push(vec![]);
            }
            let file = files.last_mut().unwrap();
            let mut length = bytes.len().min(size - file.len());
            if file.len() + length >= size - 2000
                && let Some(newline) = bytes[..length].iter().rposition(|byte| *byte == b'\n')
            {
                length = newline + 1;
            }
            file.extend_from_slice(&bytes[..length]);
            if file.len() >= size - 2000 && bytes[length - 1] == b'\n' {
                files.push(vec![]);
            }
            bytes = &bytes[length..];
        }
    }
}

/// Whether the whole of `text` matches `pattern`, from the words of the rules alone.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], _) => text.is_empty(),
        ([b'*'], _) => true,
        ([b'*', wanted, ..], [byte, behind @ ..]) if byte != wanted => matches(pattern, behind),
        ([b'*', _, ..], []) => false,
        ([b'*', rest @ ..], _) => matches(rest, text),
        ([first, rest @ ..], [byte, behind @ ..]) => first == byte && matches(rest, behind),
        ([_, ..], []) => false,
    }
}
