//! Pipelines of ours, through the Rust API.

use super::*;
use coreproc::{Command, Limit, Pipeline, RunOptions, Service, Spec, SpecState, Stdin};
use std::collections::{BinaryHeap, HashMap};

/// `specs CHILD COUNT LIMIT`
pub(crate) struct SpecsPlan {
    pub(crate) child: PathBuf,
    pub(crate) count: usize,
    pub(crate) limit: usize,
}

/// `makespan CHILD GRAPHS SPECS LIMIT`: random graphs of sleeps; LIMIT 0 is without limit.
pub(crate) struct MakespanPlan {
    pub(crate) child: PathBuf,
    pub(crate) graphs: usize,
    pub(crate) specs: usize,
    pub(crate) limit: usize,
}

/// `chains CHILD STEPS`: two chains of steps that are long and short in turn, and against each other.
pub(crate) struct ChainsPlan {
    pub(crate) child: PathBuf,
    pub(crate) steps: usize,
}

/// `graph CHILD COUNT`: the check of a graph of so many specs, and of a tenth of them. Starts no child.
pub(crate) struct GraphPlan {
    pub(crate) child: PathBuf,
    pub(crate) count: usize,
}

pub(super) fn specs(plan: &SpecsPlan) -> Fallible<Figures> {
    let service = Service::new(Default::default())?;
    let mut pipeline = Pipeline::new();
    for index in 0..plan.count {
        let mut command = Command::new(&plan.child);
        command.stdin(Stdin::Pipe).arg(index.to_string());
        pipeline.add(Spec::new(index.to_string(), command));
    }
    spawn_figures(plan.count, || {
        let options = RunOptions { limit: Limit::At(plan.limit), ..Default::default() };
        let report = pipeline.start(&service, options)?.wait(None)?;
        let mut tally = Tally::default();
        for (index, spec) in report.specs.iter().enumerate() {
            match spec.status {
                Some(coreproc::ExitStatus::Code(code)) => exit_code_is(Some(code), index)?,
                other => return Err(format!("spec {index} ended with {other:?}").into()),
            }
            tally.add_output(&spec.output);
        }
        Ok(tally)
    })
}

/// The earlier specs that each comes after, and how long it takes.
struct Graph {
    after: Vec<Vec<usize>>,
    ms: Vec<u64>,
}

impl Graph {
    fn random(seed: u64, specs: usize) -> Graph {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut graph = Graph { after: Vec::new(), ms: Vec::new() };
        for index in 0..specs {
            let mut after: Vec<usize> = (0..next(4).min(index as u64)).map(|_| next(index as u64) as usize).collect();
            after.sort_unstable();
            after.dedup();
            graph.after.push(after);
            graph.ms.push(10 + next(60));
        }
        graph
    }

    /// Chains of long and short steps: when one has a long step the other has a short one.
    fn chains(steps: usize) -> Graph {
        let mut graph = Graph { after: Vec::new(), ms: Vec::new() };
        for step in 0..steps {
            for chain in 0..2 {
                let at = graph.after.len();
                graph.after.push(if step > 0 { vec![at - 2] } else { Vec::new() });
                graph.ms.push(if (step + chain) % 2 == 0 { 100 } else { 20 });
            }
        }
        graph
    }

    /// Returns the longest path from each spec to an end, itself included.
    fn paths(&self) -> Vec<u64> {
        let mut paths = self.ms.clone();
        for index in (0..self.after.len()).rev() {
            for before in &self.after[index] {
                paths[*before] = paths[*before].max(self.ms[*before] + paths[index]);
            }
        }
        paths
    }

    /// Returns how long the longest-path-first list schedule takes if only the sleeps take time.
    fn bound_ms(&self, limit: usize) -> u64 {
        let paths = self.paths();
        let mut pending: Vec<usize> = self.after.iter().map(Vec::len).collect();
        let first = |index: &usize| pending[*index] == 0;
        let mut ready: BinaryHeap<(u64, std::cmp::Reverse<usize>)> =
            (0..pending.len()).filter(first).map(|index| (paths[index], std::cmp::Reverse(index))).collect();
        let mut running: BinaryHeap<std::cmp::Reverse<(u64, usize)>> = BinaryHeap::new();
        let mut now = 0;
        loop {
            while running.len() < limit
                && let Some((_, std::cmp::Reverse(index))) = ready.pop()
            {
                running.push(std::cmp::Reverse((now + self.ms[index], index)));
            }
            let Some(std::cmp::Reverse((end, ended))) = running.pop() else { return now };
            now = end;
            for index in 0..self.after.len() {
                if self.after[index].contains(&ended) {
                    pending[index] -= 1;
                    if pending[index] == 0 {
                        ready.push((paths[index], std::cmp::Reverse(index)));
                    }
                }
            }
        }
    }

    fn pipeline(&self, child: &Path) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for (index, after) in self.after.iter().enumerate() {
            let mut command = Command::new(child);
            command.arg(self.ms[index].to_string());
            let mut spec = Spec::new(format!("s{index}"), command);
            for before in after {
                spec.after(format!("s{before}"));
            }
            pipeline.add(spec);
        }
        pipeline
    }

    /// Runs it, and returns how long that took, in milliseconds.
    fn run_ms(&self, service: &Service, child: &Path, limit: usize) -> Fallible<f64> {
        let durations: HashMap<String, Duration> =
            self.ms.iter().enumerate().map(|(index, ms)| (format!("s{index}"), Duration::from_millis(*ms))).collect();
        let limit = if limit == 0 { Limit::None } else { Limit::At(limit) };
        let pipeline = self.pipeline(child);
        let start = probe::monotonic_ns();
        let run = pipeline.start(service, RunOptions { limit, durations, ..Default::default() })?;
        let report = run.wait(None)?;
        let ms = (probe::monotonic_ns() - start) as f64 / 1e6;
        match report.specs.iter().find(|spec| spec.state != SpecState::Passed) {
            None => Ok(ms),
            Some(spec) => Err(format!("{} {:?}: {:?}", spec.name, spec.state, spec.error).into()),
        }
    }
}

pub(super) fn makespan(plan: &MakespanPlan) -> Fallible<Figures> {
    let service = Service::new(Default::default())?;
    let (mut took, mut bound) = (0.0, 0);
    for seed in 1..=plan.graphs {
        let graph = Graph::random(seed as u64, plan.specs);
        took += graph.run_ms(&service, &plan.child, plan.limit)?;
        bound += graph.bound_ms(if plan.limit == 0 { usize::MAX } else { plan.limit });
    }
    Ok(Figures::default().with("ratio", took / bound as f64).with("specs", plan.graphs * plan.specs))
}

pub(super) fn chains(plan: &ChainsPlan) -> Fallible<Figures> {
    let service = Service::new(Default::default())?;
    let graph = Graph::chains(plan.steps);
    let took = graph.run_ms(&service, &plan.child, 0)?;
    let critical = graph.paths().into_iter().max().unwrap_or(0);
    Ok(Figures::default().with("ratio", took / critical as f64).with("specs", 2 * plan.steps))
}

pub(super) fn graph(plan: &GraphPlan) -> Fallible<Figures> {
    let of = |count: usize| {
        let mut pipeline = Pipeline::new();
        for (index, after) in Graph::random(7, count).after.iter().enumerate() {
            let mut spec = Spec::new(format!("spec number {index}"), Command::new(&plan.child));
            for before in after {
                spec.after(format!("spec number {before}"));
            }
            pipeline.add(spec);
        }
        pipeline
    };
    let (many, few) = (of(plan.count), of(plan.count / 10));
    let time = |pipeline: &Pipeline, count: usize| -> Fallible<f64> {
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = probe::monotonic_ns();
            pipeline.check()?;
            best = best.min((probe::monotonic_ns() - start) as f64 / count as f64);
        }
        Ok(best)
    };
    let (each_of_many, each_of_few) = (time(&many, plan.count)?, time(&few, plan.count / 10)?);
    Ok(Figures::default()
        .with("ratio", each_of_many / each_of_few)
        .with("ns_per_spec", each_of_many)
        .with("specs", plan.count))
}
