//! Whether the spawn call depends on the memory of its host.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::probe;
use crate::harness::report::Better;
use crate::harness::round::Workload;

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let gib = if probe::available_mib()? >= 8 * 1024 && session.scale >= 1.0 { 4 } else { 1 };
    let arguments = [session.child("hello"), session.count(300, 50).to_string(), (gib * 1024).to_string()];
    let title = format!("spawn call, host with {gib} GiB resident ÷ small host");
    let samples = session.run(&Workload {
        title: &title,
        contenders: session.all("big_host", &arguments),
        rounds: session.rounds(3),
        stamps: 0,
        check: &|_| Ok(()),
    })?;
    session.report(
        &samples,
        &Metric {
            name: "spawn call, small host",
            unit: "µs",
            better: Better::Lower,
            goal: Goal::none(),
            figure: &|figures| figures.number("small_us"),
        },
    )?;
    session.report(
        &samples,
        &Metric {
            name: &title,
            unit: "ratio",
            better: Better::Lower,
            goal: Goal(vec![Bound::AtMost(1.2, Reference::Absolute)]),
            figure: &|figures| Ok(figures.number("big_us")? / figures.number("small_us")?),
        },
    )
}
