//! The lock: with children of a fork, and beside read locks of others.

use super::{Other, go_file, held, refused, scratch, state};
use crate::{NOBODY, own_pid};
use coreproc::{ErrorKind, PidFile, PidState, read_pid};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};
use support::*;

hosted_part! {
    /// Forks a child that lives on, and ends without a release.
    fn a_host_that_forks_and_ends() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        let file = held(&path);
        let (mut ready, mut signal) = os::pipe();
        if os::fork_off(|| {
            use std::io::Write;
            assert_eq!(kind_of(file.release()), ErrorKind::Forked);
            assert_eq!(kind_of(file.acquire()), ErrorKind::Forked);
            assert!(!file.is_held());
            signal.write_all(b"!").expect("write");
            thread::park();
        }) {
            let mut byte = [0];
            ready.read_exact(&mut byte).expect("ready");
            std::mem::forget(file);
        }
    }
}

#[test]
fn a_lock_inherited_through_fork_counts_as_held_while_the_child_lives() {
    let (_dir, path) = scratch();
    let mut host = host::command(test_path!("a_host_that_forks_and_ends"));
    let mut host = host.env("PID_FILE", &path).stdout(Stdio::null()).spawn().expect("host");
    assert!(host.wait().expect("wait").success());
    // The parent has ended; its child is the only one that has the file open.
    let holders = os::who_has_open(&path);
    let [orphan] = holders[..] else { panic!("{holders:?}") };
    let orphan_end = os::pidfd(orphan).expect("pidfd");
    let read = read_pid(&path).expect("read");
    assert_eq!((read.state, read.pid), (PidState::Alive, None));
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::Busy && text.contains("a child that it forked"), "{text}");

    os::kill(orphan, libc::SIGKILL).expect("kill");
    os::assert_ends(&orphan_end);
    eventually("its lock is gone", || state(&path).0 == PidState::Dead);
    held(&path).release().expect("taken over");
}

#[test]
fn a_release_is_not_held_up_by_children_of_fork() {
    let (_dir, path) = scratch();
    let file = held(&path);
    let code = os::in_fork(|| {
        let own = PidFile::new(&path);
        assert_eq!(kind_of(own.acquire()), ErrorKind::Forked);
        // The child's end does not give the lock back.
        i32::from(file.is_held())
    });
    assert_eq!(code, 0);
    assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));
    file.release().expect("release");
    held(&path).release().expect("free");
}

hosted! {
    fn a_refused_start_leaves_no_lock_with_children_of_fork() {
        let (_dir, path) = scratch();
        fs::write(&path, "somebody's notes").expect("write");
        let watched = File::open(&path).expect("open");
        let (done, parent) = (AtomicBool::new(false), std::process::id());
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    assert_eq!(refused(&path).0, ErrorKind::Malformed);
                }
            });
            for _ in 0..10 {
                while !os::is_locked(&watched) {
                    std::hint::spin_loop();
                }
                // The children live on, with a copy of every descriptor, until this process has ended.
                os::fork_off(|| {
                    while std::os::unix::process::parent_id() == parent {
                        thread::sleep(Duration::from_millis(5));
                    }
                });
            }
            done.store(true, Ordering::SeqCst);
        });
        assert_eq!(state(&path), (PidState::Invalid, None));
    }
}

#[test]
fn a_read_lock_is_no_daemon_and_in_nobodys_way() {
    let (dir, path) = scratch();
    for text in [NOBODY.to_string(), String::new()] {
        fs::write(&path, text).expect("write");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("chmod");
        let reader = File::open(&path).expect("open");
        os::lock_for_reading(&reader);
        assert_ne!(state(&path).0, PidState::Alive);
        let file = held(&path);
        assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));
        assert_eq!(path.metadata().expect("stat").mode() & 0o7777, 0o640, "as the umask had it");
        assert_eq!(refused(&path).0, ErrorKind::Busy);
        file.release().expect("release");
        assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 0);
    }
}

#[test]
fn a_read_lock_does_not_make_a_daemon_without_a_lock_a_dead_one() {
    let (dir, path) = scratch();
    let other = Other::start();
    go_file(&path, &other.pid().to_string(), SystemTime::now());
    let reader = File::open(&path).expect("open");
    os::lock_for_reading(&reader);
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::Busy && text.contains(&format!("PID {}", other.pid())), "{text}");
    go_file(&path, "notes", SystemTime::now());
    assert_eq!(refused(&path).0, ErrorKind::Malformed);
    assert_eq!(fs::read_to_string(&path).expect("read"), "notes");
    assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 1);
}

/// Every user that may read the file may take a read lock, and keep it for ever.
#[test]
fn another_users_read_lock_does_not_block_a_restart() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to be another user");
        return;
    }
    let (dir, path) = scratch();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    fs::write(&path, NOBODY.to_string()).expect("write");
    let reader = host::Running::start(
        host::command(test_path!("a_host_of_another_user_with_a_read_lock")).env("PID_FILE", &path),
        "locked",
    );
    held(&path).release().expect("release");
    drop(reader);
}

hosted_part! {
    fn a_host_of_another_user_with_a_read_lock() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        os::set_real_user_for_good(1234);
        let file = File::open(path).expect("open");
        os::lock_for_reading(&file);
        println!("locked");
        thread::park();
    }
}
