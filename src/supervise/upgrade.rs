//! Upgrade in place (`svc --upgrade`): supervise execs the program now installed, which continues
//! with the same pid, the service as its child, the open files, and the state in the record.

use super::{AdoptedProcess, Observer, PROGRAM, Parts, Process, ProcessRole, Shell, line, now};
use crate::child::Pid;
use crate::error::{Error, reason};
use crate::formats::handover::{HANDOVER, Handover, HandoverPhase};
use crate::formats::state::StateRecord;
use crate::supervise::dir::{self, ServiceDir};
use crate::supervise::machine::Machine;
use crate::supervise::state_file::StateFile;
use crate::sys::command_line::Map;
use crate::sys::exec::Program;
use crate::sys::oom::OomScoreAdj;
use crate::sys::pidfd::Proc;
use crate::sys::signals::{self, Signal, Signals};
use crate::sys::{child, clock, descriptors, errno, file, output, process, start};
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

impl Shell<'_, '_> {
    /// Becomes the program now installed. If that is impossible, it says why and continues.
    #[cold]
    pub(super) fn upgrade(&mut self) {
        let why = match self.handover() {
            Ok(handover) => self.exec_installed(&handover),
            Err(why) => why.to_owned(),
        };
        self.state_file.note_refusal();
        self.write_state();
        let why = format!(": {why}");
        output::err_nonblocking(&line(self.name, b"unable to upgrade ", why.as_bytes()));
    }

    /// What the machine hands over, if that is all there is.
    fn handover(&self) -> Result<Handover, &'static str> {
        let handover = self.machine.handover(now(), clock::since_boot())?;
        if self.is_uncertain {
            return Err("it may run under another supervise");
        }
        if !self.predecessors.is_empty() {
            return Err("it waits for another supervise to end");
        }
        if !self.dir.is_fifo {
            return Err("supervise/control is not a FIFO");
        }
        Ok(handover)
    }

    /// Returns why it is impossible, with everything as before.
    #[cold]
    fn exec_installed(&mut self, handover: &Handover) -> String {
        let Some(path) = self.state_file.program().map(str::to_owned) else {
            return "the path of its program is unknown".to_owned();
        };
        let state = self.state();
        let record = match self.state_file.hand_over(&state, handover) {
            Ok(record) => record,
            Err(error) => return format!("supervise/state: {}", reason(&error)),
        };
        let [lock, control, control_writer, ok] = self.dir.descriptors();
        let signals = Some(self.signals.as_fd());
        let adopted = self.processes.iter().find_map(|it| it.proc.end());
        let fds = [
            lock,
            control,
            control_writer,
            ok,
            signals,
            Some(record),
            adopted,
        ];
        let mut word = format!("{HANDOVER}:");
        for fd in fds.iter().flatten() {
            let _ = write!(word, "{},", fd.as_raw_fd());
        }
        // ps shows the same words as before.
        let shown = Pid::new(std::process::id()).map(process::arguments);
        let shown = shown.and_then(|words| words.into_iter().next());
        let shown = shown.unwrap_or_else(|| PROGRAM.into());
        let words = [OsStr::from_bytes(&shown), self.name, OsStr::new(&word)];
        let error = match Program::at(OsStr::new(&path), &words) {
            Ok(program) => {
                hand_on(fds, true);
                // The next program spares itself again.
                if let Some(inherited) = self.oom_score_adj {
                    inherited.restore();
                }
                program.exec()
            }
            Err(error) => error,
        };
        hand_on(fds, false);
        if self.oom_score_adj.is_some() {
            OomScoreAdj::spare();
        }
        signals::ignore(Signal::PIPE);
        format!("{path}: {}", reason(&error))
    }
}

/// Whether the next program inherits `fds`.
fn hand_on(fds: [Option<BorrowedFd<'_>>; 7], is_inherited: bool) {
    for fd in fds.into_iter().flatten() {
        descriptors::hand_on(fd, is_inherited);
    }
}

/// Continues as the supervise that this process was before its exec, in its service directory
/// `name`, which is the current directory. `numbers` are those of its descriptors; `called` is
/// `argv[0]`.
///
/// # Errors
/// EINVAL: something is missing. Then svscan starts another supervise, which adopts the service.
#[cold]
pub fn resume(called: &OsStr, name: &OsStr, numbers: &str) -> Result<(), Error> {
    start::hand_on_descriptors();
    let inherited = OomScoreAdj::spare();
    if let Some(map) = Map::read() {
        let words = [called.as_bytes(), b"\0", name.as_bytes(), b"\0"].concat();
        // Otherwise ps shows the numbers, too.
        let _ = map.show(c"supervise", words.leak());
    }
    let missing = || Error::unable("take over", name, "", errno::invalid());
    let parts = take(numbers).ok_or_else(missing)?;
    let mut observer = Observer(None);
    let mut shell = Shell::new(name, parts, inherited.as_ref(), &mut observer)?;
    shell.write_state();
    shell.reap();
    shell.run_to_end();
    Ok(())
}

/// Takes the descriptors, and the state from the record. None: they are not those of this
/// process.
#[cold]
fn take(numbers: &str) -> Option<Parts> {
    let mut files = Vec::new();
    for number in numbers.split_terminator(',') {
        files.push(File::from(descriptors::take(number.parse().ok()?)?));
    }
    // What may fail comes first.
    let [lock, control, _, _, _, record, ..] = files.as_slice() else {
        return None;
    };
    let mut bytes = [0; StateRecord::BYTES];
    let length = record.read_at(&mut bytes, StateRecord::OFFSET).ok()?;
    let id = file::id(&record.metadata().ok()?);
    let (record, upgradable, handover) = Handover::decode(bytes.get(..length)?)?;
    let (writer, state) = (&record.writer, &record.state);
    let is_own = writer.supervise.get() == std::process::id()
        && writer.space.is_some()
        && writer.space == process::pid_space()
        && writer.directory == file::id_at(Path::new("."))
        && dir::is_here(lock, control);
    let (pid, has_ended) = match handover.phase {
        HandoverPhase::Zombie(pid) => (Some(pid), true),
        _ => (state.process.map(|process| process.pid), false),
    };
    let is_adopted = files.len() == 7;
    let is_child = pid.is_none_or(child::is_child);
    let machine = Machine::resumed(state, &handover, now(), clock::since_boot())?;
    if !is_own || !(is_child || is_adopted) {
        return None;
    }
    let pidfd = is_adopted.then(|| files.pop()).flatten().map(OwnedFd::from);
    let [lock, control, control_writer, ok, signals, file] = files.try_into().ok()?;
    let process = pid.map(|pid| Process {
        start: state.process.and_then(|process| process.start),
        has_ended,
        adopted: is_adopted.then(AdoptedProcess::default),
        ..Process::child(ProcessRole::Run, Proc::handed_on(pid, pidfd))
    });
    Some(Parts {
        signals: Signals::handed_on(signals.into())?,
        machine,
        processes: process.into_iter().collect(),
        dir: ServiceDir::handed_on([lock, control, control_writer, ok]),
        commands: state.commands,
        state_file: StateFile::handed_over(file, id, record, upgradable),
        is_uncertain: false,
        predecessors: Vec::new(),
    })
}
