//! [`Halt`]: why specs that have not run will not run.

use std::sync::Arc;

#[derive(Clone, Debug)]
pub(in crate::pipeline) enum Halt {
    /// The run was cancelled; the clean-up still runs.
    Cancelled,
    /// The deadline of the run passed; the clean-up still runs.
    Deadline,
    /// A spec did not pass, for this reason, in a run that stops at the first failure; the clean-up still runs.
    Failure(Arc<str>),
    /// The run was cancelled once more: the clean-up does not run either.
    CancelledAgain,
    /// The service is closed, so nothing more can be started.
    ServiceClosed,
}

impl Halt {
    /// Returns the reason in the errors of the specs.
    pub(super) fn text(&self) -> String {
        match self {
            Halt::Cancelled | Halt::CancelledAgain => "the run was cancelled".to_owned(),
            Halt::Deadline => "the deadline of the run passed".to_owned(),
            Halt::Failure(reason) => (**reason).to_owned(),
            Halt::ServiceClosed => "the service was closed".to_owned(),
        }
    }

    /// Returns whether specs that always run still run.
    pub(super) fn spares_clean_up(&self) -> bool {
        self.rank() == 0
    }

    /// Returns whether specs that run are stopped. A service that is closed deals with its processes itself.
    pub(super) fn stops(&self) -> bool {
        !matches!(self, Halt::ServiceClosed)
    }

    /// Returns its rank: a halt of a higher rank replaces the reason.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Halt::Cancelled | Halt::Deadline | Halt::Failure(_) => 0,
            Halt::ServiceClosed => 1,
            Halt::CancelledAgain => 2,
        }
    }
}
