//! Starts a supervise as a child of svscan.
//!
//! If the program `supervise` in svscan's directory is the file that svscan runs from, an exec
//! is unnecessary: the child continues as a supervise, with svscan's descriptors closed, and
//! its own name and command line. That takes less time than fork and exec, and most of its
//! memory stays shared with svscan and the other supervises. If it is another file (an upgrade,
//! another suite, the programs of `src/bin`), or the kernel does not allow it, the child
//! executes that file.

use super::PROGRAM;
use super::service::SuperviseKind;
use crate::child::Pid;
use crate::error::{Error, TEMPORARY};
use crate::formats::timeline::TimelineEvent;
use crate::supervise::{self, StartedBy};
use crate::sys::command_line::Map;
use crate::sys::descriptors::Descriptors;
use crate::sys::exec::Program;
use crate::sys::file::{self, FileId};
use crate::sys::limits::{OpenFiles, raise_open_files};
use crate::sys::oom::OomScoreAdj;
use crate::sys::signals::Signal;
use crate::sys::spawn::{self, Fd, STDIN, STDOUT, Spawn, SpawnError, Step};
use crate::sys::{child, heap, output, pidfd, process, signals, terminal};
use crate::timeline::recorder::{Record, Recorder};
use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Everything that is needed to start a supervise. Its children use it: it must not be in the
/// heap of svscan ([`heap::outside`]).
#[derive(Clone)]
pub(super) struct Starter {
    /// The program `supervise` in the directory of this program, which is tried before PATH.
    sibling: Option<OsString>,
    /// None: children must exec that program.
    own: Option<OwnProgram>,
    /// The limit on open files to restore in a supervise; None: the current one.
    open_files: Option<OpenFiles>,
    /// Whether each supervise becomes a process group leader.
    own_groups: bool,
    /// What all supervises know of this svscan.
    started_by: StartedBy<'static>,
    /// The value that svscan inherited, which an executed supervise gets back.
    oom_score_adj: Option<OomScoreAdj>,
}

/// Everything that a child needs to continue as a supervise without an exec.
#[derive(Clone)]
struct OwnProgram {
    /// The device and the inode of this program's file.
    file: FileId,
    /// The descriptors that svscan inherited, and that every supervise gets.
    inherited: Descriptors,
    command_line: Map,
}

impl Starter {
    /// Examines the environment; to be called before svscan opens any file. Each supervise
    /// becomes a process group leader unless there is a controlling terminal, whose Ctrl-C is
    /// for all of them, or `shared_group` is set.
    pub(super) fn new(shared_group: bool) -> Starter {
        Starter {
            own: OwnProgram::new(),
            sibling: child::sibling_program("supervise"),
            open_files: raise_open_files(),
            own_groups: !shared_group && !terminal::has_controlling_terminal(),
            started_by: StartedBy::of_children(),
            oom_score_adj: OomScoreAdj::spare(),
        }
    }

    /// Execs `program`, with the limit and the `oom_score_adj` that svscan inherited. If that
    /// fails, they are those of svscan again.
    #[cold]
    pub(super) fn exec(&self, program: &Program) -> io::Error {
        if let Some(limit) = self.open_files {
            limit.restore();
        }
        if let Some(inherited) = &self.oom_score_adj {
            inherited.restore();
        }
        let error = program.exec();
        raise_open_files();
        if self.oom_score_adj.is_some() {
            OomScoreAdj::spare();
        }
        signals::ignore(Signal::PIPE);
        error
    }

    /// What all supervises know of this svscan.
    pub(super) fn started_by(&self) -> StartedBy<'static> {
        self.started_by
    }

    /// Starts this supervise of the service `name`, connected to `pipe`, which continues with
    /// `timeline`, if there is one. Those of `predecessors` whose directory was deleted are
    /// supervises that the first start waits for. With `is_quiet`, errors are not printed.
    ///
    /// # Errors
    /// What fork(2) says.
    pub(super) fn start(
        &self,
        kind: SuperviseKind,
        name: &OsStr,
        pipe: Option<&(PipeReader, PipeWriter)>,
        timeline: &mut Option<Recorder>,
        predecessors: &[Pid],
        is_quiet: bool,
    ) -> io::Result<Pid> {
        let descriptors = match (kind, pipe) {
            (_, None) => None,
            (SuperviseKind::Main, Some((_, writer))) => Some((STDOUT, Fd::Copy(writer.as_fd()))),
            (SuperviseKind::Log, Some((reader, _))) => Some((STDIN, Fd::Copy(reader.as_fd()))),
        };
        // The child has nothing else of what svscan knows. A name is on the stack: each page
        // that svscan writes to between two forks is private memory of the first child.
        let (mut short, long) = ([0; SHORT_NAME], heap::outside(|| long_name(name)));
        let name = match short.get_mut(..name.len()) {
            Some(short) => {
                short.copy_from_slice(name.as_bytes());
                OsStr::from_bytes(short)
            }
            None => &long,
        };
        let predecessors = heap::outside(|| predecessors.to_vec());
        let mut child = Spawn::new().descriptors(descriptors.as_slice());
        if self.own_groups {
            child = child.group();
        }
        if kind == SuperviseKind::Log {
            child = child.directory(Path::new(name));
        }
        let started = child.start(|ready| {
            // The child's copy; that of svscan is unaffected.
            let record = timeline
                .take()
                .map(|all| all.of(name, kind == SuperviseKind::Log));
            if let Some(limit) = self.open_files {
                limit.restore();
            }
            let operand = match kind {
                SuperviseKind::Main => name,
                SuperviseKind::Log => OsStr::new("log"),
            };
            if ready.is_ok() && self.begin(operand, record.as_ref()).is_some() {
                let predecessors = predecessors.iter().copied().filter_map(pidfd_if_deleted);
                return supervise::run_in_child(
                    operand,
                    record,
                    StartedBy {
                        program: self.sibling.as_deref(),
                        ..self.started_by
                    },
                    self.oom_score_adj.as_ref(),
                    predecessors.collect(),
                    self.own_groups,
                    is_quiet,
                );
            }
            let error = match ready {
                Ok(()) => {
                    if let Some(record) = &record {
                        record.write(TimelineEvent::Other);
                    }
                    self.exec_supervise(operand)
                }
                Err(error) => error,
            };
            if let Some(record) = &record {
                record.write(TimelineEvent::Failed);
            }
            if !is_quiet {
                // If it blocked here, it would look like a supervise.
                output::err_nonblocking(&spawn_error(error, kind, name).warning(PROGRAM));
            }
            TEMPORARY
        });
        started.map(|child| child.pid())
    }

    /// In the child: releases what belongs to svscan. None, with little changed, if the child
    /// must exec a supervise.
    fn begin(&self, operand: &OsStr, record: Option<&Record<'_>>) -> Option<()> {
        let own = self.own.as_ref()?;
        if file::id_at(Path::new(self.sibling.as_ref()?)) != Some(own.file) {
            return None;
        }
        let words = [b"supervise\0", operand.as_bytes(), b"\0"].concat();
        own.command_line.show(c"supervise", words.leak()).ok()?;
        own.inherited.close_others(record.map(AsFd::as_fd)).ok()?;
        // A signal that svscan inherited blocked, TERM for instance, must end a supervise.
        signals::block_none();
        Some(())
    }

    /// In the child: execs a supervise; returns only if that fails.
    fn exec_supervise(&self, operand: &OsStr) -> SpawnError {
        let program = OsStr::new("supervise");
        let words = [program, operand];
        if let Some(inherited) = &self.oom_score_adj {
            inherited.restore();
        }
        // If the sibling program is missing by now, PATH is searched.
        let sibling = self.sibling.iter().map(|path| Program::at(path, &words));
        let programs = sibling.chain([Program::ours(program, &words)]);
        spawn::exec_one_of(&programs.flatten().collect::<Vec<_>>())
    }
}

impl OwnProgram {
    fn new() -> Option<OwnProgram> {
        Some(OwnProgram {
            file: file::id_at(Path::new("/proc/self/exe"))?,
            inherited: Descriptors::open_now().ok()?,
            command_line: Map::read()?,
        })
    }
}

/// NAME_MAX of most file systems.
const SHORT_NAME: usize = 255;

/// A copy of `name` if it is longer than that.
fn long_name(name: &OsStr) -> OsString {
    match name.len() > SHORT_NAME {
        true => name.to_owned(),
        false => OsString::new(),
    }
}

/// The error of a child that could not become a supervise.
fn spawn_error(error: SpawnError, kind: SuperviseKind, name: &OsStr) -> Error {
    let (doing, suffix) = match error.step {
        Step::Descriptors => ("set up descriptors for", suffix(kind)),
        Step::Directory => ("switch to", ""),
        Step::Exec => ("start supervise", suffix(kind)),
    };
    Error::unable(doing, name, suffix, error.source)
}

/// A pidfd of the supervise `pid` if its directory was deleted; None without pidfds or `/proc`.
fn pidfd_if_deleted(pid: Pid) -> Option<OwnedFd> {
    let end = pidfd::open(pid).ok()?;
    file::is_deleted(&process::directory_link(pid)).then_some(end)
}

/// The suffix of the service name in messages about this supervise.
pub(super) fn suffix(kind: SuperviseKind) -> &'static str {
    match kind {
        SuperviseKind::Main => "",
        SuperviseKind::Log => "/log",
    }
}
