//! Pipelines: what a spec costs beside a bare spawn, how close a run comes to the best schedule, how the check grows.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::check;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{Contender, Workload};

const IN_FLIGHT: usize = 64;

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    measure_specs(session)?;
    let best = Goal(vec![Bound::AtMost(1.05, Reference::Absolute)]);
    let (graphs, specs) = (session.count(4, 1), 60);
    for (limit, title) in [(8, "random graphs, 8 at a time ÷ list schedule"), (0, "random graphs ÷ critical path")] {
        let arguments = [session.child("nap"), graphs.to_string(), specs.to_string(), limit.to_string()];
        measure_ratio(session, title, "makespan", &arguments, graphs * specs, best.clone())?;
    }
    let arguments = [session.child("nap"), "8".to_owned()];
    measure_ratio(session, "two chains of unequal steps ÷ critical path", "chains", &arguments, 16, best)?;
    measure_check(session)
}

/// Specs that wait for nothing, against bare spawns of the same children.
fn measure_specs(session: &mut Session) -> Fallible<()> {
    let count = session.count(10_000, 500);
    let threads = (4 * std::thread::available_parallelism()?.get()).min(IN_FLIGHT);
    let child = session.child("hello");
    let bare = [child.clone(), count.to_string(), threads.to_string(), (IN_FLIGHT / threads).to_string()];
    let specs = [child, count.to_string(), IN_FLIGHT.to_string()];
    let contenders = [
        session.one("limit", "limit", "spawn", &bare),
        session.one("Rust", "rust", "specs", &specs),
        session.one("C", "c", "specs", &specs),
    ];
    let (bytes, checksum) = check::hello_total(count);
    let title = format!("{count} specs, {IN_FLIGHT} at a time, each");
    let samples = session.run(&Workload {
        title: &title,
        contenders: contenders.into_iter().flatten().collect(),
        rounds: session.rounds(5),
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
            unit: "µs",
            better: Better::Lower,
            goal: Goal(vec![Bound::AtMost(1.3, Reference::Limit)]),
            figure: &|figures| Ok(1e6 / figures.number("per_second")?),
        },
    )
}

fn ours(session: &Session, workload: &str, arguments: &[String]) -> Vec<Contender> {
    session.one("Rust", "rust", workload, arguments).into_iter().collect()
}

fn measure_ratio(
    session: &mut Session,
    title: &str,
    workload: &str,
    arguments: &[String],
    specs: usize,
    goal: Goal,
) -> Fallible<()> {
    let contenders = ours(session, workload, arguments);
    let rounds = session.rounds(5);
    let check: &dyn Fn(&_) -> _ = &|figures: &crate::harness::figures::Figures| figures.expect("specs", specs);
    let samples = session.run(&Workload { title, contenders, rounds, stamps: 0, check })?;
    let figure: &dyn Fn(&_) -> _ = &|figures: &crate::harness::figures::Figures| figures.number("ratio");
    session.report(&samples, &Metric { name: title, unit: "×", better: Better::Lower, goal, figure })
}

/// If the check were quadratic, each of ten times the specs would take ten times as long; larger tables cost some
/// cache misses.
fn measure_check(session: &mut Session) -> Fallible<()> {
    let count = session.count(100_000, 10_000);
    let title = format!("check of {count} specs");
    let contenders = ours(session, "graph", &[session.child("nap"), count.to_string()]);
    let samples = session.run(&Workload {
        title: &title,
        contenders,
        rounds: session.rounds(5),
        stamps: 0,
        check: &|figures| figures.expect("specs", count),
    })?;
    session.report(
        &samples,
        &Metric {
            name: &format!("{title}, each ÷ of {}, each", count / 10),
            unit: "×",
            better: Better::Lower,
            goal: Goal(vec![Bound::AtMost(4.0, Reference::Absolute)]),
            figure: &|figures| figures.number("ratio"),
        },
    )?;
    session.report(
        &samples,
        &Metric {
            name: &format!("{title}, each"),
            unit: "ns",
            better: Better::Lower,
            goal: Goal::none(),
            figure: &|figures| figures.number("ns_per_spec"),
        },
    )
}
