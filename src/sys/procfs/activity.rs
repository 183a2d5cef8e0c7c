//! What processes and their descendants do, and what they use: by one pass over /proc for all of them.
//!
//! Nothing is told of a stranger. The caller shows after the pass that the processes it asked for are unreaped, so that
//! their numbers were their own all the time. A descendant is looked at through a directory that stays its own, and is
//! found by the number of its parent, whose start is read again after that. See proc_pid_stat(5), proc_pid_io(5).

use std::collections::{HashMap, HashSet};
use std::fs;

use super::blocked::{FileId, Waiting, waiting};
use super::place::Place;
use super::stat::{is_ours, stat};
use crate::sys::clock::ticks_per_second;

/// What processes use. Live figures of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// CPU time in nanoseconds, in steps of 10 ms, of all threads. That of a tree has that of ended processes too, for
    /// which a member of the tree has waited.
    pub cpu_ns: u64,
    /// Resident memory in bytes. Memory that processes share counts for each of them.
    pub rss_bytes: u64,
    /// How many threads there are.
    pub threads: u64,
    /// How many descriptors are open; None if that may not be seen.
    pub descriptors: Option<u64>,
    /// Bytes that were transferred; None if they may not be seen.
    pub io: Option<Transferred>,
}

/// Bytes that a process has transferred, with those of the ended processes that it has waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes that its calls have read, from pipes and terminals too.
    pub read: u64,
    /// Bytes that its calls have written, to pipes and terminals too.
    pub written: u64,
    /// Bytes that were fetched from disks for it.
    pub disk_read: u64,
    /// Bytes that were sent to disks for it.
    pub disk_written: u64,
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        self.cpu_ns += other.cpu_ns;
        self.rss_bytes += other.rss_bytes;
        self.threads += other.threads;
        self.descriptors = self.descriptors.zip(other.descriptors).map(|(a, b)| a + b);
        self.io = self.io.zip(other.io).map(|(a, b)| Transferred {
            read: a.read + b.read,
            written: a.written + b.written,
            disk_read: a.disk_read + b.disk_read,
            disk_written: a.disk_written + b.disk_written,
        });
    }
}

/// A process whose tree is looked at.
pub(crate) struct Root {
    pub(crate) pid: i32,
    /// The pipe through which the library gives it input.
    pub(crate) input: Option<FileId>,
}

/// What a pass has found of one root.
pub(crate) struct Found {
    /// The letter of its state.
    pub(crate) state: char,
    /// Whether one of its threads runs, although the first one does not.
    pub(crate) runs: bool,
    /// The process of the tree that waits for input; Err if that cannot be seen of one of them.
    pub(crate) awaits_input: Result<Option<i32>, ()>,
    pub(crate) own: Figures,
    pub(crate) tree: Figures,
    /// How many processes the tree has that have not ended.
    pub(crate) processes: u64,
}

/// Looks at the trees of these processes. None in place of one that cannot be seen; None for all if /proc does not tell.
///
/// A tree is the process, its descendants, and the members of the group and the session whose number it has.
pub(crate) fn look_at(roots: &[Root]) -> Option<Vec<Option<Found>>> {
    if !is_ours() {
        return None;
    }
    let rows = pass()?;
    let root_of: HashMap<i32, usize> = roots.iter().enumerate().map(|(at, root)| (root.pid, at)).collect();
    let mut members: Vec<Vec<&Row>> = roots.iter().map(|_| Vec::new()).collect();
    for row in rows.values() {
        if let Some(at) = tree_of(row, &rows, &root_of) {
            members[at].push(row);
        }
    }
    Some(roots.iter().zip(members).map(|(root, members)| tree(root, &members, &rows)).collect())
}

/// A process in a pass.
struct Row {
    pid: i32,
    state: char,
    parent: i32,
    group: i32,
    session: i32,
    start: u64,
    threads: u64,
    /// Its own CPU time, and that of the processes that it has waited for, in ticks.
    ticks: [u64; 2],
    pages: u64,
}

impl Row {
    /// Reads what follows the name in `/proc/PID/stat`.
    fn parse(pid: i32, stat: &str) -> Option<Row> {
        // state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice
        // threads itrealvalue start vsize rss …
        let fields: Vec<&str> = stat.split(' ').take(22).collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let id = |at: usize| fields.get(at)?.parse::<i32>().ok();
        Some(Row {
            pid,
            state: fields.first()?.chars().next()?,
            parent: id(1)?,
            group: id(2)?,
            session: id(3)?,
            start: number(19)?,
            threads: number(17)?,
            ticks: [number(11)? + number(12)?, number(13)? + number(14)?],
            pages: number(21)?,
        })
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Reads the rows of all processes that can be seen.
fn pass() -> Option<HashMap<i32, Row>> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Some(pids.filter_map(|pid| Some((pid, Row::parse(pid, &stat(pid).ok()?)?))).collect())
}

/// Finds the root to whose tree a process belongs: the nearest one above it.
fn tree_of(row: &Row, rows: &HashMap<i32, Row>, root_of: &HashMap<i32, usize>) -> Option<usize> {
    let mut at = Some(row);
    // A pass is no moment: what it has read could have a circle.
    for _ in 0..=rows.len() {
        let row = at?;
        if let Some(root) = root_of.get(&row.pid) {
            return Some(*root);
        }
        at = rows.get(&row.parent).filter(|parent| parent.pid != row.pid);
        if at.is_none_or(|parent| parent.pid == 1) {
            break;
        }
    }
    root_of.get(&row.group).or_else(|| root_of.get(&row.session)).copied()
}

/// Looks at the members of one tree.
fn tree(root: &Root, members: &[&Row], rows: &HashMap<i32, Row>) -> Option<Found> {
    let own = rows.get(&root.pid)?;
    let place = Place::open(root.pid).ok()?;
    let stdin = place.look("fd/0").ok().map(|file| (file.st_dev, file.st_ino));
    let inputs: Vec<FileId> = root.input.into_iter().chain(stdin).collect();
    let first = member(root.pid, &place, &inputs)?;
    let mut found = Found {
        state: first.row.state,
        runs: first.waits == Waiting::Runs,
        awaits_input: Ok(None),
        own: first.usage,
        tree: first.usage,
        processes: u64::from(!first.row.has_ended()),
    };
    found.tree.cpu_ns += nanoseconds(first.row.ticks[1]);
    found.hear(root.pid, first.waits);
    let mut parents = HashMap::new();
    let mut others = Vec::new();
    for row in members.iter().filter(|row| row.pid != root.pid) {
        let Some(other) = Place::open(row.pid).ok().and_then(|place| member(row.pid, &place, &inputs)) else {
            continue;
        };
        if other.row.start == row.start {
            parents.extend(rows.get(&row.parent).map(|parent| (parent.pid, parent.start)));
            others.push(other);
        }
    }
    let linked = Links { root: own, rows, there: still_there(parents) };
    for other in others {
        if linked.has(&other.row) {
            found.processes += u64::from(!other.row.has_ended());
            found.tree.add(&other.usage);
            found.tree.cpu_ns += nanoseconds(other.row.ticks[1]);
            found.hear(other.row.pid, other.waits);
        }
    }
    Some(found)
}

/// Keeps those of these processes that still have their numbers: they had them when their children were found by them.
fn still_there(parents: HashMap<i32, u64>) -> HashSet<i32> {
    let start_of = |pid| Some(Row::parse(pid, &stat(pid).ok()?)?.start);
    parents.into_iter().filter(|(pid, start)| start_of(*pid) == Some(*start)).map(|(pid, _)| pid).collect()
}

/// The way from a member of a tree up to its root, as a pass has seen it.
struct Links<'a> {
    root: &'a Row,
    rows: &'a HashMap<i32, Row>,
    /// The parents whose numbers were their own all the time.
    there: HashSet<i32>,
}

impl Links<'_> {
    fn has(&self, row: &Row) -> bool {
        if row.group == self.root.pid || row.session == self.root.pid {
            return true;
        }
        let mut at = self.rows.get(&row.pid);
        for _ in 0..=self.rows.len() {
            let Some(row) = at else { return false };
            if row.pid == self.root.pid {
                return true;
            }
            at = self.rows.get(&row.parent).filter(|parent| self.there.contains(&parent.pid));
        }
        false
    }
}

impl Found {
    /// Notes what one process of the tree waits for.
    fn hear(&mut self, pid: i32, waits: Waiting) {
        match (waits, self.awaits_input) {
            (Waiting::Input, Ok(None) | Err(())) => self.awaits_input = Ok(Some(pid)),
            (Waiting::Untold, Ok(None)) => self.awaits_input = Err(()),
            _ => {}
        }
    }
}

struct Member {
    row: Row,
    waits: Waiting,
    usage: Figures,
}

/// Looks at one process through its directory.
fn member(pid: i32, place: &Place, inputs: &[FileId]) -> Option<Member> {
    let row = Row::parse(pid, &place.stat().ok()?)?;
    let waits = match row.state {
        'S' => waiting(place, row.threads, inputs),
        'R' => Waiting::Runs,
        _ => Waiting::Other,
    };
    let ended = row.has_ended();
    let usage = Figures {
        cpu_ns: nanoseconds(row.ticks[0]),
        rss_bytes: row.pages * page_size(),
        threads: if ended { 0 } else { row.threads },
        descriptors: if ended { Some(0) } else { descriptors(place) },
        io: transferred(place),
    };
    Some(Member { row, waits, usage })
}

fn descriptors(place: &Place) -> Option<u64> {
    // Since Linux 6.2 the size of the directory tells it.
    match place.look("fd") {
        Ok(directory) if directory.st_size > 0 => Some(directory.st_size as u64),
        _ => place.numbers("fd").ok().map(|numbers| numbers.len() as u64),
    }
}

fn transferred(place: &Place) -> Option<Transferred> {
    let text = place.read("io").ok()?;
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse::<u64>().ok());
    Some(Transferred {
        read: value("rchar")?,
        written: value("wchar")?,
        disk_read: value("read_bytes")?,
        disk_written: value("write_bytes")?,
    })
}

fn nanoseconds(ticks: u64) -> u64 {
    (u128::from(ticks) * 1_000_000_000 / u128::from(ticks_per_second())) as u64
}

fn page_size() -> u64 {
    // SAFETY: takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}
