//! [`Probe`]: the answer to a question about the health of another program.

#[cfg(feature = "health")]
use std::time::Duration;

#[cfg(feature = "health")]
use crate::sys::clock::exact;

/// What another program, or the attempt to ask it, said about its health.
///
/// ```
/// use std::time::Duration;
///
/// let probe: coreproc::Probe = coreproc::probe_health("unix:/no/such/socket", Duration::from_secs(1));
/// assert!(!probe.ok);
/// println!("{}", probe.reason);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether the answer was 200.
    pub ok: bool,
    /// The body of such an answer, such as `ok`; else the last obstacle, such as `connection refused` or `503:
    /// unhealthy: no database`. One line.
    pub reason: String,
}

#[cfg(feature = "health")]
impl Probe {
    /// Makes the probe of a question that got no answer within `timeout`.
    pub(super) fn unanswered(timeout: Duration) -> Probe {
        Probe { ok: false, reason: format!("no answer within {}", exact(timeout)) }
    }
}
