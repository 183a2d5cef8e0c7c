//! Disks that are full or read-only, and paths that are no directory.

use super::{entry, files, get, list, names, of, put};
use crate::NOBODY;
use coreproc::{DaemonEntry, ErrorKind, Listing, Registry};
use std::fs;
use support::*;

#[test]
fn a_folder_that_may_not_be_written_can_be_listed() {
    let Some(disk) = os::SmallDisk::mount() else { return };
    let registry = Registry::new(disk.path().join("daemons"));
    registry.register(&entry("a", "b")).expect("register");
    registry.register(&of("dead", "d", NOBODY)).expect("register");
    put(&registry, "junk.json", "junk");
    disk.make_read_only();
    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["a/b"]);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].moved_to, None);
    assert_eq!(files(&registry), ["a-b.json", "dead-d.json", "junk.json"]);
    for error in [
        registry.register(&entry("a", "b")).map(drop).expect_err("read-only"),
        registry.unregister("a", "b").expect_err("read-only"),
    ] {
        assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(libc::EROFS)));
        assert!(error.to_string().contains("read-only file system"), "{error}");
    }
    registry.unregister("missing", "one").expect("nothing to write");
    assert_eq!(names(&registry.list().expect("list").entries), ["a/b"]);
}

#[test]
fn a_full_disk_is_a_clear_error_and_nothing_is_lost() {
    let Some(disk) = os::SmallDisk::mount() else { return };
    let registry = Registry::new(disk.path().join("daemons"));
    let old = registry.register(&DaemonEntry { binary: "old".into(), ..entry("a", "b") }).expect("register");
    disk.fill();
    for (code, daemon) in [("a", "b"), ("c", "d")] {
        let error = registry.register(&DaemonEntry { binary: "new".into(), ..entry(code, daemon) }).expect_err("full");
        assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(libc::ENOSPC)));
        assert!(error.to_string().contains("no space left on device"), "{error}");
    }
    assert_eq!(list(&registry), [old]);
    assert_eq!(files(&registry), ["a-b.json"]);
    registry.unregister("a", "b").expect("needs no space");
    assert_eq!(files(&registry), [""; 0]);
    disk.empty();
    registry.register(&entry("c", "d")).expect("register");
}

#[test]
fn a_folder_that_is_none_is_said_to_be_one() {
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("file");
    fs::write(&file, "x").expect("write");
    let registry = Registry::new(&file);
    for error in [
        registry.register(&entry("a", "b")).map(drop).expect_err("no directory"),
        registry.list().map(drop).expect_err("no directory"),
    ] {
        assert_eq!(error.kind(), ErrorKind::System);
    }
    assert_eq!(get(&registry, "a", "b"), None);
}
