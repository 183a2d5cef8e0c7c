//! What many live idle children cost their host: memory, threads, and wake-ups of its threads in a second.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::figures::Figures;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{PAGE, Workload};

/// Live before the first look, so that the cost of a host's first child is not divided among the others.
const WARM: usize = 16;

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let count = session.count(1000, 100);
    let arguments = [session.child("idle"), PAGE.to_owned(), count.to_string(), WARM.to_string()];
    let samples = session.run(&Workload {
        title: "live idle children",
        contenders: session.all("idle", &arguments),
        rounds: session.rounds(3),
        stamps: 0,
        check: &|_| Ok(()),
    })?;
    let at_most = |value: f64| Goal(vec![Bound::AtMost(value, Reference::Absolute)]);
    session.report(
        &samples,
        &Metric {
            name: &format!("memory per live idle child, {count} of them"),
            unit: "bytes",
            better: Better::Lower,
            goal: at_most(512.0),
            figure: &|figures| figures.number("rss_per_child"),
        },
    )?;
    let added = |figures: &Figures| Ok(figures.number("threads_after")? - figures.number("threads_before")?);
    session.report(
        &samples,
        &Metric {
            name: &format!("threads added by {count} children"),
            unit: "threads",
            better: Better::Lower,
            goal: at_most(0.0),
            figure: &added,
        },
    )?;
    session.report(
        &samples,
        &Metric {
            name: &format!("wake-ups of other threads, 1 s of {count} idle children"),
            unit: "switches",
            better: Better::Lower,
            goal: at_most(0.0),
            figure: &|figures| figures.number("switches"),
        },
    )
}
