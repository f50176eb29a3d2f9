//! A service under observation: is it supervised, what does its status say, and
//! be told when that changes.

use super::failure::{Failure, Stop};
use super::verdict::Verdict;
use super::wait::Waiter;
use crate::formats::status::Status;
use crate::service::{self, NoStatus, NotSent, Supervised, is_hidden};
use crate::sys::watch::{Change, How, Watch, WatchDescriptor};
use crate::sys::{clock, file, process};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// By so much the age of a process may be wrong: it is good to a hundredth of a second.
pub const AGE_ERROR: Duration = Duration::from_millis(20);
/// How long a new directory may wait for its supervise: twice 0.76's scan interval.
const SUPERVISE_WAIT: Duration = Duration::from_secs(10);

/// Not more than so many svscans are named.
const SHOWN: usize = 3;

/// A service directory and what tells us of changes in it.
pub struct Watcher {
    directory: PathBuf,
    /// None: no inotify; then every dot is a look.
    watch: Option<Watch>,
    /// The directory `supervise`, once it is watched.
    supervise: Option<WatchDescriptor>,
    /// Supervise has written a status since the last command was sent.
    answered: bool,
    /// The status file as it was when the last command was sent.
    before: Option<FileId>,
}

/// Which file, and as of when: its device, its inode, its last change.
type FileId = (u64, u64, i64, i64);

impl Watcher {
    /// Watches the service in `directory`.
    pub fn new(directory: PathBuf) -> Watcher {
        let watch = Watch::new().ok();
        Watcher {
            directory,
            watch,
            supervise: None,
            answered: false,
            before: None,
        }
    }

    /// The service directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether supervise has shown that it got the last command.
    pub fn answered(&self) -> bool {
        self.answered
    }

    /// Commands were sent by somebody else: every status counts.
    pub fn expect_no_answer(&mut self) {
        self.answered = true;
    }

    /// Whether its supervise has left.
    pub fn is_unsupervised(&self) -> bool {
        matches!(service::is_supervised(&self.directory), Supervised::No)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Waits until a supervise runs for the service.
    ///
    /// # Errors
    /// Why none does, after ten seconds.
    pub fn wait_supervised(&mut self, waiter: &mut Waiter<'_>) -> Result<(), Stop> {
        let deadline = clock::monotonic() + SUPERVISE_WAIT;
        if let Some(watch) = &self.watch
            && watch.entries(&self.directory).is_err()
        {
            self.watch = None;
        }
        loop {
            // Watch first, look then: what happens in between is not missed.
            if let Some(watch) = &self.watch {
                let path = self.directory.join("supervise");
                self.supervise = watch.entries_and_opens(&path).ok();
            }
            match service::is_supervised(&self.directory) {
                Supervised::Yes => break,
                Supervised::No => {}
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
            self.status_was_replaced();
        }
        self.watch_status();
        Ok(())
    }

    /// From now on only new statuses matter, not who reads them. They come by a rename;
    /// that of daemontools-encore's supervise by a write.
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
        if self.svscan_runs() == Some(true) {
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

    /// Whether an svscan runs that starts supervises for it: one with an entry in its
    /// directory that leads to the service, or to the one whose log this is. None: there
    /// is one whose directory may not be read.
    pub fn svscan_runs(&self) -> Option<bool> {
        let path = self.absolute();
        let resolved = path.canonicalize().unwrap_or_default();
        let possible = [Some(path.as_path()), path.parent(), resolved.parent()];
        let possible = possible.map(|path| path.and_then(file::identity_at));
        let mut all_read = true;
        for scanner in process::named("svscan") {
            let entries = match std::fs::read_dir(process::directory_link(scanner)) {
                Ok(entries) => entries,
                Err(error) => {
                    all_read &= error.kind() != ErrorKind::PermissionDenied;
                    continue;
                }
            };
            let visible = entries
                .flatten()
                .filter(|entry| !is_hidden(&entry.file_name()));
            let mut leads_to = visible.filter_map(|entry| file::identity_at(&entry.path()));
            if leads_to.any(|place| possible.contains(&Some(place))) {
                return Some(true);
            }
        }
        all_read.then_some(false)
    }

    /// Whether the supervise that runs for it was started after `begun`, or just before.
    pub fn is_supervise_newer(&self, begun: Instant) -> bool {
        let all = process::by_directory(&process::named("supervise"));
        let own = file::identity_at(&self.directory).and_then(|place| all.get(&place));
        let ages = own.into_iter().flatten().map(|pid| process::age(*pid));
        let time = clock::monotonic().saturating_duration_since(begun);
        ages.flatten().any(|age| age < time + AGE_ERROR)
    }

    fn status_file(&self) -> Option<FileId> {
        let file = std::fs::metadata(self.directory.join("supervise/status")).ok()?;
        Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
    }

    /// Takes all changes that have come; whether there is a new status.
    fn status_was_replaced(&mut self) -> bool {
        let Some(watch) = &self.watch else {
            return self.status_file() != self.before;
        };
        let mut replaced = false;
        loop {
            let changes = watch.changes();
            if changes.is_empty() {
                return replaced;
            }
            replaced |= changes.iter().any(|change| match change {
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

    /// The status now.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn status(&self) -> Result<Status, Failure> {
        service::read_status(&self.directory).map_err(|error| match error {
            NoStatus::BadFormat => Failure::BadStatus,
            NoStatus::Open(source) | NoStatus::Read(source) => Failure::Unable {
                doing: "read supervise/status".to_owned(),
                source,
            },
        })
    }

    /// Sends commands; what was written to the status before does not count
    /// as their answer.
    ///
    /// # Errors
    /// No supervise, or one that does not read.
    pub fn send(&mut self, commands: &[u8]) -> Result<(), Failure> {
        self.status_was_replaced();
        self.before = self.status_file();
        self.answered = false;
        service::send(&self.directory, commands, false).map_err(|error| match error {
            NotSent::NotRunning => Failure::SuperviseGone,
            NotSent::Open(source) => Failure::Unable {
                doing: "open supervise/control".to_owned(),
                source,
            },
            NotSent::Write(error) if error.kind() == ErrorKind::BrokenPipe => {
                Failure::SuperviseGone
            }
            NotSent::Write(source) => Failure::Deaf { source },
        })
    }

    /// Shows `judge` every new status, and again when it asked for that, until
    /// its verdict is no [`Verdict::Wait`] or the deadline has passed; then that
    /// is the result. What was written before supervise got our last command is
    /// not shown.
    ///
    /// # Errors
    /// [`Failure::SuperviseGone`], and what is wrong with the status.
    pub fn observe(
        &mut self,
        waiter: &mut Waiter<'_>,
        deadline: Instant,
        mut judge: impl FnMut(&Status, Instant) -> Verdict,
    ) -> Result<Verdict, Stop> {
        let mut until = if self.answered {
            clock::monotonic()
        } else {
            deadline
        };
        loop {
            waiter.wait([self.fd(), None, None], Some(until.min(deadline)))?;
            self.answered |= self.status_was_replaced();
            let now = clock::monotonic();
            if self.answered {
                match self.status() {
                    // Somebody who writes it in place may not have written it all.
                    Err(Failure::BadStatus) if now < deadline => {}
                    status => match judge(&status?, now) {
                        Verdict::Wait(at) => until = at.unwrap_or(deadline),
                        verdict => return Ok(verdict),
                    },
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
