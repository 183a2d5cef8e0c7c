//! Who else holds a pipe's write end: a scan of /proc, for naming the holders at the drain bound.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use super::pipe::Result;
use super::{file, identity, pidfd};
use crate::printable::clean;

/// A process that holds an output pipe of a child that has exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its PID at the time of the look; None when nobody could be seen (another user's process, a hidden /proc).
    pub pid: Option<i32>,
    /// Its command line, arguments separated by spaces, or its name in brackets. A process may call itself anything, so
    /// it is one line of text without control characters, and without what nobody sees: those are escaped.
    pub command: String,
}

impl Holder {
    pub(crate) fn unknown() -> Holder {
        Holder { pid: None, command: "unknown holder".to_owned() }
    }
}

/// For each inode of `inodes`, who holds it open for writing; one pass over /proc for all of them.
pub(crate) fn writers_of(inodes: &[u64]) -> HashMap<u64, Vec<Holder>> {
    let mut found: HashMap<u64, Vec<Holder>> = HashMap::new();
    let me = std::process::id() as i32;
    for pid in pids().filter(|pid| *pid != me) {
        let mut held: Vec<u64> = write_ends(pid).filter(|inode| inodes.contains(inode)).collect();
        held.sort_unstable();
        held.dedup();
        if held.is_empty() {
            continue;
        }
        let holder = Holder { pid: Some(pid), command: command_line(pid) };
        for inode in held {
            found.entry(inode).or_default().push(holder.clone());
        }
    }
    found
}

/// The process groups that have a member which has not ended; None if /proc does not tell. A pass over /proc.
pub(crate) fn living_groups() -> Option<HashSet<i32>> {
    Some(living()?.into_iter().map(|(_, group)| group).collect())
}

/// The processes of a group that have not ended; None if /proc does not tell. A pass over /proc.
pub(crate) fn members_of(group: i32) -> Option<Vec<i32>> {
    Some(living()?.into_iter().filter(|(_, its)| *its == group).map(|(pid, _)| pid).collect())
}

/// Has `pid`, the process of this pidfd, ended, or begun to end: will nothing of it run any more? It closes its files before
/// its pidfd tells.
pub(crate) fn is_ending(pidfd: &OwnedFd, pid: i32) -> bool {
    const PF_EXITING: u64 = 4;
    let exits = || {
        // state ppid pgrp session tty tpgid flags …
        let flags: u64 = stat(pid).ok()?.split(' ').nth(6)?.parse().ok()?;
        Some(flags & PF_EXITING != 0)
    };
    // Asked before and after: in between the number may have become another's.
    pidfd::has_ended(pidfd) || exits() == Some(true) || pidfd::has_ended(pidfd)
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
    if !identity::proc_is_ours() {
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

/// `/proc/PID/stat` from the state on: what comes before, `pid (name)`, may hold anything.
pub(super) fn stat(pid: i32) -> Result<String> {
    let mut stat = file::read_text(&format!("/proc/{pid}/stat"))?;
    stat.drain(..stat.rfind(") ").map_or(0, |end| end + ") ".len()));
    Ok(stat)
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Inodes of the pipes that `pid` holds open for writing. The link's own permission bits tell the direction.
fn write_ends(pid: i32) -> impl Iterator<Item = u64> {
    const OWNER_WRITE: u32 = 0o200;
    fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()?;
        let writable = fs::symlink_metadata(entry.path()).ok()?.mode() & OWNER_WRITE != 0;
        writable.then_some(inode)
    })
}

fn command_line(pid: i32) -> String {
    let read = |file| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    shown(&read("cmdline"), || read("comm"))
}

fn shown(arguments: &[u8], name: impl FnOnce() -> Vec<u8>) -> String {
    let text = String::from_utf8_lossy(arguments).trim_end_matches('\0').replace('\0', " ");
    if !text.is_empty() {
        return clean(&text);
    }
    let name = name();
    format!("[{}]", clean(&String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_calls_itself_is_one_line_of_text() {
        let nothing = || unreachable!("it has arguments");
        assert_eq!(shown(b"a\0b c\0\xff\0", nothing), "a b c \u{fffd}");
        assert_eq!(shown("x\n1 init\x1b[8m\u{202e}\0".as_bytes(), nothing), "x\\n1 init\\u{1b}[8m\\u{202e}");
        assert_eq!(shown(b"", || b"sleep\n".to_vec()), "[sleep]");
        assert_eq!(shown(b"\0", || b"x\n1 init\x1b\n".to_vec()), "[x\\n1 init\\u{1b}]");
    }
}
