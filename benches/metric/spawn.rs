//! Spawn → exit of a static child with three pipes, both outputs captured and checked: one at a time, and 64 at a time.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::check;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::Workload;

pub(super) const IN_FLIGHT: usize = 64;

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let rate = Goal(vec![Bound::AtLeast(0.90, Reference::Limit), Bound::AtLeast(1.05, Reference::Peer("std"))]);
    let cpu = Goal(vec![Bound::AtMost(1.0, Reference::Peer("std"))]);
    measure_in_flight(session, "one at a time", session.count(400, 50), 1, [rate, cpu])?;
    let rate = Goal(vec![Bound::AtLeast(0.92, Reference::Limit), Bound::AtLeast(1.2, Reference::Peer("tokio"))]);
    measure_in_flight(session, "64 at a time", session.count(1000, 200), IN_FLIGHT, [rate, Goal::none()])
}

/// For every host whose callers wait for a spawn on a thread: a spawn holds the thread until the exec, so each is
/// faster with a few threads a core than with one, or with one for each child.
pub(super) fn arguments(session: &Session, count: usize, in_flight: usize) -> Fallible<[String; 4]> {
    let threads = (4 * std::thread::available_parallelism()?.get()).min(in_flight);
    Ok([session.child("hello"), count.to_string(), threads.to_string(), (in_flight / threads).to_string()])
}

fn measure_in_flight(
    session: &mut Session,
    name: &str,
    count: usize,
    in_flight: usize,
    [rate, cpu]: [Goal; 2],
) -> Fallible<()> {
    let arguments = arguments(session, count, in_flight)?;
    let (bytes, checksum) = check::hello_total(count);
    let title = format!("spawn → exit, {name}");
    let samples = session.run(&Workload {
        title: &title,
        contenders: session.all("spawn", &arguments),
        rounds: session.rounds(9),
        stamps: 0,
        check: &|figures| {
            figures.expect("bytes", bytes)?;
            figures.expect("checksum", format!("{checksum:016x}"))
        },
    })?;
    session.report(
        &samples,
        &Metric {
            name: &title,
            unit: "children/s",
            better: Better::Higher,
            goal: rate,
            figure: &|figures| figures.number("per_second"),
        },
    )?;
    session.report(
        &samples,
        &Metric {
            name: &format!("parent CPU per spawn, {name}"),
            unit: "µs",
            better: Better::Lower,
            goal: cpu,
            figure: &|figures| figures.number("cpu_us"),
        },
    )
}
