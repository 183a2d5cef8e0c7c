//! Writes of 64 KiB into a full ring of 1 MiB, against as many copies of the same size.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{Contender, Workload};

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let arguments = arguments(session);
    let all = [("limit", "limit"), ("Rust", "rust"), ("C", "c")];
    let contenders =
        all.iter().filter_map(|(name, implementation)| session.one(name, implementation, "ring", &arguments)).collect();
    measure_with(session, contenders, 0.95)
}

pub(super) fn arguments(session: &Session) -> [String; 1] {
    [session.count(200_000, 20_000).to_string()]
}

pub(super) fn measure_with(session: &mut Session, contenders: Vec<Contender>, factor: f64) -> Fallible<()> {
    let samples = session.run(&Workload {
        title: "ring buffer, 64 KiB writes",
        contenders,
        rounds: session.rounds(5),
        stamps: 0,
        check: &|figures| figures.expect("kept", 1 << 20),
    })?;
    session.report(
        &samples,
        &Metric {
            name: "ring buffer, 64 KiB writes",
            unit: "GB/s",
            better: Better::Higher,
            goal: Goal(vec![Bound::AtLeast(factor, Reference::Limit)]),
            figure: &|figures| Ok(figures.number("bytes_per_second")? / 1e9),
        },
    )
}
