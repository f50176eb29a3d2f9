//! multilog: the same scripts and inputs through the reference and ours, and
//! each taking over what the other left.
//!
//! What differs on purpose is not asked here: nanoseconds of stamps; what is read
//! and not yet written when a KILL comes; what is done while something fails.

mod generated;
mod scene;
mod signals;
mod written;

use super::compare_casts;
use crate::harness::Suite;
use scene::{Cast, Scene};

/// Ours after ours, and each after the other.
const ALL: &[Cast] = &[
    [Suite::Ours, Suite::Ours],
    [Suite::Reference, Suite::Ours],
    [Suite::Ours, Suite::Reference],
];

fn compare(play: impl Fn(&mut Scene)) {
    compare_casts(ALL, play);
}
