//! Runs: the order in which specs run, and how each ends.

mod cancel;
mod events;
mod failure;
mod graph;
mod order;

use crate::spec_after;
use coreproc::{EventKind, Limit, Pipeline, Run, RunOptions, RunReport, Service, Spec, SpecState, Subscription};
use std::sync::Arc;
use support::events::Kept;
use support::*;

/// Makes a spec that runs the child program.
fn spec(name: &str, verbs: &str, after: &[&str]) -> Spec {
    spec_after(name, script(verbs), after)
}

fn unlimited() -> RunOptions {
    RunOptions { limit: Limit::None, ..Default::default() }
}

fn start(service: &Service, pipeline: &Pipeline, options: RunOptions) -> Run {
    pipeline.start(service, options).expect("start")
}

fn end_of(run: &Run) -> Arc<RunReport> {
    run.wait(GUARDED).expect("the run ends")
}

fn states(report: &RunReport) -> Vec<(&str, SpecState)> {
    report.specs.iter().map(|spec| (spec.name.as_str(), spec.state)).collect()
}

#[track_caller]
fn error_of<'a>(report: &'a RunReport, name: &str) -> &'a str {
    let spec = report.specs.iter().find(|spec| spec.name == name).expect("a spec of this name");
    spec.error.as_deref().unwrap_or("")
}

/// The events of one run, its first to its last.
struct Story(Vec<(Kept, Option<usize>, u32)>);

impl Story {
    #[track_caller]
    fn of(subscription: &Subscription, run: &Run) -> Story {
        let mut story = Vec::new();
        loop {
            let batch = subscription.take(0, GUARDED).expect("events");
            if batch.process_id() != run.id() {
                continue;
            }
            for event in batch.events() {
                let part = event.part.expect("a part");
                assert_eq!(part.run_id, run.id());
                story.push((Kept::of(&event), part.spec, part.attempt));
                if matches!(event.kind, EventKind::RunEnded { .. }) {
                    return Story(story);
                }
            }
        }
    }

    /// `+0` for the start of an attempt of the first spec, `~0` for one that is to be repeated, `-0` for its end.
    fn order(&self) -> String {
        let steps = self.0.iter().filter_map(|(event, spec, _)| {
            let sign = match event.kind {
                EventKind::SpecStarted => '+',
                EventKind::SpecRetrying { .. } => '~',
                EventKind::SpecEnded { .. } => '-',
                _ => return None,
            };
            Some(format!("{sign}{}", spec.expect("a spec")))
        });
        steps.collect::<Vec<_>>().join(" ")
    }
}
