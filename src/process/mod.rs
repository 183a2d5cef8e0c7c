//! Processes: a [`Service`] spawns [`Command`]s as [`Process`]es, and supervises them.
//!
//! - `command`, `stdio`, `credentials`, `resources`, `deadlines`, `stop` and `options` are what a caller chooses;
//!   `launch` starts a command, with `streams` for its standard streams, `steps` for what the child does itself, and
//!   `explain` for the words of a failure.
//! - `containment` holds a child together with what it starts.
//! - `child` is one process: its life, its output and input, its stop. `reader` is our side of one output, `capture`
//!   the part of them that is kept.
//! - `supervisor` has the children, subscriptions and runs of a service, and the thread of its loop; `scan` names the
//!   holders of pipes for it; `member` ties a process to a run.
//! - `service` and `process` are the handles of both; `ring` is the capture as a type of its own.
//! - `activity` tells what processes do and use. `identity` is a process written down, `handle` what is got for it later, child or not.

mod activity;
mod capture;
mod chain;
mod child;
mod command;
mod containment;
mod credentials;
mod deadlines;
mod descriptor;
mod explain;
mod foreground;
mod handle;
mod identity;
mod info_json;
mod input;
mod launch;
mod log;
pub(crate) mod member;
mod options;
mod post_mortem;
#[allow(clippy::module_inception)]
mod process;
mod pty;
mod reader;
mod resources;
mod ring;
mod round;
mod scan;
mod service;
mod stdio;
mod steps;
mod stop;
mod streams;
mod supervisor;
mod terms;
mod wait;

pub use activity::{Activity, AwaitsInput, Doing};
pub use capture::Captured;
pub use child::{Info, State};
pub use command::{Command, Group};
pub use containment::{Containment, Rung, TreeMember};
pub use credentials::Account;
pub use descriptor::Descriptor;
pub use handle::ProcessHandle;
pub use identity::ProcessIdentity;
pub use log::{Log, LogFollower, LogFormat, LogInfo, LogOptions};
pub use options::{CloseMode, Drain, ServiceOptions, Size};
pub(crate) use post_mortem::describe;
pub use process::Process;
pub use pty::{PtyMode, PtyOptions};
pub use resources::{IoPriority, Resource, Scheduling};
pub use ring::Ring;
pub use service::Service;
pub use stdio::{FileMode, Output, Stdin};
pub(crate) use stdio::{SPOOL_MAX, duplicate};
pub use stop::{Scope, StopOptions, StopPolicy, StopStep};
pub(crate) use supervisor::{ServiceObserver, Supervisor};
pub use wait::{Cancel, wait_all, wait_any};
