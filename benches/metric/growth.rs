//! The output rows at 1, 8 and 64 children, and the spawn rows at 1, 10 and 100 times a count, each as a plot, so that a
//! bend would show.

use super::session::{Metric, Session};
use super::{latency, spawn, stop};
use crate::Fallible;
use crate::harness::check;
use crate::harness::figures::Figures;
use crate::harness::goal::Goal;
use crate::harness::plot::{Plot, Series};
use crate::harness::report::Better;
use crate::harness::round::{Contender, PAGE, Workload};

/// One plot.
struct Growth<'a> {
    /// Of the file, too: `growth-FILE.svg`.
    file: &'static str,
    title: &'static str,
    x_label: &'static str,
    unit: &'static str,
    better: Better,
    sizes: [usize; 3],
    contenders: &'a dyn Fn(&Session, usize) -> Fallible<Vec<Contender>>,
    check: &'a dyn Fn(&Figures, usize) -> Fallible<()>,
    figure: &'a dyn Fn(&Figures) -> Fallible<f64>,
}

pub(crate) fn measure_output(session: &mut Session) -> Fallible<()> {
    output(session, ("bytes-captured", "bytes captured", "bytes"))?;
    output(session, ("bytes-delivered", "bytes captured and delivered", "check"))?;
    output(session, ("lines", "80-byte lines captured and delivered", "lines"))
}

/// The same number of lines in all, whatever the number of children.
fn output(session: &mut Session, (file, title, mode): (&'static str, &'static str, &str)) -> Fallible<()> {
    let total = session.count(6_400_000, 640_000) / 64 * 64;
    let in_lines = mode == "lines";
    grow(
        session,
        &Growth {
            file,
            title,
            x_label: "children that write at once",
            unit: if in_lines { "M lines/s" } else { "MB/s" },
            better: Better::Higher,
            sizes: [1, 8, 64],
            contenders: &|session, children| {
                let arguments = |mode: &str| {
                    [session.child("flood"), (total / children).to_string(), mode.to_owned(), children.to_string()]
                };
                // The peers read lines in the way that is faster for them.
                let of_peers = if in_lines { "lines_reused" } else { mode };
                let all = [("limit", mode), ("rust", mode), ("c", mode), ("std", of_peers), ("tokio", of_peers)];
                let names = ["limit", "Rust", "C", "std", "tokio"];
                let one = |(name, (implementation, mode)): (&'static str, (&str, &str))| {
                    session.one(name, implementation, "flood", &arguments(mode))
                };
                Ok(names.into_iter().zip(all).filter_map(one).collect())
            },
            check: &|figures, _| figures.expect("bytes", total * check::LINE_BYTES),
            figure: &|figures| Ok(figures.number(if in_lines { "lines_per_second" } else { "bytes_per_second" })? / 1e6),
        },
    )
}

pub(crate) fn measure_spawn(session: &mut Session) -> Fallible<()> {
    let hello = |figures: &Figures, count| figures.expect("bytes", check::hello_total(count).0);
    let counts = |base: usize| [base, 10 * base, 100 * base];
    for (file, title, in_flight, base) in [
        ("one-at-a-time", "spawn → exit, one at a time", 1, session.count(20, 10)),
        ("64-at-a-time", "spawn → exit, 64 at a time", spawn::IN_FLIGHT, 64),
    ] {
        grow(
            session,
            &Growth {
                file,
                title,
                x_label: "children in all",
                unit: "children/s",
                better: Better::Higher,
                sizes: counts(base),
                contenders: &|session, count| Ok(session.all("spawn", &spawn::arguments(session, count, in_flight)?)),
                check: &hello,
                figure: &|figures| figures.number("per_second"),
            },
        )?;
    }
    grow(
        session,
        &Growth {
            file: "exit-latency",
            title: "exit → known, p50",
            x_label: "children in all, one at a time",
            unit: "µs",
            better: Better::Lower,
            sizes: counts(10),
            contenders: &|session, count| Ok(session.all("latency", &latency::arguments(session, count))),
            check: &|_, _| Ok(()),
            figure: &|figures| figures.number("p50_us"),
        },
    )?;
    grow(
        session,
        &Growth {
            file: "stop",
            title: "stop of all children",
            x_label: "live children",
            unit: "ms",
            better: Better::Lower,
            sizes: counts(10),
            contenders: &|session, count| Ok(session.all("stop", &stop::arguments(session, count, 0))),
            check: &|figures, _| figures.expect("by_kill", 0),
            figure: &|figures| figures.number("ms"),
        },
    )
}

fn grow(session: &mut Session, growth: &Growth<'_>) -> Fallible<()> {
    let mut series: Vec<Series> = Vec::new();
    for size in growth.sizes {
        let contenders = (growth.contenders)(session, size)?;
        let stamps = if contenders.iter().any(|one| one.arguments.iter().any(|word| word == PAGE)) { size } else { 0 };
        let name = format!("growth: {}, {size}", growth.title);
        let samples = session.run(&Workload {
            title: &name,
            contenders,
            rounds: session.rounds(5),
            stamps,
            check: &|figures| (growth.check)(figures, size),
        })?;
        for (contender, _, value) in samples.medians(growth.figure)? {
            match series.iter_mut().find(|series| series.name == contender) {
                Some(series) => series.points.push((size as f64, value)),
                None => series.push(Series { name: contender.to_owned(), points: vec![(size as f64, value)] }),
            }
        }
        session.report(
            &samples,
            &Metric {
                name: &name,
                unit: growth.unit,
                better: growth.better,
                goal: Goal::none(),
                figure: growth.figure,
            },
        )?;
    }
    let plot = Plot { title: growth.title, x_label: growth.x_label, y_label: growth.unit, series: &series };
    Ok(std::fs::write(session.toolchain.file(&format!("growth-{}.svg", growth.file)), plot.svg()?)?)
}
