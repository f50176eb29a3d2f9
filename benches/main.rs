//! Ours beside daemontools, runit and s6, in turn, in one run: all of it, or those
//! parts that are named (`cargo bench --bench all -- logs`). `benches/README.md`
//! says what is measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark may panic, prints, and starts what it measures"
)]

/// Where our programs stand, numbers from the environment, medians.
mod common;
/// multilog, tai64n, tai64nlocal.
mod logs;
/// svscan and supervise.
mod system;
/// The run-script tools.
mod tools;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let is_wanted = |part: &str| {
        let mut named = arguments.iter().filter(|word| !word.starts_with('-'));
        named.clone().next().is_none() || named.any(|word| word == part)
    };
    for (part, run) in [
        ("system", system::run as fn()),
        ("logs", logs::run),
        ("tools", tools::run),
    ] {
        if is_wanted(part) {
            run();
        }
    }
}
