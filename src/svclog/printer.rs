//! What is shown, on its way to stdout.

use super::tail::begins_line;
use crate::stamps::localizer::Localizer;
use crate::sys::{stream, terminal, zone};
use crate::visible::Visible;
use std::io;

/// Writes to stdout, with local time for stamps.
pub(super) struct Printer {
    localizer: Localizer,
    is_at_start: bool,
    /// None: the terminal gets the bytes of the log as they are.
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

    /// A file comes that begins with `head`. A line that the file before began goes
    /// on in it, unless a crash has cut that line off.
    pub(super) fn begin(&mut self, head: &[u8]) -> io::Result<()> {
        if begins_line(head) {
            self.end_line()?;
        }
        Ok(())
    }

    /// Writes `bytes`, of which only the start of a stamp is kept back.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(last) = bytes.last() else {
            return Ok(());
        };
        self.is_at_start = *last == b'\n';
        self.out.clear();
        self.localizer.feed(bytes, zone::local, &mut self.out);
        let Some(visible) = &mut self.visible else {
            return stream::write(&self.out);
        };
        let mut shown = Vec::with_capacity(self.out.len());
        visible.feed(&self.out, &mut shown);
        stream::write(&shown)
    }

    /// Ends a line that has no end.
    pub(super) fn end_line(&mut self) -> io::Result<()> {
        if self.is_at_start {
            return Ok(());
        }
        self.put(b"\n")
    }
}
