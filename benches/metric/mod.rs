//! The measurements: a file for each group, with the contenders, their work and the goal.

mod big_host;
mod erms;
mod flood;
mod go;
mod growth;
mod latency;
mod memory;
mod output;
mod pipeline;
mod ring;
mod session;
mod spawn;
mod stop;

use crate::Fallible;
use crate::harness::{probe, report};
use session::Session;
use std::time::Instant;

type Group = fn(&mut Session) -> Fallible<()>;

const GROUPS: [(&str, Group); 14] = [
    ("spawn", spawn::measure),
    ("output", output::measure_bytes),
    ("lines", output::measure_lines),
    ("erms", erms::measure),
    ("flood", flood::measure),
    ("latency", latency::measure),
    ("memory", memory::measure),
    ("big-host", big_host::measure),
    ("stop", stop::measure),
    ("pipeline", pipeline::measure),
    ("ring", ring::measure),
    ("go", go::measure),
    ("growth-output", growth::measure_output),
    ("growth-spawn", growth::measure_spawn),
];

/// `growth` names both its groups.
fn names(word: &str, group: &str) -> bool {
    group.strip_prefix(word).is_some_and(|rest| rest.is_empty() || (word == "growth" && rest.starts_with('-')))
}

/// Runs the groups and implementations that `words` name; without any of a kind, all of that kind. False if a host
/// failed.
pub(crate) fn run(words: &[&str]) -> Fallible<bool> {
    let is_group = |word: &&str| GROUPS.iter().any(|(name, _)| names(word, name));
    let (groups, implementations): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_group(word));
    if let Some(unknown) = implementations.iter().find(|name| !session::IMPLEMENTATIONS.contains(name)) {
        let known: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).chain(session::IMPLEMENTATIONS).collect();
        return Err(format!("unknown {unknown:?}; known are {}", known.join(", ")).into());
    }
    let from_go = groups.is_empty() || groups.contains(&"go");
    let mut session = Session::new(&implementations, from_go)?;
    let (start, cpu) = (Instant::now(), probe::CpuTime::now()?);
    for (name, measure) in GROUPS {
        if groups.is_empty() || groups.iter().any(|word| names(word, name)) {
            measure(&mut session)?;
        }
    }
    let path = session.toolchain.file("report.json");
    report::write_json(&session.rows, &path)?;
    println!("{}", report::table(&session.rows));
    let seconds = start.elapsed().as_secs_f64();
    let others = probe::CpuTime::now()?.of_others_since(&cpu) / seconds;
    let cores = std::thread::available_parallelism()?;
    println!("scale {}, {seconds:.0} s; written to {}", session.scale, path.display());
    println!("other processes used {others:.2} of {cores} cores meanwhile; more than a little disturbs the figures");
    for failure in &session.failures {
        println!("failed: {failure}");
    }
    Ok(session.failures.is_empty())
}
