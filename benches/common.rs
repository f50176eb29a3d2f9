//! What the benchmarks share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nothing that is waited for takes longer, on any machine.
const LONGEST: Duration = Duration::from_secs(300);

/// What is waited for now, each since when.
static WAITS: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());

/// Whether a signal has asked for the end.
static IS_TO_END: AtomicBool = AtomicBool::new(false);

/// The action of the signals that ask for it; a program that is measured has the default.
pub(crate) extern "C" fn ask_for_end(_: i32) {
    IS_TO_END.store(true, Ordering::Relaxed);
}

/// As long as it lives, something is waited for; if that takes too long, everything ends.
pub(crate) struct Limit;

impl Limit {
    pub(crate) fn new(what: impl Into<String>) -> Limit {
        let mut waits = WAITS.lock().unwrap_or_else(PoisonError::into_inner);
        waits.push((what.into(), Instant::now()));
        Limit
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let mut waits = WAITS.lock().unwrap_or_else(PoisonError::into_inner);
        waits.pop();
    }
}

/// Sees to it in a thread that no [`Limit`] lives too long, and that a signal ends this
/// process; `end` ends what was started.
pub(crate) fn watch_limits(end: fn()) {
    std::thread::spawn(move || {
        loop {
            std::thread::park_timeout(Duration::from_secs(1));
            let waits = WAITS.lock().unwrap_or_else(PoisonError::into_inner);
            let late = waits.iter().find(|(_, since)| since.elapsed() > LONGEST);
            let late = late.map(|(what, _)| format!("waited {} s for {what}", LONGEST.as_secs()));
            let is_to_end = IS_TO_END.load(Ordering::Relaxed);
            if let Some(why) = late.or(is_to_end.then(|| "ended by a signal".to_owned())) {
                println!("bench: {why}");
                // `waits` stays locked: nothing more is begun.
                end();
                std::process::exit(1);
            }
        }
    });
}

/// The program of ours of this name, one that `make build` has made.
pub(crate) fn ours(program: &str) -> PathBuf {
    let directory = std::env::var_os("BENCH_PROGRAMS");
    let directory = directory.expect("`make bench` says in BENCH_PROGRAMS where they are");
    Path::new(&directory).join(program)
}

/// The numbers that may stand in the environment.
const NUMBERS: [&str; 6] = [
    "BENCH_ROUNDS",
    "BENCH_SERVICES",
    "BENCH_MOST",
    "BENCH_IDLE",
    "BENCH_MB",
    "BENCH_RUNS",
];
/// The variables of `make bench` itself.
const NOT_NUMBERS: [&str; 2] = ["BENCH_PROGRAMS", "BENCH_PAGE"];

/// Those of [`NUMBERS`] that make this run another than the usual one.
///
/// # Errors
/// What is meant for one of them and is none.
pub(crate) fn given_numbers() -> Result<Vec<String>, String> {
    let mut given = Vec::new();
    for (name, value) in std::env::vars_os() {
        // What is not UTF-8 is not ours.
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with("BENCH_") || NOT_NUMBERS.contains(&&*name) {
            continue;
        }
        if !NUMBERS.contains(&&*name) {
            return Err(format!("there is no {name}"));
        }
        let number = value.to_str().and_then(|text| text.parse::<usize>().ok());
        if number.is_none_or(|number| number == 0) {
            return Err(format!("{name} is no number above 0: {}", value.display()));
        }
        given.push(name);
    }
    Ok(given)
}

/// The number in this environment variable; [`given_numbers`] has looked at it.
pub(crate) fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The one in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A directory of this run's own, gone on drop.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// Makes it.
    pub(crate) fn new() -> Scratch {
        let name = format!("daemontools-rs-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
