//! multilog: the same scripts and inputs through the reference and ours, and
//! each taking over what the other left.
//!
//! What differs on purpose is not asked here: nanoseconds of stamps; what is read
//! and not yet written when a KILL comes; what is done while something fails.

mod generated;
mod scene;
mod signals;

mod written;

use super::difference;
use crate::harness::{Suite, has};
use scene::{Cast, Scene};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many situations are played at a time: many of them only wait.
const WORKERS: usize = 16;

/// Ours after ours, and each after the other.
const ALL: &[Cast] = &[
    [Suite::Ours, Suite::Ours],
    [Suite::Reference, Suite::Ours],
    [Suite::Ours, Suite::Reference],
];

/// Something to be played: its name is a sentence, or a script.
struct Situation {
    name: String,
    play: Box<dyn Fn(&mut Scene) + Send + Sync>,
}

fn situation(
    name: impl Into<String>,
    play: impl Fn(&mut Scene) + Send + Sync + 'static,
) -> Situation {
    Situation {
        name: name.into(),
        play: Box::new(play),
    }
}

/// Plays all `situations` with the reference and with each of `casts`, and
/// fails, after the last, if any transcript differs.
fn compare(test: &str, situations: &[Situation], casts: &[Cast]) {
    if !has(test, &["multilog"]) {
        return;
    }
    let next = AtomicUsize::new(0);
    let differences = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(situation) = situations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let reference = play(situation, [Suite::Reference; 2]);
                    for cast in casts {
                        let ours = play(situation, *cast);
                        if let Some(difference) = difference(&reference, &ours) {
                            let name = &situation.name;
                            let text = format!("=== {name}\n    {cast:?}\n{difference}");
                            differences.lock().unwrap().push(text);
                        }
                    }
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    eprintln!("{test}: {} situations", situations.len());
    assert!(
        differences.is_empty(),
        "{test}: {} differences in {} situations\n{}",
        differences.len(),
        situations.len(),
        differences.join("\n")
    );
}

/// The transcript; or why it could not be played to its end.
fn play(situation: &Situation, cast: Cast) -> Result<Vec<String>, Vec<String>> {
    let mut scene = Scene::new(cast);
    let played = catch_unwind(AssertUnwindSafe(|| (situation.play)(&mut scene)));
    let mut lines = scene.transcript();
    let Err(panic) = played else {
        return Ok(lines);
    };
    let why = panic.downcast_ref::<String>().cloned();
    let why = why.unwrap_or_default();
    lines.push(format!("NOT PLAYED TO ITS END: {why}"));
    Err(lines)
}

#[test]
fn scripts_and_inputs_that_look_random_are_as_with_the_reference() {
    compare("oracle::multilog", &generated::situations(300), ALL);
}

#[test]
fn what_the_reference_is_known_to_do_ours_does() {
    compare("oracle::multilog", &written::situations(), ALL);
}

#[test]
fn signals_obstacles_and_kills_are_met_as_by_the_reference() {
    compare("oracle::multilog", &signals::situations(), ALL);
}
