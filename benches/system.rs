//! Our svscan beside those of daemontools, runit and s6, in turn, on the same
//! service directories, in one run. `benches/README.md` says what is measured.

use crate::common::{Limit, median, number, ours};
use crate::report::{Bound, Figure, Report};
use crate::tree::{Peer, Tree, children, peers, private_kib, switches};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where files are in memory only.
pub(crate) const TMPFS: &str = "/dev/shm";

/// Where they are on a disk.
pub(crate) fn disk() -> PathBuf {
    std::env::current_dir().unwrap().join("target")
}

/// A figure's name, its unit and its bounds.
type Row = (&'static str, &'static str, &'static [Bound]);

/// The figures of one tree at a time, and those of all trees in turn.
const ALONE: [Row; 4] = [
    (
        "private memory of one supervisor",
        "KiB",
        &[Bound::AtMost(44.0), Bound::Best(1.0)],
    ),
    (
        "the same with 60 links at the start",
        "KiB",
        &[Bound::AtMost(44.0), Bound::Best(1.0)],
    ),
    (
        "the same with 300 links made while it runs, one by one",
        "KiB",
        &[Bound::AtMost(44.0), Bound::Best(1.0)],
    ),
    (
        "a new directory in a tree of 100 right after its boot, to its first command",
        "ms",
        &[Bound::AtMost(20.0)],
    ),
];
const IN_TURN: [Row; 4] = [
    (
        "death of a service, to its next first command",
        "ms",
        &[Bound::Of("daemontools", 1.0)],
    ),
    (
        "`svc` typed, to the signal in the service",
        "ms",
        &[Bound::Best(1.0)],
    ),
    ("`svstat` of all", "ms", &[Bound::Best(0.8)]),
    ("`svc -c` for all", "ms", &[Bound::Best(0.8)]),
];

pub(crate) fn run(report: &mut Report) {
    let (services, rounds) = (number("BENCH_SERVICES", 1000), number("BENCH_ROUNDS", 5));
    let peers = peers(report);
    let disk = disk();
    let mut alone = vec![vec![Vec::new(); ALONE.len()]; peers.len()];
    for (place, what, bound) in [
        (Path::new(TMPFS), "files in memory", 0.65),
        (&disk, "files on a disk", 0.8),
    ] {
        let mut first = vec![Vec::new(); peers.len() + 1];
        let mut again = first.clone();
        for round in 1..=rounds {
            for (number, peer) in peers.iter().enumerate() {
                eprintln!("{what}: round {round}: {}", peer.name);
                let is_looked_at = place == Path::new(TMPFS);
                let smaller = is_looked_at.then(|| {
                    let linked = [linked_first(peer), linked_later(peer)];
                    // daemontools and runit take no more than 1,000.
                    let mut few = Tree::new(place, 100);
                    few.boot(peer);
                    (linked, milliseconds(few.add()))
                });
                let mut tree = Tree::new(place, services);
                rest();
                first[number].push(milliseconds(tree.boot(peer)));
                if let Some(([first, later], added)) = smaller {
                    let figures = [memory(&tree), first, later, added];
                    for (results, figure) in alone[number].iter_mut().zip(figures) {
                        results.push(figure);
                    }
                }
                tree.end();
                rest();
                again[number].push(milliseconds(tree.boot(peer)));
            }
            let mut tree = Tree::new(place, services);
            rest();
            first[peers.len()].push(milliseconds(tree.floor()));
            tree.end();
            again[peers.len()].push(milliseconds(tree.floor()));
        }
        for (times, when, bound) in [
            (first, "first boot", vec![Bound::Best(bound)]),
            (again, "next boot", vec![]),
        ] {
            let what = format!("{what}, {when}");
            let names = names(&peers).chain(["nothing supervised"]);
            report.add("boot", Figure::new(what, "ms", names.zip(times), bound));
        }
    }
    tell(report, &peers, &ALONE, &alone);
    let mut all = All::boot(&peers, services);
    let mut results = vec![vec![Vec::new(); IN_TURN.len()]; peers.len()];
    for round in 1..=rounds {
        eprintln!("all at once: round {round}");
        all.round(&mut results);
    }
    tell(report, &peers, &IN_TURN, &results);
    all.idle(report);
}

/// What was measured: `results[peer][row][round]`.
fn tell(report: &mut Report, peers: &[Peer], rows: &[Row], results: &[Vec<Vec<f64>>]) {
    for (row, (what, unit, bounds)) in rows.iter().enumerate() {
        let rounds = results.iter().map(|of| of[row].clone());
        let figures = names(peers).zip(rounds);
        report.add("up", Figure::new(*what, unit, figures, bounds.to_vec()));
    }
}

fn names(peers: &[Peer]) -> impl Iterator<Item = &'static str> {
    peers.iter().map(|peer| peer.name)
}

/// The mean private memory of the supervisors of links that are there at the start.
fn linked_first(peer: &Peer) -> f64 {
    let mut tree = Tree::new(Path::new(TMPFS), 0);
    (0..60).for_each(|number| tree.link(number));
    tree.boot(peer);
    memory(&tree)
}

/// The same for links that are made later. Ours is waited for after each; the others,
/// which look around every five seconds, find many at a time.
fn linked_later(peer: &Peer) -> f64 {
    let mut tree = Tree::new(Path::new(TMPFS), 0);
    tree.boot(peer);
    for number in 0..300 {
        tree.link(number);
        if peer.name == "ours" {
            tree.wait(1);
        }
    }
    if peer.name != "ours" {
        tree.wait(300);
    }
    memory(&tree)
}

/// The mean private memory of the supervisors, in KiB.
fn memory(tree: &Tree) -> f64 {
    let supervisors = tree.supervisors();
    assert_eq!(supervisors.len(), tree.services().len());
    let sum: f64 = supervisors.iter().map(|pid| private_kib(*pid)).sum();
    sum / supervisors.len() as f64
}

/// How many services of each tree are killed in a round, how often one is signalled,
/// and how often all are asked.
const TIMES: usize = 200;
const TIMES_ALL: usize = 7;
/// s6 always waits a second: a service of it is killed in every tenth turn only.
const SELDOM: usize = 10;

/// The trees of all peers at once: what is compared comes in turn, one beside the
/// other, whatever else the machine has to do meanwhile.
struct All {
    trees: Vec<(Peer, Tree)>,
    places: Vec<PathBuf>,
}

impl All {
    fn boot(peers: &[Peer], services: usize) -> All {
        let mut all = All {
            trees: Vec::new(),
            places: Vec::new(),
        };
        for peer in peers {
            let place = Path::new(TMPFS).join(format!("bench-{}", peer.name));
            std::fs::create_dir_all(&place).unwrap();
            let mut tree = Tree::new(&place, services);
            all.places.push(place);
            tree.boot(peer);
            all.trees.push((peer.clone(), tree));
        }
        all
    }

    /// The medians of a round, in the order of [`IN_TURN`], go to `results`.
    fn round(&mut self, results: &mut [Vec<Vec<f64>>]) {
        // Everything has run for over a second by then.
        rest();
        std::thread::park_timeout(Duration::from_millis(1500));
        let count = self.trees.len();
        let mut times = vec![vec![Vec::new(); IN_TURN.len()]; count];
        let trees = || self.trees.iter();
        let supervisors: Vec<Vec<Pid>> = trees().map(|(_, tree)| tree.supervisors()).collect();
        let services: Vec<Vec<PathBuf>> = trees().map(|(_, tree)| tree.services()).collect();
        for turn in 0..TIMES {
            for number in 0..count {
                // None is always behind the same other.
                let number = (number + turn) % count;
                let (peer, tree) = &mut self.trees[number];
                let own = &supervisors[number];
                if peer.name != "s6" || turn.is_multiple_of(SELDOM) {
                    let victim = children(own[turn % own.len()], "")[0];
                    let begun = Instant::now();
                    kill(victim, Signal::SIGKILL).unwrap();
                    tree.wait(1);
                    times[number][0].push(milliseconds(begun.elapsed()));
                }

                let begun = Instant::now();
                let _limit = Limit::new(format!("a signal by {}", peer.name));
                let mut command = command(peer, "-h", &services[number][..1]);
                let mut child = command.spawn().unwrap();
                tree.wait(1);
                times[number][1].push(milliseconds(begun.elapsed()));
                child.wait().unwrap();
            }
        }
        for turn in 0..TIMES_ALL {
            for (row, what) in [(2, "status"), (3, "-c")] {
                for number in 0..count {
                    let number = (number + turn) % count;
                    let (peer, _) = &self.trees[number];
                    // Where each service needs a process of its own, once is enough.
                    if peer.name == "s6" && turn > 0 {
                        continue;
                    }
                    rest();
                    let begun = Instant::now();
                    let _limit = Limit::new(format!("{what} of all of {}", peer.name));
                    let mut command = command(peer, what, &services[number]);
                    assert!(command.status().unwrap().success());
                    times[number][row].push(milliseconds(begun.elapsed()));
                }
            }
        }
        for (results, times) in results.iter_mut().zip(times) {
            for (results, times) in results.iter_mut().zip(times) {
                results.push(median(&times));
            }
        }
    }

    /// Nothing to do for any of them.
    fn idle(self, report: &mut Report) {
        let minute = Duration::from_secs(number("BENCH_IDLE", 60) as u64);
        std::thread::park_timeout(Duration::from_secs(3));
        let pids = |(peer, tree): &(Peer, Tree)| {
            let mut all = tree.supervisors();
            assert_eq!(all.len(), tree.services().len(), "{}", peer.name);
            all.push(tree.scanner());
            all
        };
        let pids = || -> Vec<Vec<Pid>> { self.trees.iter().map(pids).collect() };
        let count = |pids: &Vec<Pid>| -> f64 { pids.iter().copied().map(switches).sum() };
        let all = pids();
        let before: Vec<f64> = all.iter().map(count).collect();
        std::thread::park_timeout(minute);
        let after = all.iter().map(count).zip(before);
        let woken: Vec<f64> = after.map(|(after, before)| after - before).collect();
        assert_eq!(pids(), all, "others are there now");
        let what = format!("wake-ups of an idle tree in {} s", minute.as_secs());
        let figures = self.trees.iter().map(|(peer, _)| peer.name);
        let figures = figures.zip(woken.into_iter().map(|count| vec![count]));
        report.add(
            "up",
            Figure::new(what, "", figures, vec![Bound::AtMost(0.0)]),
        );
    }
}

impl Drop for All {
    fn drop(&mut self) {
        self.trees.clear();
        for place in &self.places {
            let _ = std::fs::remove_dir_all(place);
        }
    }
}

/// The peer's command that says what `services` do (`status`), or that sends them
/// HUP (`-h`) or CONT (`-c`).
fn command(peer: &Peer, what: &str, services: &[PathBuf]) -> Command {
    let (program, words): (PathBuf, &[&str]) = match (peer.name, what) {
        ("ours", "status") => (ours("svstat"), &[]),
        ("ours", "-h") => (ours("svc"), &["-h"]),
        ("ours", _) => (ours("svc"), &["-c"]),
        ("daemontools", "status") => ("/usr/bin/svstat".into(), &[]),
        ("daemontools", "-h") => ("/usr/bin/svc".into(), &["-h"]),
        ("daemontools", _) => ("/usr/bin/svc".into(), &["-c"]),
        ("runit", "status") => ("/usr/bin/sv".into(), &["status"]),
        ("runit", "-h") => ("/usr/bin/sv".into(), &["hup"]),
        ("runit", _) => ("/usr/bin/sv".into(), &["cont"]),
        // One service each.
        (_, "status") => (
            "/bin/sh".into(),
            &["-c", "for d; do /usr/bin/s6-svstat $d; done", "sh"],
        ),
        (_, "-h") => ("/usr/bin/s6-svc".into(), &["-h"]),
        (_, _) => (
            "/bin/sh".into(),
            &["-c", "for d; do /usr/bin/s6-svc -c $d; done", "sh"],
        ),
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .args(services)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Lets what was made before come to rest.
fn rest() {
    nix::unistd::sync();
    std::thread::park_timeout(Duration::from_millis(200));
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
