//! Lanes: specs that ran at the same time are shown side by side.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use crate::pipeline::RunReport;

/// Returns the lane of each spec that started: the lowest in which it overlaps no other spec.
pub(super) fn lanes(report: &RunReport) -> Vec<Option<usize>> {
    let mut spans: Vec<(Duration, Duration, usize)> = Vec::new();
    for (index, spec) in report.specs.iter().enumerate() {
        if let Some(start) = report.offset(spec) {
            spans.push((start, start.saturating_add(spec.duration), index));
        }
    }
    spans.sort_unstable();
    let mut lanes = vec![None; report.specs.len()];
    let mut busy: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
    let mut free: BTreeSet<usize> = BTreeSet::new();
    let mut used = 0;
    for (start, end, index) in spans {
        while let Some(&Reverse((until, lane))) = busy.peek()
            && until <= start
        {
            busy.pop();
            free.insert(lane);
        }
        let lane = free.pop_first().unwrap_or_else(|| {
            used += 1;
            used - 1
        });
        busy.push(Reverse((end, lane)));
        lanes[index] = Some(lane);
    }
    lanes
}
