//! What only /proc tells: of a process, of process groups, and of the holders of a pipe or a terminal.

mod cpu;
mod groups;
mod holders;
mod stat;

pub(crate) use cpu::{cpu_ns, processors};
pub(crate) use groups::{group_has_others, group_of, living_groups, members_of};
pub use holders::Holder;
pub(crate) use holders::{Written, writers_of};
pub(crate) use stat::{is_ending, is_ours, stat};
