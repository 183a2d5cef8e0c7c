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
//! Each layer uses only those before it in this list: `sys` ← `util` ← `runtime` ← `event` ← `process` ← `daemon`,
//! `pipeline` ← `ffi`. `tools/circles` checks it. The page `docs/architecture.md` has the threads, the order of locks,
//! the way of a command and of a byte through these files, and a glossary.
//!
//! - `sys` is the only code that talks to the kernel, each file a thin typed wrapper of system calls. `sys::spawn`
//!   starts a child by clone3 with vfork semantics, or by the best way below that the kernel allows; `sys::pidfd` is a
//!   child's identity and gives its [`ExitStatus`]; `sys::deliver` sends signals that reach no other process.
//!   `sys::poller` waits, `sys::pipe` reads and writes, `sys::spool` follows the output of a detached child.
//!   `sys::procfs` names the [`Holder`]s of a pipe, `sys::identity` tells which process a PID names ([`ProcessStart`],
//!   [`PidNamespace`]), and `sys::clock` gives each event its [`Stamp`].
//! - `util` is a few helpers that need nothing but `sys`: text, paths, durations, times as RFC 3339 writes them, files
//!   that are replaced as a whole.
//! - `runtime` is the loop: it waits for descriptors and deadlines, and hands what comes to a handler. It knows tokens,
//!   but neither processes nor events. A thread that waits for something takes the seat and turns its service's loop
//!   beside the supervisor, so that the end of its wait reaches it without a hand-off. `runtime::gate` is how threads
//!   wait for a process, an event or a run: with a deadline, refused inside a callback, and ended by a panic.
//! - `event` brings events to subscribers. A [`Subscription`] gives [`Batch`]es of [`Event`]s to takers, to a callback,
//!   or to the host's own event loop; [`SubscriptionOptions`] say whose events, in which form ([`Delivery`],
//!   [`Lifecycle`], [`EventFilter`]), and how much may wait. Inside, `event::queue` has a mailbox for each process, in which
//!   `event::record`s and their bytes wait; a batch takes them as a whole, and its process gives no other until it is
//!   dropped. That is the credit which slows a child whose events are not taken.
//! - `process`: a [`Service`] spawns [`Command`]s as [`Process`]es, captures their output and hands
//!   it to subscriptions, stops them by policy ([`StopPolicy`]) and tells of their end ([`Info`], [`Ending`]).
//!   `process::child` is the state machine of one of them, `process::supervisor` the registry of a service, with its
//!   thread. A [`Ring`] is the capture by itself. A [`ProcessIdentity`] is a process written down, and a
//!   [`ProcessHandle`] what is found by it. An [`Activity`] is what a process does and uses now.
//! - `daemon`: a [`Daemon`] takes its [`PidFile`], starts its [`HealthServer`] and enters itself in the
//!   [`Registry`], and gives it all back in the right order. Each of them stands alone too.
//! - `pipeline`: a [`Pipeline`] is a graph of [`Spec`]s, checked whole before anything starts. A [`Run`] starts each
//!   the moment its last dependency has ended, tells of it in the subscriptions of its service, and leaves a
//!   [`RunReport`]; [`ProgressView`] draws it while it goes, [`History`] remembers how long specs took.
//!   `pipeline::scheduler` decides, without clocks or processes; `pipeline::engine` acts.
//! - `ffi` is the C ABI over all of it. Its contract is `include/coreproc.h`.
//!
//! Beside the layers, for all of them: [`Error`] and [`ErrorKind`] in `error`, and `printable`, which makes foreign
//! text fit to be shown.
//!
//! # Promises
//!
//! The library installs no signal handler unless it is asked to, never calls `waitpid(-1)` and prints nothing. Every
//! descriptor is close-on-exec, memory is bounded, and no thread wakes up while nothing happens. A child's exit is told
//! as soon as it is reaped, even if its pipes are still held, with code and signal apart. If the host reaps it first,
//! the kernel is asked; an exit that it cannot tell is [`ExitStatus::Unknown`], never a false zero.

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

pub use event::{
    Batch, Cause, Delivery, Encoding, Ending, Event, EventFilter, EventKind, Events, Lifecycle, Overflow, RunPart,
    Stream, Subscription, SubscriptionOptions, SubscriptionScope,
};
pub use pipeline::{
    Backoff, History, Limit, OnFailure, Pipeline, Problem, ProblemKind, Progress, ProgressOptions, ProgressOutput,
    ProgressStyle, ProgressView, ReportFormat, Run, RunMode, RunOptions, RunReport, RunningSpec, Spec, SpecResult,
    SpecState,
};
pub use process::{
    Account, Activity, AwaitsInput, Cancel, Captured, CloseMode, Command, Containment, Descriptor, Doing, Drain,
    FileMode, Group, Info, IoPriority, Log, LogFollower, LogFormat, LogInfo, LogOptions, Output, Process,
    ProcessHandle, ProcessIdentity, PtyMode, PtyOptions, Resource, Ring, Rung, Scheduling, Scope, Service,
    ServiceOptions, Size, State, Stdin, StopOptions, StopPolicy, StopStep, TreeMember, wait_all, wait_any,
};
pub use sys::cgroup::Usage;
pub use sys::clock::Stamp;
pub use sys::identity::{PidNamespace, ProcessStart};
pub use sys::pidfd::ExitStatus;
pub use sys::procfs::{Figures, Holder, Transferred};
pub use sys::rusage::ResourceUsage;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// Every host may pass handles between threads; the compiler proves that it can.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Service>();
    shared::<Process>();
    shared::<Cancel>();
    shared::<ProcessHandle>();
    shared::<ProcessIdentity>();
    shared::<Ring>();
    shared::<Subscription>();
    shared::<Log>();
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
