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

use crate::harness::{Suite, each, has};
use stage::Stage;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// How many situations are played at a time: most of them only wait.
const WORKERS: usize = 16;

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
    type Cast: Copy + Debug + Sync;
    /// The parts: programs that the reference must have.
    const PARTS: &[&str];
    /// The reference plays them all.
    const REFERENCE: Self::Cast;

    fn new(cast: Self::Cast) -> Self;

    /// What was played there, line by line.
    fn transcript(&mut self) -> Vec<String>;
}

/// Something to be played: its name is a sentence, or what is run.
struct Situation<S = Stage> {
    name: String,
    play: Box<dyn Fn(&mut S) + Send + Sync>,
}

impl<S> Situation<S> {
    fn new(name: impl Into<String>, play: impl Fn(&mut S) + Send + Sync + 'static) -> Situation<S> {
        Situation {
            name: name.into(),
            play: Box::new(play),
        }
    }
}

fn situation(
    name: impl Into<String>,
    play: impl Fn(&mut Stage) + Send + Sync + 'static,
) -> Situation {
    Situation::new(name, play)
}

/// Plays all `situations` with the reference and with each of `casts`, and
/// fails, after the last, if any transcript differs.
fn compare<S: Scenery>(test: &str, situations: &[Situation<S>], casts: &[S::Cast]) {
    if !has(test, S::PARTS) {
        return;
    }
    let differences = Mutex::new(Vec::new());
    each(WORKERS, situations, |situation| {
        let reference = play(situation, S::REFERENCE);
        for cast in casts {
            let ours = play(situation, *cast);
            if let Some(difference) = difference(&reference, &ours) {
                let name = &situation.name;
                let text = format!("=== {name}\n    {cast:?}\n{difference}");
                differences.lock().unwrap().push(text);
            }
        }
    });
    let differences = differences.into_inner().unwrap();
    eprintln!("{test}: {} situations", situations.len());
    assert!(
        differences.is_empty(),
        "{test}: {} of {} situations differ from the reference\n{}",
        differences.len(),
        situations.len(),
        differences.join("\n")
    );
}

/// The transcript; or why it could not be played to its end.
fn play<S: Scenery>(situation: &Situation<S>, cast: S::Cast) -> Result<Vec<String>, Vec<String>> {
    let mut scenery = S::new(cast);
    let played = catch_unwind(AssertUnwindSafe(|| (situation.play)(&mut scenery)));
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
fn well_over_a_hundred_situations_are_compared() {
    let count: usize = [
        svc::situations(),
        svok::situations(),
        svstat::situations(),
        supervise::situations(),
        svscan::situations(),
    ]
    .iter()
    .map(Vec::len)
    .sum();
    eprintln!("{count} situations are compared with the reference");
    assert!(count >= 100, "only {count} situations");
}
