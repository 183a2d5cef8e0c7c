//! [`Holder`]: a process that holds the write end of a pipe, or a terminal, found by a pass over `/proc/PID/fd`, so that a process
//! that is closed at the drain bound can name its holders.
//!
//! Other users' processes cannot be seen, and none if /proc is hidden. See proc(5).

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::printable::clean;

/// A process that holds an output pipe of a child that has exited.
///
/// ```
/// use coreproc::{Command, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// // The shell ends, and the command that it left in the background keeps the pipe.
/// let process = Command::new("sh").args(["-c", "sleep 60 & echo started"]).spawn(&service)?;
/// assert!(process.wait(None)?.drain_bound);
/// let holders = process.holders()?;
/// assert_eq!(holders[0].command, "sleep 60");
/// let pid = holders[0].pid.expect("it is ours, and can be seen");
/// Command::new("kill").arg(pid.to_string()).spawn(&service)?.wait(None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its PID at the time of the look; None if no holder could be seen (another user's process, a hidden /proc).
    pub pid: Option<i32>,
    /// Its command line, arguments separated by spaces, or its name in brackets. A process may call itself anything, so
    /// it is one line of text without control characters, and without invisible ones: those are escaped.
    pub command: String,
}

impl Holder {
    pub(crate) fn unknown() -> Holder {
        Holder { pid: None, command: "unknown holder".to_owned() }
    }
}

/// A file that a child writes to, as /proc names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Written {
    /// The pipe with this inode.
    Pipe(u64),
    /// The pseudo-terminal `/dev/pts/N`.
    Terminal(u32),
}

impl Written {
    /// Returns the file that a link in `/proc/PID/fd` names.
    fn at(target: &str) -> Option<Written> {
        if let Some(number) = target.strip_prefix("/dev/pts/") {
            return number.parse().ok().map(Written::Terminal);
        }
        target.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok().map(Written::Pipe)
    }
}

/// Finds the processes that hold these files open for writing, with one pass over /proc for all of them.
pub(crate) fn writers_of(files: &[Written]) -> HashMap<Written, Vec<Holder>> {
    let mut found: HashMap<Written, Vec<Holder>> = HashMap::new();
    let me = std::process::id() as i32;
    for pid in pids().filter(|pid| *pid != me) {
        let mut held: Vec<Written> = written_by(pid).filter(|file| files.contains(file)).collect();
        held.sort_unstable();
        held.dedup();
        if held.is_empty() {
            continue;
        }
        let holder = Holder { pid: Some(pid), command: command_line(pid) };
        for file in held {
            found.entry(file).or_default().push(holder.clone());
        }
    }
    found
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the files that `pid` holds open for writing. The link's own permission bits tell the direction.
fn written_by(pid: i32) -> impl Iterator<Item = Written> {
    const OWNER_WRITE: u32 = 0o200;
    fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let file = Written::at(target.to_str()?)?;
        let writable = fs::symlink_metadata(entry.path()).ok()?.mode() & OWNER_WRITE != 0;
        writable.then_some(file)
    })
}

/// Returns a process's command line, or its name in brackets, as one line of text.
pub(crate) fn command_line(pid: i32) -> String {
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
