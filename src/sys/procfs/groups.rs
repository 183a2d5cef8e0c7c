//! Process groups and their members, by passes over /proc. See proc_pid_stat(5).

use std::collections::HashSet;
use std::fs;

use super::stat::{is_ours, stat};
use crate::sys::descriptor::Result;

/// The process groups that have a member which has not ended; None if /proc does not tell. A pass over /proc.
pub(crate) fn living_groups() -> Option<HashSet<i32>> {
    Some(living()?.into_iter().map(|(_, group)| group).collect())
}

/// The processes of a group that have not ended; None if /proc does not tell. A pass over /proc.
pub(crate) fn members_of(group: i32) -> Option<Vec<i32>> {
    Some(living()?.into_iter().filter(|(_, its)| *its == group).map(|(pid, _)| pid).collect())
}

/// Is there a process in the group `leader` besides its leader that has not ended? For kernels on which the
/// leader has to stay unreaped. Yes if /proc does not tell. A pass over /proc.
pub(crate) fn group_has_others(leader: i32) -> bool {
    members_of(leader).is_none_or(|members| members.iter().any(|pid| *pid != leader))
}

/// The group of a process; None if it has ended.
pub(crate) fn group_of(pid: i32) -> Option<i32> {
    living_in(pid).ok().flatten()
}

/// Processes that have not ended, and their groups; None if /proc does not tell: none is mounted, or that of another
/// namespace, whose numbers mean others; or there is no descriptor left to read it with.
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

/// The group of a process; None if it has ended, or is hidden, as those of other users may be.
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
