//! The library inside its host: what it leaves alone and does not leave behind, whatever the host and the kernel do.
//!
//! Nearly every test here runs in a host of its own (`support::host`), for it changes or counts what belongs to a whole
//! process: descriptors, threads, children, signals, limits, system calls that are refused.

mod conditions;
mod faults;
mod fork;
mod ladder;
mod leaks;
