//! multilog with real pipes, disks and signals.

mod faults;
mod inputs;
mod kills;
mod limits;
mod names;
mod processors;
mod service;
mod shared;
mod vanish;

use crate::harness::{Scratch, Suite, exit_code, wait_until};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

/// So much multilog takes out of its pipe at once, at most: what may stand twice
/// after a KILL, in bytes.
pub(crate) const BATCH: usize = 128 * 1024;
/// What `t` puts before a line, in bytes.
const STAMP: usize = 26;

/// The line of this number, without its end; each is different, and none is of
/// the length of the next.
fn line(number: usize) -> String {
    let parity = if number.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    let filler = "abcdefghijklmnopqrstuvwxyz".repeat(4);
    format!("{number:07} {parity} {}", &filler[..number * 37 % 101])
}

/// So many lines, from 0 on.
fn lines(count: usize) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

/// A pipe whose reading end stays open, as svscan holds it, and through which
/// numbered lines go in pieces of any size.
struct Feed {
    reader: PipeReader,
    writer: Option<PipeWriter>,
    /// The end of the last lines, not yet written to the pipe.
    rest: Vec<u8>,
    /// So many lines were begun.
    begun: usize,
    /// The line of a number, without its end.
    line: fn(usize) -> String,
}

impl Feed {
    fn new() -> Feed {
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        Feed {
            reader,
            writer: Some(writer),
            rest: Vec::new(),
            begun: 0,
            line,
        }
    }

    /// Its reading end, for a child.
    fn stdin(&self) -> Stdio {
        self.reader.try_clone().unwrap().into()
    }

    /// Writes at most so many bytes of the next lines, as far as there is room.
    fn write(&mut self, count: usize) {
        while self.rest.len() < count {
            let next = (self.line)(self.begun) + "\n";
            self.rest.extend_from_slice(next.as_bytes());
            self.begun += 1;
        }
        let mut writer = self.writer.as_ref().unwrap();
        // A pipe that is full is no matter: the bytes wait here.
        if let Ok(written) = writer.write(&self.rest[..count]) {
            self.rest.drain(..written);
        }
    }

    /// Writes so many whole lines, for which there must be room.
    fn write_lines(&mut self, count: usize) {
        assert!(self.rest.is_empty());
        let from = self.begun;
        let length = (from..from + count).map(|n| line(n).len() + 1).sum();
        self.write(length);
        assert!(self.rest.is_empty(), "no room in the pipe");
    }

    /// Waits until nothing is in the pipe: all that was in it is dealt with.
    fn wait_taken(&self) {
        wait_until("all is taken out", || {
            let mut reader = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
            poll(&mut reader, PollTimeout::ZERO).unwrap() == 0
        });
    }

    /// Ends the line that was begun, if there is room. Whether there was.
    fn end_line(&mut self) -> bool {
        let length = self.rest.iter().position(|byte| *byte == b'\n');
        if let Some(place) = length {
            self.write(place + 1);
        }
        !self.rest.contains(&b'\n')
    }

    /// Writes what is begun, waiting for room, and closes the writing end.
    fn close(&mut self) {
        wait_until("multilog reads on", || {
            self.write(self.rest.len());
            self.rest.is_empty()
        });
        self.writer = None;
    }

    /// What is in the pipe: nobody else may have it open.
    fn left(mut self) -> String {
        self.writer = None;
        let mut text = String::new();
        self.reader.read_to_string(&mut text).unwrap();
        text
    }
}

/// A running multilog, killed and reaped on drop.
struct Multilog(Child);

impl Multilog {
    /// Starts ours with this script, its stderr appended to the file `said`.
    fn start(scratch: &Scratch, script: &[&str], stdin: Stdio) -> Multilog {
        Multilog::spawn(scratch, command(scratch, script), stdin)
    }

    /// Starts a `command`, in the same way.
    fn spawn(scratch: &Scratch, mut command: Command, stdin: Stdio) -> Multilog {
        let mut said = fs::File::options();
        let said = said.append(true).create(true).open(scratch.at("said"));
        command.stdin(stdin).stdout(Stdio::null());
        Multilog(command.stderr(said.unwrap()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().try_into().unwrap());
        // It may be a zombie by now, but not gone: it was not waited for.
        kill(pid, signal).unwrap();
    }

    /// Waits until no signal waits for it any more; it still runs.
    fn wait_heard(&mut self) {
        let status = format!("/proc/{}/status", self.0.id());
        wait_until("the signal is heard", || {
            let status = fs::read_to_string(&status).unwrap();
            let pending = status.split("ShdPnd:").nth(1).unwrap();
            pending.trim_start().starts_with("0000000000000000")
        });
        assert!(self.runs());
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Its exit code, as everywhere in the tests.
    fn wait(&mut self) -> i32 {
        wait_until("multilog ends", || !self.runs());
        exit_code(self.0.wait().unwrap())
    }
}

impl Drop for Multilog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Our multilog with this script.
fn command(scratch: &Scratch, script: &[&str]) -> Command {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("multilog"));
    command.args(script);
    command
}

/// The names of the finished files of a log, oldest first.
fn finished(scratch: &Scratch, log: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(scratch.at(log))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('@'))
        .collect();
    names.sort();
    names
}

/// All that is in a log, oldest first.
fn text(scratch: &Scratch, log: &str) -> String {
    let mut names = finished(scratch, log);
    names.push("current".to_owned());
    names
        .iter()
        .map(|name| scratch.read(format!("{log}/{name}")))
        .collect()
}

/// Waits until line `number` is the last that stands in a log.
fn wait_logged(scratch: &Scratch, log: &str, number: usize) {
    wait_until(&format!("line {number} is in {log}"), || {
        // One that is renamed just now is there at the next look.
        text(scratch, log).ends_with(&(line(number) + "\n"))
    });
}

/// Waits until this was said on stderr.
fn wait_said(scratch: &Scratch, what: &str) {
    wait_until(what, || scratch.read("said").contains(what));
}

/// How often something was done over, and how much then stands twice.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Twice {
    times: usize,
    lines: usize,
}

/// In `text` stand, in order and none missing, the lines below `count` that are
/// `wanted`; where some stand twice, they are a batch's at most.
fn check(text: &str, stamps: bool, count: usize, wanted: impl Fn(usize) -> bool) -> Twice {
    let wanted: Vec<usize> = (0..count).filter(|number| wanted(*number)).collect();
    // The place in `wanted` of the next line, and of the first that was not there yet.
    let (mut next, mut new) = (0, 0);
    // Where what was done over last began.
    let mut from = 0;
    let mut twice = Twice::default();
    assert!(text.is_empty() || text.ends_with('\n'));
    for found in text.lines() {
        let found = if stamps {
            let (stamp, rest) = found.split_at_checked(STAMP).unwrap_or((found, ""));
            let digits = stamp.strip_prefix('@').and_then(|s| s.strip_suffix(' '));
            let is_stamp = digits.is_some_and(|d| d.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(is_stamp, "no stamp: {found:?}");
            rest
        } else {
            found
        };
        let number: usize = found.get(..7).unwrap_or("").parse().unwrap_or(usize::MAX);
        assert!(number != usize::MAX, "not a line of the input: {found:?}");
        assert_eq!(found, line(number));
        let Ok(place) = wanted.binary_search(&number) else {
            panic!("line {number} was not selected");
        };
        if place != next {
            assert!(place < new, "line {number} instead of {}", wanted[next]);
            // Or killed once more while it was at that.
            let is_anew = next == new;
            assert!(is_anew || place >= from, "line {number}: more than a batch");
            from = place;
            twice.times += 1;
            twice.lines += new - place;
            let again: usize = (number..wanted[new - 1]).map(|n| line(n).len() + 1).sum();
            assert!(again <= BATCH, "{again} bytes twice");
        }
        next = place + 1;
        new = new.max(next);
    }
    assert_eq!(new, wanted.len(), "the last lines are missing");
    assert_eq!(next, new);
    twice
}
