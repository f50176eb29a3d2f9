//! The progress line: `Stopping /service/mldonkey/ ....OK`.
//!
//! Each function returns the bytes to print. If a script prints something meanwhile, the line
//! is interrupted and repeated at the end, so that both stay readable. When several services
//! are handled in parallel, nothing is printed before the end of each, and the lines of scripts
//! are prefixed with the service.

use super::Task;
use crate::child::Stream;

/// The position on the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// At the beginning of a line.
    Beginning,
    /// After `Stopping NAME ....`.
    Dots,
    /// After the output of a script; whether the last line of its stdout and of its stderr has
    /// ended.
    Script([bool; 2]),
}

/// The progress of the work on one service.
#[derive(Debug)]
pub struct Progress {
    name: Vec<u8>,
    quiet: bool,
    together: bool,
    verb: Option<&'static str>,
    dots: usize,
    at: At,
    /// An incomplete line of each stream of the script, in parallel mode.
    partial: [Vec<u8>; 2],
}

/// The maximum length of a line of a script in parallel mode, so that the buffer is bounded.
const LONGEST_LINE: usize = 4096;

impl Progress {
    /// Nothing is printed yet. `together`: parallel mode, others print on the same terminal.
    pub fn new(name: &[u8], quiet: bool, together: bool) -> Progress {
        Progress {
            name: name.to_vec(),
            quiet,
            together,
            verb: None,
            dots: 0,
            at: At::Beginning,
            partial: [Vec::new(), Vec::new()],
        }
    }

    /// Begins the line: `Stopping NAME .`
    pub fn begin(&mut self, verb: &'static str) -> Vec<u8> {
        self.verb = Some(verb);
        self.dots = 1;
        if self.quiet || self.together {
            return Vec::new();
        }
        self.at = At::Dots;
        self.head(verb)
    }

    /// Another second has passed.
    pub fn dot(&mut self) -> Vec<u8> {
        if self.verb.is_none() {
            return Vec::new();
        }
        match (self.at, self.together) {
            (At::Dots, _) => {
                self.dots += 1;
                b".".to_vec()
            }
            (_, true) => {
                self.dots += 1;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn head(&self, verb: &str) -> Vec<u8> {
        let mut line = [verb.as_bytes(), b" ", &self.name, b" "].concat();
        line.resize(line.len() + self.dots.max(1), b'.');
        line
    }

    /// The script has printed `bytes`: returns what to print before them (on stdout) and what
    /// to print of them (on the same stream).
    pub fn script(&mut self, stream: Stream, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        if self.quiet && stream == Stream::Out {
            return (Vec::new(), Vec::new());
        }
        if self.together {
            return (Vec::new(), self.named_lines(stream, bytes));
        }
        let before = self.break_off();
        if let Some(last) = bytes.last() {
            let [mut out, mut err] = match self.at {
                At::Script(ended) => ended,
                At::Beginning | At::Dots => [true, true],
            };
            match stream {
                Stream::Out => out = *last == b'\n',
                Stream::Err => err = *last == b'\n',
            }
            self.at = At::Script([out, err]);
        }
        (before, bytes.to_vec())
    }

    fn named_lines(&mut self, stream: Stream, bytes: &[u8]) -> Vec<u8> {
        let [out, err] = &mut self.partial;
        let partial = match stream {
            Stream::Out => out,
            Stream::Err => err,
        };
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                partial.push(*byte);
            }
            if *byte == b'\n' || partial.len() >= LONGEST_LINE {
                lines.extend([&self.name, b": ".as_slice(), partial, b"\n"].concat());
                partial.clear();
            }
        }
        lines
    }

    /// The rest of the script's output without a newline, in parallel mode.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        for partial in &mut self.partial {
            if !partial.is_empty() {
                rest.extend([&self.name, b": ".as_slice(), partial, b"\n"].concat());
                partial.clear();
            }
        }
        rest
    }

    /// The work on a service has ended: `OK` or `FAILED`, with the whole line if it was
    /// interrupted, or if it never began.
    pub fn end(&mut self, task: Task, succeeded: bool) -> Vec<u8> {
        let mut line = self.rest();
        if self.quiet {
            return line;
        }
        if matches!(self.at, At::Script(ended) if ended != [true, true]) {
            line.push(b'\n');
        }
        if self.at != At::Dots {
            line.extend(self.head(self.verb.unwrap_or(verb(task))));
        }
        line.extend_from_slice(if succeeded { b"OK\n" } else { b"FAILED\n" });
        self.at = At::Beginning;
        self.verb = None;
        line
    }

    /// A whole line about the service with another result.
    pub fn remark(&mut self, text: &str) -> Vec<u8> {
        if self.quiet {
            return Vec::new();
        }
        let mut line = self.break_off();
        line.extend([&self.name, b" ".as_slice(), text.as_bytes(), b"\n"].concat());
        line
    }

    /// Ends an unfinished line.
    pub fn break_off(&mut self) -> Vec<u8> {
        match self.at {
            At::Dots => {
                self.at = At::Beginning;
                b"\n".to_vec()
            }
            At::Beginning | At::Script(_) => Vec::new(),
        }
    }
}

/// The verb for a service whose work was never begun.
fn verb(task: Task) -> &'static str {
    match task {
        Task::Start => "Starting",
        Task::Stop => "Stopping",
        Task::Reset => "Resetting",
        Task::Restart => "Restarting",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(quiet: bool, together: bool) -> Progress {
        Progress::new(b"/service/mldonkey/", quiet, together)
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_stop_looks_as_in_the_appliances_manual() {
        let mut progress = new(false, false);
        let mut line = progress.begin("Stopping");
        for _ in 0..3 {
            line.extend(progress.dot());
        }
        line.extend(progress.end(Task::Stop, true));
        assert_eq!(text(line), "Stopping /service/mldonkey/ ....OK\n");
    }

    #[test]
    fn the_output_of_a_script_stands_on_lines_of_its_own() {
        let mut progress = new(false, false);
        progress.begin("Starting");
        let (before, said) = progress.script(Stream::Out, b"Waiting..");
        assert_eq!(
            (text(before), text(said)),
            ("\n".into(), "Waiting..".into())
        );
        assert_eq!(progress.dot(), b"");
        let (before, said) = progress.script(Stream::Err, b" done");
        assert_eq!((text(before), text(said)), ("".into(), " done".into()));
        assert_eq!(
            text(progress.end(Task::Start, false)),
            "\nStarting /service/mldonkey/ .FAILED\n"
        );
    }

    #[test]
    fn quiet_says_nothing_and_lets_only_errors_through() {
        let mut progress = new(true, false);
        assert_eq!(progress.begin("Starting"), b"");
        assert_eq!(progress.dot(), b"");
        assert_eq!(progress.script(Stream::Out, b"hello\n"), (vec![], vec![]));
        assert_eq!(
            progress.script(Stream::Err, b"help\n"),
            (vec![], b"help\n".to_vec())
        );
        assert_eq!(progress.end(Task::Start, true), b"");
    }

    #[test]
    fn together_each_line_is_whole_and_named() {
        let mut progress = new(false, true);
        assert_eq!(progress.begin("Starting"), b"");
        let (before, said) = progress.script(Stream::Out, b"a\nb");
        assert_eq!(
            (text(before), text(said)),
            ("".into(), "/service/mldonkey/: a\n".into())
        );
        progress.dot();
        assert_eq!(
            text(progress.end(Task::Start, true)),
            "/service/mldonkey/: b\nStarting /service/mldonkey/ ..OK\n"
        );
    }

    #[test]
    fn what_never_began_is_said_in_whole() {
        let mut progress = new(false, false);
        assert_eq!(
            text(progress.end(Task::Restart, false)),
            "Restarting /service/mldonkey/ .FAILED\n"
        );
    }
}
