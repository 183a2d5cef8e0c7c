//! From a child's last stamp to the moment a host that waits for it knows its exit code.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{PAGE, Workload};

/// Long enough for the host to be blocked in its wait when the child ends.
const HOLD_US: usize = 1000;

pub(super) fn arguments(session: &Session, count: usize) -> [String; 4] {
    [session.child("stamp"), PAGE.to_owned(), count.to_string(), HOLD_US.to_string()]
}

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let count = session.count(400, 100);
    let samples = session.run(&Workload {
        title: "exit → known",
        contenders: session.all("latency", &arguments(session, count)),
        rounds: session.rounds(5),
        stamps: count,
        check: &|_| Ok(()),
    })?;
    let rows = [("p50", "p50_us", 1.25), ("p99", "p99_us", 1.5)];
    for (name, figure, factor) in rows {
        session.report(
            &samples,
            &Metric {
                name: &format!("exit → known, {name}"),
                unit: "µs",
                better: Better::Lower,
                goal: Goal(vec![Bound::AtMost(factor, Reference::Limit)]),
                figure: &|figures| figures.number(figure),
            },
        )?;
    }
    Ok(())
}
