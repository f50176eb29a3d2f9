//! Whether a bound is broken: a decision on what was measured, without any I/O.

/// The ratios of ours to `base`, round by round.
pub(crate) fn paired(ours: &[f64], base: &[f64]) -> Vec<f64> {
    let pairs = ours.iter().zip(base);
    pairs.map(|(ours, base)| ours / base).collect()
}

/// Whether most rounds say that the bound `most` is broken: the lower quartile of their
/// `ratios` lies above it. What a part of the rounds says only is noise.
pub(crate) fn is_broken(ratios: &[f64], most: f64) -> bool {
    let mut sorted = ratios.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quartile = sorted.get(sorted.len().saturating_sub(1) / 4);
    quartile.is_some_and(|ratio| *ratio > most)
}
