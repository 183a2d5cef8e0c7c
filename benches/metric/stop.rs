//! Stop of many children by policy, from the first stop to the last exit known; without and with children that ignore
//! SIGTERM and have to be killed after the grace period.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{Contender, PAGE, Workload};

const GRACE_MS: u32 = 500;

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let count = session.count(1000, 100);
    let best = Bound::AtMost(1.1, Reference::BestPeer);
    measure_with(session, count, 0, Goal(vec![best]))?;
    // One grace period for all of them, not one for each.
    let one_grace = Bound::AtMost(2.0 * f64::from(GRACE_MS), Reference::Absolute);
    measure_with(session, count, count / 50, Goal(vec![best, one_grace]))
}

pub(super) fn arguments(session: &Session, count: usize, stubborn: usize) -> [String; 5] {
    [session.child("idle"), PAGE.to_owned(), count.to_string(), stubborn.to_string(), GRACE_MS.to_string()]
}

fn measure_with(session: &mut Session, count: usize, stubborn: usize, goal: Goal) -> Fallible<()> {
    let mut contenders = session.all("stop", &arguments(session, count, stubborn));
    let mut title = format!("stop {count} children");
    if stubborn > 0 {
        // A wait of std has no time limit, so it has no natural form of a grace period.
        contenders.retain(|contender: &Contender| contender.name != "std");
        title += &format!(", {stubborn} of them stubborn");
    }
    let samples = session.run(&Workload {
        title: &title,
        contenders,
        // The grace period is most of a round with stubborn ones, and it does not vary.
        rounds: session.rounds(if stubborn > 0 { 3 } else { 5 }),
        stamps: 0,
        check: &|figures| figures.expect("by_kill", stubborn),
    })?;
    session.report(
        &samples,
        &Metric { name: &title, unit: "ms", better: Better::Lower, goal, figure: &|figures| figures.number("ms") },
    )
}
