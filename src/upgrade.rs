//! Upgrade in place: has a supervise become the program that is installed now.
//!
//! 1. The record of the supervise tells which program that is, and in which format it hands its
//!    state over.
//! 2. That program is asked whether it understands the format (`Probe`): a program that
//!    does not would end the supervise.
//! 3. The byte `^` is sent. The record tells whether the supervise has done it.
//!
//! No program is asked, and nothing is sent, if anything is in doubt.

use crate::child::Pid;
use crate::error::{TEMPORARY, reason};
use crate::formats::control::UPGRADE;
use crate::formats::handover::HANDOVER;
use crate::service::{self, Control, NotSent};
use crate::sys::exec::Program;
use crate::sys::signals::Signal;
use crate::sys::spawn::{Fd, STDERR, STDIN, STDOUT, Spawn};
use crate::sys::{child, clock, file, output, poll, process};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// The time limit for an answer of the program, and for the upgrade.
const LIMIT: Duration = Duration::from_secs(10);
/// No answer is longer.
const LONGEST: usize = 64;
/// The interval of looks at the record meanwhile.
const LOOK: Duration = Duration::from_millis(2);

/// Why a supervise was not upgraded.
pub enum NotUpgraded {
    /// It cannot be controlled; nothing was sent.
    NotSent(NotSent),
    /// It is no version that can be upgraded; nothing was sent.
    Version,
    /// Another reason.
    Because(String),
}

/// The words after `FORMAT:` in `word`, if this program understands that format.
pub fn numbers(word: &OsStr) -> Option<&str> {
    let (format, numbers) = word.to_str()?.split_once(':')?;
    (format.parse() == Ok(HANDOVER)).then_some(numbers)
}

/// The directory of the question to a program; there is none of such a name.
const QUESTION: &str = "/dev/null/";

/// Whether `directory` is the question whether this program understands its format.
pub fn is_question(directory: &OsStr) -> bool {
    let word = directory
        .as_encoded_bytes()
        .strip_prefix(QUESTION.as_bytes());
    word == Some(format!("{HANDOVER}:").as_bytes())
}

/// Answers that with yes, and returns the exit status.
pub fn answer() -> u8 {
    output::out(right(HANDOVER).as_bytes()).map_or(TEMPORARY, |()| 0)
}

/// The answer of a program that understands the format `format`.
fn right(format: u32) -> String {
    format!("resumes {format}\n")
}

/// The last program that was asked.
#[derive(Default)]
pub struct Probe {
    program: String,
    format: u32,
    /// Why it cannot take over, if so.
    why: Option<String>,
}

impl Probe {
    /// Asks the file `program` whether it understands the format `format`, unless it was the
    /// last one. The result is why it cannot take over, if so.
    fn ask(&mut self, program: &str, format: u32) -> Option<String> {
        if self.program != program || self.format != format {
            let why = match ask(program, format) {
                Ok(said) => (said != right(format).as_bytes()).then_some(said),
                Err(error) => Some(reason(&error).as_bytes().to_vec()),
            };
            *self = Probe {
                program: program.to_owned(),
                format,
                why: why.map(|said| match said.strip_prefix(UNABLE) {
                    Some(why) => format!(
                        "unable to start {program}: {}",
                        String::from_utf8_lossy(why)
                    ),
                    None => format!("{program} cannot take over from it"),
                }),
            };
        }
        self.why.clone()
    }
}

/// The beginning of the answer of a child that could not execute the program.
const UNABLE: &[u8] = b"unable: ";

/// The answer of the file `program` within the limit, or why it could not be started.
///
/// # Errors
/// Those of pipe(2) and fork(2).
#[cold]
fn ask(program: &str, format: u32) -> io::Result<Vec<u8>> {
    let (mut reader, writer) = io::pipe()?;
    let null = || file::open_write(Path::new("/dev/null"));
    let descriptors = [
        (STDIN, Fd::Open(&null)),
        (STDOUT, Fd::Copy(writer.as_fd())),
        (STDERR, Fd::Open(&null)),
    ];
    let question = format!("{QUESTION}{format}:");
    let words = [program, &question];
    let program = Program::at(OsStr::new(program), &words)?;
    let spawn = Spawn::new().dies_with_parent().descriptors(&descriptors);
    let proc = spawn.exec(&[program], |error| {
        let _ = output::out(&[UNABLE, reason(&error.source).as_bytes()].concat());
        TEMPORARY
    })?;
    drop(writer);
    let end = clock::monotonic() + LIMIT;
    let (mut said, mut buffer) = (Vec::new(), [0; LONGEST]);
    while said.len() < LONGEST && poll::wait([Some(reader.as_fd())], Some(end)) == [true] {
        match reader.read(&mut buffer) {
            Ok(count @ 1..) => said.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            _ => break,
        }
    }
    proc.send_signal(Signal::KILL);
    let _ = child::wait(proc.pid());
    Ok(said)
}

/// Upgrades the supervise of `directory`, and waits until that is done.
///
/// # Errors
/// [`NotUpgraded`].
#[cold]
pub fn upgrade(directory: &Path, probe: &mut Probe) -> Result<(), NotUpgraded> {
    let mut control = Control::open(directory).map_err(NotUpgraded::NotSent)?;
    let here = process::pid_space().ok_or(NotUpgraded::Version)?;
    let read = || service::read_upgradable(directory, here);
    let before = read().ok_or(NotUpgraded::Version)?;
    let upgradable = &before.upgradable;
    let program = upgradable.program.as_ref().ok_or(NotUpgraded::Version)?;
    if !before.is_trusted {
        let why = "it belongs to another user".to_owned();
        return Err(NotUpgraded::Because(why));
    }
    if let Some(why) = probe.ask(program, upgradable.format) {
        return Err(NotUpgraded::Because(why));
    }
    control
        .send(&[UPGRADE], true)
        .map_err(NotUpgraded::NotSent)?;
    let end = clock::monotonic() + LIMIT;
    let why = loop {
        match read() {
            Some(now) if now.supervise != before.supervise => break "its supervise has ended",
            Some(now) if now.upgradable.done != upgradable.done => return Ok(()),
            Some(now) if now.upgradable.refused != upgradable.refused => {
                break "its supervise has printed why";
            }
            _ => {}
        }
        let now = clock::monotonic();
        if now >= end {
            break "no answer within 10 seconds";
        }
        poll::wait([], Some(now + LOOK));
    };
    Err(NotUpgraded::Because(why.to_owned()))
}

/// Upgrades the svscan of `directory`, if its program is another than the file `installed`.
/// None: no svscan of this user runs there.
///
/// # Errors
/// [`NotUpgraded`].
#[cold]
pub fn upgrade_svscan(directory: &Path, installed: &str) -> Option<Result<(), NotUpgraded>> {
    let here = file::id_at(directory);
    let is_its = |pid: &Pid| file::id_at(&process::directory_link(*pid)) == here;
    let mut all = process::named("svscan").into_iter();
    let pid = all.find(|pid| is_its(pid) && process::is_trusted(*pid))?;
    let program = || file::id_at(&process::path(pid).join("exe"));
    let new = file::id_at(Path::new(installed));
    if program() == new {
        return Some(Ok(()));
    }
    // It waits for USR2 with a signalfd. Others would die of it.
    if !process::blocks(pid, Signal::USR2) {
        return Some(Err(NotUpgraded::Version));
    }
    if let Some(why) = Probe::default().ask(installed, HANDOVER) {
        return Some(Err(NotUpgraded::Because(why)));
    }
    child::kill(pid, Signal::USR2);
    let end = clock::monotonic() + LIMIT;
    while program() != new {
        let now = clock::monotonic();
        if now >= end {
            let why = "it is not done after 10 seconds".to_owned();
            return Some(Err(NotUpgraded::Because(why)));
        }
        poll::wait([], Some(now + LOOK));
    }
    Some(Ok(()))
}
