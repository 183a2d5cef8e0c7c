//! The registry: nothing is lost and nothing invented, however many write at once and whatever files lie there.

mod contention;
mod disk;
mod entries;
mod malformed;
mod names;
mod namespaces;
mod trust;

use crate::own_pid;
use coreproc::{DaemonEntry, Listing, Registry};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn scratch() -> (tempfile::TempDir, Registry) {
    let dir = tempfile::tempdir().expect("tempdir");
    let registry = Registry::new(dir.path().join("daemons"));
    (dir, registry)
}

fn entry(code: &str, daemon: &str) -> DaemonEntry {
    DaemonEntry { code: code.into(), daemon: daemon.into(), pid: own_pid(), ..DaemonEntry::default() }
}

fn of(code: &str, daemon: &str, pid: i32) -> DaemonEntry {
    DaemonEntry { pid, ..entry(code, daemon) }
}

#[track_caller]
fn get(registry: &Registry, code: &str, daemon: &str) -> Option<DaemonEntry> {
    registry.get(code, daemon).expect("get")
}

#[track_caller]
fn list(registry: &Registry) -> Vec<DaemonEntry> {
    let Listing { entries, problems } = registry.list().expect("list");
    assert!(problems.is_empty(), "{problems:?}");
    entries
}

fn names(entries: &[DaemonEntry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{}/{}", entry.code, entry.daemon)).collect()
}

/// Returns the names in the directory, without that of the lock.
fn files(registry: &Registry) -> Vec<String> {
    let entries = fs::read_dir(registry.dir()).expect("directory").map(|entry| entry.expect("entry"));
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

fn put(registry: &Registry, name: &str, text: impl AsRef<[u8]>) {
    fs::create_dir_all(registry.dir()).expect("directory");
    fs::write(registry.dir().join(name), text).expect("write");
}

fn started_at(seconds: u64) -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Makes an entry as the pure Go module writes it.
fn go_json(code: &str, daemon: &str, pid: i32, started: &str) -> String {
    format!(r#"{{"code":"{code}","daemon":"{daemon}","pid":{pid},"started":"{started}"}}"#)
}

fn mode(mode: u32) -> fs::Permissions {
    fs::Permissions::from_mode(mode)
}

fn registry_of_host() -> Registry {
    Registry::new(PathBuf::from(std::env::var_os("REGISTRY").expect("set")))
}
