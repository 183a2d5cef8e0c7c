//! Process groups and their members, by passes over /proc. See proc_pid_stat(5).

use std::collections::HashSet;
use std::fs;

use super::stat::{is_ours, stat};
use crate::sys::descriptor::Result;

/// Finds the process groups that have a member which has not ended, by a pass over /proc; None if /proc does not tell.
pub(crate) fn living_groups() -> Option<HashSet<i32>> {
    Some(living()?.into_iter().map(|(_, group)| group).collect())
}

/// Finds the processes of a group that have not ended, by a pass over /proc; None if /proc does not tell.
pub(crate) fn members_of(group: i32) -> Option<Vec<i32>> {
    Some(living()?.into_iter().filter(|(_, its)| *its == group).map(|(pid, _)| pid).collect())
}

/// Returns whether the group `leader` has a process besides its leader that has not ended. For kernels on which the
/// leader has to stay unreaped. True if /proc does not tell. A pass over /proc.
pub(crate) fn group_has_others(leader: i32) -> bool {
    members_of(leader).is_none_or(|members| members.iter().any(|pid| *pid != leader))
}

/// Returns the group of a process; None if it has ended.
pub(crate) fn group_of(pid: i32) -> Option<i32> {
    living_in(pid).ok().flatten()
}

/// Lists the processes that have not ended, with their groups; None if /proc does not tell: it is not mounted, it is
/// that of another namespace, whose numbers mean other processes, or there is no descriptor left to read it with.
fn living() -> Option<Vec<(i32, i32)>> {
    if !is_ours() {
        return None;
    }
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").ok()? {
        let Some(pid) = entry.ok()?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(group) = living_in(pid).ok()? {
            found.push((pid, group));
        }
    }
    Some(found)
}

/// Returns the group of a process; None if it has ended, or is hidden, as those of other users may be.
fn living_in(pid: i32) -> Result<Option<i32>> {
    let stat = match stat(pid) {
        Err(libc::ENOENT | libc::ESRCH | libc::EACCES | libc::EPERM) => return Ok(None),
        other => other?,
    };
    // state ppid pgrp …
    let mut fields = stat.split(' ');
    let (state, group) = (fields.next(), fields.nth(1));
    Ok(match state {
        None | Some("Z" | "X") => None,
        Some(_) => group.and_then(|group| group.parse().ok()),
    })
}
