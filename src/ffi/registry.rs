//! `coreproc_registry`, and the entries of daemons.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::health::utf8;
use super::pid_file::path;
use crate::daemon::{from_ns, to_ns};
use crate::error::{Error, ErrorKind, Result};
use crate::{DaemonEntry, Listing, Registry, RegistryNames};

/// Which daemons of a user run: a folder with one JSON file for each. Shared: reference-counted, thread-safe; any
/// number of processes may use one folder.
pub struct coreproc_registry {
    pub(super) registry: Registry,
    dir: CString,
}

/// A daemon in the registry. Texts in are a pointer and a length, UTF-8; texts out end with a NUL as well. Read
/// entries by the stride that came with them: a later library may append fields.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_daemon_entry {
    /// sizeof(coreproc_daemon_entry).
    pub struct_size: u32,
    /// Its process. In a daemon's options it must be 0: it is filled in. coreproc_registry_register writes what it is
    /// given: 0, or a PID that does not run, makes an entry that is dead at the next reading.
    pub pid: i32,
    /// When it started, on CLOCK_REALTIME (in: 0 is now).
    pub started_ns: u64,
    /// Which program it belongs to. Not empty.
    pub code: *const c_char,
    /// The length of `code`.
    pub code_len: usize,
    /// Which of its daemons it is. Not empty.
    pub daemon: *const c_char,
    /// The length of `daemon`.
    pub daemon_len: usize,
    /// Where its health server listens, or empty.
    pub health: *const c_char,
    /// The length of `health`.
    pub health_len: usize,
    /// The folder it works for, or empty.
    pub project: *const c_char,
    /// The length of `project`.
    pub project_len: usize,
    /// Its program, or empty.
    pub binary: *const c_char,
    /// The length of `binary`.
    pub binary_len: usize,
}

const _: () = assert!(size_of::<coreproc_daemon_entry>() == 96);

impl coreproc_daemon_entry {
    pub(super) const NONE: coreproc_daemon_entry = coreproc_daemon_entry {
        struct_size: 0,
        pid: 0,
        started_ns: 0,
        code: std::ptr::null(),
        code_len: 0,
        daemon: std::ptr::null(),
        daemon_len: 0,
        health: std::ptr::null(),
        health_len: 0,
        project: std::ptr::null(),
        project_len: 0,
        binary: std::ptr::null(),
        binary_len: 0,
    };
}

/// # Safety
/// `entry` is NULL or valid for reads of the size that it states, and its texts for reads of their lengths.
pub(super) unsafe fn entry_of(operation: &'static str, entry: *const coreproc_daemon_entry) -> Result<DaemonEntry> {
    // SAFETY: the caller's promises; plain data.
    unsafe {
        let entry = guard::options(operation, entry, 96, coreproc_daemon_entry::NONE)?;
        let text = |name, pointer, len| utf8(operation, name, pointer, len).map(str::to_owned);
        let started = (entry.started_ns != 0).then(|| from_ns(i128::from(entry.started_ns))).transpose();
        Ok(DaemonEntry {
            code: text("code", entry.code, entry.code_len)?,
            daemon: text("daemon", entry.daemon, entry.daemon_len)?,
            pid: entry.pid,
            health: text("health", entry.health, entry.health_len)?,
            project: text("project", entry.project, entry.project_len)?,
            binary: text("binary", entry.binary, entry.binary_len)?,
            started: started.map_err(|why| Error::invalid(operation, format!("started_ns: {why}")))?,
            process: None,
            pid_namespace: None,
        })
    }
}

/// Entries that were read, and what could not be. Immutable; owned by whoever got them; any thread may read them.
pub struct coreproc_entries {
    /// Point into `texts`.
    entries: Vec<coreproc_daemon_entry>,
    #[allow(dead_code, reason = "what the entries point to")]
    texts: Vec<CString>,
    problems: Vec<CString>,
}

// SAFETY: the pointers in `entries` are to memory that `texts` owns and nobody changes.
unsafe impl Send for coreproc_entries {}

// SAFETY: as above.
unsafe impl Sync for coreproc_entries {}

impl coreproc_entries {
    fn into_raw(listing: &Listing) -> *mut coreproc_entries {
        let mut texts = Vec::new();
        let mut text = |text: &str| {
            // A JSON file may have a NUL in a text; in C it would end there.
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
        let problems = listing.problems.iter().map(|p| CString::new(p.to_string().replace('\0', "\\0")));
        let problems = problems.map(std::result::Result::unwrap_or_default).collect();
        Box::into_raw(Box::new(coreproc_entries { entries, texts, problems }))
    }
}

/// The registry in this folder, which is made when the first daemon is registered; NULL with 0: the user's,
/// "$HOME/.core/daemons". `*out` is to be freed with coreproc_registry_free. Thread-safe. Errors:
/// INVALID_ARGUMENT; NOT_FOUND when HOME is needed and not set.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_new(
    dir: *const c_char,
    dir_len: usize,
    out: *mut *mut coreproc_registry,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe { open(dir, dir_len, RegistryNames::Encoded, out, err) }
}

/// As coreproc_registry_new, but what is registered is found by programs, too, that look for "CODE-DAEMON.json" with
/// each "/" as "-": it is in the file of that name, unless that one is another daemon's, or the name is not safe. Which
/// of two such daemons has it is then the one that registered first. Reading knows every name in both kinds of registries.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coreproc_registry_new_plain(
    dir: *const c_char,
    dir_len: usize,
    out: *mut *mut coreproc_registry,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe { open(dir, dir_len, RegistryNames::Plain, out, err) }
}

/// # Safety
/// As for [`coreproc_registry_new`].
unsafe fn open(
    dir: *const c_char,
    dir_len: usize,
    names: RegistryNames,
    out: *mut *mut coreproc_registry,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "open registry";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let given = path(OPERATION, "dir", dir, dir_len)?;
            let out = guard::out(OPERATION, out)?;
            let registry = match given.as_bytes() {
                b"" => Registry::new(Registry::default_dir()?),
                given => Registry::new(OsStr::from_bytes(given)),
            };
            let registry = registry.with_names(names);
            let dir = CString::new(registry.dir().as_os_str().as_bytes()).unwrap_or_default();
            out.write(Box::into_raw(Box::new(coreproc_registry { registry, dir })));
            Ok(())
        })
    }
}

/// Its folder, from the root; "" for NULL. Lives as long as the handle. Thread-safe.
///
/// # Safety
/// `registry` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_dir(registry: *const coreproc_registry) -> *const c_char {
    // SAFETY: the caller's promise.
    guard::get(c"".as_ptr(), || unsafe { registry.as_ref() }.map_or(c"".as_ptr(), |r| r.dir.as_ptr()))
}

/// Writes the entry of a daemon, in the place of an earlier one of the same code and name: to a temporary file,
/// fsync(2), rename(2), fsync(2) of the folder, so that a crash leaves the old entry or the new one. A PID that
/// does not run is written too; the next reader finds it dead. Thread-safe. Errors: INVALID_ARGUMENT names the
/// field; BUSY when another daemon's file, or the lock of the folder, is in the way; PERMISSION_DENIED (also for a
/// folder that everybody may write and that is not sticky), SYSTEM: the earlier entry is as it was, unless only the last step failed, "sync folder".
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_register(
    registry: *mut coreproc_registry,
    entry: *const coreproc_daemon_entry,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "register daemon";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let registry = guard::handle(OPERATION, "registry", registry)?;
            guard::handle(OPERATION, "entry", entry)?;
            registry.registry.register(&entry_of(OPERATION, entry)?).map(drop)
        })
    }
}

/// Removes the entry of a daemon. A missing one is fine. Thread-safe. Errors: INVALID_ARGUMENT names the field;
/// BUSY when the lock of the folder is in the way; PERMISSION_DENIED, SYSTEM (unlink(2), fsync(2)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_unregister(
    registry: *mut coreproc_registry,
    code: *const c_char,
    code_len: usize,
    daemon: *const c_char,
    daemon_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "unregister daemon";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let registry = guard::handle(OPERATION, "registry", registry)?;
            let code = utf8(OPERATION, "code", code, code_len)?;
            registry.registry.unregister(code, utf8(OPERATION, "daemon", daemon, daemon_len)?)
        })
    }
}

/// The entry of a daemon that lives. `*out`, with this one, is to be freed with coreproc_entries_free.
/// Thread-safe. Errors: INVALID_ARGUMENT names the field; NOT_FOUND when there is none, or it is dead, or of another
/// PID namespace, where that cannot be told; MALFORMED when its file is no entry; PERMISSION_DENIED also for an entry
/// that is not believed, as coreproc_registry_list has it; SYSTEM.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_get(
    registry: *mut coreproc_registry,
    code: *const c_char,
    code_len: usize,
    daemon: *const c_char,
    daemon_len: usize,
    out: *mut *mut coreproc_entries,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "get daemon";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let registry = guard::handle(OPERATION, "registry", registry)?;
            let out = guard::out(OPERATION, out)?;
            let (code, daemon) =
                (utf8(OPERATION, "code", code, code_len)?, utf8(OPERATION, "daemon", daemon, daemon_len)?);
            let none = || Error::new(ErrorKind::NotFound, OPERATION, "there is none that lives");
            let found = registry.registry.get(code, daemon)?;
            let entry = found.ok_or_else(|| none().on(format!("{code:?}/{daemon:?}")))?;
            out.write(coreproc_entries::into_raw(&Listing { entries: vec![entry], problems: Vec::new() }));
            Ok(())
        })
    }
}

/// All daemons that live, by start, code and daemon. Entries of dead ones are removed; files that are no entries
/// are set aside, under the same name with ".bad", and are among the problems. So are entries that are left alone: of
/// another PID namespace, in which alone their PIDs count; of a user other than root and this process's, unless it is
/// about that user's own process, in a folder that not everybody may write; and those that everybody may write. In
/// another user's folder nothing of other users is changed. A missing folder is empty. `*out` is to be freed with
/// coreproc_entries_free. Thread-safe. Errors: INVALID_ARGUMENT, PERMISSION_DENIED, SYSTEM,
/// when the folder cannot be read.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_list(
    registry: *mut coreproc_registry,
    out: *mut *mut coreproc_entries,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "list daemons";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let registry = guard::handle(OPERATION, "registry", registry)?;
            let out = guard::out(OPERATION, out)?;
            out.write(coreproc_entries::into_raw(&registry.registry.list()?));
            Ok(())
        })
    }
}

/// The first entry, with their number and the bytes from one to the next; `count` and `stride` may be NULL.
/// Valid until the entries are freed. NULL with 0 for NULL. Thread-safe.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_entries_first(
    entries: *const coreproc_entries,
    count: *mut usize,
    stride: *mut usize,
) -> *const coreproc_daemon_entry {
    guard::get(std::ptr::null(), || {
        // SAFETY: the caller's promises.
        unsafe {
            let entries = entries.as_ref().map(|entries| entries.entries.as_slice());
            if !count.is_null() {
                count.write(entries.map_or(0, <[_]>::len));
            }
            if !stride.is_null() {
                stride.write(size_of::<coreproc_daemon_entry>());
            }
            entries.map_or(std::ptr::null(), <[_]>::as_ptr)
        }
    })
}

/// The problem at `index`, from 0, to be shown as it is: which file, what is wrong or could not be checked, where it
/// was set aside to.
/// NULL beyond the last, and for NULL. Valid until the entries are freed. Thread-safe.
///
/// # Safety
/// `entries` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_entries_problem(
    entries: *const coreproc_entries,
    index: usize,
) -> *const c_char {
    guard::get(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        let entries = unsafe { entries.as_ref() };
        entries.and_then(|entries| entries.problems.get(index)).map_or(std::ptr::null(), |text| text.as_ptr())
    })
}

/// Frees entries; NULL is fine.
///
/// # Safety
/// `entries` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_entries_free(entries: *mut coreproc_entries) {
    if !entries.is_null() {
        // SAFETY: the caller's promise; made by `into_raw`.
        guard::get((), || drop(unsafe { Box::from_raw(entries) }));
    }
}

/// Another reference to the same registry, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `registry` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_ref(registry: *mut coreproc_registry) -> *mut coreproc_registry {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { registry.as_ref() }.map_or(std::ptr::null_mut(), |r| {
            Box::into_raw(Box::new(coreproc_registry { registry: r.registry.clone(), dir: r.dir.clone() }))
        })
    })
}

/// Gives a reference back; NULL is fine.
///
/// # Safety
/// `registry` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_free(registry: *mut coreproc_registry) {
    if !registry.is_null() {
        // SAFETY: the caller's promise; made by `new` or `ref`.
        guard::free(|| drop(unsafe { Box::from_raw(registry) }));
    }
}
