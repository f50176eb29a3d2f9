//! What the benchmarks share.

use std::fs;
use std::path::{Path, PathBuf};

/// The program of ours of this name: one that `make build` has made, if it says so.
pub(crate) fn ours(program: &str) -> PathBuf {
    let built = || {
        Path::new(env!("CARGO_BIN_EXE_svscan"))
            .parent()
            .unwrap()
            .into()
    };
    let directory = std::env::var_os("BENCH_PROGRAMS").map_or_else(built, PathBuf::from);
    directory.join(program)
}

/// Whether a number in the environment makes this run another than the usual one.
pub(crate) fn is_shortened() -> bool {
    let is_number = |name: &str| name.starts_with("BENCH_") && !NOT_NUMBERS.contains(&name);
    std::env::vars().any(|(name, _)| is_number(&name))
}

/// The variables of `make bench` itself.
const NOT_NUMBERS: [&str; 2] = ["BENCH_PROGRAMS", "BENCH_PAGE"];

/// The number in this environment variable.
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
