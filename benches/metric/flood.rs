//! Eight children that write at once, each with a listener: what the sum of their rates is of what the machine can do,
//! and whether any listener starves.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::check;
use crate::harness::figures::Figures;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::Workload;

const CHILDREN: usize = 8;

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let lines = session.count(800_000, 200_000);
    let arguments = |count: usize| [session.child("flood"), lines.to_string(), "check".to_owned(), count.to_string()];
    let many = session.all("flood", &arguments(CHILDREN));
    let one = session.all("flood", &arguments(1));
    let bytes = lines * check::LINE_BYTES;
    let samples = session.run(&Workload {
        title: "8 children at once, and one alone",
        contenders: many.into_iter().zip(one).flat_map(|(many, one)| [many, one]).collect(),
        rounds: session.rounds(9),
        stamps: 0,
        check: &|figures| figures.expect("bytes", bytes * CHILDREN).or_else(|_| figures.expect("bytes", bytes)),
    })?;
    let samples = samples.paired();
    let cores = std::thread::available_parallelism()?.get() as f64;
    session.report(
        &samples,
        &Metric {
            name: "8 children at once, sum ÷ one child's rate × cores it can use",
            unit: "×",
            better: Better::Higher,
            goal: Goal(vec![Bound::AtLeast(0.8, Reference::Absolute)]),
            figure: &|figures| share(figures, cores),
        },
    )?;
    session.report(
        &samples,
        &Metric {
            name: "8 children at once, fastest listener ÷ slowest",
            unit: "×",
            better: Better::Lower,
            goal: Goal(vec![Bound::AtMost(1.5, Reference::Absolute)]),
            figure: &|figures| figures.number("spread"),
        },
    )?;
    session.report(
        &samples,
        &Metric {
            name: "8 children at once, sum",
            unit: "MB/s",
            better: Better::Higher,
            goal: Goal::none(),
            figure: &|figures| Ok(figures.number("bytes_per_second")? / 1e6),
        },
    )
}

/// One child and its reader keep `other_cores` busy, so the machine has room for `cores ÷ other_cores` of such pairs.
fn share(figures: &Figures, cores: f64) -> Fallible<f64> {
    let pairs = (cores / figures.number("other_cores")?).clamp(1.0, CHILDREN as f64);
    Ok(figures.number("bytes_per_second")? / (figures.number("other_bytes_per_second")? * pairs))
}
