//! Ours beside daemontools, runit and s6, in turn, in one run: all of it, which makes
//! the page, or those parts that are named (`make bench PARTS=logs`).
//! `benches/README.md` says what is measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a benchmark may panic, prints, and starts what it measures"
)]

/// Where our programs stand, numbers from the environment, medians.
mod common;
/// Instructions.
mod cycles;
/// multilog, tai64n, tai64nlocal.
mod logs;
/// From 10 to 10,000 services.
mod many;
/// Numbers that look random.
#[path = "../tests/harness/numbers.rs"]
mod numbers;
/// What was measured, its bounds, and the page.
mod report;
/// What it was measured on, and how large the programs are.
mod setting;
/// svscan and supervise, svc and svstat.
mod system;
/// The run-script tools.
mod tools;
/// Trees of services.
mod tree;

use report::Report;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    // cargo sets it, and it would make every dynamic program slower to start.
    if std::env::var_os("LD_LIBRARY_PATH").is_some() {
        let mut own = std::process::Command::new("/proc/self/exe");
        let error = own.args(&arguments).env_remove("LD_LIBRARY_PATH").exec();
        panic!("{error}");
    }
    let named = arguments.iter().filter(|word| !word.starts_with('-'));
    let named: Vec<&str> = named.map(String::as_str).collect();
    let mut report = Report::default();
    let parts = [
        ("setting", setting::run as fn(&mut Report)),
        ("system", system::run),
        ("many", many::run),
        ("logs", logs::run),
        ("memory", logs::memory),
        ("tools", tools::run),
        ("cycles", cycles::run),
    ];
    for name in &named {
        let is_one = parts.iter().any(|(part, _)| part == name);
        assert!(is_one, "there is no part {name}");
    }
    for (part, run) in parts {
        if named.is_empty() || named.contains(&part) {
            run(&mut report);
        }
    }
    // What stands in the page is of one run, of the size that the page says.
    let is_whole = named.is_empty() && !common::is_shortened();
    if let Some(page) = std::env::var_os("BENCH_PAGE").filter(|_| is_whole) {
        report.write(page.as_ref());
    }
    match report.broken() {
        0 => ExitCode::SUCCESS,
        count => {
            println!("{count} bounds are broken, or cannot be told");
            ExitCode::FAILURE
        }
    }
}
