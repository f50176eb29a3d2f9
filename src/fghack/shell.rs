//! Fork, wait, pass on.

use crate::child::{End, Pid};
use crate::error::{Error, TEMPORARY};
use crate::fghack::family::{Family, PassedSignal, Send};
use crate::sys::signals::{InheritedSignals, Signal, Signals};
use crate::sys::spawn::Spawn;
use crate::sys::{child, descriptors, output, poll, process, signals};
use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::AsFd;

/// What error lines begin with.
const PROGRAM: &str = "fghack";

/// How many copies of the pipe a daemon gets, beside the pipe itself.
const COPIES: usize = 30;

/// The signals that are passed on, but those that ask to end.
const PASSED_ON: [Signal; 6] = [
    Signal::HUP,
    Signal::ALRM,
    Signal::CONT,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];
const ASKING_TO_END: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// Runs `program`, which comes back only with an error, in a child; waits until
/// no copy of a pipe that it was given is open any more, then for the child. The
/// exit code is the child's.
///
/// # Errors
/// 0.76's: no pipe, no child, a wait that failed, a child that a signal killed.
pub(crate) fn hold_pipe(program: impl FnOnce() -> Error) -> Result<u8, Error> {
    let unable = |doing| move |error| Error::unable_to(doing, error);
    let (reader, writer) = io::pipe().map_err(unable("create pipe"))?;
    let given = InheritedSignals::take();
    let mut reader = Some(reader);
    let child = Spawn::new().start(|_| {
        given.restore();
        // 0.76's copies begin with its number.
        drop(reader.take());
        descriptors::give_copies(writer.as_fd(), COPIES);
        become_program(program)
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

/// Reads to the end; what comes is dropped.
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

fn become_program(program: impl FnOnce() -> Error) -> u8 {
    output::err(&program().line(PROGRAM));
    TEMPORARY
}

/// Runs `program`, which comes back only with an error, and waits until nothing
/// is left of it, wherever it went. Signals are passed on to what is there. The
/// end is that of the last one to end.
///
/// # Errors
/// No pipe, no child, no descriptor for signals.
pub(crate) fn follow(program: impl FnOnce() -> Error) -> Result<End, Error> {
    let unable = |doing| move |error| Error::unable_to(doing, error);
    let given = InheritedSignals::take();
    let known: Vec<Signal> = [&[Signal::CHLD], &ASKING_TO_END[..], &PASSED_ON].concat();
    let signals = Signals::new(&known).map_err(unable("wait for signals"))?;
    // What the guard sees the front's end by: nobody else has it open.
    let (front, front_end) = io::pipe().map_err(unable("create pipe"))?;
    let mut front_end = Some(front_end);
    let strangers = children_from_before();
    child::become_subreaper();
    let guard = Spawn::new().start(|_| {
        drop(front_end.take());
        // As in the front: a child cannot inherit it.
        child::become_subreaper();
        let started = Signals::new(&known).map_err(unable("wait for signals"));
        let started = started.and_then(|signals| {
            let first = Spawn::new().start(|_| {
                given.restore();
                become_program(program)
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

/// Ends this process as `end` says, or gives the exit code to do so.
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

/// Passes on signals until there is no child any more but `strangers`, `first` being
/// the one there is at the start; with the end of `front` comes the end of all.
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
        // One look for all of them: there may be thousands.
        if has_ended && family.is_ending() {
            send(family.left_with(&children(first, &strangers)));
        }
        let only_strangers = || first.is_none() && children(None, &strangers).is_empty();
        if !child::has_children() || (!strangers.is_empty() && only_strangers()) {
            // Who has ended just now is not among the children any more.
            reap(&mut family, &mut first, &mut strangers);
            return family.last().unwrap_or(End::Exited(0));
        }
    }
}

/// Takes note of all that have ended; whether any did that is followed.
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

/// The children this process had before it became fghack, as a run script has them
/// that sends its output through another program. They are not what is followed,
/// and may themselves wait for the end of this process.
fn children_from_before() -> Vec<Pid> {
    match child::has_children() {
        true => children(None, &[]),
        false => Vec::new(),
    }
}

/// Who is there, with `first`, whom we know of even if `/proc` does not show it, and
/// without `strangers`.
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
