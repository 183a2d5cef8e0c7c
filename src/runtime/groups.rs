//! [`Groups`]: which process groups have a living member, by a pass over /proc whose result serves all questions for a
//! while.

use std::collections::HashSet;
use std::sync::Mutex;

use super::lock::lock;
use crate::sys::clock::monotonic_ns;
use crate::sys::procfs;

#[derive(Default)]
pub(super) struct Groups(Mutex<Pass>);

/// What the last pass over /proc found.
#[derive(Default)]
struct Pass {
    /// When it began, on CLOCK_MONOTONIC.
    taken: u64,
    /// The groups that have a member which has not ended; None if /proc does not tell.
    alive: Option<HashSet<i32>>,
}

impl Groups {
    /// Returns the number of a recent pass that found no living member in this group; None if it found one, or if /proc
    /// does not tell. A pass looks at every process, so it is made again only when the last one is old.
    pub(super) fn pass_without(&self, group: i32) -> Option<u64> {
        const FRESH: u64 = 100_000_000;
        let mut last = lock(&self.0);
        if last.alive.is_none() || last.taken.saturating_add(FRESH) < monotonic_ns() {
            *last = Pass { taken: monotonic_ns(), alive: procfs::living_groups() };
        }
        let Pass { taken, alive } = &*last;
        alive.as_ref().is_some_and(|alive| !alive.contains(&group)).then_some(*taken)
    }
}
