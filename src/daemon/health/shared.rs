//! [`Shared`]: what the handle of a health server and its thread share.

use std::sync::atomic::AtomicBool;

use super::checks::Checks;
use super::options::HealthOptions;

pub(super) struct Shared {
    /// The options, with defaults in place of zeros.
    pub(super) options: HealthOptions,
    /// What `/ready` answers.
    pub(super) ready: AtomicBool,
    pub(super) checks: Checks,
}
