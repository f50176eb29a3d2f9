use super::*;
use crate::numbers::Numbers;
use crate::sys::clock;

const KILLED: End = End::Killed(9);
const GAVE_UP: End = End::Exited(111);
const SECOND: Duration = START_INTERVAL;
const MILLI: Duration = Duration::from_millis(1);
const TITLE: u32 = 10;
const SCANNER: u32 = 20;

/// A machine and its clock.
struct Case {
    machine: BootMachine,
    now: Instant,
}

fn pid(number: u32) -> Pid {
    Pid::new(number).unwrap()
}

const fn state(main: SuperviseState, log: SuperviseState) -> Supervises {
    Supervises { main, log }
}

const BOTH: Supervises = state(SuperviseState::Stopping, SuperviseState::Stopping);
const MAIN_ONLY: Supervises = state(SuperviseState::Stopping, SuperviseState::Absent);
const LOG_ONLY: Supervises = state(SuperviseState::Absent, SuperviseState::Stopping);
const GONE: Supervises = state(SuperviseState::Absent, SuperviseState::Absent);

fn send(number: usize, kind: SuperviseKind, bytes: &'static [u8]) -> BootAction {
    BootAction::Send(number, kind, bytes)
}

impl Case {
    /// Both programs have run for a minute.
    fn running() -> Case {
        let mut case = Case {
            machine: BootMachine::default(),
            now: clock::monotonic(),
        };
        assert_eq!(
            case.step(BootEvent::Boot),
            [
                BootAction::Start(Role::Title),
                BootAction::Start(Role::Scanner)
            ],
            "somebody reads before anybody writes"
        );
        case.started(Role::Title, TITLE);
        case.started(Role::Scanner, SCANNER);
        assert_eq!(case.rest(), None);
        case.wait(60 * SECOND);
        case
    }

    /// The shutdown was requested; the scanner has ended.
    fn ending() -> Case {
        let mut case = Case::running();
        assert_eq!(
            case.step(BootEvent::Signalled),
            [BootAction::Term(pid(SCANNER))]
        );
        assert_eq!(case.ended(SCANNER, End::Killed(15)), [BootAction::Poll]);
        case
    }

    /// The shutdown was requested, and all services have ended.
    fn waiting_for_the_title() -> Case {
        let mut case = Case::ending();
        assert_eq!(case.seen(&[GONE]), [BootAction::Close]);
        case
    }

    fn step(&mut self, event: BootEvent) -> Vec<BootAction> {
        self.machine.step(event, self.now)
    }

    fn wait(&mut self, by: Duration) {
        self.now += by;
    }

    fn started(&mut self, role: Role, number: u32) {
        assert_eq!(self.step(BootEvent::Started(role, pid(number))), []);
    }

    fn ended(&mut self, number: u32, end: End) -> Vec<BootAction> {
        self.step(BootEvent::Ended(pid(number), end))
    }

    fn seen(&mut self, states: &[Supervises]) -> Vec<BootAction> {
        let states = states.to_vec();
        let others = false;
        self.step(BootEvent::Seen { states, others })
    }

    /// No service runs, but some other supervise.
    fn seen_others(&mut self, services: usize) -> Vec<BootAction> {
        let states = vec![GONE; services];
        let others = true;
        self.step(BootEvent::Seen { states, others })
    }

    /// Waits until the deadline of the machine, and passes that event.
    fn timer(&mut self) -> Vec<BootAction> {
        self.now = self.machine.deadline().unwrap().max(self.now);
        self.step(BootEvent::Timer)
    }

    /// The time to the deadline of the machine.
    fn rest(&self) -> Option<Duration> {
        let deadline = self.machine.deadline()?;
        Some(deadline.saturating_duration_since(self.now))
    }

    /// Polls once a second with the same `states` until something is done about
    /// it; gives what, and how long that took.
    fn look_until_something_happens(
        &mut self,
        states: &[Supervises],
    ) -> (Vec<BootAction>, Duration) {
        let from = self.now;
        for _ in 0..1000 {
            assert_eq!(self.timer(), [BootAction::Poll]);
            let actions = self.seen(states);
            if !actions.is_empty() {
                return (actions, self.now - from);
            }
        }
        panic!("nothing happens");
    }
}

#[test]
fn either_program_is_started_again_at_once() {
    for (role, number) in [(Role::Scanner, SCANNER), (Role::Title, TITLE)] {
        for end in [KILLED, GAVE_UP, End::Exited(0)] {
            let mut case = Case::running();
            assert_eq!(case.ended(number, end), [BootAction::Start(role)]);
            case.started(role, 30);
            assert_eq!(case.rest(), None);
        }
    }
}

#[test]
fn neither_program_is_started_more_than_once_a_second() {
    for (role, number) in [(Role::Scanner, SCANNER), (Role::Title, TITLE)] {
        let mut case = Case::running();
        assert_eq!(case.ended(number, KILLED), [BootAction::Start(role)]);
        case.started(role, 30);
        case.wait(SECOND / 4);
        assert_eq!(case.ended(30, KILLED), []);
        assert_eq!(case.rest(), Some(SECOND * 3 / 4));
        assert_eq!(case.step(BootEvent::Timer), [], "too early");
        assert_eq!(case.timer(), [BootAction::Start(role)]);
        assert_eq!(case.rest(), None);
    }
}

#[test]
fn a_program_that_could_not_be_started_is_tried_again_after_a_second() {
    let mut case = Case::running();
    assert_eq!(
        case.ended(SCANNER, KILLED),
        [BootAction::Start(Role::Scanner)]
    );
    assert_eq!(case.step(BootEvent::StartFailed(Role::Scanner)), []);
    assert_eq!(case.rest(), Some(SECOND));
    assert_eq!(case.timer(), [BootAction::Start(Role::Scanner)]);
}

#[test]
fn services_do_not_wait_for_a_title_that_does_not_come() {
    let mut case = Case::running();
    assert_eq!(case.ended(TITLE, GAVE_UP), [BootAction::Start(Role::Title)]);
    assert_eq!(
        case.step(BootEvent::StartFailed(Role::Title)),
        [BootAction::Drain]
    );
    assert_eq!(case.timer(), [BootAction::Start(Role::Title)]);
    case.started(Role::Title, 30);
    assert_eq!(case.ended(30, GAVE_UP), [BootAction::Drain]);
    assert_eq!(case.timer(), [BootAction::Start(Role::Title)]);
    case.started(Role::Title, 31);
    assert_eq!(case.ended(31, KILLED), [], "the next one will read it");
}

#[test]
fn orphans_that_end_are_nobodys_business() {
    let mut case = Case::running();
    assert_eq!(case.ended(99, KILLED), []);
    assert_eq!(case.rest(), None);
    assert_eq!(
        case.step(BootEvent::Signalled),
        [BootAction::Term(pid(SCANNER))]
    );
    assert_eq!(case.ended(99, KILLED), []);
}

#[test]
fn a_service_without_log_ends_and_then_all_does() {
    let mut case = Case::ending();
    assert_eq!(
        case.seen(&[MAIN_ONLY]),
        [send(0, SuperviseKind::Main, b"dx")]
    );
    assert_eq!(case.rest(), Some(POLL_INTERVAL));
    assert_eq!(case.ended(99, End::Exited(0)), []);
    assert_eq!(case.rest(), Some(Duration::ZERO));
    assert_eq!(case.timer(), [BootAction::Poll]);
    assert_eq!(case.seen(&[GONE]), [BootAction::Close]);
    assert_eq!(case.ended(TITLE, End::Exited(0)), [BootAction::Leave(true)]);
}

#[test]
fn many_that_end_are_looked_at_together_and_not_all_the_time() {
    let mut case = Case::ending();
    let services = [MAIN_ONLY; 1000];
    case.wait(20 * MILLI);
    case.seen(&services);
    let mut looks = 0;
    for number in 0..1000 {
        assert_eq!(case.ended(100 + number, End::Exited(0)), []);
        case.wait(MILLI);
        if case.rest() == Some(Duration::ZERO) {
            assert_eq!(case.timer(), [BootAction::Poll]);
            // After a slow poll, the next one is as much later.
            case.wait(20 * MILLI);
            assert_eq!(case.seen(&services), []);
            looks += 1;
        }
    }
    assert_eq!(looks, 50);
}

#[test]
fn a_log_is_told_when_its_service_is_gone_and_not_to_stop() {
    let mut case = Case::ending();
    assert_eq!(
        case.seen(&[BOTH, MAIN_ONLY, LOG_ONLY, GONE]),
        [
            send(0, SuperviseKind::Main, b"dx"),
            send(1, SuperviseKind::Main, b"dx"),
            send(2, SuperviseKind::Log, b"x")
        ]
    );
    assert_eq!(case.seen(&[BOTH, MAIN_ONLY, LOG_ONLY, GONE]), [], "once");
    assert_eq!(
        case.seen(&[LOG_ONLY, MAIN_ONLY, GONE, GONE]),
        [send(0, SuperviseKind::Log, b"x")]
    );
    assert_eq!(case.seen(&[GONE, MAIN_ONLY, GONE, GONE]), []);
    assert_eq!(case.seen(&[GONE; 4]), [BootAction::Close]);
}

#[test]
fn without_services_it_ends_at_once() {
    let mut case = Case::ending();
    assert_eq!(case.seen(&[]), [BootAction::Close]);
    assert_eq!(case.ended(TITLE, End::Exited(0)), [BootAction::Leave(true)]);
}

#[test]
fn told_before_anything_was_started_it_ends_what_an_earlier_one_left() {
    let mut case = Case {
        machine: BootMachine::default(),
        now: clock::monotonic(),
    };
    assert_eq!(case.step(BootEvent::Signalled), [BootAction::Poll]);
    assert_eq!(
        case.seen(&[MAIN_ONLY]),
        [send(0, SuperviseKind::Main, b"dx")]
    );
    assert_eq!(case.timer(), [BootAction::Poll]);
    assert_eq!(
        case.seen(&[GONE]),
        [BootAction::Close, BootAction::Leave(true)]
    );
}

#[test]
fn a_supervise_on_its_way_out_is_waited_for() {
    let mut case = Case::ending();
    assert_eq!(case.seen_others(1), [BootAction::Close]);
    assert_eq!(case.rest(), Some(SHORT_POLL_INTERVAL));
    assert_eq!(case.ended(TITLE, End::Exited(0)), []);
    assert_eq!(case.timer(), [BootAction::Poll]);
    assert_eq!(case.seen_others(1), []);
    assert_eq!(case.ended(99, End::Exited(0)), []);
    assert_eq!(case.rest(), Some(Duration::ZERO), "it may be that one");
    assert_eq!(case.timer(), [BootAction::Poll]);
    assert_eq!(case.seen(&[GONE]), [BootAction::Leave(true)]);
}

#[test]
fn without_a_title_a_supervise_on_its_way_out_is_waited_for_too() {
    let mut case = Case::ending();
    case.ended(TITLE, KILLED);
    case.step(BootEvent::StartFailed(Role::Title));
    assert_eq!(case.seen_others(0), [BootAction::Close]);
    assert_eq!(case.timer(), [BootAction::Poll]);
    assert_eq!(case.seen(&[]), [BootAction::Leave(true)]);
}

#[test]
fn a_supervise_that_begins_is_told_when_it_can_be() {
    let mut case = Case::ending();
    assert_eq!(case.seen_others(1), [BootAction::Close]);
    assert_eq!(case.timer(), [BootAction::Poll]);
    let tell = [
        send(0, SuperviseKind::Main, b"dx"),
        send(1, SuperviseKind::Main, b"dx"),
    ];
    assert_eq!(case.seen(&[MAIN_ONLY, BOTH]), tell);
    assert_eq!(
        case.seen(&[GONE, LOG_ONLY]),
        [send(1, SuperviseKind::Log, b"x")]
    );
    assert_eq!(case.ended(TITLE, End::Exited(0)), []);
    assert_eq!(
        case.seen(&[GONE, GONE]),
        [BootAction::Close, BootAction::Leave(true)]
    );
}

#[test]
fn a_supervise_that_nobody_can_tell_anything_is_left_running_and_that_is_told() {
    let mut case = Case::ending();
    let from = case.now;
    assert_eq!(case.seen_others(1), [BootAction::Close]);
    loop {
        match case.timer().as_slice() {
            [BootAction::Poll] => assert_eq!(case.seen_others(1), []),
            [BootAction::Leave(false)] => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(case.now - from, GRACE);
}

#[test]
fn what_tells_nobody_of_its_end_is_looked_at_every_second() {
    let mut case = Case::ending();
    case.seen(&[MAIN_ONLY]);
    assert_eq!(case.timer(), [BootAction::Poll]);
    assert_eq!(case.seen(&[MAIN_ONLY]), []);
    assert_eq!(case.timer(), [BootAction::Poll]);
    assert_eq!(case.seen(&[GONE]), [BootAction::Close]);
}

#[test]
fn a_service_that_does_not_listen_is_killed_and_its_log_reads_the_rest() {
    let mut case = Case::ending();
    assert_eq!(case.seen(&[BOTH]), [send(0, SuperviseKind::Main, b"dx")]);
    assert_eq!(
        case.look_until_something_happens(&[BOTH]),
        (vec![send(0, SuperviseKind::Main, b"dxk")], STOP)
    );
    assert_eq!(case.seen(&[LOG_ONLY]), [send(0, SuperviseKind::Log, b"x")]);
    assert_eq!(case.seen(&[GONE]), [BootAction::Close]);
    assert_eq!(case.ended(TITLE, End::Exited(0)), [BootAction::Leave(true)]);
}

#[test]
fn a_log_whose_pipe_does_not_end_is_stopped() {
    let mut case = Case::ending();
    assert_eq!(case.seen(&[LOG_ONLY]), [send(0, SuperviseKind::Log, b"x")]);
    assert_eq!(
        case.look_until_something_happens(&[LOG_ONLY]),
        (vec![send(0, SuperviseKind::Log, b"dx")], REST)
    );
    assert_eq!(case.seen(&[GONE]), [BootAction::Close]);
    assert_eq!(case.ended(TITLE, End::Exited(0)), [BootAction::Leave(true)]);
}

#[test]
fn what_cannot_be_ended_is_given_up_and_told_by_the_exit_code() {
    let mut case = Case::ending();
    case.seen(&[BOTH]);
    case.look_until_something_happens(&[BOTH]);
    assert_eq!(
        case.look_until_something_happens(&[BOTH]),
        (vec![send(0, SuperviseKind::Log, b"x")], GRACE),
        "its log still has its chance"
    );
    assert_eq!(
        case.look_until_something_happens(&[BOTH]),
        (vec![send(0, SuperviseKind::Log, b"dx")], REST)
    );
    assert_eq!(
        case.look_until_something_happens(&[BOTH]),
        (vec![BootAction::Close], GRACE)
    );
    assert_eq!(
        case.ended(TITLE, End::Exited(0)),
        [BootAction::Leave(false)]
    );
}

#[test]
fn what_ends_after_it_was_given_up_has_ended() {
    let mut case = Case::ending();
    for _ in 0..2 {
        case.seen(&[MAIN_ONLY]);
        case.look_until_something_happens(&[MAIN_ONLY]);
    }
    // Abandoned services: the title is waited for, but keeps its pipe as long as it runs.
    assert_eq!(case.rest().unwrap(), POLL_INTERVAL);
    assert_eq!(case.seen(&[GONE]), []);
    assert_eq!(case.ended(TITLE, End::Exited(0)), [BootAction::Leave(true)]);
}

#[test]
fn a_scanner_that_does_not_listen_is_killed() {
    let mut case = Case::running();
    case.step(BootEvent::Signalled);
    assert_eq!(case.rest(), Some(GRACE));
    assert_eq!(case.timer(), [BootAction::Kill(pid(SCANNER))]);
    assert_eq!(case.rest(), None);
    assert_eq!(case.ended(SCANNER, KILLED), [BootAction::Poll]);
}

#[test]
fn a_scanner_that_is_down_when_the_end_comes_stays_down() {
    let mut case = Case::running();
    case.ended(SCANNER, KILLED);
    case.started(Role::Scanner, 30);
    assert_eq!(case.ended(30, KILLED), []);
    assert_eq!(case.rest(), Some(SECOND));
    assert_eq!(case.step(BootEvent::Signalled), [BootAction::Poll]);
    assert_eq!(case.rest(), None);
}

#[test]
fn told_twice_is_told_once() {
    let mut case = Case::ending();
    assert_eq!(case.step(BootEvent::Signalled), []);
    case.seen(&[MAIN_ONLY]);
    assert_eq!(case.step(BootEvent::Signalled), []);
    case.seen(&[GONE]);
    assert_eq!(case.step(BootEvent::Signalled), []);
}

#[test]
fn the_title_is_kept_running_as_long_as_services_may_complain() {
    let mut case = Case::ending();
    case.seen(&[MAIN_ONLY]);
    assert_eq!(case.ended(TITLE, KILLED), [BootAction::Start(Role::Title)]);
    case.started(Role::Title, 30);
    assert_eq!(case.ended(30, KILLED), []);
    assert_eq!(
        case.seen(&[GONE]),
        [BootAction::Close, BootAction::Leave(true)]
    );
    assert_eq!(case.machine.title.due, None);
}

#[test]
fn a_title_that_goes_on_is_left_behind() {
    let mut case = Case::waiting_for_the_title();
    let from = case.now;
    let mut actions = Vec::new();
    while actions != [BootAction::Leave(true)] {
        actions = case.timer();
        if actions == [BootAction::Poll] {
            assert_eq!(case.seen(&[GONE]), []);
        }
    }
    assert_eq!(case.now - from, GRACE);
}

#[test]
fn a_supervise_that_was_being_started_when_the_scanner_ended_is_ended_too() {
    let mut case = Case::waiting_for_the_title();
    case.wait(MILLI);
    assert_eq!(case.seen(&[BOTH]), [send(0, SuperviseKind::Main, b"dx")]);
    assert_eq!(case.ended(TITLE, KILLED), [], "nobody can be read any more");
    assert_eq!(case.seen(&[LOG_ONLY]), [send(0, SuperviseKind::Log, b"x")]);
    assert_eq!(
        case.seen(&[GONE]),
        [BootAction::Close, BootAction::Leave(true)]
    );
}

#[test]
fn a_supervise_that_comes_back_is_told_again() {
    let mut case = Case::ending();
    case.seen(&[MAIN_ONLY, MAIN_ONLY]);
    assert_eq!(case.seen(&[GONE, MAIN_ONLY]), []);
    assert_eq!(
        case.seen(&[MAIN_ONLY, MAIN_ONLY]),
        [send(0, SuperviseKind::Main, b"dx")]
    );
}

#[test]
fn another_supervise_that_took_the_place_of_the_one_that_was_told_is_told() {
    for (seen, kind, bytes) in [
        (
            state(SuperviseState::Unaware, SuperviseState::Absent),
            SuperviseKind::Main,
            b"dx".as_slice(),
        ),
        (
            state(SuperviseState::Absent, SuperviseState::Unaware),
            SuperviseKind::Log,
            b"x",
        ),
    ] {
        let mut case = Case::ending();
        let tell = [BootAction::Send(0, kind, bytes)];
        assert_eq!(case.seen(&[seen]), tell);
        case.wait(POLL_INTERVAL - MILLI);
        assert_eq!(case.seen(&[seen]), [], "it may not have had the time");
        case.wait(MILLI);
        assert_eq!(case.seen(&[seen]), tell);
        assert_eq!(case.seen(&[seen]), []);
        // Commands are not repeated indefinitely.
        let mut last = Vec::new();
        while last != [BootAction::Close] {
            assert_eq!(case.timer(), [BootAction::Poll]);
            last = case.seen(&[seen]);
        }
        assert_eq!(
            case.ended(TITLE, End::Exited(0)),
            [BootAction::Leave(false)]
        );
    }
}

/// A world that executes commands after a random time, or never: whatever happens in whatever
/// order, it ends, and in order.
#[test]
fn a_random_world_always_ends() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut random = move |below: usize| numbers.below(below);
    let runs = [
        SuperviseState::Absent,
        SuperviseState::Stopping,
        SuperviseState::Unaware,
    ];
    for _ in 0..2000 {
        let mut case = Case::running();
        let mut world: Vec<Supervises> = (0..random(4))
            .map(|_| state(runs[random(3)], runs[random(3)]))
            .collect();
        let mut told = vec![(false, false); world.len()];
        let mut others = random(2) == 0;
        let mut programs = [Some(TITLE), Some(SCANNER)];
        let mut next_pid = 100;
        let begun = case.now;
        let mut queue = std::collections::VecDeque::from(case.step(BootEvent::Signalled));
        let mut left = None;
        while left.is_none() {
            assert!(case.now - begun < 2 * (STOP + REST + 5 * GRACE), "it ends");
            while let Some(action) = queue.pop_front() {
                let answer = match action {
                    BootAction::Start(role) => {
                        assert_eq!(role, Role::Title, "no scanner");
                        next_pid += 1;
                        programs[0] = Some(next_pid);
                        BootEvent::Started(role, pid(next_pid))
                    }
                    BootAction::Poll => BootEvent::Seen {
                        states: world.clone(),
                        others: others && world.iter().all(|state| *state == GONE),
                    },
                    BootAction::Term(_) => continue,
                    BootAction::Kill(number) => {
                        programs[1] = None;
                        BootEvent::Ended(number, KILLED)
                    }
                    BootAction::Send(number, kind, _) => {
                        assert_eq!(programs[1], None, "the scanner goes first");
                        match kind {
                            SuperviseKind::Main => told[number].0 = true,
                            SuperviseKind::Log => told[number].1 = true,
                        }
                        continue;
                    }
                    BootAction::Drain | BootAction::Close => continue,
                    BootAction::Leave(all) => {
                        left = Some(all);
                        break;
                    }
                };
                queue.extend(case.step(answer));
            }
            if left.is_some() {
                break;
            }
            case.wait(MILLI * u32::try_from(random(3000)).unwrap());
            let index = random(6);
            let event = match index {
                0 | 1 => match programs[index].take() {
                    Some(number) => BootEvent::Ended(pid(number), KILLED),
                    None => BootEvent::Timer,
                },
                2 => match (world.last_mut(), told.last()) {
                    (Some(state), Some((main, log))) => {
                        if *main {
                            state.main = SuperviseState::Absent;
                        }
                        if *log {
                            state.log = SuperviseState::Absent;
                        }
                        BootEvent::Ended(pid(99), KILLED)
                    }
                    _ => BootEvent::Timer,
                },
                3 if others && random(4) == 0 => {
                    others = false;
                    BootEvent::Ended(pid(98), KILLED)
                }
                _ => BootEvent::Timer,
            };
            queue.extend(case.step(event));
        }
        let all_gone = world.iter().all(|state| *state == GONE) && !others;
        assert!(left == Some(true) || !all_gone);
    }
}
