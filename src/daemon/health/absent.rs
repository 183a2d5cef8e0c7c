//! The health server of a build without the feature `health`: it cannot be started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::options::HealthOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::fork;

/// An HTTP server that says whether its program is well. This build is without the feature `health`: adding checks and
/// starting fail with [`ErrorKind::Unsupported`].
#[derive(Clone, Debug)]
pub struct HealthServer(Arc<(String, AtomicBool)>);

impl HealthServer {
    /// Makes a server that cannot be started.
    pub fn new(address: impl Into<String>, _options: HealthOptions) -> HealthServer {
        HealthServer(Arc::new((address.into(), AtomicBool::new(true))))
    }

    /// Fails.
    ///
    /// # Errors
    ///
    /// `Unsupported`.
    pub fn add_check(
        &self,
        _name: impl Into<String>,
        _check: impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Result<()> {
        fork::check_original("add check")?;
        Err(unsupported("add check"))
    }

    /// Sets the flag of `/ready`.
    pub fn set_ready(&self, ready: bool) {
        self.0.1.store(ready, Ordering::SeqCst);
    }

    /// Returns the flag of `/ready`: true at first.
    pub fn is_ready(&self) -> bool {
        self.0.1.load(Ordering::SeqCst)
    }

    /// Fails.
    ///
    /// # Errors
    ///
    /// `Unsupported`.
    pub fn start(&self) -> Result<()> {
        fork::check_original("start health server")?;
        Err(unsupported("start health server"))
    }

    /// Returns the given address.
    pub fn address(&self) -> String {
        self.0.0.clone()
    }

    /// Has nothing to do.
    ///
    /// # Errors
    ///
    /// `Forked` in a child of fork.
    pub fn stop(&self, _timeout: Duration) -> Result<()> {
        fork::check_original("stop health server")
    }

    #[allow(dead_code, reason = "the server has it too")]
    pub(crate) fn is_in_check(&self) -> bool {
        false
    }
}

fn unsupported(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "this build is without the feature \"health\"")
}
