//! The same work from Go: package process, os/exec, and a plain manager of a goroutine for each stream, which
//! stands in for the pure Go module that the binding replaces.

use super::session::{Metric, Session};
use super::{ring, spawn};
use crate::Fallible;
use crate::harness::check;
use crate::harness::figures::Figures;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{Contender, PAGE, Samples, Workload};

const OS_EXEC: Reference = Reference::Peer("os-exec");
const MANAGER: Reference = Reference::Peer("go-manager");

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    let at_most_that_of_os_exec = vec![Bound::AtMost(1.0, OS_EXEC)];
    spawn(session, "one at a time", session.count(400, 50), 1, (1.1, at_most_that_of_os_exec))?;
    spawn(session, "64 at a time", session.count(1000, 200), 64, (1.4, Vec::new()))?;
    bytes(session, "bytes captured, no listener", "bytes", &IN_GO, 0.85)?;
    // The stand-in has no way to hand bytes on.
    bytes(session, "bytes delivered to a Writer", "check", &IN_GO[..2], 0.6)?;
    lines(session)?;
    latency(session)?;
    idle(session)?;
    let count = session.count(1000, 100);
    stop(session, count, 0)?;
    stop(session, count, count / 50)?;
    specs(session)?;
    let contenders = with_limit(session, "ring", &ring::arguments(session), &[("Go", "go-ours")]);
    ring::measure_with(session, contenders, 0.8)
}

const IN_GO: [(&str, &str); 3] = [("Go", "go-ours"), ("os-exec", "os-exec"), ("go-manager", "go-manager")];

fn all(session: &Session, workload: &str, arguments: &[String]) -> Vec<Contender> {
    IN_GO.iter().filter_map(|(name, implementation)| session.one(name, implementation, workload, arguments)).collect()
}

fn with_limit(
    session: &Session,
    workload: &str,
    arguments: &[String],
    others: &[(&'static str, &str)],
) -> Vec<Contender> {
    [("limit", "limit")]
        .iter()
        .chain(others)
        .filter_map(|(name, implementation)| session.one(name, implementation, workload, arguments))
        .collect()
}

fn report(
    session: &mut Session,
    samples: &Samples,
    (name, unit, better): (&str, &'static str, Better),
    goal: Vec<Bound>,
    figure: &dyn Fn(&Figures) -> Fallible<f64>,
) -> Fallible<()> {
    session.report(samples, &Metric { name, unit, better, goal: Goal(goal), figure })
}

fn spawn(
    session: &mut Session,
    name: &str,
    count: usize,
    in_flight: usize,
    (factor, cpu): (f64, Vec<Bound>),
) -> Fallible<()> {
    let arguments = [session.child("hello"), count.to_string(), in_flight.to_string()];
    let (bytes, checksum) = check::hello_total(count);
    let title = format!("spawn → exit, {name}");
    let mut contenders = all(session, "spawn", &arguments);
    // Bare C, as for processes: what a goal may ask for at most.
    contenders.extend(session.one("limit", "limit", "spawn", &spawn::arguments(session, count, in_flight)?));
    let samples = session.run(&Workload {
        title: &format!("{title}, from Go"),
        contenders,
        rounds: session.rounds(9),
        stamps: 0,
        check: &|figures| {
            figures.expect("bytes", bytes)?;
            figures.expect("checksum", format!("{checksum:016x}"))
        },
    })?;
    let goal = vec![Bound::AtLeast(factor, OS_EXEC)];
    report(session, &samples, (&title, "children/s", Better::Higher), goal, &|figures| figures.number("per_second"))?;
    let title = format!("parent CPU per spawn, {name}");
    report(session, &samples, (&title, "µs", Better::Lower), cpu, &|figures| figures.number("cpu_us"))
}

fn bytes(session: &mut Session, name: &str, mode: &str, others: &[(&'static str, &str)], factor: f64) -> Fallible<()> {
    let lines = session.count(4_000_000, 200_000);
    let arguments = [session.child("flood"), lines.to_string(), mode.to_owned()];
    let contenders = with_limit(session, "output", &arguments, others);
    let samples = session.run(&Workload {
        title: &format!("{name}, from Go"),
        contenders,
        rounds: session.rounds(5),
        stamps: 0,
        check: &|figures| figures.expect("bytes", lines * check::LINE_BYTES),
    })?;
    let goal = vec![Bound::AtLeast(factor, Reference::Limit)];
    report(session, &samples, (name, "MB/s", Better::Higher), goal, &|figures| {
        Ok(figures.number("bytes_per_second")? / 1e6)
    })
}

fn lines(session: &mut Session) -> Fallible<()> {
    let lines = session.count(2_000_000, 100_000);
    let arguments = [session.child("flood"), lines.to_string(), "lines".to_owned()];
    let checksum = check::Pattern::new().checksum(lines as u64);
    let samples = session.run(&Workload {
        title: "80-byte lines to a handler, from Go",
        contenders: all(session, "output", &arguments),
        rounds: session.rounds(5),
        stamps: 0,
        check: &|figures| {
            figures.expect("bytes", lines * check::LINE_BYTES)?;
            figures.expect("lines", lines)?;
            figures.expect("checksum", format!("{checksum:016x}"))
        },
    })?;
    let goal = vec![Bound::AtLeast(1.0, OS_EXEC), Bound::AtLeast(2.0, MANAGER)];
    let name = "80-byte lines captured and delivered, a call each";
    report(session, &samples, (name, "M lines/s", Better::Higher), goal, &|figures| {
        Ok(figures.number("lines_per_second")? / 1e6)
    })?;
    let name = "allocations per line";
    report(session, &samples, (name, "allocations", Better::Lower), Vec::new(), &|figures| {
        figures.number("allocations_per_line")
    })
}

fn latency(session: &mut Session) -> Fallible<()> {
    let count = session.count(400, 100);
    let arguments = [session.child("stamp"), PAGE.to_owned(), count.to_string(), "1000".to_owned()];
    let samples = session.run(&Workload {
        title: "exit → known, from Go",
        contenders: with_limit(session, "latency", &arguments, &IN_GO),
        rounds: session.rounds(5),
        stamps: count,
        check: &|_| Ok(()),
    })?;
    for (name, figure) in [("p50", "p50_us"), ("p99", "p99_us")] {
        let name = format!("exit → known, {name}");
        let goal = vec![Bound::AtMost(1.0, OS_EXEC)];
        report(session, &samples, (&name, "µs", Better::Lower), goal, &|figures| figures.number(figure))?;
    }
    Ok(())
}

fn idle(session: &mut Session) -> Fallible<()> {
    let count = session.count(1000, 100);
    let arguments = [session.child("idle"), PAGE.to_owned(), count.to_string(), "16".to_owned()];
    let samples = session.run(&Workload {
        title: "live idle children, from Go",
        contenders: all(session, "idle", &arguments),
        rounds: session.rounds(3),
        stamps: 0,
        check: &|_| Ok(()),
    })?;
    let at_most = |value: f64| vec![Bound::AtMost(value, Reference::Absolute)];
    let name = format!("memory per live idle child, {count} of them");
    report(session, &samples, (&name, "bytes", Better::Lower), at_most(1536.0), &|figures| {
        figures.number("rss_per_child")
    })?;
    for (what, before, after) in
        [("threads", "threads_before", "threads_after"), ("goroutines", "goroutines_before", "goroutines_after")]
    {
        let name = format!("{what} added by {count} children");
        report(session, &samples, (&name, what, Better::Lower), at_most(0.0), &|figures| {
            Ok(figures.number(after)? - figures.number(before)?)
        })?;
    }
    Ok(())
}

fn stop(session: &mut Session, count: usize, stubborn: usize) -> Fallible<()> {
    let grace_ms = 500;
    let arguments =
        [session.child("idle"), PAGE.to_owned(), count.to_string(), stubborn.to_string(), grace_ms.to_string()];
    let mut title = format!("stop {count} children");
    let mut goal = vec![Bound::AtMost(1.1, Reference::BestPeer)];
    if stubborn > 0 {
        title += &format!(", {stubborn} of them stubborn");
        goal.push(Bound::AtMost(2.0 * f64::from(grace_ms), Reference::Absolute));
    }
    let samples = session.run(&Workload {
        title: &format!("{title}, from Go"),
        contenders: with_limit(session, "stop", &arguments, &IN_GO),
        rounds: session.rounds(if stubborn > 0 { 3 } else { 5 }),
        stamps: 0,
        check: &|figures| figures.expect("by_kill", stubborn),
    })?;
    report(session, &samples, (&title, "ms", Better::Lower), goal, &|figures| figures.number("ms"))
}

fn specs(session: &mut Session) -> Fallible<()> {
    let count = session.count(1000, 100);
    let arguments = [session.child("hello"), count.to_string()];
    let title = format!("{count} specs without an order, per spec");
    let samples = session.run(&Workload {
        title: &format!("{title}, from Go"),
        contenders: all(session, "specs", &arguments),
        rounds: session.rounds(5),
        stamps: 0,
        check: &|figures| figures.expect("passed", count),
    })?;
    let goal = vec![Bound::AtMost(0.5, MANAGER)];
    report(session, &samples, (&title, "µs", Better::Lower), goal, &|figures| figures.number("us_per_spec"))
}
