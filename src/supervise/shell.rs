//! The loop of supervise: wait, turn what happened into events, let the machine
//! decide, do what it says.

use super::dir::{self, Dir};
use super::machine::{Action, Event, Machine, Now};
use crate::child::Pid;
use crate::error::{Error, TEMPORARY};
use crate::formats::control::{Command, Signal};
use crate::formats::tai64n::Tai64n;
use crate::formats::timeline::Event as Moment;
use crate::sys::child::{self, Gate, Held};
use crate::sys::exec::Program;
use crate::sys::fifo::Input;
use crate::sys::oom::OomScoreAdj;
use crate::sys::signals::{self, Number, Received, Sender, Signals};
use crate::sys::{clock, fifo, output, poll, start, terminal};
use crate::timeline::recorder::Record;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

const PROGRAM: &str = "supervise";

/// How much of the control FIFO is taken at a time.
const CONTROL_BYTES: usize = 64;

/// How often that is done before anything else: 64 KiB are what a FIFO holds.
const CONTROL_CHUNKS: usize = 1024;

/// How often a control file that is no FIFO is read: it might have no end.
const CONTROL_READS: usize = 16;

/// What a service may send to its process group, and what would end or stop supervise
/// then.
const GROUP_SIGNALS: [Number; 9] = [
    Number::HUP,
    Number::INT,
    Number::QUIT,
    Number::ABRT,
    Number::USR1,
    Number::USR2,
    Number::ALRM,
    Number::TERM,
    Number::TSTP,
];

/// Whether supervise goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Done,
}

/// One running supervise.
struct Shell<'a> {
    name: &'a OsStr,
    /// `./run`, ready to be executed.
    run: Program,
    machine: Machine,
    dir: Dir,
    signals: Signals,
    /// False once the control file has reached its end, which a FIFO never does.
    hears_control: bool,
    /// The supervises to be waited for before the first start.
    predecessors: Vec<OwnedFd>,
    /// What the service is to inherit.
    oom_score_adj: Option<&'a OomScoreAdj>,
    /// While more commands are obeyed than one svc sends: whether a status is to be
    /// written after them. None: each status is written at once.
    deferred: Option<bool>,
}

/// Runs supervise on the service directory `name`; comes back when told to
/// exit and the service is down.
///
/// # Errors
/// Those of the set-up, with 0.76's sentences. Once the service has been
/// started nothing ends it but `x`.
pub fn run(name: &OsStr) -> Result<(), Error> {
    start::hand_on_descriptors();
    let inherited = OomScoreAdj::spare();
    supervise(name, &mut None, inherited.as_ref(), Vec::new())
}

/// The same in a child of svscan, which has handed on its descriptors already;
/// prints the error, if there is one, and gives the exit code. `record` is where it
/// tells of its start. svscan has had the kernel spare it, and its service is to inherit
/// `oom_score_adj`. As long as one of `predecessors`, which are pidfds, has not ended, the
/// service is started by `u` or `o` only. If `is_quiet`, the error was printed before.
pub fn run_in_child(
    name: &OsStr,
    mut record: Option<Record<'_>>,
    oom_score_adj: Option<&OomScoreAdj>,
    predecessors: Vec<OwnedFd>,
    is_quiet: bool,
) -> u8 {
    match supervise(name, &mut record, oom_score_adj, predecessors) {
        Ok(()) => 0,
        Err(error) => {
            if let Some(mut record) = record {
                record.note(Moment::Failed);
                record.end();
            }
            if !is_quiet {
                output::err(&error.line(PROGRAM));
            }
            error.code()
        }
    }
}

fn supervise(
    name: &OsStr,
    record: &mut Option<Record<'_>>,
    oom_score_adj: Option<&OomScoreAdj>,
    predecessors: Vec<OwnedFd>,
) -> Result<(), Error> {
    let signals =
        signals_to_wait_for().map_err(|error| Error::unable("create pipe for", name, "", error))?;
    std::env::set_current_dir(name).map_err(|error| Error::unable("chdir to", name, "", error))?;
    let machine = Machine::new(dir::configured(name)?, now());
    let machine = match predecessors.is_empty() {
        true => machine,
        false => machine.gated(),
    };
    let dir = Dir::open(name)?;
    let run = OsStr::new("./run");
    let run =
        Program::at(run, &[run]).map_err(|error| Error::unable("start", name, "/run", error))?;
    let mut shell = Shell {
        name,
        run,
        machine,
        dir,
        signals,
        hears_control: true,
        predecessors,
        oom_score_adj,
        deferred: None,
    };
    if shell.boot(record)? == Flow::Done {
        return Ok(());
    }
    if !shell.dir.is_fifo {
        output::err_without_waiting(&line(
            name,
            b"",
            b"/supervise/control is not a FIFO: its commands are read once",
        ));
        // What it holds is obeyed, as in 0.76; then there is nothing to wait for.
        for _ in 0..CONTROL_READS {
            if shell.read_control() == Flow::Done {
                return Ok(());
            }
        }
        shell.hears_control = false;
    }
    while shell.turn() == Flow::On {}
    Ok(())
}

impl Shell<'_> {
    /// The first start, or none, and the first status. 0.76 writes one before the
    /// start, too, but who reads a status looks for `ok` first, which is open from
    /// here on; and what is started begins when it is. If there is nothing to hold it
    /// by, all is in 0.76's order. Nothing more is recorded then.
    fn boot(&mut self, record: &mut Option<Record<'_>>) -> Result<Flow, Error> {
        let starts = self
            .machine
            .step(Event::Boot, now())
            .contains(&Action::Start);
        let gate = starts.then(Gate::new).and_then(Result::ok);
        let is_left = starts && gate.is_none();
        let (mut flow, held) = match gate {
            Some(gate) => self.start(Some(gate), record.as_mut()),
            None => (Flow::On, None),
        };
        if held.is_none() {
            self.perform(vec![Action::Publish]);
        }
        self.dir.announce(self.name)?;
        note(record.as_mut(), Moment::Ready);
        if let Some(held) = held {
            held.let_go();
        }
        if is_left {
            flow = self.start(None, record.as_mut()).0;
        }
        if !starts {
            note(record.as_mut(), Moment::Down);
        }
        if let Some(record) = record.take() {
            record.end();
        }
        Ok(flow)
    }

    /// Waits for something to happen and deals with all of it: first children
    /// that ended, then commands, then the time, which is 0.76's order.
    fn turn(&mut self) -> Flow {
        let control = self.hears_control.then(|| self.dir.control.as_fd());
        let deadline = self.machine.deadline();
        let predecessor = self.predecessors.last().map(AsFd::as_fd);
        let fds = [Some(self.signals.as_fd()), control, predecessor];
        let [child, command, released] = poll::wait(fds, deadline);
        if child && self.reap() == Flow::Done {
            return Flow::Done;
        }
        if command && self.read_control() == Flow::Done {
            return Flow::Done;
        }
        if released {
            self.predecessors.pop();
            if self.predecessors.is_empty() && self.step(Event::Released) == Flow::Done {
                return Flow::Done;
            }
        }
        if self
            .machine
            .deadline()
            .is_some_and(|at| at <= clock::monotonic())
        {
            return self.step(Event::Timer);
        }
        Flow::On
    }

    /// One signal may stand for many children, some of them not ours, or for none: svscan
    /// sends one when the directory may be gone.
    fn reap(&mut self) -> Flow {
        self.obey_signals(None);
        if dir::is_gone() && self.step(Event::DirectoryGone) == Flow::Done {
            return Flow::Done;
        }
        while let Some((pid, end)) = child::reap() {
            // What it sent has arrived by now, and after that its pid may be another's.
            self.obey_signals(Some(pid));
            if self.machine.status().pid == Some(pid) {
                dir::write_ended(pid, end);
                if self.step(Event::Exited) == Flow::Done {
                    return Flow::Done;
                }
            }
        }
        Flow::On
    }

    /// Does what the signals that came do by default, if nothing proves that they are the
    /// service's own. `ended` was a child until now.
    fn obey_signals(&self, ended: Option<Pid>) {
        while let Some(signal) = self.signals.receive() {
            if signal.number != Number::CHLD && !self.is_of_service(signal, ended) {
                signals::raise_default(signal.number);
            }
        }
    }

    /// Whether a signal to this process was certainly meant for the group of the service.
    /// Of a sender that is gone nobody can tell.
    fn is_of_service(&self, signal: Received, ended: Option<Pid>) -> bool {
        match signal.sender {
            Sender::Process(pid) => {
                let service = self.machine.status().pid;
                [service, ended].contains(&Some(pid)) || child::is_in_own_group(pid)
            }
            // There is no terminal to hang up: svscan has ended while something in the
            // group was stopped, see setpgid(2).
            Sender::Kernel => signal.number == Number::HUP,
            Sender::Unknown => false,
        }
    }

    /// Obeys all commands that are there. What one svc sends, with 0.76's statuses; a
    /// rush of commands, with a single one after it.
    fn read_control(&mut self) -> Flow {
        let mut buffer = [0; CONTROL_BYTES];
        let mut flow = Flow::On;
        for _ in 0..CONTROL_CHUNKS {
            let count = self.read_chunk(&mut buffer);
            // svc sends each letter once.
            if count > Command::ALL.len() {
                self.deferred.get_or_insert(false);
            }
            flow = self.obey(buffer.get(..count).unwrap_or_default());
            if flow == Flow::Done || count < CONTROL_BYTES {
                break;
            }
        }
        if self.deferred.take() == Some(true) {
            self.publish(true);
        }
        flow
    }

    /// How many bytes came, into `buffer`.
    fn read_chunk(&mut self, buffer: &mut [u8]) -> usize {
        match fifo::read(&mut self.dir.control, buffer) {
            Input::Bytes(count) => count,
            Input::Nothing => 0,
            Input::End => {
                self.hears_control = false;
                0
            }
        }
    }

    fn obey(&mut self, bytes: &[u8]) -> Flow {
        for byte in bytes {
            if let Some(command) = Command::decode(*byte)
                && self.step(Event::Control(command)) == Flow::Done
            {
                return Flow::Done;
            }
        }
        Flow::On
    }

    fn step(&mut self, event: Event) -> Flow {
        let actions = self.machine.step(event, now());
        self.perform(actions)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Flow {
        for action in actions {
            match action {
                // A start is always the last action of its list.
                Action::Start if dir::is_gone() => return self.step(Event::DirectoryGone),
                Action::Start => return self.start(None, None).0,
                Action::StartAgain => return self.start_again(),
                Action::Send(signal) => {
                    if let Some(pid) = self.machine.status().pid {
                        child::send(pid, number(signal));
                    }
                }
                Action::Publish => self.publish(true),
                Action::Refresh => {
                    if self.deferred.is_some() || dir::refresh_status().is_err() {
                        self.publish(true);
                    }
                }
                Action::Republish => self.publish(false),
                Action::Leave => return Flow::Done,
            }
        }
        Flow::On
    }

    /// Writes the status. `is_new`: what it says was not written before. Then a failure is
    /// reported, and the old file is overwritten; but a new file is tried again later.
    fn publish(&mut self, is_new: bool) {
        if let Some(is_owed) = &mut self.deferred {
            *is_owed = true;
            return;
        }
        let status = self.machine.status();
        if let Err(error) = dir::write_status(self.name, &status) {
            if dir::is_gone() {
                return;
            }
            if is_new {
                let _ = dir::overwrite_status(&status);
                output::err_without_waiting(&error.warning(PROGRAM));
            }
            if !dir::has_place_for_status() {
                return;
            }
            // Asks for nothing but a later try.
            let _ = self.machine.step(Event::PublishFailed, now());
        }
    }

    /// Starts `./run` once more, and publishes first that it was down.
    fn start_again(&mut self) -> Flow {
        let started = self.spawn(None, None);
        self.publish(true);
        self.started(started, None).0
    }

    /// Starts `./run` and publishes that, or says that there was no fork. With a
    /// `gate`, `./run` is held until it is let go, so that it finds a status.
    fn start(
        &mut self,
        gate: Option<Gate>,
        mut record: Option<&mut Record<'_>>,
    ) -> (Flow, Option<Held>) {
        let started = self.spawn(gate, record.as_deref_mut());
        self.started(started, record)
    }

    /// Forks, and lets the child become `./run`.
    fn spawn(
        &self,
        gate: Option<Gate>,
        mut record: Option<&mut Record<'_>>,
    ) -> io::Result<(Pid, Option<Held>)> {
        let name = self.name;
        note(record.as_deref_mut(), Moment::Run);
        let run = || {
            let tell = |moment| record.iter().for_each(|record| record.write(moment));
            tell(Moment::Executed);
            self.oom_score_adj
                .into_iter()
                .for_each(OomScoreAdj::restore);
            let error = child::exec_prepared(&self.run);
            tell(Moment::Failed);
            let error = Error::unable("start", name, "/run", error);
            // Held up here, it would pass for a service that runs.
            output::err_without_waiting(&error.line(PROGRAM));
            TEMPORARY
        };
        match gate {
            Some(gate) => child::spawn_held(gate, run).map(|(pid, held)| (pid, Some(held))),
            None => child::spawn(run).map(|pid| (pid, None)),
        }
    }

    /// Takes note of what came of [`Shell::spawn`].
    fn started(
        &mut self,
        started: io::Result<(Pid, Option<Held>)>,
        record: Option<&mut Record<'_>>,
    ) -> (Flow, Option<Held>) {
        match started {
            Ok((pid, held)) => (self.step(Event::Started(pid)), held),
            Err(error) => {
                note(record, Moment::Failed);
                let reason = crate::error::reason(&error);
                let wait = self.machine.fork_wait().as_secs();
                output::err_without_waiting(&line(
                    self.name,
                    b"unable to fork for ",
                    format!(", sleeping {wait} seconds: {reason}").as_bytes(),
                ));
                (self.step(Event::StartFailed), None)
            }
        }
    }
}

/// The signals that are read, not left to their default: SIGCHLD, and where the process
/// group is ours and the service's alone, those that a service may send to its group.
/// With a controlling terminal, Ctrl-C is to end supervise.
fn signals_to_wait_for() -> io::Result<Signals> {
    let mut numbers = vec![Number::CHLD];
    if child::leads_group() && !terminal::is_controlling() {
        numbers.extend(signals::effective(&GROUP_SIGNALS));
    }
    Signals::new(&numbers)
}

/// Has it recorded that this happens now, if anything is.
fn note(record: Option<&mut Record<'_>>, moment: Moment) {
    if let Some(record) = record {
        record.note(moment);
    }
}

fn now() -> Now {
    Now {
        monotonic: clock::monotonic(),
        wall: Tai64n::from_unix(clock::wall()),
    }
}

/// A warning about the service: `supervise: warning: BEFORE NAME AFTER`.
fn line(name: &OsStr, before: &[u8], after: &[u8]) -> Vec<u8> {
    [
        b"supervise: warning: ",
        before,
        name.as_bytes(),
        after,
        b"\n",
    ]
    .concat()
}

fn number(signal: Signal) -> Number {
    match signal {
        Signal::Term => Number::TERM,
        Signal::Hup => Number::HUP,
        Signal::Alarm => Number::ALRM,
        Signal::Int => Number::INT,
        Signal::Kill => Number::KILL,
        Signal::Usr1 => Number::USR1,
        Signal::Usr2 => Number::USR2,
        Signal::Quit => Number::QUIT,
        Signal::Winch => Number::WINCH,
        Signal::Stop => Number::STOP,
        Signal::Cont => Number::CONT,
    }
}
