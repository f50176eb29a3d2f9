//! tai64n: a stamp before each line.

use super::line;
use crate::formats::tai64n::Tai64n;

/// Puts a stamp and a blank before each line. An empty line is one, and so is
/// what stands behind the last newline, if anything does; none gets a newline
/// it did not have.
#[derive(Debug, Default)]
pub struct Stamper {
    /// Whether the last byte seen was one of a line, and not its newline.
    in_line: bool,
    /// The last stamp given.
    last: Tai64n,
}

impl Stamper {
    /// Takes the next `input`, which was read at `now`, and appends what it
    /// becomes to `out`.
    ///
    /// A line gets the moment at which its first byte was read. Lines that were
    /// read together differ by a nanosecond, so that stamps increase always, but
    /// for a clock that is set back.
    pub fn feed(&mut self, input: &[u8], now: Tai64n, out: &mut Vec<u8>) {
        let mut rest = input;
        // What was given before can be ahead of the clock, by so many
        // nanoseconds as there were lines.
        let mut stamp = if now <= self.last && now.seconds.saturating_add(1) >= self.last.seconds {
            self.last.next()
        } else {
            now
        };
        while !rest.is_empty() {
            if !self.in_line {
                self.last = stamp;
                stamp = stamp.next();
                out.extend_from_slice(&self.last.text());
                out.push(b' ');
            }
            let (first, others) = line(rest);
            out.extend_from_slice(first);
            self.in_line = !first.ends_with(b"\n");
            rest = others;
        }
    }
}
