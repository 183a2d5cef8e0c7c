//! The C ABI: each program of this directory, a theme, run in several ways. Each is a process of its own.

mod api;
mod asan;
mod builds;
mod faults;
mod memcheck;
mod release;
mod themes;
mod valgrind;
mod without_health;
