//! What a link of a run script's chain costs: each tool, start to end, beside the
//! original and beside the program alone, in turn, in one run.
//! `benches/README.md` says what is measured.

use crate::common::{Scratch, median, number, ours};
use crate::report::{Bound, Figure, Report};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const TRUE: &str = "/bin/true";

/// What is measured: the tools of a chain, each with what it needs.
const CHAINS: [(&str, &[&[&str]]); 9] = [
    ("softlimit", &[&["softlimit", "-o", "100"]]),
    ("envdir", &[&["envdir", "env"]]),
    ("setlock", &[&["setlock", "-n", "lock"]]),
    ("pgrphack", &[&["pgrphack"]]),
    ("fghack", &[&["fghack"]]),
    ("envuidgid", &[&["envuidgid", "daemon"]]),
    ("setuidgid", &[&["setuidgid", "daemon"]]),
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
            &["setuidgid", "daemon"],
            &["envdir", "env"],
            &["softlimit", "-o", "100"],
            &["setlock", "-n", "/dev/null"],
        ],
    ),
];

/// The chain's words, each tool by its path in `directory`.
fn words(directory: &Path, chain: &[&[&str]]) -> Vec<PathBuf> {
    let mut words = Vec::new();
    for tool in chain {
        words.push(directory.join(tool[0]));
        words.extend(tool[1..].iter().map(PathBuf::from));
    }
    words.push(TRUE.into());
    words
}

/// The mean time of one run, in microseconds.
fn time(scratch: &Path, words: &[PathBuf], runs: usize) -> f64 {
    let begun = Instant::now();
    for _ in 0..runs {
        let status = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(scratch)
            // Of cargo's. Each dynamic program would search its directories first, and
            // setuidgid and envuidgid would not trust their own eyes.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{words:?}");
    }
    begun.elapsed().as_secs_f64() * 1e6 / runs as f64
}

pub(crate) fn run(report: &mut Report) {
    let rounds = number("BENCH_ROUNDS", 5);
    let runs = number("BENCH_RUNS", 500);
    let ours = ours("");
    let theirs = Path::new("/usr/bin");
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let scratch = Scratch::new();
    let scratch = scratch.0.as_path();
    fs::create_dir(scratch.join("env")).unwrap();
    for (name, value) in [("A", "one\n"), ("B", "two\n"), ("C", "")] {
        fs::write(scratch.join("env").join(name), value).unwrap();
    }
    for (name, chain) in CHAINS {
        if name.starts_with("setuidgid") && !is_root {
            println!("{name}: left out, it needs root");
            continue;
        }
        if !theirs.join(chain[0][0]).exists() {
            println!("{name}: left out, daemontools is not installed");
            continue;
        }
        let contenders = [words(&ours, chain), words(theirs, chain), vec![TRUE.into()]];
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (contender, times) in contenders.iter().zip(&mut times) {
                times.push(time(scratch, contender, runs));
            }
        }
        let [ours, theirs, floor] = times.map(|times| median(&times));
        report.add(
            "tools",
            Figure {
                what: format!("`{name}`"),
                unit: "µs",
                ours,
                others: vec![("daemontools", theirs), ("`true` alone", floor)],
                bounds: vec![Bound::Of("daemontools", 1.0)],
            },
        );
    }
}
