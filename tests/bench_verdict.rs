//! What the benchmarks decide of a bound.

#[path = "../benches/verdict.rs"]
mod verdict;

use verdict::{is_broken, paired};

#[test]
fn a_bound_is_broken_if_nearly_all_rounds_say_so() {
    assert!(is_broken(&[1.02, 1.03, 1.01, 1.02, 1.04], 1.0));
    // One round met something else that the machine had to do, for the better.
    assert!(is_broken(&[1.02, 1.03, 0.8, 1.02, 1.04], 1.0));
}

#[test]
fn noise_around_a_bound_does_not_break_it() {
    // The median is above.
    assert!(!is_broken(&[0.98, 1.02, 1.01, 0.99, 1.03], 1.0));
    // For the worse.
    assert!(!is_broken(&[0.7, 0.7, 3.0, 0.7, 0.7], 1.0));
    assert!(!is_broken(&[1.0; 5], 1.0));
}

#[test]
fn a_single_figure_is_what_it_is() {
    assert!(is_broken(&[44.1], 44.0));
    assert!(!is_broken(&[44.0], 44.0));
    assert!(!is_broken(&[0.0], 0.0));
    assert!(!is_broken(&[], 1.0));
}

#[test]
fn each_round_is_compared_with_itself() {
    // A machine that was slow in the second round was so for both.
    assert_eq!(paired(&[1.0, 9.0], &[2.0, 10.0]), [0.5, 0.9]);
}
