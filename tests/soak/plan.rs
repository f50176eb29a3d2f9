//! What is done to the tree: the seed and the number of a step decide it, so every run of a
//! seed makes the same decisions.

use crate::harness::numbers::Numbers;
use daemontools_rs::formats::status::Want;

/// A directory that is to have a supervise.
pub(super) struct Unit {
    pub(super) path: String,
    /// It is the `log` of the unit before it.
    pub(super) is_log: bool,
    /// By its file `down`.
    pub(super) configured: Want,
}

/// A kind of disturbance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Supervise,
    LogSupervise,
    Logger,
    Service,
    Two,
    /// A command that is sent, and nothing waits for it.
    Command,
    /// A command that sets a want, until the record has it.
    Want,
    Tool,
    KilledTool,
    Svscan,
    Svscanboot,
    All,
}

/// The kinds, their names for SOAK_KINDS, and how often each is played; 0: only if it is named.
/// (svscanboot sends `d` to the loggers of an earlier one together with their services, so what
/// is in a pipe then is lost. After all was killed, the next svscan does not see a supervise
/// that is not ready yet, and starts a second one, which says that it cannot have the lock; nor
/// the pipe of a process that is not in the record yet. After svscan was killed, a log's
/// supervise and its logger can get another pipe than the service has.)
pub(super) const KINDS: [(Kind, &str, usize); 12] = [
    (Kind::Supervise, "supervise", 6),
    (Kind::LogSupervise, "log-supervise", 5),
    (Kind::Logger, "logger", 5),
    (Kind::Service, "service", 5),
    (Kind::Two, "two", 8),
    (Kind::Command, "command", 6),
    (Kind::Want, "want", 5),
    (Kind::Tool, "tool", 2),
    (Kind::KilledTool, "killed-tool", 2),
    (Kind::Svscan, "svscan", 0),
    (Kind::Svscanboot, "svscanboot", 0),
    (Kind::All, "all", 0),
];

/// The kinds of SOAK_KINDS (separated by commas), each as often as it is in the list.
pub(super) fn kinds(named: &str) -> Vec<Kind> {
    let named: Vec<&str> = named.split(',').filter(|name| !name.is_empty()).collect();
    for name in &named {
        let is_known = KINDS.iter().any(|(_, known, _)| known == name);
        assert!(is_known, "SOAK_KINDS: no {name} among {KINDS:?}");
    }
    let times = |name, weight: usize| match named.is_empty() {
        true => weight,
        false => usize::from(named.contains(&name)) * weight.max(2),
    };
    let all = KINDS.into_iter();
    all.flat_map(|(kind, name, weight)| std::iter::repeat_n(kind, times(name, weight)))
        .collect()
}

/// Who is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Victim {
    /// The supervise of a unit.
    Supervise(usize),
    /// Its service or logger.
    Child(usize),
    Svscan,
    Svscanboot,
}

#[derive(Debug)]
pub(super) enum Act {
    /// Kills these at the same moment.
    Kill(Vec<Victim>),
    /// Sends a command, or several, to a unit.
    Command(usize, &'static str),
    Want(usize, Want),
    /// Starts svcstart or one of its kin, and kills it so many microseconds later.
    Tool(usize, &'static str, Option<usize>),
}

#[derive(Debug)]
pub(super) struct Step {
    /// Before it the tree is to settle.
    pub(super) settles: bool,
    /// So many microseconds pass before it.
    pub(super) pause: usize,
    pub(super) kind: Kind,
    pub(super) act: Act,
}

impl Step {
    pub(super) fn new(seed: u64, number: u64, kinds: &[Kind], units: &[Unit]) -> Step {
        let mixed = (seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1);
        let mut numbers = Numbers(mixed);
        // Seeds that are alike give first numbers that are alike.
        numbers.some(8, &[0]);
        let kind = numbers.pick(kinds);
        let longest = 1 << numbers.below(18);
        Step {
            settles: numbers.one_in(4),
            pause: numbers.below(longest),
            kind,
            act: act(kind, &mut numbers, kinds, units),
        }
    }
}

fn act(kind: Kind, numbers: &mut Numbers, kinds: &[Kind], units: &[Unit]) -> Act {
    let is_service = |unit: &usize| !units[*unit].is_log;
    let services: Vec<usize> = (0..units.len()).filter(is_service).collect();
    let service = numbers.pick(&services);
    let tool = numbers.pick(&["svcstart", "svcstop", "svcrestart", "svcrestart"]);
    match kind {
        Kind::Command => {
            let letters = ["-u", "-d", "-o", "-t", "-p", "-c", "-du", "-pc", "-tp"];
            Act::Command(service, numbers.pick(&letters))
        }
        Kind::Want => {
            let wants = [Want::Up, Want::Up, Want::Up, Want::Down, Want::Once];
            Act::Want(service, numbers.pick(&wants))
        }
        Kind::Tool => Act::Tool(service, tool, None),
        Kind::KilledTool => Act::Tool(service, tool, Some(numbers.below(300_000))),
        Kind::Two => {
            let singles: Vec<Kind> = kinds.iter().copied().filter(is_single).collect();
            let mut both = [Victim::Svscan; 2];
            while both[0] == both[1] {
                both = [(); 2].map(|()| victim(numbers.pick(&singles), numbers, units));
            }
            Act::Kill(both.to_vec())
        }
        Kind::All => {
            let both = |unit| [Victim::Supervise(unit), Victim::Child(unit)];
            let mut all: Vec<Victim> = (0..units.len()).flat_map(both).collect();
            all.extend([Victim::Svscan, Victim::Svscanboot]);
            for left in (1..all.len()).rev() {
                all.swap(left, numbers.below(left + 1));
            }
            Act::Kill(all)
        }
        single => Act::Kill(vec![victim(single, numbers, units)]),
    }
}

fn is_single(kind: &Kind) -> bool {
    use Kind::{LogSupervise, Logger, Service, Supervise, Svscan, Svscanboot};
    matches!(
        kind,
        Supervise | LogSupervise | Logger | Service | Svscan | Svscanboot
    )
}

fn victim(kind: Kind, numbers: &mut Numbers, units: &[Unit]) -> Victim {
    let mut any = |is_log| {
        let of_kind: Vec<usize> = (0..units.len())
            .filter(|unit| units[*unit].is_log == is_log)
            .collect();
        numbers.pick(&of_kind)
    };
    match kind {
        Kind::Supervise => Victim::Supervise(any(false)),
        Kind::LogSupervise => Victim::Supervise(any(true)),
        Kind::Logger => Victim::Child(any(true)),
        Kind::Svscan => Victim::Svscan,
        Kind::Svscanboot => Victim::Svscanboot,
        _ => Victim::Child(any(false)),
    }
}
