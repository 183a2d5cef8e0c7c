//! [`HealthOptions`]: the limits of a health server.

use std::time::Duration;

/// The limits of a health server. Zero is the default everywhere; [`Duration::MAX`] is no limit.
///
/// ```
/// use std::time::Duration;
///
/// use coreproc::{HealthOptions, HealthServer};
///
/// let options = HealthOptions { check_timeout: Duration::from_millis(500), ..HealthOptions::default() };
/// let server = HealthServer::new("127.0.0.1:0", options);
/// # drop(server);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthOptions {
    /// How long one run of a check may take before the answer is sent without it: 5 s. The check itself cannot be
    /// stopped; while it runs it is not started again.
    pub check_timeout: Duration,
    /// The most connections at once: 4096, and never more than half of the descriptors that the process may have when
    /// the server starts. If a further one comes, the connection is closed that has waited longest for its client's
    /// next request.
    pub max_connections: usize,
    /// The most bytes of a request's line and headers: 16 KiB. A longer one is answered with 431. There may be 100
    /// headers.
    pub max_header_bytes: usize,
    /// The longest time from a connection's beginning, or the first byte of a further request, to the end of its
    /// headers: 10 s. Then the connection is closed.
    pub header_timeout: Duration,
    /// How long a connection may stay without a further request, or without taking its answer: 60 s.
    pub idle_timeout: Duration,
}

impl HealthOptions {
    /// Returns the options with the defaults in place of zeros.
    #[cfg(feature = "health")]
    pub(super) fn resolved(self) -> HealthOptions {
        let time = |given: Duration, usual| if given.is_zero() { Duration::from_secs(usual) } else { given };
        let size = |given, usual| if given == 0 { usual } else { given };
        HealthOptions {
            check_timeout: time(self.check_timeout, 5),
            max_connections: size(self.max_connections, 4096),
            max_header_bytes: size(self.max_header_bytes, 16 * 1024),
            header_timeout: time(self.header_timeout, 10),
            idle_timeout: time(self.idle_timeout, 60),
        }
    }
}
