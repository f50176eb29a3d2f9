//! The oracle: the same situation is played once with the programs of Debian's
//! daemontools 0.76 and once with ours, each in a scratch directory of its own,
//! and the two transcripts must be equal. A transcript holds what every command
//! printed and its exit code, and what came of it: files, their types, modes and
//! sizes, the status, what the service recorded. Only process ids, seconds and
//! the scratch directory's path are blanked.
//!
//! What differs on purpose is not asked here: during the second after a start
//! 0.76 hears nothing and ours does; 0.76's svscan looks around every five
//! seconds and ours at once; svc has more letters; svstat lists all services
//! when it is given none and tells a failed read; SIGPIPE does not end our
//! supervise. So nothing here depends on when something happens: a stage waits
//! until everything has come to rest.

/// Makes a test of each line, in a module called as the function: the test's name, and
/// what the function gets, which gives what is played. `compare` plays it.
macro_rules! situations {
    ($function:ident $($name:ident($($argument:expr),* $(,)?);)+) => {
        mod $function {
            use super::*;
            $(
                #[test]
                fn $name() {
                    compare($function($($argument),*));
                }
            )+
        }
    };
}

mod interop;
mod multilog;
mod readproctitle;
mod stage;
mod stamps;
mod supervise;
mod svc;
mod svok;
mod svscan;
mod svscanboot;
mod svstat;
mod tools;
mod zoo;

use crate::harness::{Suite, has};
use stage::Stage;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::OnceLock;

/// Which suite plays which part.
#[derive(Clone, Copy, Debug)]
struct Cast {
    svscan: Suite,
    supervise: Suite,
    /// svc, svok and svstat, and whoever comes second.
    clients: Suite,
}

impl Cast {
    const fn all(suite: Suite) -> Cast {
        Cast {
            svscan: suite,
            supervise: suite,
            clients: suite,
        }
    }
}

/// Where situations are played.
trait Scenery {
    /// Which suite plays which part.
    type Cast: Copy + Debug;
    /// The reference plays them all.
    const REFERENCE: Self::Cast;

    fn new(cast: Self::Cast) -> Self;

    /// What was played there, line by line.
    fn transcript(&mut self) -> Vec<String>;
}

/// Whether there is a reference; if not, that is said once.
fn has_reference() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| has("oracle", &["svscan", "supervise", "multilog", "softlimit"]))
}

/// Plays the situation with the reference and with ours, and fails if the transcripts
/// differ.
fn compare(play: impl Fn(&mut Stage)) {
    compare_casts(&[Cast::all(Suite::Ours)], play);
}

/// As [`compare`], with each of `casts`.
fn compare_casts<S: Scenery>(casts: &[S::Cast], play: impl Fn(&mut S)) {
    if !has_reference() {
        return;
    }
    let reference = transcript(S::REFERENCE, &play);
    for cast in casts {
        let ours = transcript(*cast, &play);
        if let Some(difference) = difference(&reference, &ours) {
            panic!("{cast:?} differs from the reference\n{difference}");
        }
    }
}

/// The transcript; or why it could not be played to its end.
fn transcript<S: Scenery>(
    cast: S::Cast,
    play: impl Fn(&mut S),
) -> Result<Vec<String>, Vec<String>> {
    let mut scenery = S::new(cast);
    let played = catch_unwind(AssertUnwindSafe(|| play(&mut scenery)));
    let mut lines = scenery.transcript();
    let Err(panic) = played else {
        return Ok(lines);
    };
    let why = panic.downcast_ref::<String>().cloned();
    lines.push(format!(
        "NOT PLAYED TO ITS END: {}",
        why.unwrap_or_default()
    ));
    Err(lines)
}

/// How the transcripts differ, from a little before the first difference on.
fn difference(
    reference: &Result<Vec<String>, Vec<String>>,
    ours: &Result<Vec<String>, Vec<String>>,
) -> Option<String> {
    if let (Ok(reference), Ok(ours)) = (reference, ours)
        && reference == ours
    {
        return None;
    }
    let lines = |transcript: &Result<Vec<String>, Vec<String>>| match transcript {
        Ok(lines) | Err(lines) => lines.clone(),
    };
    let (reference, ours) = (lines(reference), lines(ours));
    let equal = reference
        .iter()
        .zip(&ours)
        .take_while(|(reference, ours)| reference == ours)
        .count();
    let from = equal.saturating_sub(4);
    let show = |who: &str, lines: &[String]| -> String {
        let lines = lines.iter().enumerate().skip(from);
        lines
            .map(|(number, line)| {
                let mark = if number < equal { "" } else { who };
                format!("    {mark:9} {line}\n")
            })
            .collect()
    };
    Some(show("reference", &reference) + &show("ours", &ours))
}

#[test]
fn well_over_a_thousand_situations_are_compared() {
    let listed = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "oracle::"])
        .output()
        .unwrap();
    let count = String::from_utf8(listed.stdout).unwrap().lines().count();
    assert!(count >= 1000, "only {count} situations");
}
