//! Decides when a service counts as started or stopped: statuses in, verdict out; no I/O and no
//! clock.

use crate::child::Pid;
use crate::formats::status::{Status, Want};
use crate::formats::tai64n::Tai64n;
use std::time::{Duration, Instant};

/// The verdict so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// None yet: check again with a new status, or at this time.
    Wait(Option<Instant>),
    /// It is in the requested state.
    Done,
    /// It ended although it was wanted up.
    Crashed,
    /// Another command requested the opposite.
    Overruled,
}

/// A contrary command counts at once after ours was seen to be executed; before, it may be
/// older than ours and only be executed now, so it counts after this time (0.76 ignores
/// commands for a second after a start).
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Watches whether our command is executed, and then overridden.
#[derive(Debug)]
struct Wish {
    ours: fn(Want) -> bool,
    obeyed: bool,
    sent: Instant,
}

impl Wish {
    /// The verdict on a status that wants something else; None if it wants what we do.
    fn observe(&mut self, want: Want, now: Instant) -> Option<Verdict> {
        if (self.ours)(want) {
            self.obeyed = true;
            return None;
        }
        let until = self.sent + PATIENCE;
        Some(if self.obeyed || now >= until {
            Verdict::Overruled
        } else {
            Verdict::Wait(Some(until))
        })
    }
}

/// Watches a service that was sent `u` until one process has stayed up for the settling time.
#[derive(Debug)]
pub struct Start {
    wish: Wish,
    settle: Duration,
    /// The last status from before our `u` was executed.
    before: Status,
    /// How long the process of `before` had been up.
    settled_before: Duration,
    /// The process that must stay up: its pid, its timestamp, and since when it counts.
    up: Option<(Pid, Tai64n, Instant)>,
}

impl Start {
    /// `u` is sent `now`; `before` is the status before that; `age` is the age of its process,
    /// if it has one and that is known.
    pub fn new(before: Status, age: Option<Duration>, settle: Duration, now: Instant) -> Start {
        // A process that was wanted down, or paused, must still prove that it stays up.
        let counts = before.want == Want::Up && !before.paused;
        Start {
            wish: Wish {
                ours: |want| want != Want::Down,
                obeyed: false,
                sent: now,
            },
            settle,
            before,
            settled_before: age.filter(|_| counts).unwrap_or_default(),
            up: None,
        }
    }

    /// Takes the newest status, which supervise wrote after it received our `u`.
    pub fn observe(&mut self, status: &Status, now: Instant) -> Verdict {
        if let Some(verdict) = self.wish.observe(status.want, now) {
            // The current process was sent `d`: its end will not be a crash.
            self.before = *status;
            self.settled_before = Duration::ZERO;
            return verdict;
        }
        if self.before.pid.is_some() && self.before.since != status.since {
            // The previous process has ended. Whether it crashed or an older `d` ended it, the
            // verdict is about the next one.
            self.up = None;
            self.before = Status {
                pid: None,
                ..*status
            };
        }
        match (status.pid, self.up) {
            (Some(pid), None) => {
                let same = self.before.pid == Some(pid);
                let credit = if same {
                    self.settled_before
                } else {
                    Duration::ZERO
                };
                let since = now.checked_sub(credit).unwrap_or(now);
                self.up = Some((pid, status.since, since));
            }
            (Some(pid), Some((first, stamp, _))) => {
                if (pid, status.since) != (first, stamp) {
                    return Verdict::Crashed;
                }
            }
            (None, Some(_)) => return Verdict::Crashed,
            (None, None) if status.since != self.before.since => return Verdict::Crashed,
            (None, None) => {}
        }
        self.tick(now)
    }

    /// There is no new status, but a deadline may have passed.
    pub fn tick(&self, now: Instant) -> Verdict {
        match self.up {
            None => Verdict::Wait(None),
            Some((_, _, since)) if now >= since + self.settle => Verdict::Done,
            Some((_, _, since)) => Verdict::Wait(Some(since + self.settle)),
        }
    }
}

/// A process that exits with 0 after this time may have done its work: a daemon that goes into
/// the background takes less.
const SHORT: Duration = Duration::from_secs(1);

/// Watches a service whose `./start` reported success: it must be up through the settling time.
/// A job that exits with 0 and is restarted may do so: once, or again after `SHORT`.
#[derive(Debug)]
pub struct Vouched {
    wish: Wish,
    settle: Duration,
    /// How long the first process had been up.
    credit: Duration,
    last: Status,
    /// The time of the status `last`.
    since: Instant,
    /// It was sent `d`: its end is not a crash.
    is_excused: bool,
    ends: u32,
    /// The end of the settling time, once it was up.
    until: Option<Instant>,
}

impl Vouched {
    /// `first` is the status `now`, after the script; `age` is the age of its process.
    pub fn new(first: Status, age: Option<Duration>, settle: Duration, now: Instant) -> Vouched {
        Vouched {
            wish: Wish {
                ours: |want| want != Want::Down,
                obeyed: false,
                sent: now,
            },
            settle,
            credit: age.unwrap_or_default(),
            last: first,
            since: now,
            is_excused: false,
            ends: 0,
            until: None,
        }
    }

    /// Whether the service was seen up as wanted.
    pub fn was_up(&self) -> bool {
        self.until.is_some()
    }

    /// Takes the newest status; `clean` returns whether the last process that ended is known to
    /// have exited with 0.
    pub fn observe(
        &mut self,
        status: &Status,
        clean: impl FnOnce() -> bool,
        now: Instant,
    ) -> Verdict {
        let is_new = (status.pid, status.since) != (self.last.pid, self.last.since);
        // A process that started and ended meanwhile has only changed the timestamp.
        let has_ended = is_new && (self.last.pid.is_some() || status.pid.is_none());
        let lived = now.saturating_duration_since(self.since);
        if is_new {
            (self.last, self.since, self.credit) = (*status, now, Duration::ZERO);
        }
        if let Some(verdict) = self.wish.observe(status.want, now) {
            self.is_excused = status.pid.is_some();
            self.credit = Duration::ZERO;
            return verdict;
        }
        if has_ended && !std::mem::take(&mut self.is_excused) {
            self.ends += 1;
            if !clean() || (self.ends > 1 && lived < SHORT) {
                return Verdict::Crashed;
            }
        }
        if status.pid.is_none() {
            return Verdict::Wait(None);
        }
        let begun = now.checked_sub(self.credit).unwrap_or(now);
        match *self.until.get_or_insert(begun + self.settle) {
            until if now >= until => Verdict::Done,
            until => Verdict::Wait(Some(until)),
        }
    }
}

/// Watches a service that was sent `d` until it is down.
#[derive(Debug)]
pub struct Down(Wish);

impl Down {
    /// `d` is sent `now`.
    pub fn new(now: Instant) -> Down {
        Down(Wish {
            ours: |want| want == Want::Down,
            obeyed: false,
            sent: now,
        })
    }

    /// Takes the newest status, which supervise wrote after it received our `d`.
    pub fn observe(&mut self, status: &Status, now: Instant) -> Verdict {
        match (self.0.observe(status.want, now), status.pid) {
            (Some(verdict), _) => verdict,
            (None, None) => Verdict::Done,
            (None, Some(_)) => Verdict::Wait(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    const SETTLE: Duration = Duration::from_secs(2);

    fn status(pid: u32, stamp: u64, want: Want) -> Status {
        Status {
            since: Tai64n::from_unix(Duration::from_secs(stamp)),
            pid: Pid::new(pid),
            paused: false,
            want,
        }
    }

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn a_service_that_stays_up_for_the_settling_time_is_started() {
        let now = clock::monotonic();
        let mut start = Start::new(status(0, 1, Want::Down), None, SETTLE, now);
        assert_eq!(
            start.observe(&status(0, 1, Want::Up), now),
            Verdict::Wait(None)
        );
        assert_eq!(
            start.observe(&status(7, 2, Want::Up), now),
            Verdict::Wait(Some(after(now, 2)))
        );
        assert_eq!(
            start.tick(after(now, 1)),
            Verdict::Wait(Some(after(now, 2)))
        );
        assert_eq!(start.tick(after(now, 2)), Verdict::Done);
    }

    #[test]
    fn a_service_that_has_long_been_up_is_started_at_once() {
        let now = after(clock::monotonic(), 0);
        let mut start = Start::new(status(7, 1, Want::Up), Some(SETTLE), SETTLE, now);
        assert_eq!(start.observe(&status(7, 1, Want::Up), now), Verdict::Done);
    }

    #[test]
    fn a_service_that_was_told_to_go_down_has_yet_to_show_that_it_stays() {
        let now = clock::monotonic();
        let mut start = Start::new(status(7, 1, Want::Down), Some(SETTLE), SETTLE, now);
        assert_eq!(
            start.observe(&status(7, 1, Want::Up), now),
            Verdict::Wait(Some(after(now, 2)))
        );
    }

    #[test]
    fn a_service_that_was_paused_has_yet_to_show_that_it_stays() {
        let now = clock::monotonic();
        let paused = Status {
            paused: true,
            ..status(7, 1, Want::Up)
        };
        let mut start = Start::new(paused, Some(SETTLE), SETTLE, now);
        assert_eq!(
            start.observe(&status(7, 1, Want::Up), now),
            Verdict::Wait(Some(after(now, 2)))
        );
    }

    #[test]
    fn the_end_of_a_process_that_was_told_to_go_down_is_no_crash() {
        let now = clock::monotonic();
        let mut start = Start::new(status(7, 1, Want::Down), None, SETTLE, now);
        assert_eq!(
            start.observe(&status(0, 2, Want::Up), now),
            Verdict::Wait(None)
        );
        assert_eq!(
            start.observe(&status(8, 3, Want::Up), now),
            Verdict::Wait(Some(after(now, 2)))
        );
        assert_eq!(
            start.observe(&status(0, 4, Want::Up), now),
            Verdict::Crashed
        );
    }

    #[test]
    fn of_a_process_that_was_there_before_only_the_successor_is_judged() {
        let now = clock::monotonic();
        let mut start = Start::new(status(7, 1, Want::Up), None, SETTLE, now);
        assert_eq!(
            start.observe(&status(7, 1, Want::Up), now),
            Verdict::Wait(Some(after(now, 2)))
        );
        assert_eq!(
            start.observe(&status(0, 2, Want::Up), now),
            Verdict::Wait(None)
        );
        assert_eq!(
            start.observe(&status(8, 3, Want::Up), now),
            Verdict::Wait(Some(after(now, 2)))
        );
        assert_eq!(
            start.observe(&status(0, 4, Want::Up), now),
            Verdict::Crashed
        );
    }

    #[test]
    fn a_crash_is_seen_by_a_missing_pid_another_pid_or_only_another_stamp() {
        let now = clock::monotonic();
        for crashed in [
            status(0, 3, Want::Up),
            status(8, 3, Want::Up),
            status(7, 3, Want::Up),
        ] {
            let mut start = Start::new(status(0, 1, Want::Down), None, SETTLE, now);
            start.observe(&status(7, 2, Want::Up), now);
            assert_eq!(start.observe(&crashed, now), Verdict::Crashed);
        }
    }

    #[test]
    fn a_crash_that_came_before_the_first_look_is_seen_by_the_stamp() {
        let now = clock::monotonic();
        let mut start = Start::new(status(0, 1, Want::Down), None, SETTLE, now);
        assert_eq!(
            start.observe(&status(0, 2, Want::Up), now),
            Verdict::Crashed
        );
    }

    #[test]
    fn somebody_elses_wish_overrules_ours_once_ours_was_obeyed() {
        let now = clock::monotonic();
        let mut start = Start::new(status(0, 1, Want::Down), None, SETTLE, now);
        start.observe(&status(7, 2, Want::Up), now);
        assert_eq!(
            start.observe(&status(7, 2, Want::Down), now),
            Verdict::Overruled
        );
        let mut down = Down::new(now);
        assert_eq!(
            down.observe(&status(7, 2, Want::Down), now),
            Verdict::Wait(None)
        );
        assert_eq!(
            down.observe(&status(7, 2, Want::Up), now),
            Verdict::Overruled
        );
    }

    #[test]
    fn an_older_wish_that_is_obeyed_only_now_is_waited_out() {
        let now = clock::monotonic();
        let patience = Verdict::Wait(Some(now + PATIENCE));
        let mut start = Start::new(status(7, 1, Want::Up), Some(SETTLE), SETTLE, now);
        assert_eq!(start.observe(&status(7, 1, Want::Down), now), patience);
        assert!(matches!(
            start.observe(&status(7, 1, Want::Up), now),
            Verdict::Wait(_) | Verdict::Done
        ));
        let mut down = Down::new(now);
        assert_eq!(down.observe(&status(7, 1, Want::Up), now), patience);
        assert_eq!(down.observe(&status(0, 2, Want::Down), now), Verdict::Done);
        let mut down = Down::new(now);
        assert_eq!(
            down.observe(&status(7, 1, Want::Once), now + PATIENCE),
            Verdict::Overruled
        );
    }

    fn vouched(first: Status, age: u64, now: Instant) -> Vouched {
        Vouched::new(first, Some(Duration::from_secs(age)), SETTLE, now)
    }

    #[test]
    fn a_service_that_its_script_vouches_for_is_up_through_what_is_left_of_the_settling_time() {
        let now = clock::monotonic();
        let up = status(7, 1, Want::Up);
        assert_eq!(
            vouched(up, 2, now).observe(&up, || false, now),
            Verdict::Done
        );
        let mut one = vouched(up, 1, now);
        let left = Verdict::Wait(Some(after(now, 1)));
        assert_eq!(one.observe(&up, || false, now), left);
        assert_eq!(one.observe(&up, || false, after(now, 1)), Verdict::Done);
        // Its supervise had not heard of the script's `u` yet.
        let down = status(0, 1, Want::Down);
        let mut late = vouched(down, 0, now);
        let patience = Verdict::Wait(Some(now + PATIENCE));
        assert_eq!(late.observe(&down, || false, now), patience);
        assert!(!late.was_up());
        let announced = status(0, 1, Want::Up);
        assert_eq!(late.observe(&announced, || false, now), Verdict::Wait(None));
        let started = status(8, 2, Want::Up);
        let whole = Verdict::Wait(Some(after(now, 2)));
        assert_eq!(late.observe(&started, || false, now), whole);
        assert!(late.was_up());
    }

    #[test]
    fn a_vouched_service_that_is_down_or_crashes_does_not_work() {
        let now = clock::monotonic();
        let down = status(0, 1, Want::Down);
        let mut idle = vouched(down, 0, now);
        assert_eq!(
            idle.observe(&down, || false, now + PATIENCE),
            Verdict::Overruled
        );
        let up = status(7, 1, Want::Up);
        for ended in [
            status(0, 2, Want::Up),
            status(8, 2, Want::Up),
            status(7, 2, Want::Up),
        ] {
            let mut one = vouched(up, 0, now);
            one.observe(&up, || false, now);
            assert_eq!(one.observe(&ended, || false, now), Verdict::Crashed);
        }
        // Between two starts, then one that ends before it is seen.
        let between = status(0, 1, Want::Up);
        let mut one = vouched(between, 0, now);
        assert_eq!(one.observe(&between, || false, now), Verdict::Wait(None));
        let again = status(0, 2, Want::Up);
        assert_eq!(one.observe(&again, || false, now), Verdict::Crashed);
    }

    #[test]
    fn a_vouched_job_may_end_by_itself_and_a_daemon_may_not_go_to_the_background() {
        let now = clock::monotonic();
        let mut job = vouched(status(7, 1, Want::Up), 0, now);
        let until = Verdict::Wait(Some(after(now, 2)));
        assert_eq!(job.observe(&status(7, 1, Want::Up), || true, now), until);
        assert_eq!(job.observe(&status(8, 2, Want::Up), || true, now), until);
        let again = status(9, 3, Want::Up);
        assert_eq!(job.observe(&again, || true, after(now, 1)), until);
        assert_eq!(job.observe(&again, || true, after(now, 2)), Verdict::Done);
        let mut daemon = vouched(status(0, 1, Want::Up), 0, now);
        let up = status(7, 2, Want::Up);
        assert_eq!(daemon.observe(&up, || true, now), until);
        let down = status(0, 3, Want::Up);
        assert_eq!(daemon.observe(&down, || true, now), Verdict::Wait(None));
        let up = status(8, 4, Want::Up);
        assert_eq!(daemon.observe(&up, || true, after(now, 1)), until);
        let down = status(0, 5, Want::Up);
        assert_eq!(
            daemon.observe(&down, || true, after(now, 1)),
            Verdict::Crashed
        );
    }

    #[test]
    fn the_end_of_a_vouched_process_that_was_told_to_go_down_is_no_crash() {
        let now = clock::monotonic();
        let going = status(7, 1, Want::Down);
        let mut one = vouched(going, 5, now);
        one.observe(&going, || false, now);
        let next = status(8, 2, Want::Up);
        let whole = Verdict::Wait(Some(after(now, 2)));
        assert_eq!(one.observe(&next, || false, now), whole);
        let down = status(8, 2, Want::Down);
        assert_eq!(one.observe(&down, || false, now), Verdict::Overruled);
    }

    #[test]
    fn stopped_is_down_and_wanted_down() {
        let now = clock::monotonic();
        let mut down = Down::new(now);
        assert_eq!(
            down.observe(&status(7, 2, Want::Down), now),
            Verdict::Wait(None)
        );
        assert_eq!(down.observe(&status(0, 2, Want::Down), now), Verdict::Done);
    }
}
