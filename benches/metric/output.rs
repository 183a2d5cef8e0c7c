//! Output of one child, as bytes and as lines of 80 bytes: captured (the last 1 MiB), and delivered to a listener that
//! checks what it gets.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::check;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{Contender, Workload};

pub(crate) fn measure_bytes(session: &mut Session) -> Fallible<()> {
    let goal = Goal(vec![Bound::AtLeast(0.90, Reference::Limit)]);
    measure_mode(session, "bytes captured, no listener", "bytes", goal)?;
    let goal = Goal(vec![Bound::AtLeast(0.80, Reference::Limit), Bound::AtLeast(1.1, Reference::BestPeer)]);
    measure_mode(session, "bytes captured and delivered", "check", goal)
}

pub(crate) fn measure_lines(session: &mut Session) -> Fallible<()> {
    let reused = Reference::BestOf("best peer with a reused buffer", &["std read_until", "tokio read_until"]);
    let goal = Goal(vec![Bound::AtLeast(1.6, Reference::Peer("std lines")), Bound::AtLeast(0.8, reused)]);
    measure_mode(session, "80-byte lines captured and delivered", "lines", goal)
}

fn measure_mode(session: &mut Session, name: &str, mode: &str, goal: Goal) -> Fallible<()> {
    let lines = session.count(2_000_000, 200_000);
    let in_lines = mode == "lines";
    let contenders = contenders(session, lines, mode);
    let bytes = lines * check::LINE_BYTES;
    let checksum = check::Pattern::new().checksum(lines as u64);
    let samples = session.run(&Workload {
        title: name,
        contenders,
        rounds: session.rounds(15),
        stamps: 0,
        check: &|figures| {
            figures.expect("bytes", bytes)?;
            if in_lines {
                figures.expect("lines", lines)?;
                figures.expect("checksum", format!("{checksum:016x}"))?;
            }
            Ok(())
        },
    })?;
    session.report(
        &samples,
        &Metric {
            name,
            unit: if in_lines { "M lines/s" } else { "MB/s" },
            better: Better::Higher,
            goal,
            figure: &|figures| {
                let figure = if in_lines { "lines_per_second" } else { "bytes_per_second" };
                Ok(figures.number(figure)? / 1e6)
            },
        },
    )
}

fn contenders(session: &Session, lines: usize, mode: &str) -> Vec<Contender> {
    let arguments = |mode: &str| [session.child("flood"), lines.to_string(), mode.to_owned()];
    if mode != "lines" {
        return session.all("output", &arguments(mode));
    }
    // The peers have two ways to read lines: a string for each, or one buffer used again.
    let ways = [
        ("limit", "limit", "lines"),
        ("Rust", "rust", "lines"),
        ("C", "c", "lines"),
        ("std lines", "std", "lines"),
        ("std read_until", "std", "lines_reused"),
        ("tokio lines", "tokio", "lines"),
        ("tokio read_until", "tokio", "lines_reused"),
    ];
    ways.iter()
        .filter_map(|(name, implementation, mode)| session.one(name, implementation, "output", &arguments(mode)))
        .collect()
}
