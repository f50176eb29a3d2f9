//! From 10 to 10,000 services on one machine: everything works, and time and memory
//! grow as their number does. `benches/README.md` says what is measured.

use crate::common::{Limit, median, number, ours};
use crate::report::{Bound, Figure, Report, short};
use crate::system::milliseconds;
use crate::tree::{Peer, Tree, children, private_kib, reap_for};
use nix::sys::signal::{Signal, kill};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn run(report: &mut Report) {
    let most = number("BENCH_MOST", 10_000);
    let ours = Peer::ours();
    let mut table = String::from(
        "| services | boot (ms) | the same, nothing supervised (ms) | private memory of svscan (KiB) \
         | of one supervise (KiB) | after a restart of each (KiB) | `svstat` of all (ms) \
         | each killed and restarted (ms) | `svc -dx` of all, to the last end (ms) |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let mut lines = Vec::new();
    for services in [10, 100, 1000, 10_000] {
        if services > most {
            continue;
        }
        let rounds = (0..number("BENCH_ROUNDS", 5)).map(|_| measure(services, &ours));
        let rounds: Vec<_> = rounds.collect();
        let _ = write!(table, "| {services} |");
        let line = std::array::from_fn(|column| {
            let figures: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
            median(&figures)
        });
        for figure in line {
            let _ = write!(table, " {} |", short(figure));
        }
        table.push('\n');
        lines.push(line);
    }
    report.say("many", table);
    if let [.., before, last] = lines.as_slice() {
        growth(report, before, last);
    }
}

/// How time and memory have grown with ten times as many services: by ten would be 1.
fn growth(report: &mut Report, before: &[f64; COLUMNS], last: &[f64; COLUMNS]) {
    let grown = |column: usize| last[column] / before[column];
    let floor = "nothing supervised";
    let figures = [
        ("ours", vec![grown(0) / 10.0]),
        (floor, vec![grown(1) / 10.0]),
    ];
    let bounds = vec![Bound::Of(floor, 1.5)];
    report.add("growth", Figure::new("boot", "", figures, bounds));
    for (what, grown) in [
        ("private memory of all supervises", grown(3)),
        ("the same after a restart of each", grown(4)),
        ("`svstat` of all", grown(5) / 10.0),
        ("each killed and restarted", grown(6) / 10.0),
        ("`svc -dx` of all, to the last end", grown(7) / 10.0),
    ] {
        let bounds = vec![Bound::AtMost(1.5)];
        report.add(
            "growth",
            Figure::new(what, "", [("ours", vec![grown])], bounds),
        );
    }
}

/// How many figures there are for each number of services.
const COLUMNS: usize = 8;

/// One round, with a tree of its own: what stands in a line of the table.
fn measure(services: usize, peer: &Peer) -> [f64; COLUMNS] {
    let mut tree = Tree::new(Path::new("/dev/shm"), services);
    let floor = milliseconds(tree.floor());
    tree.end();
    let boot = milliseconds(tree.boot(peer));
    let supervisors = tree.supervisors();
    assert_eq!(supervisors.len(), services);
    let memory = || supervisors.iter().map(|pid| private_kib(*pid)).sum::<f64>();
    let used = memory();
    let own = private_kib(tree.scanner());

    let paths = tree.services();
    let begun = Instant::now();
    let limit = Limit::new("`svstat` of all");
    let output = Command::new(ours("svstat")).args(&paths).output().unwrap();
    drop(limit);
    let status = milliseconds(begun.elapsed());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text.lines()
            .filter(|line| line.contains(": up (pid "))
            .count(),
        services
    );

    // All have run for over a second.
    std::thread::park_timeout(Duration::from_millis(1200));
    let victims: BTreeSet<i32> = supervisors
        .iter()
        .flat_map(|pid| children(*pid, ""))
        .map(nix::unistd::Pid::as_raw)
        .collect();
    assert_eq!(victims.len(), services);
    let begun = Instant::now();
    for victim in &victims {
        kill(nix::unistd::Pid::from_raw(*victim), Signal::SIGKILL).unwrap();
    }
    tree.wait(services);
    let restarted = milliseconds(begun.elapsed());
    assert_eq!(tree.supervisors(), supervisors, "a supervise was replaced");
    // Each has written its status by then.
    std::thread::park_timeout(Duration::from_millis(1200));
    let used_later = memory();

    // The orderly end: nothing starts again what is told to exit.
    kill(tree.scanner(), Signal::SIGKILL).unwrap();
    let begun = Instant::now();
    let limit = Limit::new("`svc -dx` of all");
    let mut svc = Command::new(ours("svc"));
    svc.arg("-dx").args(&paths).stdin(Stdio::null());
    assert!(svc.status().unwrap().success());
    drop(limit);
    let _limit = Limit::new(format!("the ends of {services} supervises"));
    let mut ended = 0;
    // They became this process's children when svscan ended; it is one, too.
    while ended < services + 1 {
        ended += reap_for(Duration::from_millis(1));
    }
    let exited = milliseconds(begun.elapsed());
    [
        boot,
        floor,
        own,
        used / services as f64,
        used_later / services as f64,
        status,
        restarted,
        exited,
    ]
}
