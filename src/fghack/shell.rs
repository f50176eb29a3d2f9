//! The driver of fghack: forks, waits, forwards signals.

use crate::child::{End, Pid};
use crate::error::{Error, TEMPORARY};
use crate::fghack::family::{Family, PassedSignal, Send};
use crate::sys::signals::{InheritedSignals, Signal, Signals};
use crate::sys::spawn::Spawn;
use crate::sys::{child, descriptors, output, poll, process, signals};
use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::AsFd;

/// The program name in messages.
const PROGRAM: &str = "fghack";

/// The number of copies of the pipe that a daemon inherits, in addition to the pipe itself.
const COPIES: usize = 30;

/// The signals that are forwarded, except those that request termination.
const PASSED_ON: [Signal; 6] = [
    Signal::HUP,
    Signal::ALRM,
    Signal::CONT,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];
const ASKING_TO_END: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// Runs `program`, which returns only an error, in a child; waits until all copies of a pipe
/// that it inherits are closed, then for the child, and returns its exit status.
///
/// # Errors
/// As in 0.76: pipe(2), fork(2) or waitpid(2) failed, or a signal killed the child.
pub(crate) fn hold_pipe(program: impl FnOnce() -> Error) -> Result<u8, Error> {
    let unable = |doing| move |error| Error::unable_to(doing, error);
    let (reader, writer) = io::pipe().map_err(unable("create pipe"))?;
    let given = InheritedSignals::take();
    let mut reader = Some(reader);
    let child = Spawn::new().start(|_| {
        given.restore();
        // The copies of 0.76 begin at this descriptor.
        drop(reader.take());
        descriptors::duplicate(writer.as_fd(), COPIES);
        exec_program(program)
    });
    let child = child.map_err(unable("fork"))?;
    drop(writer);
    if let Some(reader) = &mut reader {
        drain(reader);
    }
    match child::wait(child.pid()) {
        Ok(End::Exited(code)) => Ok(code),
        Ok(End::Killed(_)) => Err(Error::ChildCrashed),
        Err(source) => Err(Error::Failed {
            what: "wait",
            source,
        }),
    }
}

/// Reads to end of file and discards the data.
fn drain(reader: &mut PipeReader) {
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn exec_program(program: impl FnOnce() -> Error) -> u8 {
    output::err(&program().line(PROGRAM));
    TEMPORARY
}

/// Runs `program`, which returns only an error, and waits until all its descendants have ended.
/// Signals are forwarded to them. Returns how the last one ended.
///
/// # Errors
/// Those of pipe(2), fork(2) and signalfd(2).
pub(crate) fn follow(program: impl FnOnce() -> Error) -> Result<End, Error> {
    let unable = |doing| move |error| Error::unable_to(doing, error);
    let given = InheritedSignals::take();
    let known: Vec<Signal> = [&[Signal::CHLD], &ASKING_TO_END[..], &PASSED_ON].concat();
    let signals = Signals::new(&known).map_err(unable("wait for signals"))?;
    // The watchdog sees the end of the foreground process by end of file: no other process has
    // the write end open.
    let (front, front_end) = io::pipe().map_err(unable("create pipe"))?;
    let mut front_end = Some(front_end);
    let strangers = children_from_before();
    child::become_subreaper();
    let guard = Spawn::new().start(|_| {
        drop(front_end.take());
        // As in the foreground process: it is not inherited.
        child::become_subreaper();
        let started = Signals::new(&known).map_err(unable("wait for signals"));
        let started = started.and_then(|signals| {
            let first = Spawn::new().start(|_| {
                given.restore();
                exec_program(program)
            });
            first
                .map_err(unable("fork"))
                .map(|first| (signals, first.pid()))
        });
        match started {
            Ok((signals, first)) => end_as(wait_for_all(&signals, first, Vec::new(), Some(&front))),
            Err(error) => {
                output::err(&error.line(PROGRAM));
                error.code()
            }
        }
    });
    let guard = guard.map_err(unable("fork"))?;
    Ok(wait_for_all(&signals, guard.pid(), strangers, None))
}

/// Ends this process in the same way as `end`, or returns the exit status to do so.
pub(crate) fn end_as(end: End) -> u8 {
    match end {
        End::Exited(code) => code,
        End::Killed(number) => {
            process::leave_no_core();
            signals::raise_with_default_action(number.into());
            TEMPORARY
        }
    }
}

/// Forwards signals until there are no children left except `strangers`. `first` is the initial
/// child; when `front` reaches end of file, kills all.
fn wait_for_all(
    signals: &Signals,
    first: Pid,
    mut strangers: Vec<Pid>,
    front: Option<&PipeReader>,
) -> End {
    let mut family = Family::default();
    let mut first = Some(first);
    let mut front = front;
    loop {
        let [_, is_gone] = poll::wait([Some(signals.as_fd()), front.map(AsFd::as_fd)], None);
        if is_gone {
            front = None;
            let kill = PassedSignal::End(Signal::KILL.raw());
            send(family.signalled(kill, &children(first, &strangers)));
        }
        while let Some(signal) = signals.next() {
            if signal == Signal::CHLD {
                continue;
            }
            let raw = signal.raw();
            let to_pass = match ASKING_TO_END.contains(&signal) {
                true => PassedSignal::End(raw),
                false => PassedSignal::Other(raw),
            };
            send(family.signalled(to_pass, &children(first, &strangers)));
        }
        let has_ended = reap(&mut family, &mut first, &mut strangers);
        // One scan for all of them: there may be thousands.
        if has_ended && family.is_ending() {
            send(family.left_with(&children(first, &strangers)));
        }
        let only_strangers = || first.is_none() && children(None, &strangers).is_empty();
        if !child::has_children() || (!strangers.is_empty() && only_strangers()) {
            // One that has ended just now is no longer among the children.
            reap(&mut family, &mut first, &mut strangers);
            return family.last().unwrap_or(End::Exited(0));
        }
    }
}

/// Reaps all children that have ended; returns whether any was not a stranger.
fn reap(family: &mut Family, first: &mut Option<Pid>, strangers: &mut Vec<Pid>) -> bool {
    let mut has_ended = false;
    while let Some((pid, end)) = child::reap() {
        if strangers.contains(&pid) {
            strangers.retain(|stranger| *stranger != pid);
            continue;
        }
        family.ended(pid, end);
        *first = first.filter(|first| *first != pid);
        has_ended = true;
    }
    has_ended
}

fn send(list: Vec<Send>) {
    for Send(pid, number) in list {
        if let Some(signal) = Signal::from_raw(number) {
            child::kill(pid, signal);
        }
    }
}

/// The pre-existing children of this process ("strangers"), as a run script has them that pipes
/// its output through another program. They are not tracked, and may themselves wait for the
/// end of this process.
fn children_from_before() -> Vec<Pid> {
    match child::has_children() {
        true => children(None, &[]),
        false => Vec::new(),
    }
}

/// The current children, including `first`, even if `/proc` does not show it, without
/// `strangers`.
fn children(first: Option<Pid>, strangers: &[Pid]) -> Vec<Pid> {
    let mut children = process::children().unwrap_or_else(|error| {
        output::err(&Error::unable_to("read /proc", error).warning(PROGRAM));
        Vec::new()
    });
    children.retain(|child| !strangers.contains(child));
    if let Some(first) = first.filter(|first| !children.contains(first)) {
        children.push(first);
    }
    children
}
