//! The C ABI: one file for each C type. A function here has three steps, arguments, call, result, and no
//! logic; the contract is in the comments, which cbindgen copies into `include/coreproc.h`.
//!
//! Handles are `Arc`s (shared types) or `Box`es (builders and results) turned into pointers; each C type has
//! its own Rust type, so a pointer can be cast one way only.

#![allow(unsafe_code)]
#![allow(non_camel_case_types)]

mod bytes;
mod command;
mod daemon;
mod error;
mod guard;
mod health;
mod history;
#[cfg(feature = "fault-injection")]
mod injection;
mod pid_file;
mod pipeline;
mod process;
mod progress;
mod registry;
mod report;
mod ring;
mod run;
mod service;
mod subscription;
mod version;

pub use bytes::*;
pub use command::*;
pub use daemon::*;
pub use error::*;
pub use health::*;
pub use history::*;
#[cfg(feature = "fault-injection")]
pub use injection::*;
pub use pid_file::*;
pub use pipeline::*;
pub use process::*;
pub use progress::*;
pub use registry::*;
pub use report::*;
pub use ring::*;
pub use run::*;
pub use service::*;
pub use subscription::*;
pub use version::*;
