//! The steps of svcstart, svcstop, svcreset and svcrestart, for one service.

use super::down_file;
use super::failure::{Aborted, Failure};
use super::lock;
use super::owner;
use super::progress::Progress;
use super::script::{self, ServiceScript};
use super::verdict::{Down, PATIENCE, Start, Verdict, Vouched};
use super::wait::{WaitLoop, say};
use super::watcher::{Seen, Watcher};
use super::{Options, Task};
use crate::checks::lock::ServiceLock;
use crate::child::End;
use crate::error::TEMPORARY;
use crate::formats::status::{Status, Want};
use crate::service::{self, Supervised};
use crate::svclog;
use crate::sys::signals::Signals;
use crate::sys::{clock, directory, process};
use crate::visible;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The default timeout of a start or stop without a script.
const LIMIT: Duration = Duration::from_secs(60);
/// The default timeout of a script.
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);
/// The maximum number of supervises that may exit, one after another, while a service is
/// stopped.
const SUPERVISES: usize = 5;
/// The time within which KILL ends a process, unless it hangs in the kernel.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Performs `task` for the service `name` and reports it through `progress`; after a failure
/// the caller ends the line.
///
/// # Errors
/// [`Aborted`]: the service is not in the requested state.
pub fn perform(
    task: Task,
    name: &OsStr,
    options: &Options,
    signals: &Signals,
    progress: &mut Progress,
) -> Result<(), Aborted> {
    let directory = service::locate(name);
    let mut waiter = WaitLoop::new(signals, progress);
    match task {
        Task::Start => waiter.begin("Starting"),
        Task::Stop => waiter.begin("Stopping"),
        Task::Reset | Task::Restart => {}
    }
    let home = directory::open_to_name(&directory).map_err(|source| Failure::NoDirectory {
        looked_in: service::where_looked(name),
        source,
    })?;
    let mut watcher = Watcher::new(directory);
    let lock = take_lock(&mut watcher, options.timeout, &mut waiter)?;
    let mut work = Work {
        name,
        options,
        home,
        lock,
        watcher,
        waiter,
    };
    match task {
        Task::Start => work.start(),
        Task::Stop => work.stop(),
        Task::Reset if work.is_configured_down()? => {
            work.waiter.begin("Stopping");
            work.stop()
        }
        Task::Reset => {
            work.waiter.begin("Starting");
            work.start()
        }
        Task::Restart => work.restart(),
    }
}

/// Waits for a supervise and takes the lock. A supervise that was sent `x` may exit meanwhile;
/// then it waits for the next one.
fn take_lock(
    watcher: &mut Watcher,
    longest: Option<Duration>,
    waiter: &mut WaitLoop<'_>,
) -> Result<ServiceLock, Aborted> {
    let mut others = 1..SUPERVISES;
    loop {
        watcher.wait_supervised(None, waiter)?;
        match lock::take(watcher.directory(), longest, waiter) {
            Err(Aborted::Failed(Failure::SuperviseGone)) if others.next().is_some() => {}
            taken => return taken,
        }
    }
}

/// The work on one service, with its lock held.
struct Work<'a> {
    name: &'a OsStr,
    options: &'a Options,
    /// The service directory, even if its path refers to another one by now.
    home: File,
    lock: ServiceLock,
    watcher: Watcher,
    waiter: WaitLoop<'a>,
}

impl Work<'_> {
    fn start(&mut self) -> Result<(), Aborted> {
        self.start_under_one_that_stays()?;
        self.check_its_logger()?;
        if self.options.persist {
            down_file::remove(self.watcher.directory())?;
        }
        self.ok(Task::Start)
    }

    /// A supervise that was sent `x` may exit before it starts the service. svscan replaces it
    /// some seconds later, and that one is sent `u` again. If a service outlives its supervise,
    /// it would run twice then: the result is uncertain.
    fn start_under_one_that_stays(&mut self) -> Result<(), Aborted> {
        for _ in 1..SUPERVISES {
            let before = self.watcher.look()?;
            let started = self.start_once();
            let has_left = match started {
                Err(Aborted::Failed(Failure::SuperviseGone)) => true,
                Err(Aborted::Failed(_)) => is_another(&before, &self.watcher.look()?),
                _ => false,
            };
            if !has_left || is_running(&before) || self.watcher.is_watched() == Some(false) {
                return started;
            }
            let left = before.supervise();
            self.watcher.wait_supervised(left, &mut self.waiter)?;
        }
        self.start_once()
    }

    fn start_once(&mut self) -> Result<(), Aborted> {
        if self.script_is_to_run(ServiceScript::Start)? {
            // Before the script: otherwise a process that ends together with the script could
            // be missed.
            let before = self.watcher.look()?;
            self.run(ServiceScript::Start)?;
            self.check_that_it_is_up(&before)
        } else {
            self.start_and_watch()
        }
    }

    fn stop(&mut self) -> Result<(), Aborted> {
        let before = self.watcher.look()?;
        let stopped =
            match self.script_is_to_run(ServiceScript::Stop) {
                Ok(true) => match self.run(ServiceScript::Stop) {
                    Ok(()) => match self.check_that_it_is_down() {
                        // When this is executed, so are the commands of the script.
                        Ok(()) => self.stop_and_watch(),
                        Err(Aborted::Failed(
                            Failure::StopLied { .. } | Failure::StillUp { .. },
                        )) if self.options.kill => self.kill(),
                        checked => checked,
                    },
                    Err(Aborted::Failed(_)) if self.options.kill => self.kill(),
                    refused => refused,
                },
                Ok(false) => self.stop_and_watch(),
                Err(failure) => Err(failure.into()),
            };
        self.see_that_it_stays_down(stopped, before)?;
        if self.options.persist {
            down_file::create(self.watcher.directory())?;
        }
        self.ok(Task::Stop)
    }

    /// A service between two starts counts as running: it is wanted up.
    fn restart(&mut self) -> Result<(), Aborted> {
        let status = self.watcher.status()?;
        if status.pid.is_none() && status.want != Want::Up {
            let remark = self.waiter.progress.remark("is down: not restarted");
            say(&remark);
            return Ok(());
        }
        self.waiter.begin("Stopping");
        self.stop()?;
        self.waiter.begin("Starting");
        self.start()
    }

    /// Not before svstat says it, too.
    fn ok(&mut self, task: Task) -> Result<(), Aborted> {
        self.watcher.wait_for_status(&mut self.waiter)?;
        let line = self.waiter.progress.end(task, true);
        say(&line);
        Ok(())
    }

    fn limit(&self) -> Duration {
        self.options.timeout.unwrap_or(LIMIT)
    }

    fn is_configured_down(&self) -> Result<bool, Failure> {
        down_file::is_there(self.watcher.directory()).map_err(|source| Failure::Unable {
            doing: "examine down".to_owned(),
            source,
        })
    }

    /// A command that is called from its own script does not run the scripts.
    fn script_is_to_run(&self, script: ServiceScript) -> Result<bool, Failure> {
        if self.lock.is_callers() {
            return Ok(false);
        }
        if !script.exists(self.watcher.directory())? {
            return Ok(false);
        }
        match owner::check(&self.home, script.name()) {
            Err(Failure::Unowned { .. }) if self.watcher.is_unsupervised() => {
                Err(Failure::SuperviseGone)
            }
            checked => checked.map(|()| true),
        }
    }

    fn run(&mut self, script: ServiceScript) -> Result<(), Aborted> {
        let limit = self.options.timeout.unwrap_or(SCRIPT_LIMIT);
        let watcher = &self.watcher;
        let state = || match watcher.status().map(|status| status.pid) {
            Ok(Some(pid)) => format!("up (pid {pid})"),
            Ok(None) => "down".to_owned(),
            Err(_) => "in an unknown state".to_owned(),
        };
        let ran = script.run(
            &self.home,
            watcher.directory(),
            limit,
            &mut self.waiter,
            state,
        );
        ran.map_err(|stop| match stop {
            // The script could not reach supervise; svscan starts another one.
            Aborted::Failed(Failure::Refused { .. })
                if self.watcher.is_unsupervised() && self.watcher.is_watched() != Some(false) =>
            {
                Failure::SuperviseGone.into()
            }
            Aborted::Failed(Failure::Refused { script, code, .. }) => {
                let log = self.log();
                Failure::Refused { script, code, log }.into()
            }
            stop => stop,
        })
    }

    fn start_and_watch(&mut self) -> Result<(), Aborted> {
        let before = self.watcher.look()?;
        let (status, ended) = (before.status, before.last_end());
        let age = status.pid.and_then(process::age);
        let mut start = Start::new(status, age, self.options.settle, clock::monotonic());
        self.watcher
            .send(if status.paused { b"uc" } else { b"u" })?;
        let deadline = clock::monotonic() + self.limit() + self.options.settle;
        let verdict = self
            .watcher
            .observe(&mut self.waiter, deadline, |seen, now| {
                start.observe(&seen.status, now)
            })?;
        match verdict {
            Verdict::Done => Ok(()),
            Verdict::Crashed => {
                let end = self.watcher.look()?.end_since(ended);
                Err(self.why_it_ended(end, false).into())
            }
            Verdict::Overruled => Err(self.taken_down().into()),
            Verdict::Wait(_) if self.watcher.answered() => Err(Failure::NotStarted {
                waited: self.limit(),
            }
            .into()),
            Verdict::Wait(_) => Err(self.no_answer()),
        }
    }

    /// `./start` reported success: it is OK only if the service stays up for the rest of the
    /// settling time. supervise may not have executed the script's `svc -u` yet. `before` is
    /// from before the script.
    fn check_that_it_is_up(&mut self, before: &Seen) -> Result<(), Aborted> {
        let first = self.watcher.status()?;
        let ended = before.last_end();
        let age = first.pid.and_then(process::age);
        let now = clock::monotonic();
        let mut vouched = Vouched::new(first, age, self.options.settle, now);
        self.watcher.expect_no_answer();
        let deadline = now + PATIENCE + self.options.settle;
        let verdict = self
            .watcher
            .observe(&mut self.waiter, deadline, |seen, now| {
                let is_clean = || seen.end_since(ended) == Some(End::Exited(0));
                vouched.observe(&seen.status, is_clean, now)
            })?;
        match verdict {
            Verdict::Done if self.watcher.status()?.paused => Err(Failure::StartLied {
                state: "paused (svc -c continues it)",
            }
            .into()),
            Verdict::Done => Ok(()),
            Verdict::Crashed => {
                let end = self.watcher.look()?.end_since(ended);
                Err(self.why_it_ended(end, true).into())
            }
            Verdict::Overruled if vouched.was_up() => Err(self.taken_down().into()),
            Verdict::Overruled | Verdict::Wait(_) => Err(match self.taken_down() {
                went_down @ Failure::WentDown { .. } if first.since != before.status.since => {
                    went_down
                }
                _ => Failure::StartLied { state: "down" },
            }
            .into()),
        }
    }

    /// A service whose logger does not read blocks as soon as their pipe is full. The logger
    /// has usually been up as long as the service, and that time counts.
    fn check_its_logger(&mut self) -> Result<(), Aborted> {
        let directory = self.watcher.directory().join("log");
        if service::is_program(&directory) {
            return Err(Failure::Logger(Failure::LogIsAProgram.to_string()).into());
        }
        if !matches!(service::is_supervised(&directory), Supervised::Yes) {
            // svscan starts one if there is a `log`; without svscan none is expected.
            return Ok(());
        }
        match self.watch_logger(directory) {
            Err(Aborted::Failed(failure)) => Err(Failure::Logger(failure.to_string()).into()),
            result => result,
        }
    }

    fn watch_logger(&mut self, directory: PathBuf) -> Result<(), Aborted> {
        let mut watcher = Watcher::new(directory);
        watcher.watch_status();
        watcher.expect_no_answer();
        let first = watcher.look()?;
        let (first, ended) = (first.status, first.last_end());
        if first.want == Want::Down {
            return Err(Failure::Down.into());
        }
        let (now, settle) = (clock::monotonic(), self.options.settle);
        let age = first.pid.and_then(process::age);
        let mut vouched = Vouched::new(first, age, settle, now);
        let deadline = now + PATIENCE + settle;
        let verdict = watcher.observe(&mut self.waiter, deadline, |seen, now| {
            let is_clean = || seen.end_since(ended) == Some(End::Exited(0));
            vouched.observe(&seen.status, is_clean, now)
        })?;
        match verdict {
            Verdict::Done => Ok(()),
            Verdict::Crashed => {
                let end = watcher.look()?.end_since(ended);
                Err(why_it_ended(watcher.directory(), end).into())
            }
            Verdict::Overruled | Verdict::Wait(_) => Err(Failure::Down.into()),
        }
    }

    /// `is_vouched`: its `./start` reported success.
    fn why_it_ended(&self, end: Option<End>, is_vouched: bool) -> Failure {
        match why_it_ended(self.watcher.directory(), end) {
            Failure::Crashed { end, .. } => Failure::Crashed {
                end,
                is_vouched,
                log: self.log(),
            },
            fault => fault,
        }
    }

    fn taken_down(&self) -> Failure {
        if script::takes_itself_down(self.watcher.directory()) {
            Failure::WentDown { log: self.log() }
        } else {
            Failure::TakenDown
        }
    }

    /// The command that shows the log of the service, if it has a readable one.
    fn log(&self) -> Option<String> {
        let name = self.name;
        svclog::shows(name).then(|| format!("svclog {}", visible::as_typed(name)))
    }

    fn stop_and_watch(&mut self) -> Result<(), Aborted> {
        self.watcher.send(b"d")?;
        let limit = self.limit();
        match self.watch_it_stop(limit)? {
            None => Ok(()),
            Some(_) if self.options.kill => self.kill(),
            Some(Status { pid: Some(pid), .. }) if self.watcher.answered() => {
                Err(Failure::StillUp { pid, waited: limit }.into())
            }
            Some(_) => Err(self.no_answer()),
        }
    }

    /// The supervise that reports it down may be exiting (`x`): then svscan starts another one,
    /// which starts the service. Its record shows that; a supervise without a record stays if
    /// it answers once more. Without svscan, nothing is started. `before` is from the
    /// beginning: if that service outlives its supervise, the result is uncertain.
    fn see_that_it_stays_down(
        &mut self,
        mut stopped: Result<(), Aborted>,
        mut before: Seen,
    ) -> Result<(), Aborted> {
        for _ in 0..SUPERVISES {
            let stays = self.watcher.stays()?;
            if stays.is_none() {
                stopped = stopped.and_then(|()| self.stop_and_watch());
            }
            let now = self.watcher.look()?;
            let is_another = is_another(&before, &now);
            let has_left = match stopped {
                Ok(()) => stays == Some(false),
                Err(Aborted::Failed(Failure::SuperviseGone)) => true,
                // Another supervise starts it by itself, or was started during the script.
                Err(Aborted::Failed(
                    Failure::TakenUp | Failure::StopLied { .. } | Failure::Refused { .. },
                )) => is_another,
                _ => false,
            };
            let outlives = is_running(&before) || (is_running(&now) && !is_another);
            if !has_left || outlives {
                return stopped;
            }
            if !is_another && self.watcher.is_watched() == Some(false) {
                return Ok(());
            }
            let left = before.supervise();
            self.watcher.wait_supervised(left, &mut self.waiter)?;
            before = self.watcher.look()?;
            stopped = self.stop_and_watch();
        }
        stopped
    }

    /// Waits until it is down; returns the status if it is not down after `limit`.
    fn watch_it_stop(&mut self, limit: Duration) -> Result<Option<Status>, Aborted> {
        let now = clock::monotonic();
        let mut down = Down::new(now);
        let verdict = self
            .watcher
            .observe(&mut self.waiter, now + limit, |seen, now| {
                down.observe(&seen.status, now)
            })?;
        match verdict {
            Verdict::Done => Ok(None),
            Verdict::Overruled | Verdict::Crashed => Err(Failure::TakenUp.into()),
            Verdict::Wait(_) => Ok(Some(self.watcher.status()?)),
        }
    }

    /// KILL alone causes no status, but the `d` before it does, even if the service has ended
    /// just now.
    fn kill(&mut self) -> Result<(), Aborted> {
        self.watcher.send(b"dk")?;
        match self.watch_it_stop(KILL_LIMIT)? {
            None => Ok(()),
            Some(Status { pid: Some(pid), .. }) => Err(Failure::Unkillable {
                pid,
                waited: KILL_LIMIT,
            }
            .into()),
            Some(_) => Err(self.no_answer()),
        }
    }

    /// `./stop` reported success: it is OK only if the service is down. supervise may not have
    /// executed the script's `svc -d` yet.
    fn check_that_it_is_down(&mut self) -> Result<(), Aborted> {
        let is_down = |status: &Status| status.pid.is_none() && status.want != Want::Up;
        if is_down(&self.watcher.status()?) {
            return Ok(());
        }
        self.watcher.expect_no_answer();
        let deadline = clock::monotonic() + PATIENCE;
        self.watcher
            .observe(&mut self.waiter, deadline, |Seen { status, .. }, _| {
                if is_down(status) || status.want == Want::Down {
                    Verdict::Done
                } else {
                    Verdict::Wait(None)
                }
            })?;
        let status = self.watcher.status()?;
        if is_down(&status) {
            return Ok(());
        }
        if status.want != Want::Down {
            return Err(Failure::StopLied { pid: status.pid }.into());
        }
        let waited = self.limit();
        match self.watch_it_stop(waited)? {
            None => Ok(()),
            Some(Status { pid: Some(pid), .. }) => Err(Failure::StillUp { pid, waited }.into()),
            Some(Status { pid, .. }) => Err(Failure::StopLied { pid }.into()),
        }
    }

    fn no_answer(&self) -> Aborted {
        Failure::NoAnswer {
            waited: self.limit(),
        }
        .into()
    }
}

/// Whether another supervise runs `now`, as far as that can be determined.
fn is_another(before: &Seen, now: &Seen) -> bool {
    let [before, now] = [before, now].map(Seen::supervise);
    before.is_some() && now.is_some() && before != now
}

/// Whether the observed process has not ended.
fn is_running(seen: &Seen) -> bool {
    seen.process().is_some_and(process::is_running)
}

/// Why the service in `directory` ended like this. 111 is the exit status of supervise's child
/// when it cannot execute `./run`.
fn why_it_ended(directory: &Path, end: Option<End>) -> Failure {
    let fault = match end {
        Some(End::Exited(TEMPORARY)) => script::fault_of_run(directory),
        _ => None,
    };
    fault.unwrap_or(Failure::Crashed {
        end,
        is_vouched: false,
        log: None,
    })
}
