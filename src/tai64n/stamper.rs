//! tai64n: puts a timestamp before each line.

use super::line;
use crate::formats::tai64n::Tai64n;

/// Puts a timestamp and a space before each line, including empty lines and an unterminated
/// last line; no newline is added.
#[derive(Debug, Default)]
pub struct Stamper {
    /// Whether the input so far ends within a line.
    in_line: bool,
    /// The last timestamp.
    last: Tai64n,
}

impl Stamper {
    /// Takes the next `input`, which was read at `now`, and appends the result to `out`.
    ///
    /// The timestamp of a line is the time at which its first byte was read. Lines that were
    /// read together differ by a nanosecond each, so that timestamps always increase, unless
    /// the clock is set back.
    pub fn feed(&mut self, input: &[u8], now: Tai64n, out: &mut Vec<u8>) {
        let mut rest = input;
        // Earlier timestamps can be ahead of the clock, by as many nanoseconds as there were
        // lines.
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
