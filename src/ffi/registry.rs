//! `coreproc_registry`.

use std::ffi::{CString, OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

use super::call::call;
use super::entries::{coreproc_daemon_entry, coreproc_entries, entry_of};
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free, shared, text};
use crate::error::{Error, ErrorKind, Result};
use crate::{Listing, Registry, RegistryNames};

/// A registry: which daemons of a user run. It is a directory with one JSON file for each daemon.
/// Shared: reference-counted, thread-safe; any number of processes may use one directory.
#[derive(Clone)]
pub struct coreproc_registry {
    pub(super) registry: Registry,
    dir: CString,
}

const _: () = shared::<coreproc_registry>();

impl Born for coreproc_registry {}

impl coreproc_registry {
    fn new(dir: &CString, names: RegistryNames) -> Result<Box<coreproc_registry>> {
        let registry = match dir.as_bytes() {
            b"" => Registry::new(Registry::default_dir()?),
            dir => Registry::new(OsStr::from_bytes(dir)),
        };
        let registry = registry.with_names(names);
        let dir = CString::new(registry.dir().as_os_str().as_bytes()).unwrap_or_default();
        Ok(Box::new(coreproc_registry { registry, dir }))
    }
}

/// Makes the registry in this directory, which is created when the first daemon is registered; NULL
/// with 0 is the user's directory, "$HOME/.core/daemons". Free `*out` with coreproc_registry_free.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_FOUND if HOME is needed and not set.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_new(
    dir: *const c_char,
    dir_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_registry>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open registry", err, |op| {
        // SAFETY: `dir` has `dir_len` bytes.
        let dir = unsafe { op.path("dir", dir, dir_len) }?;
        op.out(out)?.write(coreproc_registry::new(&dir, RegistryNames::Encoded)?);
        Ok(())
    })
}

/// Like coreproc_registry_new, but its daemons are also found by programs that look for
/// "CODE-DAEMON.json" with each "/" as "-": an entry is in the file of that name, unless the name
/// is not safe or another daemon, which registered first, has that file. Both kinds of registries
/// read files with any name.
///
/// Errors: INVALID_ARGUMENT; NOT_FOUND if HOME is needed and not set.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_new_plain(
    dir: *const c_char,
    dir_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_registry>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open registry", err, |op| {
        // SAFETY: `dir` has `dir_len` bytes.
        let dir = unsafe { op.path("dir", dir, dir_len) }?;
        op.out(out)?.write(coreproc_registry::new(&dir, RegistryNames::Plain)?);
        Ok(())
    })
}

/// Returns its directory, from the root; "" for NULL. Lives as long as the handle. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_registry_dir(registry: Option<&coreproc_registry>) -> *const c_char {
    text(registry, |registry| &registry.dir)
}

/// Writes the entry of a daemon in place of an earlier one of the same code and name: to a
/// temporary file, fsync(2), rename(2), fsync(2) of the directory, so that a crash leaves the old
/// entry or the new one. A PID that does not run is written too; the next reader finds it dead.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT names the field; BUSY if another daemon's file, or the lock of the
/// directory, is in the way; PERMISSION_DENIED, also for a directory that every user may write and
/// that is not sticky; SYSTEM. The earlier entry is then as it was, unless only the last step
/// failed, the fsync(2) of the directory.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_register(
    registry: Option<&coreproc_registry>,
    entry: *const coreproc_daemon_entry,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("register daemon", err, |op| {
        let registry = op.handle("registry", registry)?;
        if entry.is_null() {
            return Err(op.is_null("entry"));
        }
        // SAFETY: `entry` begins with its size, and its texts have as many bytes as their lengths say.
        let entry = unsafe { entry_of(op, entry) }?;
        registry.registry.register(&entry).map(drop)
    })
}

/// Removes the entry of a daemon. A missing one is fine. Thread-safe.
///
/// Errors: INVALID_ARGUMENT names the field; BUSY if the lock of the directory is in the way;
/// PERMISSION_DENIED; SYSTEM (unlink(2), fsync(2)).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_unregister(
    registry: Option<&coreproc_registry>,
    code: *const c_char,
    code_len: usize,
    daemon: *const c_char,
    daemon_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("unregister daemon", err, |op| {
        let registry = op.handle("registry", registry)?;
        // SAFETY: each has as many bytes as its length says.
        let (code, daemon) = unsafe { (op.utf8("code", code, code_len)?, op.utf8("daemon", daemon, daemon_len)?) };
        registry.registry.unregister(code, daemon)
    })
}

/// Gets the entry of a daemon that lives. Free `*out`, with this one entry, with
/// coreproc_entries_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT names the field; NOT_FOUND if there is none, if it is dead, or if it is
/// of another PID namespace, whose processes cannot be looked for here; MALFORMED if its file is
/// not an entry; PERMISSION_DENIED, also for an entry that is not believed (see
/// coreproc_registry_list); SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_registry_get(
    registry: Option<&coreproc_registry>,
    code: *const c_char,
    code_len: usize,
    daemon: *const c_char,
    daemon_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_entries>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("get daemon", err, |op| {
        let registry = op.handle("registry", registry)?;
        let out = op.out(out)?;
        // SAFETY: each has as many bytes as its length says.
        let (code, daemon) = unsafe { (op.utf8("code", code, code_len)?, op.utf8("daemon", daemon, daemon_len)?) };
        let none =
            || Error::new(ErrorKind::NotFound, op.0, "there is none that lives").on(format!("{code:?}/{daemon:?}"));
        let entry = registry.registry.get(code, daemon)?.ok_or_else(none)?;
        out.write(coreproc_entries::new(&Listing { entries: vec![entry], problems: Vec::new() }));
        Ok(())
    })
}

/// Lists all daemons that live, by start, code and daemon. Entries of dead ones are removed; files
/// that are not entries are set aside, under the same name with ".bad", and are among the problems.
/// Free `*out` with coreproc_entries_free. A missing directory is empty. Thread-safe.
///
/// Reported and left alone are entries of another PID namespace, whose PIDs mean nothing here;
/// entries that every user may write; and entries of a user other than root and this process's,
/// unless they name a process of that user and not every user may write the directory. In another
/// user's directory, no file of other users is changed.
///
/// Errors: INVALID_ARGUMENT; PERMISSION_DENIED or SYSTEM if the directory cannot be read.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_registry_list(
    registry: Option<&coreproc_registry>,
    out: Option<&mut MaybeUninit<Box<coreproc_entries>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("list daemons", err, |op| {
        let registry = op.handle("registry", registry)?;
        op.out(out)?.write(coreproc_entries::new(&registry.registry.list()?));
        Ok(())
    })
}

/// Returns another reference to the same registry, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_registry_ref(registry: Option<&coreproc_registry>) -> Option<Box<coreproc_registry>> {
    another(registry)
}

/// Gives a reference back. NULL is fine. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_registry_free(registry: Option<Box<coreproc_registry>>) {
    free(registry);
}
