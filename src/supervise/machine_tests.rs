//! What the machine of supervise does, case by case.

use super::*;
use crate::sys::clock;

pub(super) fn start_of_time() -> Now {
    Now {
        monotonic: clock::monotonic(),
        wall: Tai64n::from_unix(Duration::from_secs(1_000_000)),
    }
}

pub(super) fn later(now: Now, by: Duration) -> Now {
    Now {
        monotonic: now.monotonic + by,
        wall: Tai64n {
            seconds: now.wall.seconds + by.as_secs(),
            nanoseconds: by.subsec_nanos(),
        },
    }
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn pid(number: u32) -> Pid {
    Pid::new(number).unwrap()
}

/// A machine whose service was started, and the time of that.
fn up() -> (Machine, Now) {
    let now = start_of_time();
    let mut machine = Machine::new(Want::Up, now);
    assert_eq!(machine.step(SuperviseEvent::Boot, now), [HOLD]);
    assert_eq!(machine.step(started(7), now), ANNOUNCE);
    assert_eq!(
        machine.step(SuperviseEvent::Announced, now),
        [SuperviseAction::OpenGate(RUN)]
    );
    (machine, now)
}

pub(super) const RUN: ProcessRole = ProcessRole::Run;
const HOLD: SuperviseAction = SuperviseAction::Start(RUN, Begin::Gated);
pub(super) const START: SuperviseAction = SuperviseAction::Start(RUN, Begin::AtOnce);
const REAP: SuperviseAction = SuperviseAction::Reap(RUN);
pub(super) const FAILED: SuperviseEvent = SuperviseEvent::StartFailed(RUN);
/// Nothing depends on how it ended.
pub(super) const ENDED: SuperviseEvent = SuperviseEvent::Ended(RUN, Some(End::Exited(0)));
const ANNOUNCE: [SuperviseAction; 2] = [SuperviseAction::Publish, SuperviseAction::Announce];

pub(super) fn started(number: u32) -> SuperviseEvent {
    SuperviseEvent::Started(RUN, pid(number))
}

fn send(signal: ServiceSignal) -> SuperviseAction {
    SuperviseAction::Signal(RUN, signal)
}

#[test]
fn a_service_with_a_down_file_is_not_started() {
    let now = start_of_time();
    let mut machine = Machine::new(Want::Down, now);
    assert_eq!(machine.step(SuperviseEvent::Boot, now), ANNOUNCE);
    assert_eq!(machine.step(SuperviseEvent::Announced, now), []);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn a_service_whose_process_cannot_be_held_is_started_once_it_is_announced() {
    let now = start_of_time();
    let mut machine = Machine::new(Want::Up, now);
    assert_eq!(machine.step(SuperviseEvent::Boot, now), [HOLD]);
    assert_eq!(machine.step(SuperviseEvent::CannotGate(RUN), now), ANNOUNCE);
    assert_eq!(machine.step(SuperviseEvent::Announced, now), [START]);
    assert_eq!(machine.step(started(7), now), [SuperviseAction::Publish]);
}

#[test]
fn a_service_that_cannot_be_announced_never_begins() {
    for answer in [started(7), FAILED, SuperviseEvent::CannotGate(RUN)] {
        let now = start_of_time();
        let mut machine = Machine::new(Want::Up, now);
        machine.step(SuperviseEvent::Boot, now);
        assert_eq!(machine.step(answer, now), ANNOUNCE);
        assert_eq!(machine.step(SuperviseEvent::NotAnnounced, now), []);
        assert!(machine.has_left());
    }
}

#[test]
fn down_on_a_running_service_sends_term_then_cont_then_publishes() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Down), now),
        [
            send(ServiceSignal::Term),
            send(ServiceSignal::Cont),
            SuperviseAction::Publish
        ]
    );
    assert_eq!(machine.status().want, Want::Down);
    assert_eq!(machine.step(ENDED, now), [REAP, SuperviseAction::Publish]);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn a_pause_is_published_before_the_signal() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Pause), now),
        [SuperviseAction::Publish, send(ServiceSignal::Stop)]
    );
    assert!(machine.status().paused);
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Continue), now),
        [SuperviseAction::Publish, send(ServiceSignal::Cont)]
    );
    assert!(!machine.status().paused);
}

#[test]
fn a_continue_where_nothing_is_paused_writes_no_status_unless_the_last_could_not_be_written() {
    let (mut machine, now) = up();
    let follow_up = SuperviseEvent::Control(Command::Continue);
    assert_eq!(
        machine.step(follow_up, now),
        [SuperviseAction::Refresh, send(ServiceSignal::Cont)]
    );
    machine.step(SuperviseEvent::PublishFailed, now);
    assert_eq!(
        machine.step(follow_up, now),
        [SuperviseAction::Publish, send(ServiceSignal::Cont)]
    );
    machine.step(SuperviseEvent::Published, now);
    assert_eq!(machine.deadline(), None);
    machine.step(ENDED, now);
    machine.step(SuperviseEvent::Control(Command::Down), now);
    assert_eq!(machine.step(follow_up, now), [SuperviseAction::Refresh]);
}

#[test]
fn a_service_that_ran_a_second_is_started_again_at_once() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(ENDED, later(now, SECOND)),
        [REAP, START, SuperviseAction::Publish]
    );
}

#[test]
fn a_service_that_ran_less_waits_for_the_rest_of_the_second_and_no_longer() {
    let (mut machine, now) = up();
    let early = later(now, SECOND / 4);
    assert_eq!(machine.step(ENDED, early), [SuperviseAction::Record]);
    assert_eq!(machine.deadline(), Some(now.monotonic + SECOND));
    assert_eq!(
        machine.step(SuperviseEvent::Timer, later(now, SECOND / 2)),
        []
    );
    assert_eq!(
        machine.step(SuperviseEvent::Timer, later(now, SECOND)),
        [REAP, START, SuperviseAction::Publish]
    );
}

#[test]
fn in_the_second_after_a_start_a_zombie_is_up_for_the_status_and_down_for_the_record() {
    let dead = || {
        let (mut machine, now) = up();
        let early = later(now, SECOND / 4);
        assert_eq!(machine.step(ENDED, early), [SuperviseAction::Record]);
        let status = machine.status();
        assert_eq!((status.pid, status.since), (Some(pid(7)), now.wall));
        let state = machine.state();
        assert_eq!((state.process, state.since), (None, early.wall));
        assert_eq!(state.phase, ServicePhase::Waiting);
        assert_eq!(state.last_end.unwrap().lived, SECOND / 4);
        (machine, later(now, SECOND / 2))
    };
    // Any command shows it, and works as if it had been shown before.
    for (command, rest) in [
        (Command::Down, SuperviseAction::Publish),
        (
            Command::Signal(ServiceSignal::Term),
            SuperviseAction::Publish,
        ),
        (Command::Continue, SuperviseAction::Publish),
    ] {
        let (mut machine, now) = dead();
        let actions = machine.step(SuperviseEvent::Control(command), now);
        assert_eq!(actions[..2], [REAP, SuperviseAction::Publish]);
        assert_eq!(actions.last(), Some(&rest));
        let status = machine.status();
        assert_eq!((status.pid, status.since), (None, now.wall));
    }
    let (mut machine, now) = dead();
    assert_eq!(machine.step(SuperviseEvent::DirectoryGone, now), [REAP]);
    assert!(machine.has_left());
    // After a command, and where `x` waits for the end, nothing is hidden.
    for command in [
        Command::Up,
        Command::Signal(ServiceSignal::Hup),
        Command::Exit,
    ] {
        let (mut machine, now) = up();
        machine.step(SuperviseEvent::Control(command), now);
        assert_eq!(
            machine.step(ENDED, now)[..2],
            [REAP, SuperviseAction::Publish]
        );
        assert_eq!(machine.status().pid, None);
    }
}

#[test]
fn commands_are_heard_while_a_restart_waits() {
    let (mut machine, now) = up();
    machine.step(ENDED, now);
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Down), now),
        [REAP, SuperviseAction::Publish, SuperviseAction::Publish]
    );
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.step(SuperviseEvent::Timer, later(now, SECOND)), []);
}

#[test]
fn exit_while_up_waits_for_the_child() {
    let (mut machine, now) = up();
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Exit), now),
        [SuperviseAction::Publish]
    );
    assert_eq!(
        machine.step(ENDED, now),
        [REAP, SuperviseAction::Publish, SuperviseAction::Publish]
    );
    assert!(machine.has_left());
    assert_eq!(machine.status().want, Want::Up);
}

#[test]
fn exit_cannot_be_taken_back() {
    let (mut machine, now) = up();
    machine.step(SuperviseEvent::Control(Command::Exit), now);
    machine.step(SuperviseEvent::Control(Command::Up), now);
    machine.step(ENDED, later(now, SECOND));
    assert!(machine.has_left());
}

#[test]
fn once_and_exit_within_the_second_still_starts_once() {
    let (mut machine, now) = up();
    machine.step(SuperviseEvent::Control(Command::Down), now);
    machine.step(ENDED, now);
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Once), now),
        [SuperviseAction::Publish]
    );
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Exit), now),
        [SuperviseAction::Publish]
    );
    let now = later(now, SECOND);
    assert_eq!(machine.step(SuperviseEvent::Timer, now), [START]);
    machine.step(started(8), now);
    assert!(!machine.has_left());
    machine.step(ENDED, now);
    assert!(machine.has_left());
}

#[test]
fn exit_while_a_restart_waits_ends_at_once() {
    let (mut machine, now) = up();
    machine.step(ENDED, now);
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Exit), now),
        [
            REAP,
            SuperviseAction::Publish,
            SuperviseAction::Publish,
            SuperviseAction::Publish
        ]
    );
    assert!(machine.has_left());
}

#[test]
fn a_failed_fork_is_tried_again_after_one_second_then_later_and_at_last_every_minute() {
    let mut now = start_of_time();
    let mut machine = Machine::new(Want::Up, now);
    machine.step(SuperviseEvent::Boot, now);
    let mut announce = ANNOUNCE.as_slice();
    for seconds in [1, 2, 5, 10, 20, 60, 60] {
        let wait = seconds * SECOND;
        assert_eq!(machine.fork_wait(), wait);
        assert_eq!(machine.step(FAILED, now), std::mem::take(&mut announce));
        assert_eq!(machine.deadline(), Some(now.monotonic + wait));
        now = later(now, wait);
        assert_eq!(machine.step(SuperviseEvent::Timer, now), [START]);
    }
    machine.step(started(7), now);
    assert_eq!(machine.fork_wait(), SECOND);
}

#[test]
fn up_cuts_the_wait_after_a_failed_fork_short() {
    let mut now = start_of_time();
    let mut machine = Machine::new(Want::Up, now);
    machine.step(SuperviseEvent::Boot, now);
    for _ in 0..10 {
        machine.step(FAILED, now);
        now = later(now, FORK_RETRY);
        assert_eq!(machine.step(SuperviseEvent::Timer, now), [START]);
    }
    machine.step(FAILED, now);
    assert_eq!(machine.deadline(), Some(now.monotonic + FORK_RETRY));
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Up), now),
        [SuperviseAction::Publish]
    );
    assert_eq!(machine.deadline(), Some(now.monotonic + START_INTERVAL));
    now = later(now, SECOND);
    assert_eq!(machine.step(SuperviseEvent::Timer, now), [START]);
    machine.step(FAILED, now);
    assert_eq!(machine.deadline(), Some(now.monotonic + SECOND));
}

#[test]
fn a_status_that_could_not_be_written_is_written_again_later() {
    let (mut machine, now) = up();
    assert_eq!(machine.step(SuperviseEvent::PublishFailed, now), []);
    assert_eq!(machine.deadline(), Some(now.monotonic + PUBLISH_RETRY));
    let now = later(now, PUBLISH_RETRY);
    assert_eq!(
        machine.step(SuperviseEvent::Timer, now),
        [SuperviseAction::Republish]
    );
    machine.step(SuperviseEvent::PublishFailed, now);
    assert_eq!(machine.deadline(), Some(now.monotonic + PUBLISH_RETRY));
    for answer in [
        SuperviseEvent::Published,
        SuperviseEvent::NoDirectory,
        SuperviseEvent::DirectoryGone,
    ] {
        let mut machine = machine.clone();
        assert_eq!(machine.step(answer, now), []);
        assert_eq!(machine.deadline(), None);
    }
}

#[test]
fn the_stamp_changes_with_the_pid_and_with_nothing_else() {
    let (mut machine, now) = up();
    let started = machine.status().since;
    let now = later(now, SECOND);
    for command in Command::ALL {
        machine.step(SuperviseEvent::Control(command), now);
        assert_eq!(machine.status().since, started, "{command:?}");
    }
    machine.step(ENDED, now);
    assert_eq!(machine.status().since, now.wall);
}

#[test]
fn a_service_whose_directory_is_deleted_goes_on_and_then_nothing_is_started() {
    for want in [Want::Up, Want::Down] {
        let (mut machine, now) = up();
        if want == Want::Down {
            machine.step(SuperviseEvent::Control(Command::Down), now);
        }
        assert_eq!(machine.step(SuperviseEvent::DirectoryGone, now), []);
        let now = later(now, SECOND);
        assert_eq!(machine.step(ENDED, now), [REAP]);
        assert!(machine.has_left());
    }
    // Without one it has nothing to do, whatever was asked for.
    let now = start_of_time();
    let mut machine = Machine::new(Want::Down, now);
    machine.step(SuperviseEvent::Boot, now);
    assert_eq!(machine.step(SuperviseEvent::DirectoryGone, now), []);
    assert!(machine.has_left());
}

#[test]
fn a_gated_start_waits_for_its_release_or_for_a_command() {
    let gated = || {
        let now = start_of_time();
        let mut machine = Machine::new(Want::Up, now).gated();
        assert_eq!(machine.step(SuperviseEvent::Boot, now), ANNOUNCE);
        assert_eq!(machine.step(SuperviseEvent::Announced, now), []);
        assert_eq!(machine.deadline(), None);
        assert_eq!(machine.step(SuperviseEvent::Timer, now), []);
        (machine, now)
    };
    let (mut machine, now) = gated();
    assert_eq!(machine.step(SuperviseEvent::Released, now), [START]);
    for command in [Command::Up, Command::Once] {
        let (mut machine, now) = gated();
        let start = [SuperviseAction::Publish, START];
        assert_eq!(machine.step(SuperviseEvent::Control(command), now), start);
        machine.step(started(7), now);
        assert_eq!(machine.step(SuperviseEvent::Released, now), []);
        let starts_again =
            machine.step(ENDED, later(now, SECOND)) == [REAP, START, SuperviseAction::Publish];
        assert_eq!(starts_again, command == Command::Up);
    }
    let (mut machine, now) = gated();
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Down), now),
        [SuperviseAction::Publish]
    );
    assert_eq!(
        machine.step(SuperviseEvent::Released, now),
        [],
        "down is down"
    );
    let (mut machine, now) = gated();
    let leave = [SuperviseAction::Publish, SuperviseAction::Publish];
    assert_eq!(
        machine.step(SuperviseEvent::Control(Command::Exit), now),
        leave
    );
    assert!(machine.has_left());
}
