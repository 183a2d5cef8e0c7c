//! What only /proc tells: of a process, of process groups, of who started whom, and of the holders of a pipe or a
//! terminal.

mod activity;
mod blocked;
mod cpu;
mod groups;
mod holders;
mod place;
mod processes;
mod stat;

pub use activity::{Figures, Transferred};
pub(crate) use activity::{Found, Root, look_at};
pub(crate) use cpu::{cpu_ns, processors};
pub(crate) use groups::{group_has_others, group_of, living_groups, members_of};
pub use holders::Holder;
pub(crate) use holders::{Written, command_line, writers_of};
pub(crate) use processes::{Seen, environment_has, processes, seen};
pub(crate) use stat::{is_ending, is_ours, stat, state_of};
