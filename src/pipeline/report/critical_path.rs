//! The critical path: the chain of specs, each after the one before, that took longest in all. A run cannot be shorter,
//! however many processors it has.

use std::time::Duration;

use crate::pipeline::RunReport;

impl RunReport {
    /// Returns the indices of the specs of the critical path, in the order in which they ran: of all chains in which
    /// each spec comes after the one before, the chain whose durations add up to most. Specs that never started are
    /// left out. The time that this takes is linear in specs and dependencies.
    pub fn critical_path(&self) -> Vec<usize> {
        let length = self.specs.len();
        let mut followers: Vec<Vec<usize>> = vec![Vec::new(); length];
        let mut waits = vec![0usize; length];
        for (index, spec) in self.specs.iter().enumerate() {
            for &dependency in spec.after.iter().filter(|dependency| **dependency < length) {
                followers[dependency].push(index);
                waits[index] += 1;
            }
        }
        // In an order of the graph, so that dependencies come first. A spec on a cycle is never ready.
        let mut ready: Vec<usize> = (0..length).filter(|index| waits[*index] == 0).collect();
        let mut before = vec![Duration::ZERO; length];
        let mut previous: Vec<Option<usize>> = vec![None; length];
        let mut longest: Option<(Duration, usize)> = None;
        while let Some(index) = ready.pop() {
            let total = before[index].saturating_add(self.specs[index].duration);
            let better = |(most, last): (Duration, usize)| total > most || (total == most && index < last);
            if longest.is_none_or(better) {
                longest = Some((total, index));
            }
            for &follower in &followers[index] {
                if total > before[follower] {
                    before[follower] = total;
                    previous[follower] = Some(index);
                }
                waits[follower] -= 1;
                if waits[follower] == 0 {
                    ready.push(follower);
                }
            }
        }
        let mut path = Vec::new();
        let mut next = longest.map(|(_, index)| index);
        while let Some(index) = next {
            if self.specs[index].started.is_some() {
                path.push(index);
            }
            next = previous[index];
        }
        path.reverse();
        path
    }

    /// Returns how long the specs of the critical path took, without the waits between them.
    pub(super) fn critical_duration(&self, path: &[usize]) -> Duration {
        path.iter().fold(Duration::ZERO, |sum, index| sum.saturating_add(self.specs[*index].duration))
    }
}
