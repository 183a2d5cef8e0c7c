//! The processes of this system by a pass over /proc: who started whom. See proc_pid_stat(5), proc_pid_environ(5).

use std::fs;

use memchr::memmem;

use super::stat::{is_ours, stat};

/// A process as /proc shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    /// When it was started, in ticks since the boot: with the PID it tells which process it is.
    pub(crate) start: u64,
}

/// Lists the processes that have not ended and that can be seen; None if /proc does not tell: it is not mounted, or it
/// is that of another namespace, whose numbers mean other processes.
pub(crate) fn processes() -> Option<Vec<Seen>> {
    if !is_ours() {
        return None;
    }
    let entries = fs::read_dir("/proc").ok()?.flatten();
    Some(entries.filter_map(|entry| seen(entry.file_name().to_str()?.parse().ok()?)).collect())
}

/// Looks at one process; None if it has ended, or is hidden.
pub(crate) fn seen(pid: i32) -> Option<Seen> {
    let stat = stat(pid).ok()?;
    // state ppid pgrp session …, the start is the twentieth from here
    let mut fields = stat.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let start = fields.nth(16)?.parse().ok()?;
    Some(Seen { pid, parent, group, start })
}

/// Returns whether the environment that a process was started with has this text. False if it may not be read.
pub(crate) fn environment_has(pid: i32, text: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    memmem::find(&environment, text.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_those_that_are_seen() {
        let me = std::process::id() as i32;
        let all = processes().expect("/proc is mounted");
        let mine = all.iter().find(|seen| seen.pid == me).expect("it lives");
        assert_eq!(mine.parent, std::os::unix::process::parent_id() as i32);
        assert_eq!(Some(mine.start), crate::sys::identity::start_of(me).map(|start| start.ticks));
        let path = std::env::var("PATH").expect("a PATH");
        assert!(environment_has(me, &format!("PATH={path}\0")) && !environment_has(me, "no such text in it"));
    }
}
