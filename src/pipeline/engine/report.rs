//! Makes the report of a run that has ended.

use std::sync::Arc;
use std::time::Duration;

use super::slot::Slot;
use crate::event::SpecState;
use crate::pipeline::graph::Edges;
use crate::pipeline::result::SpecResult;
use crate::pipeline::spec::Spec;
use crate::process::Process;

/// The state of a run at its end. All lists have one entry for each spec.
pub(super) struct Remains {
    pub(super) slots: Vec<Slot>,
    /// The dependencies of each spec.
    pub(super) after: Edges,
    pub(super) endings: Vec<SpecEnding>,
    /// When the last spec ended.
    pub(super) last_end: u64,
}

/// The part of it that the scheduler knows of a spec.
pub(super) struct SpecEnding {
    pub(super) state: SpecState,
    pub(super) attempts: u32,
    pub(super) error: Option<Arc<str>>,
}

impl Remains {
    /// Makes the result of each spec. It copies captures, so the caller holds no lock of the run.
    pub(super) fn results(self, specs: &[Spec]) -> Vec<SpecResult> {
        let known = self.slots.into_iter().zip(self.endings).zip(specs);
        known
            .enumerate()
            .map(|(index, ((slot, ending), spec))| {
                let (output, dropped_bytes) = slot.process.as_ref().map_or((Vec::new(), 0), output_of);
                SpecResult {
                    name: spec.name.clone(),
                    state: ending.state,
                    status: slot.status,
                    attempts: ending.attempts,
                    started: slot.first,
                    duration: Duration::from_nanos(slot.took()),
                    output,
                    dropped_bytes,
                    error: ending.error.map(|error| (*error).to_owned()),
                    allow_failure: spec.allow_failure,
                    after: self.after.of(index).to_vec(),
                }
            })
            .collect()
    }
}

/// Copies the capture of a process, and counts the bytes that are not in it. A copy for which there is no memory is
/// lost as a whole.
fn output_of(process: &Process) -> (Vec<u8>, u64) {
    let child = process.child();
    let info = child.info();
    match child.output() {
        Ok(output) => (output, info.dropped_bytes),
        Err(_) => (Vec::new(), info.stdout_bytes + info.stderr_bytes),
    }
}
