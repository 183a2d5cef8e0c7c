//! `coreproc_daemon_entry` and `coreproc_entries`: what a registry says of daemons.

use std::ffi::{CString, c_char};

use super::convert::{Operation, c_text};
use super::handle::{array, free_memory, read, shared};
use super::versioned::versioned;
use crate::error::Result;
use crate::util::epoch::{from_ns, to_ns};
use crate::{DaemonEntry, Listing};

/// A daemon in the registry. A text that is passed in is a pointer and a length, UTF-8; one that
/// comes out ends with a NUL as well. Read entries by the stride that came with them: a later
/// library may append fields.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_daemon_entry {
    /// sizeof(coreproc_daemon_entry).
    pub struct_size: u32,
    /// The PID of its process. In a daemon's options it must be 0: it is filled in.
    /// coreproc_registry_register writes what it is given: 0, or a PID that does not run, makes an
    /// entry that is dead at the next reading.
    pub pid: i32,
    /// When it started, on CLOCK_REALTIME (in: 0 is now).
    pub started_ns: u64,
    /// The program that it belongs to. Not empty.
    pub code: *const c_char,
    /// The length of `code`.
    pub code_len: usize,
    /// Which daemon of that program it is. Not empty.
    pub daemon: *const c_char,
    /// The length of `daemon`.
    pub daemon_len: usize,
    /// The address at which its health server listens, or empty.
    pub health: *const c_char,
    /// The length of `health`.
    pub health_len: usize,
    /// The directory that it works for, or empty.
    pub project: *const c_char,
    /// The length of `project`.
    pub project_len: usize,
    /// The path of its executable, or empty.
    pub binary: *const c_char,
    /// The length of `binary`.
    pub binary_len: usize,
}

versioned!(coreproc_daemon_entry, 96);
const _: () = assert!(size_of::<coreproc_daemon_entry>() == 96);

/// # Safety
/// As for [`Operation::options`]; each text has as many bytes as its length says.
pub(super) unsafe fn entry_of(op: Operation, entry: *const coreproc_daemon_entry) -> Result<DaemonEntry> {
    // SAFETY: the caller's promise.
    let entry = unsafe { op.options(entry) }?;
    let started = (entry.started_ns != 0).then(|| from_ns(i128::from(entry.started_ns))).transpose();
    // SAFETY: the caller's promise.
    let text = |name, pointer, len| unsafe { op.utf8(name, pointer, len) }.map(str::to_owned);
    Ok(DaemonEntry {
        code: text("code", entry.code, entry.code_len)?,
        daemon: text("daemon", entry.daemon, entry.daemon_len)?,
        pid: entry.pid,
        health: text("health", entry.health, entry.health_len)?,
        project: text("project", entry.project, entry.project_len)?,
        binary: text("binary", entry.binary, entry.binary_len)?,
        started: started.map_err(|why| op.invalid(format!("started_ns: {why}")))?,
        process: None,
        pid_namespace: None,
    })
}

/// Entries that were read, and the problems of files that could not be. Immutable; owned by the
/// caller that got them; any thread may read them.
pub struct coreproc_entries {
    /// The entries, which point into `texts`.
    entries: Vec<coreproc_daemon_entry>,
    #[allow(dead_code, reason = "what the entries point to")]
    texts: Vec<CString>,
    problems: Vec<CString>,
}

const _: () = shared::<coreproc_entries>();

// SAFETY: the pointers in `entries` are to memory that `texts` owns and that does not change.
unsafe impl Send for coreproc_entries {}

// SAFETY: as above.
unsafe impl Sync for coreproc_entries {}

impl coreproc_entries {
    pub(super) fn new(listing: &Listing) -> Box<coreproc_entries> {
        let mut texts = Vec::new();
        let mut text = |text: &str| {
            // A JSON file may have a NUL in a text, which would be its end in C.
            let text = CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
            let at = (text.as_ptr(), text.as_bytes().len());
            // The bytes stay where they are when their owner moves.
            texts.push(text);
            at
        };
        let entry = |entry: &DaemonEntry| {
            let (code, code_len) = text(&entry.code);
            let (daemon, daemon_len) = text(&entry.daemon);
            let (health, health_len) = text(&entry.health);
            let (project, project_len) = text(&entry.project);
            let (binary, binary_len) = text(&entry.binary);
            coreproc_daemon_entry {
                struct_size: size_of::<coreproc_daemon_entry>() as u32,
                pid: entry.pid,
                started_ns: entry.started.map_or(0, |time| u64::try_from(to_ns(time)).unwrap_or(0)),
                code,
                code_len,
                daemon,
                daemon_len,
                health,
                health_len,
                project,
                project_len,
                binary,
                binary_len,
            }
        };
        let entries = listing.entries.iter().map(entry).collect();
        let problems = listing.problems.iter().map(|problem| c_text(&problem.to_string())).collect();
        Box::new(coreproc_entries { entries, texts, problems })
    }
}

/// Returns the first entry. `*count` becomes their number, `*stride` the bytes from one to the
/// next; both may be NULL. Valid until the entries are freed. NULL, with 0, for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_entries_first(
    entries: Option<&coreproc_entries>,
    count: *mut usize,
    stride: *mut usize,
) -> *const coreproc_daemon_entry {
    // SAFETY: `count` and `stride` are NULL or valid.
    unsafe { array(entries, |entries| &entries.entries, count, stride) }
}

/// Returns the problem at `index`, from 0, to be shown as it is: which file it is about, what is
/// wrong or could not be checked, and where the file was set aside to. NULL beyond the last, and
/// for NULL. Valid until the entries are freed. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_entries_problem(entries: Option<&coreproc_entries>, index: usize) -> *const c_char {
    read(entries, std::ptr::null(), |entries| {
        entries.problems.get(index).map_or(std::ptr::null(), |problem| problem.as_ptr())
    })
}

/// Frees entries. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_entries_free(entries: Option<Box<coreproc_entries>>) {
    free_memory(entries);
}
