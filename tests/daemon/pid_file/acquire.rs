//! Acquiring and releasing: the file, its path and the directories above it.

use super::{held, refused, scratch, state};
use crate::own_pid;
use coreproc::{ErrorKind, PidFile, PidState, read_pid};
use std::fs::{self};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use support::*;

#[test]
fn a_held_file_has_the_pid_and_is_gone_when_released() {
    let (_dir, path) = scratch();
    assert_eq!(state(&path), (PidState::Missing, None));
    let file = PidFile::new(&path);
    assert!(!file.is_held());
    file.release().expect("nothing to release");
    file.acquire().expect("acquire");
    assert!(file.is_held());
    assert_eq!(file.path(), path);
    assert_eq!(fs::read_to_string(&path).expect("read"), own_pid().to_string());
    assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));
    assert_eq!(kind_of(file.acquire()), ErrorKind::InvalidState);
    file.release().expect("release");
    assert!(!file.is_held());
    file.release().expect("again");
    assert!(!path.exists());
    file.acquire().expect("acquire again");
    drop(file);
    assert!(!path.exists());
}

#[test]
fn folders_above_are_made() {
    let (dir, _) = scratch();
    let path = dir.path().join("a/b/c/it.pid");
    let file = held(&path);
    assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));
    file.release().expect("release");
    assert!(dir.path().join("a/b/c").is_dir());
}

hosted! {
    /// Daemons that want nothing but their own modes have no umask.
    fn folders_are_made_for_their_owner_alone_to_write_without_a_umask() {
        let (dir, _) = scratch();
        os::set_umask(0);
        let path = dir.path().join("run/sub/it.pid");
        let _file = held(&path);
        for made in ["run", "run/sub"] {
            let mode = dir.path().join(made).metadata().expect("metadata").mode();
            assert_eq!(mode & 0o7777, 0o755, "{made}");
        }
        assert_eq!(path.metadata().expect("metadata").mode() & 0o7777, 0o644);
    }
}

#[test]
fn a_folder_that_is_a_file_is_said_to_be_one() {
    let (dir, path) = scratch();
    fs::write(&path, "1").expect("write");
    let (kind, text) = refused(&dir.path().join("it.pid/x/y.pid"));
    assert_eq!(kind, ErrorKind::System);
    assert!(text.contains("make folder") && text.contains("y.pid"), "{text}");
}

#[test]
fn a_path_that_names_no_file_is_refused() {
    for (path, why) in [("", "is empty"), ("/", "names no file"), ("x/", "names no file"), ("a\0b", "NUL")] {
        let (kind, text) = refused(Path::new(path));
        assert_eq!(kind, ErrorKind::InvalidArgument);
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(kind_of(read_pid("a\0b")), ErrorKind::InvalidArgument);
}

#[test]
fn a_live_one_names_its_holder() {
    let (_dir, path) = scratch();
    let _file = held(&path);
    let (kind, text) = refused(&path);
    assert_eq!(kind, ErrorKind::Busy);
    assert!(text.contains(&format!("PID {}", own_pid())) && text.contains("it.pid"), "{text}");
    assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));
}

hosted! {
    fn a_relative_path_is_the_same_file_after_a_change_of_directory() {
        let (dir, path) = scratch();
        std::env::set_current_dir(dir.path()).expect("chdir");
        let file = held(Path::new("it.pid"));
        std::env::set_current_dir("/").expect("chdir");
        assert_eq!(file.path(), Path::new("it.pid"));
        assert!(path.exists());
        file.release().expect("release");
        assert!(!path.exists());
    }
}

#[test]
fn a_file_that_somebody_removed_or_replaced_is_left_to_its_new_owner() {
    let (_dir, path) = scratch();
    let file = held(&path);
    fs::remove_file(&path).expect("remove");
    file.release().expect("nothing is left to remove");

    let first = held(&path);
    fs::remove_file(&path).expect("remove");
    let second = held(&path);
    first.release().expect("release");
    assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));
    second.release().expect("release");
    assert!(!path.exists());
}

#[test]
fn a_file_that_was_given_another_name_is_nobodys_after_the_release() {
    let (dir, path) = scratch();
    let other = dir.path().join("other.pid");
    for give in [|from: &Path, to: &Path| fs::rename(from, to), |from: &Path, to: &Path| fs::hard_link(from, to)] {
        let file = held(&path);
        give(&path, &other).expect("another name");
        file.release().expect("release");
        // This process lives on.
        assert_eq!(state(&other), (PidState::Invalid, None));
        assert_eq!(state(&path), (PidState::Missing, None));
        fs::remove_file(&other).expect("remove");
    }
}

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_nothing() {
    let Some(disk) = os::SmallDisk::mount() else { return };
    let path = disk.path().join("it.pid");
    disk.fill();
    let (kind, text) = refused(&path);
    assert_eq!(kind, ErrorKind::System);
    assert!(text.contains("write: no space left on device") && text.contains("it.pid"), "{text}");
    assert!(!path.exists());
    disk.empty();
    held(&path).release().expect("release");

    disk.make_read_only();
    let (_, text) = refused(&path);
    assert!(text.contains("open: read-only file system"), "{text}");
}

hosted! {
    fn nothing_is_left_open() {
        let (_dir, path) = scratch();
        held(&path).release().expect("release");
        let before = census::Census::take();
        let file = held(&path);
        for fd in census::fds().keys().filter(|fd| !before.fds.contains_key(fd)) {
            assert!(*fd > 2 && os::is_close_on_exec(*fd));
        }
        for _ in 0..100 {
            refused(&path);
            state(&path);
        }
        file.release().expect("release");
        state(&path);
        before.assert_restored("a hundred refusals");
    }
}
