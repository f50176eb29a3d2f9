//! What a link of a run script's chain costs: each tool, start to end, beside the
//! original and beside the program alone, in turn, in one run.
//! `benches/README.md` says what is measured.

use crate::common::{Limit, Scratch, number, ours};
use crate::report::{Bound, Figure, Report};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const TRUE: &str = "/bin/true";

/// A tool's name, and what it needs.
type Words = &'static [&'static str];

/// What runit and s6 have for a tool.
const PEERS: [(&str, &str, Words); 13] = [
    ("softlimit", "runit", &["chpst", "-o", "100"]),
    ("softlimit", "s6", &["s6-softlimit", "-o", "100"]),
    ("envdir", "runit", &["chpst", "-e", "env"]),
    ("envdir", "s6", &["s6-envdir", "env"]),
    ("setlock", "runit", &["chpst", "-L", "lock"]),
    ("setlock", "s6", &["s6-setlock", "-n", "lock"]),
    ("pgrphack", "runit", &["chpst", "-P"]),
    ("pgrphack", "s6", &["s6-setsid"]),
    ("fghack", "s6", &["s6-fghack"]),
    ("envuidgid", "runit", &["chpst", "-U", "nobody"]),
    ("envuidgid", "s6", &["s6-envuidgid", "nobody"]),
    ("setuidgid", "runit", &["chpst", "-u", "nobody"]),
    ("setuidgid", "s6", &["s6-setuidgid", "nobody"]),
];

/// What is measured: the tools of a chain.
const CHAINS: [(&str, &[Words]); 9] = [
    ("softlimit", &[&["softlimit", "-o", "100"]]),
    ("envdir", &[&["envdir", "env"]]),
    ("setlock", &[&["setlock", "-n", "lock"]]),
    ("pgrphack", &[&["pgrphack"]]),
    ("fghack", &[&["fghack"]]),
    ("envuidgid", &[&["envuidgid", "nobody"]]),
    ("setuidgid", &[&["setuidgid", "nobody"]]),
    (
        "envdir softlimit setlock",
        &[
            &["envdir", "env"],
            &["softlimit", "-o", "100"],
            &["setlock", "-n", "lock"],
        ],
    ),
    (
        "setuidgid envdir softlimit setlock",
        &[
            &["setuidgid", "nobody"],
            &["envdir", "env"],
            &["softlimit", "-o", "100"],
            &["setlock", "-n", "lock"],
        ],
    ),
];

/// What `peer` has for a chain.
fn equivalent(peer: &str, chain: &[Words]) -> Option<Vec<Words>> {
    // One chpst does the work of several links: that is no chain.
    if peer == "runit" && chain.len() > 1 {
        return None;
    }
    let tools = chain.iter().map(|tool| {
        let mut peers = PEERS.iter();
        let found = peers.find(|(name, of, _)| *name == tool[0] && *of == peer);
        found.map(|(_, _, words)| *words)
    });
    tools.collect()
}

/// The chain's words, each tool by its path in `directory`.
fn words(directory: &Path, chain: &[Words]) -> Vec<PathBuf> {
    let mut words = Vec::new();
    for tool in chain {
        words.push(directory.join(tool[0]));
        words.extend(tool[1..].iter().map(PathBuf::from));
    }
    words.push(TRUE.into());
    words
}

/// So often one runs before it is the next one's turn: short enough that whatever
/// else the machine has to do meets all of them.
const TURN: usize = 20;

/// The time of so many runs, in microseconds.
fn time(scratch: &Path, words: &[PathBuf], runs: usize) -> f64 {
    let _limit = Limit::new(format!("{runs} runs of {words:?}"));
    let begun = Instant::now();
    for _ in 0..runs {
        let status = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(scratch)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{words:?}");
    }
    begun.elapsed().as_secs_f64() * 1e6
}

pub(crate) fn run(report: &mut Report) {
    let rounds = number("BENCH_ROUNDS", 5);
    let runs = number("BENCH_RUNS", 500);
    let ours = ours("");
    let theirs = Path::new("/usr/bin");
    let is_root = nix::unistd::geteuid().is_root();
    let scratch = Scratch::new();
    let scratch = scratch.0.as_path();
    fs::create_dir(scratch.join("env")).unwrap();
    for (name, value) in [("A", "one\n"), ("B", "two\n"), ("C", "")] {
        fs::write(scratch.join("env").join(name), value).unwrap();
    }
    // For nobody, too.
    fs::write(scratch.join("lock"), "").unwrap();
    fs::set_permissions(scratch.join("lock"), fs::Permissions::from_mode(0o666)).unwrap();
    for (name, chain) in CHAINS {
        if name.starts_with("setuidgid") && !is_root {
            report.leave_out(format!("{name} (it needs root)"));
            continue;
        }
        if !report.has(&theirs.join(chain[0][0])) {
            continue;
        }
        let mut contenders = vec![
            ("ours", words(&ours, chain)),
            ("daemontools", words(theirs, chain)),
        ];
        for peer in ["runit", "s6"] {
            let Some(chain) = equivalent(peer, chain) else {
                continue;
            };
            if chain.iter().all(|tool| report.has(&theirs.join(tool[0]))) {
                contenders.push((peer, words(theirs, &chain)));
            }
        }
        contenders.push(("`true` alone", vec![TRUE.into()]));
        let turns = runs.div_ceil(TURN);
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds {
            let mut sums = vec![0.0; contenders.len()];
            for _ in 0..turns {
                for ((_, contender), sum) in contenders.iter().zip(&mut sums) {
                    *sum += time(scratch, contender, TURN);
                }
            }
            for (times, sum) in times.iter_mut().zip(sums) {
                times.push(sum / (turns * TURN) as f64);
            }
        }
        let figures = contenders.iter().map(|(name, _)| *name).zip(times);
        let what = format!("`{name}`");
        // Of a chain, each link is to be no slower than the original.
        let bounds = match chain {
            [_] => vec![Bound::Best(1.0)],
            _ => vec![Bound::Of("daemontools", 1.0)],
        };
        report.add("tools", Figure::new(what, "µs", figures, bounds));
    }
}
