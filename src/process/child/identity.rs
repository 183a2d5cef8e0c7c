//! What names a child for good.

use super::Child;
use super::life::Life;
use crate::error::Result;
use crate::process::identity::ProcessIdentity;
use crate::runtime::lock;

impl Child {
    /// Returns what names it, under the lock, so that it is not reaped meanwhile.
    pub(crate) fn identity(&self) -> Result<ProcessIdentity> {
        const OPERATION: &str = "identity";
        match &lock(&self.inner).life {
            Life::Running { pidfd: Some(pidfd), .. } => ProcessIdentity::behind(OPERATION, pidfd, self.pid),
            _ => Err(self.not_running(OPERATION)),
        }
    }
}
