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
/// A writer of small files.
mod cut;
/// Instructions.
mod cycles;
/// multilog, tai64n, tai64nlocal.
mod logs;
/// From 10 to 10,000 services.
mod many;
/// What must be there before.
mod needs;
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
/// Whether a bound is broken.
mod verdict;

use nix::sys::signal::{SigHandler, Signal};
use report::Report;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What `logs` runs.
    if let [word, size, directory] = arguments.as_slice()
        && word == "cut"
    {
        cut::cut(size.parse().unwrap(), directory.as_ref()).unwrap();
        return ExitCode::SUCCESS;
    }
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
    default_signals();
    common::watch_limits(tree::end_orphans);
    let named = arguments.iter().filter(|word| !word.starts_with('-'));
    let named: Vec<&str> = named.map(String::as_str).collect();
    match run(&named) {
        Ok(exit) => exit,
        Err(why) => {
            println!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured gets all signals by their defaults, whatever this process was given:
/// `nohup` ignores HUP, which no service could catch then. SIGPIPE Rust sees to. HUP, INT
/// and TERM end what was started, too.
fn default_signals() {
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
    for signal in Signal::iterator() {
        let action = match signal {
            Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGPIPE => continue,
            Signal::SIGHUP | Signal::SIGINT | Signal::SIGTERM => {
                SigHandler::Handler(common::ask_for_end)
            }
            _ => SigHandler::SigDfl,
        };
        // SAFETY: the handler does nothing but set an atomic.
        #[allow(unsafe_code, reason = "nothing else sets a signal's action")]
        let _ = unsafe { nix::sys::signal::signal(signal, action) };
    }
}

/// Measures those parts that are named; none: all.
fn run(named: &[&str]) -> Result<ExitCode, String> {
    let parts = [
        ("setting", setting::run as fn(&mut Report)),
        ("system", system::run),
        ("many", many::run),
        ("logs", logs::run),
        ("memory", logs::memory),
        ("tools", tools::run),
        ("cycles", cycles::run),
    ];
    let is_part = |name: &&&str| parts.iter().any(|(part, _)| part == *name);
    if let Some(name) = named.iter().find(|name| !is_part(name)) {
        return Err(format!("there is no part {name}"));
    }
    // What stands in the page is of one run, of the size that the page says.
    let given = common::given_numbers()?;
    let is_whole = named.is_empty() && given.is_empty();
    needs::all_theirs()?;
    if is_whole {
        needs::all_there()?;
    }
    let mut report = Report::default();
    for (part, run) in parts {
        if named.is_empty() || named.contains(&part) {
            run(&mut report);
        }
    }
    let (broken, untold) = report.judged();
    if broken + untold > 0 {
        println!("{broken} bounds are broken, {untold} cannot be told");
    }
    let stays = |why: String| format!("the page stays as it is: {why}");
    let why = match std::env::var_os("BENCH_PAGE") {
        _ if !named.is_empty() => Some("only parts were asked for".to_owned()),
        _ if !given.is_empty() => Some(format!("{} is set", given.join(", "))),
        None => Some("BENCH_PAGE does not name it".to_owned()),
        Some(page) => {
            report.write(page.as_ref()).map_err(stays)?;
            None
        }
    };
    if let Some(why) = why {
        println!("{}", stays(why));
    }
    Ok(match broken + untold {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
