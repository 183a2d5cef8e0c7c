//! How long the path from each spec to an end takes: specs that begin long paths start first.

use crate::pipeline::graph::Edges;
use crate::util::duration::mean;

/// Returns the duration of the longest path that begins with each spec, in nanoseconds. A spec whose duration is not
/// known counts as the mean of the others, or as 1 if none is known.
pub(super) fn weights(before: &Edges, order: &[usize], durations: &[Option<u64>]) -> Vec<u64> {
    let mean = mean(durations).unwrap_or(1);
    let mut weights = vec![0; before.len()];
    for index in order.iter().rev() {
        let rest = before.of(*index).iter().map(|dependent| weights[*dependent]).max().unwrap_or(0);
        weights[*index] = durations[*index].unwrap_or(mean).max(1).saturating_add(rest);
    }
    weights
}
