//! The health server: `/health` runs the checks, `/ready` tells the flag.
//!
//! `handle` is what callers hold; `server` is the thread behind it, `listener` what it listens on, `connection` one
//! client's conversation, `checks` what is asked and the threads that ask it, `answer` what is written. Without the
//! feature `health`, `absent` is all there is.

#[cfg(not(feature = "health"))]
mod absent;
#[cfg(feature = "health")]
mod answer;
#[cfg(feature = "health")]
mod checks;
#[cfg(feature = "health")]
mod connection;
#[cfg(feature = "health")]
mod handle;
#[cfg(feature = "health")]
mod listener;
#[cfg(feature = "health")]
mod server;

use std::time::Duration;

#[cfg(not(feature = "health"))]
pub use absent::HealthServer;
#[cfg(feature = "health")]
pub(super) use answer::one_line;
#[cfg(feature = "health")]
pub use handle::HealthServer;

/// What a health server allows. Zero is the default everywhere; [`Duration::MAX`] is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthOptions {
    /// How long one run of a check may take before the answer goes out without it: 5 s. The check itself cannot be
    /// stopped; while it runs it is not started again.
    pub check_timeout: Duration,
    /// Connections at once: 4096, and never more than half of the descriptors that the process may have when the
    /// server starts. When a further one comes, that which has waited longest for its client's next request is closed.
    pub max_connections: usize,
    /// Bytes of a request's line and headers: 16 KiB. A longer one is answered with 431. There may be 100 headers.
    pub max_header_bytes: usize,
    /// From a connection's beginning, or the first byte of a further request, to the end of its headers: 10 s. Then
    /// the connection is closed.
    pub header_timeout: Duration,
    /// How long a connection may stay without a further request, or without taking its answer: 60 s.
    pub idle_timeout: Duration,
}

impl HealthOptions {
    /// With the defaults in place of zeros.
    #[cfg(feature = "health")]
    fn resolved(self) -> HealthOptions {
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
