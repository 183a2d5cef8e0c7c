//! How the end of a process becomes the outcome of an attempt.

use crate::event::{Cause, Ending};
use crate::pipeline::scheduler::Outcome;
use crate::process::{Command, describe};
use crate::sys::pidfd::ExitStatus;

/// Returns the outcome of an attempt whose process ended like this. `is_closing` says that the service is being closed,
/// which stops its processes.
pub(super) fn outcome(ending: Ending, is_closing: bool, command: &Command) -> Outcome {
    let past_limit = |cause| command.past_limit(cause).unwrap_or_default();
    match ending.cause {
        Cause::Cancelled => Outcome::Stopped,
        Cause::Stopped | Cause::Killed if is_closing => Outcome::Stopped,
        cause @ (Cause::Timeout | Cause::StartTimeout | Cause::Silence | Cause::CpuTime) => {
            Outcome::TimedOut(past_limit(cause))
        }
        cause @ Cause::OutputLimit => Outcome::Failed(past_limit(cause)),
        Cause::Natural if ending.status == ExitStatus::Code(0) => Outcome::Passed,
        Cause::Natural => Outcome::Failed(describe(ending.status)),
        Cause::Stopped => Outcome::Failed(format!("stopped by another: {}", describe(ending.status))),
        Cause::Killed => Outcome::Failed(format!("killed by another: {}", describe(ending.status))),
    }
}
