//! The C ABI: one file for each C type, and the machinery that they share (`call`, `guard`, `handle`, `convert`,
//! `versioned`, `user_data`, `limit`). A function here is its documentation, its signature, and the few lines that pass
//! its arguments to the core; it has no logic. cbindgen copies the documentation, which is the contract, into
//! `include/coreproc.h`.
//!
//! Ownership is in the signatures, in which NULL is `None`: `Option<&T>` borrows a handle, `Option<&mut T>` a builder,
//! `Option<Box<T>>` takes a handle, `Option<&mut MaybeUninit<T>>` is an output, which gives a handle away if `T` is a
//! `Box`.
//!
//! # Safety
//!
//! A function is `unsafe` if it has an argument that no type describes:
//!
//! - bytes, text, or a buffer: the pointer is NULL or valid for as many bytes as the length says;
//! - a struct that begins with `struct_size`: the pointer is NULL or valid for that many bytes, which may be fewer than
//!   our struct has, so it cannot be a reference; pointers inside are NULL or valid as well;
//! - `count` and `stride` of an array: each is NULL or valid, and they may be the same;
//! - `user_data`, which the library's threads use;
//! - an error to free, which is the caller's alone unless the library shares it.

#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc, reason = "said above for all, in the words of C in the header")]

mod activity;
mod batch;
mod bytes;
mod call;
mod capture;
mod check;
mod command;
mod containment;
mod convert;
mod credentials;
mod daemon;
mod deadlines;
mod descriptor;
mod entries;
mod error;
mod event;
mod flat;
mod fork;
mod guard;
mod handle;
mod health;
mod history;
mod identity;
mod info;
#[cfg(feature = "fault-injection")]
mod injection;
mod limit;
mod log;
mod pid_file;
mod pipeline;
mod probe;
mod process;
mod progress;
mod pty;
mod registry;
mod report;
mod resources;
mod ring;
mod run;
mod run_options;
mod service;
mod spec_result;
mod status;
mod stdio;
mod stop;
mod stops;
mod stream;
mod subscription;
mod user_data;
mod version;
mod versioned;
mod wait;

// The order of the header, which build.rs reads here.
#[rustfmt::skip]
pub use self::{
    error::*, version::*, fork::*, bytes::*, limit::*, user_data::*,
    service::*, command::*, stream::*, stdio::*, stop::*,
    credentials::*, resources::*,
    deadlines::*, stops::*, containment::*,
    flat::*, process::*, wait::*,
    descriptor::*,
    pty::*,
    capture::*, log::*,
    info::*, status::*,
    identity::*, activity::*,
    subscription::*, event::*, batch::*, ring::*,
    pid_file::*, registry::*, entries::*, health::*, check::*, probe::*, daemon::*,
    pipeline::*, run_options::*, run::*, spec_result::*, report::*, history::*, progress::*,
};
#[cfg(feature = "fault-injection")]
pub use injection::*;
