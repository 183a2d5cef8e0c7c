//! Process management: spawn, watch, stream and stop child processes, exactly, in any host.
//!
//! ```
//! use coreproc::{Command, Service, ServiceOptions, ExitStatus};
//!
//! # fn main() -> coreproc::Result<()> {
//! let service = Service::new(ServiceOptions::default())?;
//! let process = Command::new("sh").args(["-c", "echo hello; exit 3"]).spawn(&service)?;
//! let info = process.wait(None)?;
//! assert_eq!(info.status(), Some(ExitStatus::Code(3)));
//! assert_eq!(process.output()?, b"hello\n");
//! # Ok(())
//! # }
//! ```
//!
//! # A map
//!
//! - `sys` is the only code that talks to the kernel: spawning by `clone3` with vfork semantics, pidfds, an
//!   edge-triggered poller, pipes, spools, clocks.
//! - `util` is a few helpers without a layer: times as RFC 3339 writes them, files that are replaced whole.
//! - `runtime` is the loop. A thread that waits turns its service's loop beside the supervisor, so that what it
//!   waits for reaches it without a hand-off.
//! - `event` is how anything that happens reaches whoever listens: [`Subscription`]s give [`Batch`]es of
//!   [`Event`]s, to takers or to a callback.
//! - `process` is layer 1: a [`Service`] spawns [`Command`]s as [`Process`]es. `process::child` is the state
//!   machine of one of them, `process::supervisor` the loop and the registry.
//! - `daemon` is layer 2: a [`Daemon`] takes its [`PidFile`], starts its [`HealthServer`] and enters itself in the
//!   [`Registry`], and gives it all back in the right order. Each of them stands alone too.
//! - `pipeline` is layer 3: a [`Pipeline`] is a graph of [`Spec`]s, checked whole before anything starts. A
//!   [`Run`] starts each the moment its last dependency has ended, tells of it in the subscriptions of its
//!   service, and leaves a [`RunReport`]. `pipeline::scheduler` decides, without clocks or processes;
//!   `pipeline::engine` does.
//! - `ffi` is the C ABI over all of it, whose contract is `include/coreproc.h`.
//!
//! # Promises
//!
//! No signal handler, no `waitpid(-1)`, no output of its own; every descriptor close-on-exec; memory bounded;
//! no wake-up while nothing happens. A child's exit is told as soon as it is reaped, whoever holds its pipes,
//! code and signal apart; when the host reaps it first the kernel is asked, and what it cannot tell is
//! [`ExitStatus::Unknown`], never a false zero.

mod daemon;
mod error;
mod event;
pub mod ffi;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod pipeline;
mod printable;
mod process;
mod runtime;
mod sys;
mod util;

pub use daemon::{
    Daemon, DaemonEntry, DaemonOptions, HealthOptions, HealthServer, Listing, PidFile, PidRead, PidState, Probe,
    Registry, RegistryNames, RegistryProblem, StopHandle, probe_health, probe_ready, read_pid, wait_for_health,
    wait_for_ready,
};
pub use error::{Error, ErrorKind, Result};
pub use event::batch::Events;
pub use event::event::Ending;
pub use event::{
    Batch, Cause, Delivery, Event, EventKind, Lifecycle, RunPart, Stream, Subscription, SubscriptionOptions,
    SubscriptionScope,
};
pub use pipeline::{
    Backoff, History, Limit, OnFailure, Pipeline, Problem, ProblemKind, Progress, ProgressOptions, ProgressOutput,
    ProgressStyle, ProgressView, ReportFormat, Run, RunMode, RunOptions, RunReport, RunningSpec, Spec, SpecResult,
    SpecState,
};
pub use process::{
    CloseMode, Command, Drain, FileMode, Group, Info, Output, Process, Ring, Scope, Service, ServiceOptions, Size,
    State, Stdin, StopOptions,
};
pub use sys::clock::Stamp;
pub use sys::identity::{PidNamespace, ProcessStart};
pub use sys::pidfd::ExitStatus;
pub use sys::procfs::Holder;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// Handles go between threads in every host; the compiler proves it.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Service>();
    shared::<Process>();
    shared::<Ring>();
    shared::<Subscription>();
    shared::<Daemon>();
    shared::<PidFile>();
    shared::<Registry>();
    shared::<HealthServer>();
    shared::<Run>();
    shared::<Pipeline>();
    // Several threads may spawn one command.
    shared::<Command>();
    const fn sent<T: Send>() {}
    sent::<Batch>();
};
