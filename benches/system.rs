//! Our svscan beside those of daemontools, runit and s6, in turn, on the same
//! service directories, in one run. `benches/README.md` says what is measured.

use crate::common::{median, number, ours};
use crate::report::{Bound, Figure, Report};
use crate::tree::{Peer, Tree, children, peers, private_kib, switches};
use nix::sys::signal::{Signal, kill};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where files are in memory only.
const TMPFS: &str = "/dev/shm";

/// The figures that a tree gives once it is up.
const UP: [(&str, &str, &[Bound]); 6] = [
    (
        "private memory of one supervisor",
        "KiB",
        &[Bound::AtMost(48.0), Bound::Best(1.0)],
    ),
    (
        "a new directory, to its first command",
        "ms",
        &[Bound::AtMost(20.0)],
    ),
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
    let peers = peers();
    let disk = std::env::current_dir().unwrap().join("target");
    let mut up = vec![vec![Vec::new(); UP.len()]; peers.len()];
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
                let added = is_looked_at.then(|| {
                    // daemontools and runit take no more than 1,000.
                    let mut few = Tree::new(place, 100);
                    few.boot(peer);
                    milliseconds(few.add())
                });
                let mut tree = Tree::new(place, services);
                rest();
                first[number].push(milliseconds(tree.boot(peer)));
                if let Some(added) = added {
                    let round = while_up(&mut tree, peer, added);
                    for (results, figure) in up[number].iter_mut().zip(round) {
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
            let mut medians: Vec<f64> = times.iter().map(|times| median(times)).collect();
            let floor = medians.pop().unwrap();
            let mut figure = Figure::new(what, "ms", names(&peers).zip(medians), bound);
            figure.others.push(("nothing supervised", floor));
            report.add("boot", figure);
        }
    }
    for (row, (what, unit, bounds)) in UP.iter().enumerate() {
        let medians: Vec<f64> = up.iter().map(|results| median(&results[row])).collect();
        let figures = names(&peers).zip(medians);
        report.add("up", Figure::new(*what, unit, figures, bounds.to_vec()));
    }
    idle(report, &peers, services);
}

fn names(peers: &[Peer]) -> impl Iterator<Item = &'static str> {
    peers.iter().map(|peer| peer.name)
}

/// How many services are killed, how often one is signalled.
const TIMES: usize = 50;

/// What is measured while a tree is up, in the order of [`UP`].
fn while_up(tree: &mut Tree, peer: &Peer, added: f64) -> [f64; 6] {
    let supervisors = tree.supervisors();
    let memory: f64 = supervisors.iter().map(|pid| private_kib(*pid)).sum();
    let memory = memory / supervisors.len() as f64;

    // Everything has run for over a second by then.
    std::thread::park_timeout(Duration::from_millis(1500));
    let victims = supervisors
        .iter()
        .take(TIMES)
        .map(|pid| children(*pid, "")[0]);
    let restarts = victims.collect::<Vec<_>>().into_iter().map(|victim| {
        let begun = Instant::now();
        kill(victim, Signal::SIGKILL).unwrap();
        tree.wait(1);
        milliseconds(begun.elapsed())
    });
    let restarted = median(&restarts.collect::<Vec<_>>());

    let services = tree.services();
    let mut signalled = Duration::ZERO;
    for _ in 0..TIMES {
        let begun = Instant::now();
        let mut child = command(peer, "-h", &services[..1]).spawn().unwrap();
        tree.wait(1);
        signalled += begun.elapsed();
        child.wait().unwrap();
    }
    let all = |what| {
        // Where each service needs a process of its own, once is enough.
        let times = (0..if peer.name == "s6" { 1 } else { 7 }).map(|_| {
            rest();
            let begun = Instant::now();
            assert!(command(peer, what, &services).status().unwrap().success());
            milliseconds(begun.elapsed())
        });
        median(&times.collect::<Vec<_>>())
    };
    let (status, sent) = (all("status"), all("-c"));
    [
        memory,
        added,
        restarted,
        milliseconds(signalled) / TIMES as f64,
        status,
        sent,
    ]
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
            &["-c", "for d; do s6-svstat $d; done", "sh"],
        ),
        (_, "-h") => ("/usr/bin/s6-svc".into(), &["-h"]),
        (_, _) => (
            "/bin/sh".into(),
            &["-c", "for d; do s6-svc -c $d; done", "sh"],
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

/// All trees at once, and nothing to do for any.
fn idle(report: &mut Report, peers: &[Peer], services: usize) {
    let minute = Duration::from_secs(number("BENCH_IDLE", 60) as u64);
    let places =
        (0..peers.len()).map(|number| Path::new(TMPFS).join(format!("bench-idle-{number}")));
    let places: Vec<PathBuf> = places.collect();
    let mut trees: Vec<Tree> = Vec::new();
    for (peer, place) in peers.iter().zip(&places) {
        std::fs::create_dir_all(place).unwrap();
        let mut tree = Tree::new(place, services);
        tree.boot(peer);
        trees.push(tree);
    }
    std::thread::park_timeout(Duration::from_secs(3));
    let count = |tree: &Tree| -> f64 {
        let supervisors = tree.supervisors();
        supervisors
            .iter()
            .chain([&tree.scanner()])
            .map(|pid| switches(*pid))
            .sum()
    };
    let before: Vec<f64> = trees.iter().map(count).collect();
    std::thread::park_timeout(minute);
    let after = trees.iter().map(count);
    let woken: Vec<f64> = after
        .zip(before)
        .map(|(after, before)| after - before)
        .collect();
    let what = format!("wake-ups of an idle tree in {} s", minute.as_secs());
    report.add(
        "up",
        Figure::new(what, "", names(peers).zip(woken), vec![Bound::AtMost(0.0)]),
    );
    drop(trees);
    for place in places {
        let _ = std::fs::remove_dir_all(place);
    }
}

/// Lets what was made before come to rest.
fn rest() {
    nix::unistd::sync();
    std::thread::park_timeout(Duration::from_millis(200));
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
