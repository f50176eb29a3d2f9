//! Watches a service: whether it is supervised, its state, and changes of it.
//!
//! The state is what its supervise writes to `supervise/state`; without a record, because it is
//! a supervise of 0.76, of daemontools-encore or an earlier one of ours, it is the 18 bytes of
//! `supervise/status`.

use super::failure::{Aborted, Failure};
use super::verdict::Verdict;
use super::wait::WaitLoop;
use crate::child::{End, Pid, PidSpace, ProcessId};
use crate::formats::state::{LastEnd, StateRecord};
use crate::formats::status::Status;
use crate::formats::svscan_note::SvscanNote;
use crate::service::{self, Control, NoStatus, NotSent, Supervised, is_hidden};
use crate::sys::file::{self, FileId};
use crate::sys::watch::{Change, How, Watch, WatchDescriptor};
use crate::sys::{clock, process};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time that a new directory may wait for its supervise: twice the scan interval of 0.76.
const SUPERVISE_WAIT: Duration = Duration::from_secs(10);

/// The maximum time between a record and the status that belongs to it.
const STATUS_WAIT: Duration = Duration::from_secs(1);

/// The maximum number of svscans to name.
const SHOWN: usize = 3;

/// A service directory, and the source of changes in it.
pub struct Watcher {
    directory: PathBuf,
    /// The scope of pids here; None: no record can be used.
    space: Option<PidSpace>,
    /// None without inotify: then the state is polled at every dot.
    watch: Option<Watch>,
    /// The watch of the directory `supervise`, once it exists.
    supervise: Option<WatchDescriptor>,
    /// The last commands that were sent; None: another process sent them.
    sent: Option<Sent>,
    /// supervise has executed the last command.
    answered: bool,
}

/// Commands that were sent; supervise answers the first of them.
struct Sent {
    control: Control,
    /// The supervise at that time, and the number of commands that it will have executed after
    /// that one; None if it keeps no record.
    answer: Option<(Pid, u64)>,
    /// Without a record: a status was written since then.
    has_new_status: bool,
}

impl Sent {
    /// Whether supervise has executed the first of them. One without a record has, if it has
    /// read all of them and written a status since.
    ///
    /// # Errors
    /// [`Failure::SuperviseGone`]: it is another one now.
    fn is_answered(&self, seen: &Seen, is_read: bool) -> Result<bool, Failure> {
        match (&seen.record, self.answer) {
            (Some(record), Some((supervise, _))) if record.writer.supervise != supervise => {
                Err(Failure::SuperviseGone)
            }
            (Some(record), Some((_, commands))) => Ok(record.state.commands >= commands),
            _ => Ok(is_read && self.has_new_status),
        }
    }
}

/// The observed state of a service.
#[derive(Debug)]
pub struct Seen {
    /// Its status.
    pub status: Status,
    /// The record that it is from; None if it is from the 18 bytes.
    pub record: Option<StateRecord>,
}

impl Seen {
    /// Its process.
    pub fn process(&self) -> Option<ProcessId> {
        match &self.record {
            Some(record) => record.state.process,
            None => self.status.pid.map(|pid| ProcessId {
                pid,
                start: process::started(pid),
            }),
        }
    }

    /// The supervise, if it keeps a record.
    pub fn supervise(&self) -> Option<Pid> {
        self.record.map(|record| record.writer.supervise)
    }

    /// How the service ended last, if known.
    pub fn last_end(&self) -> Option<LastEnd> {
        self.record?.state.last_end
    }

    /// How it has ended, if that is known, and it has ended since `before` was the last end.
    pub fn end_since(&self, before: Option<LastEnd>) -> Option<End> {
        let last = self.last_end().filter(|last| Some(*last) != before)?;
        last.end
    }
}

impl Watcher {
    /// Watches the service in `directory`.
    pub fn new(directory: PathBuf) -> Watcher {
        let watch = Watch::new().ok();
        Watcher {
            directory,
            space: process::pid_space(),
            watch,
            supervise: None,
            sent: None,
            answered: false,
        }
    }

    /// The service directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether supervise has shown that it executed the last command.
    pub fn answered(&self) -> bool {
        self.answered
    }

    /// Another process sent commands: every status counts.
    pub fn expect_no_answer(&mut self) {
        self.sent = None;
        self.answered = true;
    }

    /// Whether its supervise has ended.
    pub fn is_unsupervised(&self) -> bool {
        matches!(service::is_supervised(&self.directory), Supervised::No)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Waits until a supervise other than `left`, which is exiting, runs for the service.
    ///
    /// # Errors
    /// Why there is none, after ten seconds.
    pub fn wait_supervised(
        &mut self,
        left: Option<Pid>,
        waiter: &mut WaitLoop<'_>,
    ) -> Result<(), Aborted> {
        let deadline = clock::monotonic() + SUPERVISE_WAIT;
        if let Some(watch) = &self.watch
            && watch.entries(&self.directory).is_err()
        {
            self.watch = None;
        }
        loop {
            // Watch first, then check, so that no change in between is missed.
            if let Some(watch) = &self.watch {
                let path = self.directory.join("supervise");
                self.supervise = watch.entries_and_opens(&path).ok();
            }
            match service::is_supervised(&self.directory) {
                Supervised::Yes if left.is_none() || self.supervised_by() != left => break,
                Supervised::Yes | Supervised::No => {}
                Supervised::Unknown(error) => match error.kind() {
                    ErrorKind::NotFound => {}
                    ErrorKind::PermissionDenied => {
                        return Err(Failure::Denied {
                            what: "supervise/ok",
                        }
                        .into());
                    }
                    _ => {
                        return Err(Failure::Unable {
                            doing: "open supervise/ok".to_owned(),
                            source: error,
                        }
                        .into());
                    }
                },
            }
            if clock::monotonic() >= deadline {
                return Err(self.why_unsupervised().into());
            }
            waiter.wait([self.fd(), None, None], Some(deadline))?;
            self.status_was_written();
        }
        self.watch_status();
        Ok(())
    }

    fn supervised_by(&self) -> Option<Pid> {
        self.record().map(|record| record.writer.supervise)
    }

    /// From now on only new statuses matter, not readers of them. They arrive by rename(2); the
    /// statuses of daemontools-encore's supervise, and the record, by write(2).
    pub fn watch_status(&mut self) {
        if let Some(watch) = &self.watch {
            let path = self.directory.join("supervise");
            self.supervise = watch.entries_and_writes(&path).ok();
            if self.supervise.is_none() {
                self.watch = None;
            }
        }
    }

    fn why_unsupervised(&self) -> Failure {
        let waited = SUPERVISE_WAIT;
        if self.absolute().file_name().is_some_and(is_hidden) {
            return Failure::Hidden { waited };
        }
        if self.is_watched() == Some(true) {
            return match self.is_log_of_a_running_service() {
                true => Failure::NoLogger { waited },
                false => Failure::NoSupervise { waited },
            };
        }
        match process::named("svscan") {
            none if none.is_empty() => Failure::NoSvscan,
            some => {
                let places = some.iter().filter_map(|pid| process::directory(*pid));
                Failure::NotScanned {
                    places: places.take(SHOWN).collect(),
                }
            }
        }
    }

    fn is_log_of_a_running_service(&self) -> bool {
        let path = self.absolute();
        let service = path.parent().unwrap_or(&path);
        path.file_name() == Some(OsStr::new("log"))
            && matches!(service::is_supervised(service), Supervised::Yes)
    }

    fn absolute(&self) -> PathBuf {
        std::path::absolute(&self.directory).unwrap_or_else(|_| self.directory.clone())
    }

    /// Whether an svscan watches the service, which starts another supervise when this one has
    /// exited: an svscan with an entry in its directory that refers to the service, or to the
    /// one whose logger this is. Ours are recorded in `supervise/`; others are searched by
    /// process name. None if that cannot be determined.
    pub fn is_watched(&self) -> Option<bool> {
        let (here, own) = (self.space?, file::id_at(&self.directory)?);
        let mut is_certain = true;
        let mut svscans = process::named("svscan");
        for SvscanNote { space, svscan, .. } in service::noted_svscans(&self.directory) {
            if space == here && process::is_running(svscan) {
                svscans.push(svscan.pid);
            }
            // Processes of that pid namespace are not visible here.
            is_certain &= space == here || space.boot != here.boot;
        }
        for svscan in svscans {
            match leads(svscan, own) {
                Ok(true) => return Some(true),
                Ok(false) => {}
                Err(error) => is_certain &= error.kind() != ErrorKind::PermissionDenied,
            }
        }
        is_certain.then_some(false)
    }

    /// Takes all pending changes; returns whether there may be a new status. Without inotify
    /// there always may be one.
    fn status_was_written(&self) -> bool {
        let Some(watch) = &self.watch else {
            return true;
        };
        let mut written = false;
        loop {
            let changes = watch.changes();
            if changes.is_empty() {
                return written;
            }
            written |= changes.iter().any(|change| match change {
                Change::Entry { wd, name, how } => {
                    matches!(how, How::Moved | How::Opened)
                        && Some(*wd) == self.supervise
                        && name == "status"
                }
                Change::Ended(_) | Change::Renamed(_) => false,
                Change::Lost => true,
            });
        }
    }

    /// Whether the supervise that answered still runs and was not sent `x`. None if it keeps no
    /// record.
    ///
    /// # Errors
    /// As [`Watcher::look`].
    pub fn stays(&self) -> Result<Option<bool>, Failure> {
        let record = self.look()?.record;
        let answer = self.sent.as_ref().and_then(|sent| sent.answer);
        Ok(match (record, answer) {
            (None, None) => None,
            (Some(record), Some((supervise, _))) => {
                Some(record.writer.supervise == supervise && !record.state.leaving)
            }
            _ => Some(false),
        })
    }

    /// Whether supervise has read everything that was sent.
    fn is_read(&self) -> bool {
        let sent = self.sent.as_ref();
        sent.is_none_or(|sent| sent.control.unread() == 0)
    }

    /// The record, if there is a valid one.
    fn record(&self) -> Option<StateRecord> {
        service::read_state(&self.directory, self.space?)
    }

    /// Reads the current state.
    ///
    /// # Errors
    /// The status cannot be read.
    pub fn look(&self) -> Result<Seen, Failure> {
        let record = self.record();
        let status = match &record {
            Some(record) => record.state.status(),
            None => self.read_status()?,
        };
        Ok(Seen { status, record })
    }

    /// Reads the current status.
    ///
    /// # Errors
    /// As [`Watcher::look`].
    pub fn status(&self) -> Result<Status, Failure> {
        Ok(self.look()?.status)
    }

    /// Waits until `supervise/status` says the same as the record, which is written before it.
    /// Where it cannot be written, as on a full disk, not for long.
    ///
    /// # Errors
    /// [`Aborted::Interrupted`].
    pub fn wait_for_status(&self, waiter: &mut WaitLoop<'_>) -> Result<(), Aborted> {
        let deadline = clock::monotonic() + STATUS_WAIT;
        while let Some(record) = self.record()
            && self.read_status().ok() != Some(record.state.status())
            && clock::monotonic() < deadline
        {
            waiter.wait([self.fd(), None, None], Some(deadline))?;
            self.status_was_written();
        }
        Ok(())
    }

    fn read_status(&self) -> Result<Status, Failure> {
        service::read_status(&self.directory).map_err(|error| match error {
            NoStatus::BadFormat => Failure::BadStatus,
            NoStatus::Open(source) | NoStatus::Read(source) => Failure::Unable {
                doing: "read supervise/status".to_owned(),
                source,
            },
        })
    }

    /// Sends commands; statuses that were written before do not count as their answer.
    ///
    /// # Errors
    /// There is no supervise, or it does not read.
    pub fn send(&mut self, commands: &[u8]) -> Result<(), Failure> {
        self.status_was_written();
        self.answered = false;
        let failed = |error| match error {
            NotSent::NotRunning => Failure::SuperviseGone,
            NotSent::Open(source) => Failure::Unable {
                doing: "open supervise/control".to_owned(),
                source,
            },
            NotSent::Write(error) if error.kind() == ErrorKind::BrokenPipe => {
                Failure::SuperviseGone
            }
            NotSent::Write(source) => Failure::Deaf { source },
        };
        // In this order: the commands that are executed by then and those that are unread later
        // may be fewer than all those before ours, but include none after them.
        let record = self.record();
        let mut control = Control::open(&self.directory).map_err(failed)?;
        let before = control.unread();
        control.send(commands, false).map_err(failed)?;
        self.sent = Some(Sent {
            control,
            answer: record.map(|record| {
                let obeyed = record.state.commands.saturating_add(before);
                (record.writer.supervise, obeyed.saturating_add(1))
            }),
            has_new_status: false,
        });
        Ok(())
    }

    /// Passes every new status to `judge`, and again at the time that it requested, until its
    /// verdict is not [`Verdict::Wait`] or the deadline has passed; returns that. Statuses from
    /// before supervise received our last command are not passed.
    ///
    /// # Errors
    /// [`Failure::SuperviseGone`]; the status cannot be read.
    pub fn observe(
        &mut self,
        waiter: &mut WaitLoop<'_>,
        deadline: Instant,
        mut judge: impl FnMut(&Seen, Instant) -> Verdict,
    ) -> Result<Verdict, Aborted> {
        let mut until = clock::monotonic();
        loop {
            waiter.wait([self.fd(), None, None], Some(until.min(deadline)))?;
            let now = clock::monotonic();
            until = deadline;
            // Before it is read, so that events report all later changes.
            let is_written = self.status_was_written();
            let is_read = self.is_read();
            match self.look() {
                // A supervise that writes it in place may not have completed it.
                Err(Failure::BadStatus) if now < deadline => {}
                seen => {
                    let seen = seen?;
                    if let Some(sent) = &mut self.sent {
                        sent.has_new_status |= is_written;
                        self.answered |= sent.is_answered(&seen, is_read)?;
                    }
                    if self.answered {
                        match judge(&seen, now) {
                            Verdict::Wait(at) => until = at.unwrap_or(deadline),
                            verdict => return Ok(verdict),
                        }
                    }
                }
            }
            if self.is_unsupervised() {
                return Err(Failure::SuperviseGone.into());
            }
            if now >= deadline {
                return Ok(Verdict::Wait(None));
            }
        }
    }
}

/// Whether an entry in the directory of `svscan` refers to the service `own`, or to the one
/// whose logger that is.
fn leads(svscan: Pid, own: FileId) -> io::Result<bool> {
    let entries = std::fs::read_dir(process::directory_link(svscan))?.flatten();
    let mut visible = entries.filter(|entry| !is_hidden(&entry.file_name()));
    Ok(visible.any(|entry| {
        let places = [entry.path(), entry.path().join("log")];
        places.iter().any(|path| file::id_at(path) == Some(own))
    }))
}
