//! In place of the server where this build is without the feature `health`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::HealthOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::fork;

/// An HTTP server that says whether its program is well: not in this build, which is without the feature `health`.
/// Adding checks and starting fail with [`ErrorKind::Unsupported`].
#[derive(Clone, Debug)]
pub struct HealthServer(Arc<(String, AtomicBool)>);

impl HealthServer {
    /// A server that cannot be started.
    pub fn new(address: impl Into<String>, _options: HealthOptions) -> HealthServer {
        HealthServer(Arc::new((address.into(), AtomicBool::new(true))))
    }

    /// Fails.
    pub fn add_check(
        &self,
        _name: impl Into<String>,
        _check: impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Result<()> {
        fork::check("add check")?;
        Err(unsupported("add check"))
    }

    /// Keeps the flag.
    pub fn set_ready(&self, ready: bool) {
        self.0.1.store(ready, Ordering::SeqCst);
    }

    /// The flag: true at first.
    pub fn is_ready(&self) -> bool {
        self.0.1.load(Ordering::SeqCst)
    }

    /// Fails.
    pub fn start(&self) -> Result<()> {
        fork::check("start health server")?;
        Err(unsupported("start health server"))
    }

    /// The given address.
    pub fn address(&self) -> String {
        self.0.0.clone()
    }

    /// Stopping what does not run is fine.
    pub fn stop(&self, _timeout: Duration) -> Result<()> {
        fork::check("stop health server")
    }

    #[allow(dead_code, reason = "as the server has it")]
    pub(crate) fn is_in_check(&self) -> bool {
        false
    }
}

fn unsupported(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "this build is without the feature \"health\"")
}
