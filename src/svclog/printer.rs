//! Writes lines to stdout.

use super::Sink;
use super::reading::AT_ONCE;
use super::tail::begins_line;
use crate::sys::{stream, terminal, zone};
use crate::tai64n::localizer::Localizer;
use crate::visible::Visible;
use std::io;

/// Writes to stdout, with local time in place of timestamps.
pub(super) struct Printer {
    localizer: Localizer,
    is_at_start: bool,
    /// None: the bytes of the log are written unchanged.
    visible: Option<Visible>,
    out: Vec<u8>,
}

impl Printer {
    /// Control characters are shown, not printed, if stdout is a terminal and this is
    /// not `raw`.
    pub(super) fn new(raw: bool) -> Printer {
        Printer {
            localizer: Localizer::default(),
            is_at_start: true,
            visible: (!raw && terminal::is_stdout()).then(Visible::default),
            out: Vec::new(),
        }
    }

    /// Takes `bytes`; only an incomplete timestamp stays in the localizer.
    fn take(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else {
            return;
        };
        self.is_at_start = *last == b'\n';
        self.localizer.feed(bytes, zone::local, &mut self.out);
    }

    /// Takes a line of the log called `name`, or a piece of one.
    pub(super) fn put_named(&mut self, name: &[u8], bytes: &[u8]) -> io::Result<()> {
        if self.is_at_start {
            self.out.extend_from_slice(name);
            self.out.extend_from_slice(b": ");
        }
        self.take(bytes);
        if self.out.len() >= AT_ONCE {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the bytes that were taken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut out = std::mem::take(&mut self.out);
        if let Some(visible) = &mut self.visible {
            let mut shown = Vec::with_capacity(out.len());
            visible.feed(&out, &mut shown);
            stream::write(&shown)?;
        } else {
            stream::write(&out)?;
        }
        out.clear();
        self.out = out;
        Ok(())
    }

    /// Ends an incomplete line.
    pub(super) fn end_line(&mut self) -> io::Result<()> {
        if self.is_at_start {
            return Ok(());
        }
        self.put(b"\n")
    }
}

impl Sink for Printer {
    fn begin(&mut self, head: &[u8]) -> io::Result<()> {
        if begins_line(head) {
            self.end_line()?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.take(bytes);
        self.flush()
    }
}
