//! multilog: the same scripts and inputs through the reference and ours, and
//! each taking over what the other left.
//!
//! What differs on purpose is not asked here: nanoseconds of stamps; what is read
//! and not yet written when a KILL comes; what is done while something fails.

mod generated;
mod scene;
mod signals;
mod written;

use super::compare;
use crate::harness::Suite;
use scene::{Cast, Scene};

type Situation = super::Situation<Scene>;

/// Ours after ours, and each after the other.
const ALL: &[Cast] = &[
    [Suite::Ours, Suite::Ours],
    [Suite::Reference, Suite::Ours],
    [Suite::Ours, Suite::Reference],
];

fn situation(
    name: impl Into<String>,
    play: impl Fn(&mut Scene) + Send + Sync + 'static,
) -> Situation {
    Situation::new(name, play)
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
