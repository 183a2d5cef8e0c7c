//! The only code that talks to the kernel. Each file is a thin, typed wrapper of system calls; the layers above decide
//! what they are used for. Descriptors are born close-on-exec and above 2.
//!
//! - Children: `spawn` (with `strings`, `redirect` and `raw`), `pidfd`, `deliver` and `address` (signals),
//!   `close_on_fork` (our ends of their pipes), `spool`.
//! - Waiting: `poller` (with `epoll` and `eventfd`), `window` and `bell` (for the host's own loop), `timer`, `clock`.
//! - Descriptors and files: `descriptor`, `pipe`, `buffer`, `file`, `outlet`, `terminal`, `pty`, `socket`.
//! - Other processes: `procfs`, `identity`; users and groups: `account`; what a child has started: `cgroup`,
//!   `tree`.
//! - This process and its threads: `signal`, `handler`, `thread`, `worker`, `cancel`, `fork`, `limits`, `capability`, `reserve`; `calls` makes
//!   an interrupted call again.

#![allow(unsafe_code)]

pub(crate) mod account;
pub(crate) mod address;
pub(crate) mod bell;
pub(crate) mod block;
pub(crate) mod buffer;
mod calls;
pub(crate) mod cancel;
pub(crate) mod capability;
pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod close_on_fork;
pub(crate) mod copy;
pub(crate) mod deliver;
pub(crate) mod descriptor;
mod epoll;
mod eventfd;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod handler;
pub(crate) mod identity;
pub(crate) mod limits;
pub(crate) mod newlines;
pub(crate) mod outlet;
pub(crate) mod pidfd;
pub(crate) mod pipe;
pub(crate) mod poller;
pub(crate) mod procfs;
pub(crate) mod pty;
mod raw;
pub(crate) mod redirect;
pub(crate) mod reserve;
pub(crate) mod rusage;
pub(crate) mod signal;
#[cfg(feature = "health")]
pub(crate) mod socket;
pub(crate) mod space;
pub(crate) mod spawn;
pub(crate) mod spool;
pub(crate) mod strings;
pub(crate) mod terminal;
pub(crate) mod thread;
pub(crate) mod timer;
pub(crate) mod tree;
pub(crate) mod window;
pub(crate) mod worker;

pub(crate) use calls::{errno, retried, retried_raw};
