//! The output rows without glibc's `rep movsb` against the same with it, so that a copy that only some processors make
//! quickly shows on every machine.

use super::session::{Metric, Session};
use crate::Fallible;
use crate::harness::check;
use crate::harness::goal::{Bound, Goal, Reference};
use crate::harness::report::Better;
use crate::harness::round::{Contender, Workload};

const WITHOUT: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS");

pub(crate) fn measure(session: &mut Session) -> Fallible<()> {
    if !cfg!(target_env = "gnu") {
        eprintln!("erms: left out, because the libc is not glibc");
        return Ok(());
    }
    if !std::fs::read_to_string("/proc/cpuinfo")?.split_whitespace().any(|flag| flag == "erms") {
        eprintln!("erms: left out, because the processor has no fast `rep movsb`");
        return Ok(());
    }
    measure_mode(session, "bytes captured", "bytes")?;
    measure_mode(session, "bytes captured and delivered", "check")?;
    measure_mode(session, "80-byte lines captured and delivered", "lines")
}

fn measure_mode(session: &mut Session, name: &str, mode: &str) -> Fallible<()> {
    let lines = session.count(2_000_000, 200_000);
    let contenders = || {
        let arguments = [session.child("flood"), lines.to_string(), mode.to_owned()];
        let all = [("limit", "limit"), ("Rust", "rust"), ("C", "c")];
        all.map(|(name, implementation)| session.one(name, implementation, "output", &arguments)).into_iter().flatten()
    };
    let pairs = contenders()
        .zip(contenders())
        .flat_map(|(without, with)| [Contender { environment: vec![WITHOUT], ..without }, with]);
    let title = format!("{name}, without ERMS ÷ with");
    let samples = session.run(&Workload {
        title: &title,
        contenders: pairs.collect(),
        rounds: session.rounds(11),
        stamps: 0,
        check: &|figures| figures.expect("bytes", lines * check::LINE_BYTES),
    })?;
    session.report(
        &samples.paired(),
        &Metric {
            name: &title,
            unit: "×",
            better: Better::Higher,
            goal: Goal(vec![Bound::AtLeast(0.9, Reference::Absolute), Bound::AtMost(1.1, Reference::Absolute)]),
            figure: &|figures| Ok(figures.number("bytes_per_second")? / figures.number("other_bytes_per_second")?),
        },
    )
}
