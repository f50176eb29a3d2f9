//! The driver of supervise: wait, convert what happened to events, let the machine decide,
//! perform its actions.

#[path = "upgrade.rs"]
mod upgrade;

pub use upgrade::resume;

use super::adoption::{AdoptedProcess, Processes};
use super::dir::{self, ServiceDir};
use super::machine::{Begin, Machine, Now, ProcessRole, SuperviseAction, SuperviseEvent};
use super::observer::Observer;
use super::state_file::{StartedBy, StateFile};
use super::takeover::{Takeover, takeover};
use crate::child::{Pid, ProcessId};
use crate::error::{self, Error, TEMPORARY};
use crate::formats::control::{Command, ServiceSignal, UPGRADE};
use crate::formats::state::State;
use crate::formats::status::Want;
use crate::formats::tai64n::Tai64n;
use crate::formats::timeline::TimelineEvent;
use crate::sys::child;
use crate::sys::exec::Program;
use crate::sys::fifo::Input;
use crate::sys::oom::OomScoreAdj;
use crate::sys::pidfd::Proc;
use crate::sys::poll::PollEvent::Input as Readable;
use crate::sys::signals::{self, Received, Sender, Signal, Signals};
use crate::sys::spawn::{self, Spawn};
use crate::sys::{clock, fifo, output, poll, process, start, terminal};
use crate::timeline::recorder::Record;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

const PROGRAM: &str = "supervise";

/// The read size for the control FIFO.
const CONTROL_BYTES: usize = 64;

/// The maximum number of such reads before anything else is done: a FIFO has a capacity of 64
/// KiB.
const CONTROL_CHUNKS: usize = 1024;

/// The maximum number of reads of a control file that is not a FIFO: it might be endless.
const CONTROL_READS: usize = 16;

/// The signals that a service may send to its process group and that would terminate or stop
/// supervise.
const GROUP_SIGNALS: [Signal; 9] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::ABRT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALRM,
    Signal::TERM,
    Signal::TSTP,
];

/// A process that was started and has not been reaped, or was adopted.
struct Process {
    role: ProcessRole,
    proc: Proc,
    /// Its start time, once it was read.
    start: Option<u64>,
    /// Its end was passed to the machine.
    has_ended: bool,
    /// It is no child of this supervise.
    adopted: Option<AdoptedProcess>,
}

impl Process {
    /// A child.
    fn child(role: ProcessRole, proc: Proc) -> Process {
        Process {
            role,
            proc,
            start: None,
            has_ended: false,
            adopted: None,
        }
    }

    /// One that an earlier supervise has started.
    fn adopt(role: ProcessRole, proc: Proc, start: Option<u64>) -> Process {
        Process {
            start,
            adopted: Some(AdoptedProcess::default()),
            ..Process::child(role, proc)
        }
    }
}

/// What a supervise begins with, or continues with after an upgrade.
struct Parts {
    machine: Machine,
    processes: Vec<Process>,
    dir: ServiceDir,
    state_file: StateFile,
    is_uncertain: bool,
    commands: u64,
    signals: Signals,
    predecessors: Vec<OwnedFd>,
}

/// One running supervise.
struct Shell<'a, 'b> {
    name: &'a OsStr,
    /// `./run`, prepared for exec.
    run: Program,
    machine: Machine,
    /// The queue of events: the answers to actions.
    events: VecDeque<SuperviseEvent>,
    /// At most one of each role.
    processes: Vec<Process>,
    dir: ServiceDir,
    state_file: StateFile,
    /// A process of an earlier supervise may run: its record is kept until a process is started.
    is_uncertain: bool,
    /// The number of bytes of `supervise/control` that were executed.
    commands: u64,
    signals: Signals,
    /// False after end of file on the control file, which does not occur on the FIFO.
    reads_control: bool,
    /// The supervises whose ends the first start waits for.
    predecessors: Vec<OwnedFd>,
    /// The value to restore in the service.
    oom_score_adj: Option<&'a OomScoreAdj>,
    /// During a batch of more commands than one svc sends: whether a status is pending, to be
    /// written after them. None: each status is written at once.
    deferred: Option<bool>,
    /// A command asked for an upgrade, which is made when all commands are executed.
    is_upgrade_due: bool,
    observer: &'a mut Observer<'b>,
    /// The error with which supervise exits.
    fatal: Option<Error>,
}

/// Runs supervise on the service directory `name`; returns when it has been told to exit and
/// the service is down.
///
/// # Errors
/// Those of the set-up, with the messages of 0.76. After the service has been started, only `x`
/// makes supervise exit.
pub fn run(name: &OsStr) -> Result<(), Error> {
    start::hand_on_descriptors();
    let inherited = OomScoreAdj::spare();
    let program = child::sibling_program(PROGRAM);
    let started_by = StartedBy {
        program: program.as_deref(),
        ..StartedBy::of_this_supervise()
    };
    supervise(
        name,
        &mut Observer(None),
        started_by,
        inherited.as_ref(),
        Vec::new(),
        child::is_group_leader() && !terminal::has_controlling_terminal(),
    )
}

/// As [`run`], in a child of svscan, which has restored its descriptors already; prints the
/// error, if there is one, and returns the exit status. `record` records its start.
/// `started_by` is svscan's [`StartedBy::of_children`], with the program. svscan is exempt from the OOM killer;
/// the service gets the inherited `oom_score_adj`. While one of `predecessors`, which are
/// pidfds, has not ended, only `u` or `o` starts the service. `is_leader`: it is a process group
/// leader without a controlling terminal. With `is_quiet`, the error was printed before.
pub fn run_in_child(
    name: &OsStr,
    record: Option<Record<'_>>,
    started_by: StartedBy<'_>,
    oom_score_adj: Option<&OomScoreAdj>,
    predecessors: Vec<OwnedFd>,
    is_leader: bool,
    is_quiet: bool,
) -> u8 {
    let mut observer = Observer(record);
    match supervise(
        name,
        &mut observer,
        started_by,
        oom_score_adj,
        predecessors,
        is_leader,
    ) {
        Ok(()) => 0,
        Err(error) => {
            observer.note(TimelineEvent::Failed);
            observer.end();
            if !is_quiet {
                output::err(&error.line(PROGRAM));
            }
            error.code()
        }
    }
}

fn supervise(
    name: &OsStr,
    observer: &mut Observer<'_>,
    started_by: StartedBy<'_>,
    oom_score_adj: Option<&OomScoreAdj>,
    predecessors: Vec<OwnedFd>,
    is_leader: bool,
) -> Result<(), Error> {
    let signals = signals_to_wait_for(is_leader)
        .map_err(|error| Error::unable("create pipe for", name, "", error))?;
    std::env::set_current_dir(name).map_err(|error| Error::unable("chdir to", name, "", error))?;
    let configured = dir::configured(name)?;
    let dir = ServiceDir::open(name, started_by)?;
    let state_file = StateFile::open(started_by);
    let (past, here) = (state_file.past(), state_file.here());
    let processes = Processes::default();
    let takeover = takeover(&past, here, configured, now().wall, &processes);
    let process = match takeover {
        Takeover::Up(state) => state.process,
        Takeover::Down(..) | Takeover::Unknown(_) => None,
    };
    let age = process.and_then(|process| process::age(process.pid));
    let machine = Machine::after(takeover, age.unwrap_or_default(), now());
    let machine = match predecessors.is_empty() {
        true => machine,
        false => machine.gated(),
    };
    let adopted = process.and_then(|process| {
        let proc = processes.into_handle(process.pid)?;
        Some(Process::adopt(ProcessRole::Run, proc, process.start))
    });
    let parts = Parts {
        machine,
        processes: adopted.into_iter().collect(),
        dir,
        state_file,
        is_uncertain: matches!(takeover, Takeover::Unknown(_)),
        commands: 0,
        signals,
        predecessors,
    };
    let mut shell = Shell::new(name, parts, oom_score_adj, observer)?;
    if let Takeover::Unknown(pid) = takeover {
        shell.report_uncertainty(pid);
    }
    shell.take(SuperviseEvent::Boot);
    if let Some(error) = shell.fatal.take() {
        return Err(error);
    }
    if shell.machine.status().want == Want::Down {
        shell.observer.note(TimelineEvent::Down);
    }
    shell.observer.end();
    if !shell.dir.is_fifo {
        output::err_nonblocking(&line(
            name,
            b"",
            b"/supervise/control is not a FIFO: its commands are read once",
        ));
        // Its contents are executed, as in 0.76; then there is nothing to wait for.
        for _ in 0..CONTROL_READS {
            shell.read_control();
        }
        shell.reads_control = false;
    }
    shell.run_to_end();
    Ok(())
}

impl<'a, 'b> Shell<'a, 'b> {
    fn new(
        name: &'a OsStr,
        parts: Parts,
        oom_score_adj: Option<&'a OomScoreAdj>,
        observer: &'a mut Observer<'b>,
    ) -> Result<Shell<'a, 'b>, Error> {
        let run = OsStr::new("./run");
        let run = Program::at(run, &[run]);
        Ok(Shell {
            name,
            run: run.map_err(|error| Error::unable("start", name, "/run", error))?,
            machine: parts.machine,
            events: VecDeque::new(),
            processes: parts.processes,
            dir: parts.dir,
            state_file: parts.state_file,
            is_uncertain: parts.is_uncertain,
            commands: parts.commands,
            signals: parts.signals,
            reads_control: true,
            predecessors: parts.predecessors,
            oom_score_adj,
            deferred: None,
            is_upgrade_due: false,
            observer,
            fatal: None,
        })
    }

    /// Waits for events and handles them until supervise is to exit.
    fn run_to_end(&mut self) {
        while !self.machine.has_left() {
            self.run_once();
        }
    }

    /// Waits for events and handles all of them in the order of 0.76: first children that
    /// ended, then commands, then the deadline.
    fn run_once(&mut self) {
        let control = self.reads_control.then(|| self.dir.control.as_fd());
        let predecessor = self.predecessors.last().map(AsFd::as_fd);
        let mut adopted = self.processes.iter().filter_map(|process| {
            let watched = process.adopted.as_ref()?;
            Some(watched.awaited(&process.proc))
        });
        let (adopted, until) = adopted.next().unwrap_or(((None, Readable), None));
        let deadline = self.machine.deadline().into_iter().chain(until).min();
        let fds = [
            (Some(self.signals.as_fd()), Readable),
            (control, Readable),
            (predecessor, Readable),
            adopted,
        ];
        let [child, command, released, news] = poll::wait_for(fds, deadline);
        if child {
            self.obey_signals(None);
        }
        if dir::is_gone() {
            self.take(SuperviseEvent::DirectoryGone);
        }
        if child {
            self.reap();
        }
        if news || until.is_some() {
            self.take_end_of_adopted();
        }
        if command {
            self.read_control();
        }
        if released {
            self.predecessors.pop();
            if self.predecessors.is_empty() {
                self.take(SuperviseEvent::Released);
            }
        }
        let deadline = self.machine.deadline();
        if deadline.is_some_and(|at| at <= clock::monotonic()) {
            self.take(SuperviseEvent::Timer);
        }
        // An unreaped zombie has hidden the children that ended after it.
        self.reap();
    }

    /// Passes an event to the machine, performs its actions, and continues with the answers
    /// until there are none left.
    fn take(&mut self, event: SuperviseEvent) {
        self.events.push_back(event);
        self.take_all();
    }

    fn take_all(&mut self) {
        while let Some(event) = self.events.pop_front() {
            for action in self.machine.step(event, now()) {
                self.perform(action);
            }
        }
    }

    /// Performs an action; an answer is appended to the queue.
    fn perform(&mut self, action: SuperviseAction) {
        match action {
            SuperviseAction::Start(role, begin) => self.start(role, begin),
            SuperviseAction::OpenGate(role) => {
                if let Some(process) = self.process(role) {
                    process.proc.open_gate();
                }
            }
            SuperviseAction::Signal(role, signal) => {
                if let Some(process) = self.process(role) {
                    process.proc.send_signal(sys_signal(signal));
                }
            }
            SuperviseAction::Reap(role) => {
                let reaped = self.processes.iter().position(|it| it.role == role);
                if let Some(index) = reaped {
                    let process = self.processes.swap_remove(index);
                    if process.adopted.is_none() {
                        // It has ended, so this does not block.
                        let _ = child::wait(process.proc.pid());
                    }
                }
            }
            SuperviseAction::Record => self.write_state(),
            SuperviseAction::Publish => self.publish(true),
            SuperviseAction::Republish => self.publish(false),
            SuperviseAction::Refresh => {
                if self.deferred.is_some() || dir::refresh_status().is_err() {
                    self.publish(true);
                }
            }
            SuperviseAction::Announce => match self.dir.announce(self.name) {
                Ok(()) => {
                    self.observer.note(TimelineEvent::Ready);
                    self.events.push_back(SuperviseEvent::Announced);
                }
                Err(error) => {
                    self.fatal = Some(error);
                    self.events.push_back(SuperviseEvent::NotAnnounced);
                }
            },
        }
    }

    fn process(&mut self, role: ProcessRole) -> Option<&mut Process> {
        self.processes.iter_mut().find(|it| it.role == role)
    }

    /// One SIGCHLD may stand for many children, some of them not ours, or for none: svscan
    /// sends it when the directory may be deleted.
    fn reap(&mut self) {
        while !self.machine.has_left()
            && let Some((pid, end)) = child::ended()
        {
            // Everything that it sent has arrived by now; after it is reaped, its pid may be
            // reused.
            self.obey_signals(Some(pid));
            match self.processes.iter_mut().find(|it| it.proc.pid() == pid) {
                Some(process) if process.has_ended => return,
                Some(process) => {
                    process.has_ended = true;
                    let role = process.role;
                    self.take(SuperviseEvent::Ended(role, Some(end)));
                }
                None => {
                    let _ = child::wait(pid);
                }
            }
        }
    }

    fn take_end_of_adopted(&mut self) {
        let ended = self.processes.iter_mut().find_map(|process| {
            let end = process.adopted.as_mut()?.ended(&process.proc)?;
            let (pid, start) = (process.proc.pid(), process.start);
            let noted = || self.state_file.noted_end(ProcessId { pid, start });
            Some((process.role, end.or_else(noted)))
        });
        if let Some((role, end)) = ended {
            self.take(SuperviseEvent::Ended(role, end));
        }
    }

    fn report_uncertainty(&self, pid: Option<Pid>) {
        let which = match pid {
            Some(pid) => format!("process {pid}"),
            None => "some process".to_owned(),
        };
        let after = format!(
            ": not started, because {which} may be its ./run under an earlier supervise; \
             svc -u starts it"
        );
        output::err_nonblocking(&line(self.name, b"", after.as_bytes()));
    }

    /// Raises the pending signals with their default actions, unless they certainly come from
    /// the service. `ended` is a child that has just ended.
    fn obey_signals(&self, ended: Option<Pid>) {
        while let Some(signal) = self.signals.receive() {
            if signal.signal != Signal::CHLD && !self.is_of_service(signal, ended) {
                signals::raise_default_and_block(signal.signal);
            }
        }
    }

    /// Whether a signal to this process was certainly meant for the group of the service. False
    /// if the sender has ended and is unknown.
    fn is_of_service(&self, signal: Received, ended: Option<Pid>) -> bool {
        match signal.sender {
            Sender::Process(pid) => {
                ended == Some(pid)
                    || self.processes.iter().any(|it| it.proc.pid() == pid)
                    || child::is_in_own_group(pid)
            }
            // There is no terminal to hang up: svscan has ended while a process of the group
            // was stopped, see setpgid(2).
            Sender::Kernel => signal.signal == Signal::HUP,
            Sender::Unknown => false,
        }
    }

    /// Executes all pending commands: those of one svc with the statuses of 0.76, a larger
    /// batch with a single status after it.
    fn read_control(&mut self) {
        let mut buffer = [0; CONTROL_BYTES];
        for _ in 0..CONTROL_CHUNKS {
            if self.machine.has_left() {
                break;
            }
            let count = self.read_chunk(&mut buffer);
            // svc sends each letter once.
            if count > Command::ALL.len() {
                self.deferred.get_or_insert(false);
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            for byte in bytes {
                self.commands = self.commands.saturating_add(1);
                self.is_upgrade_due |= *byte == UPGRADE;
                if let Some(command) = Command::decode(*byte) {
                    self.take(SuperviseEvent::Control(command));
                }
            }
            if count < CONTROL_BYTES {
                break;
            }
        }
        if self.deferred.take() == Some(true) {
            self.publish(true);
            self.take_all();
        }
        if std::mem::take(&mut self.is_upgrade_due) && !self.machine.has_left() {
            self.upgrade();
        }
    }

    /// Reads into `buffer`; returns the number of bytes.
    fn read_chunk(&mut self, buffer: &mut [u8]) -> usize {
        match fifo::read(&mut self.dir.control, buffer) {
            Input::Bytes(count) => count,
            Input::Nothing => 0,
            Input::End => {
                self.reads_control = false;
                0
            }
        }
    }

    /// Writes the record and the status. With `is_new`, it was not written before: a failure is
    /// reported, and the old file is overwritten in place; in any case a new file is retried
    /// later.
    fn publish(&mut self, is_new: bool) {
        if let Some(is_pending) = &mut self.deferred {
            *is_pending = true;
            return;
        }
        self.write_state();
        let status = self.machine.status();
        let answer = match dir::write_status(self.name, &status) {
            Ok(()) => SuperviseEvent::Published,
            Err(_) if dir::is_gone() => SuperviseEvent::DirectoryGone,
            Err(error) => {
                if is_new {
                    let _ = dir::overwrite_status(&status);
                    output::err_nonblocking(&error.warning(PROGRAM));
                }
                match dir::has_directory_for_status() {
                    true => SuperviseEvent::PublishFailed,
                    false => SuperviseEvent::NoDirectory,
                }
            }
        };
        self.events.push_back(answer);
    }

    /// A failure is reported there, and is not an error here: the record is written again with
    /// the next status.
    fn write_state(&mut self) {
        if !self.is_uncertain {
            let state = self.state();
            self.state_file.write(self.name, &state);
        }
    }

    /// The contents of the record.
    fn state(&mut self) -> State {
        let mut state = self.machine.state();
        state.commands = self.commands;
        if let Some(process) = &mut state.process
            && let Some(known) = self.process(ProcessRole::Run)
        {
            // Once for each process, and not before it is started.
            known.start = known.start.or_else(|| known.proc.started());
            process.start = known.start;
        }
        state
    }

    /// Forks; the child execs the program of `role`.
    fn start(&mut self, role: ProcessRole, begin: Begin) {
        if std::mem::take(&mut self.is_uncertain) {
            // Somebody has decided to start it: its child needs a file for its pid.
            self.write_state();
        }
        let (program, file) = match role {
            ProcessRole::Run => (&self.run, "/run"),
        };
        let spawn = Spawn::new().oom_score_adj(self.oom_score_adj);
        let spawn = match begin {
            Begin::AtOnce => spawn,
            Begin::Gated => match spawn.gated() {
                Ok(spawn) => spawn,
                Err(_) => return self.events.push_back(SuperviseEvent::CannotGate(role)),
            },
        };
        self.observer.note(TimelineEvent::Run);
        let started = spawn.start(|ready| {
            self.observer.write(TimelineEvent::Executed);
            self.state_file.note_child();
            let exec = || spawn::exec_one_of(std::slice::from_ref(program));
            let error = ready.err().unwrap_or_else(exec).source;
            self.observer.write(TimelineEvent::Failed);
            let error = Error::unable("start", self.name, file, error);
            // If it blocked here, it would look like a running service.
            output::err_nonblocking(&error.line(PROGRAM));
            TEMPORARY
        });
        let answer = match started {
            Ok(proc) => {
                let pid = proc.pid();
                self.processes.push(Process::child(role, proc));
                SuperviseEvent::Started(role, pid)
            }
            Err(error) => {
                self.observer.note(TimelineEvent::Failed);
                let reason = error::reason(&error);
                let wait = self.machine.fork_wait().as_secs();
                output::err_nonblocking(&line(
                    self.name,
                    b"unable to fork for ",
                    format!(", sleeping {wait} seconds: {reason}").as_bytes(),
                ));
                SuperviseEvent::StartFailed(role)
            }
        };
        self.events.push_back(answer);
    }
}

/// The signals of the signalfd: SIGCHLD and, if supervise is a group leader without a
/// controlling terminal, those that a service may send to its process group. With a controlling
/// terminal, Ctrl-C must terminate supervise.
fn signals_to_wait_for(is_leader: bool) -> io::Result<Signals> {
    let mut waited_for = vec![Signal::CHLD];
    if is_leader {
        waited_for.extend(signals::effective(&GROUP_SIGNALS));
    }
    Signals::new(&waited_for)
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

fn sys_signal(signal: ServiceSignal) -> Signal {
    match signal {
        ServiceSignal::Term => Signal::TERM,
        ServiceSignal::Hup => Signal::HUP,
        ServiceSignal::Alarm => Signal::ALRM,
        ServiceSignal::Int => Signal::INT,
        ServiceSignal::Kill => Signal::KILL,
        ServiceSignal::Usr1 => Signal::USR1,
        ServiceSignal::Usr2 => Signal::USR2,
        ServiceSignal::Quit => Signal::QUIT,
        ServiceSignal::Winch => Signal::WINCH,
        ServiceSignal::Stop => Signal::STOP,
        ServiceSignal::Cont => Signal::CONT,
    }
}
