//! The health server: `/health` runs the checks, `/ready` tells the flag.
//!
//! `server` is what callers hold, `options` its limits, `running` its thread as the handle sees it, and `shared` what
//! both share. On the thread, `thread` accepts, `listener` is what it listens on, `roster` the connections that are
//! open, and `connection` one client's conversation. `checks` are the checks, `check` is one of them and its runs,
//! `pool` the threads that run them, and `answer` what is written. In a build without the feature `health` there is
//! only `absent`.

#[cfg(not(feature = "health"))]
mod absent;
#[cfg(feature = "health")]
mod answer;
#[cfg(feature = "health")]
mod check;
#[cfg(feature = "health")]
mod checks;
#[cfg(feature = "health")]
mod connection;
#[cfg(feature = "health")]
mod listener;
mod options;
#[cfg(feature = "health")]
mod pool;
#[cfg(feature = "health")]
mod roster;
#[cfg(feature = "health")]
mod running;
#[cfg(feature = "health")]
mod server;
#[cfg(feature = "health")]
mod shared;
#[cfg(feature = "health")]
mod thread;

#[cfg(not(feature = "health"))]
pub use absent::HealthServer;
pub use options::HealthOptions;
#[cfg(feature = "health")]
pub use server::HealthServer;
