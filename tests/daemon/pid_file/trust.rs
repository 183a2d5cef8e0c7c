//! Files and directories that others could have put there: refused, and not believed.

use super::{go_file, held, refused, scratch, state};
use crate::{NOBODY, own_pid};
use coreproc::{ErrorKind, PidState, read_pid};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;
use support::*;

#[test]
fn what_is_no_plain_file_is_refused_and_left_alone() {
    let (dir, path) = scratch();
    let target = dir.path().join("target");
    fs::write(&target, "precious").expect("write");
    symlink(&target, &path).expect("symlink");
    assert_eq!(refused(&path).0, ErrorKind::InvalidArgument);
    assert!(refused(&path).1.contains("a symbolic link"));
    assert_eq!(state(&path), (PidState::Invalid, None));
    assert_eq!(fs::read_to_string(&target).expect("read"), "precious");

    let dangling = dir.path().join("dangling.pid");
    symlink(dir.path().join("nowhere"), &dangling).expect("symlink");
    assert_eq!(refused(&dangling).0, ErrorKind::InvalidArgument);
    assert!(!dir.path().join("nowhere").exists());

    let fifo = dir.path().join("fifo.pid");
    os::mkfifo(&fifo);
    let (kind, text) = refused(&fifo);
    assert!(kind == ErrorKind::InvalidArgument && text.contains("a FIFO"), "{text}");
    assert_eq!(state(&fifo), (PidState::Invalid, None));

    let (kind, text) = refused(dir.path());
    assert!(kind == ErrorKind::InvalidArgument && text.contains("a directory"), "{text}");
    assert_eq!(state(dir.path()), (PidState::Invalid, None));

    let (kind, text) = refused(Path::new("/dev/null"));
    assert!(kind == ErrorKind::InvalidArgument && text.contains("a device"), "{text}");
    assert_eq!(state(Path::new("/dev/null")), (PidState::Invalid, None));

    let linked = dir.path().join("linked.pid");
    fs::hard_link(&target, &linked).expect("link");
    let (kind, text) = refused(&linked);
    assert!(kind == ErrorKind::PermissionDenied && text.contains("2 names"), "{text}");
    assert_eq!(fs::read_to_string(&target).expect("read"), "precious");
}

#[test]
fn a_folder_that_everybody_may_write_is_refused_unless_it_is_sticky() {
    let (dir, path) = scratch();
    let mode = |mode| fs::set_permissions(dir.path(), Permissions::from_mode(mode)).expect("chmod");
    mode(0o777);
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::PermissionDenied && text.contains("not sticky"), "{text}");
    assert!(!path.exists());
    mode(0o1777);
    held(&path).release().expect("release");
}

#[test]
fn folders_above_count_as_well_also_behind_a_link() {
    let (dir, _) = scratch();
    let (above, below) = (dir.path().join("above"), dir.path().join("above/below"));
    fs::create_dir_all(&below).expect("mkdir");
    let link = dir.path().join("link");
    symlink(&below, &link).expect("symlink");
    let mode = |mode| fs::set_permissions(&above, Permissions::from_mode(mode)).expect("chmod");
    for path in [below.join("it.pid"), link.join("it.pid")] {
        // A user that may write it may replace the directory below it with another.
        mode(0o777);
        let (kind, text) = refused(&path);
        assert!(kind == ErrorKind::PermissionDenied && text.contains("above\" may be written by everybody"), "{text}");
        mode(0o1777);
        held(&path).release().expect("release");
        mode(0o755);
        held(&path).release().expect("release");
    }
}

#[test]
fn another_users_file_is_refused() {
    if !os::is_root() {
        println!("skipped: needs root to be another user");
        return;
    }
    let (dir, path) = scratch();
    fs::write(&path, "1").expect("write");
    std::os::unix::fs::chown(&path, Some(1234), None).expect("chown");
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::PermissionDenied && text.contains("user 1234"), "{text}");
    assert_eq!(fs::read_to_string(&path).expect("read"), "1");

    // For that user, this is a directory that it may not write, and a file of root's.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    let root = dir.path().join("root.pid");
    fs::write(&root, NOBODY.to_string()).expect("write");
    let mut host = host::command(test_path!("a_host_of_another_user"));
    host.env("PID_FILE", &root);
    host::run_command(host);
}

hosted_part! {
    fn a_host_of_another_user() {
        let root = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        os::set_real_user_for_good(1234);
        let (kind, text) = refused(&root);
        assert!(kind == ErrorKind::PermissionDenied && text.contains("user 0, not to 1234"), "{text}");
        let (kind, text) = refused(&root.with_file_name("new.pid"));
        assert!(kind == ErrorKind::PermissionDenied && text.contains("open: permission denied"), "{text}");
        assert_eq!(state(&root), (PidState::Dead, Some(NOBODY)));
        // Another user's process is seen, too.
        let (_dir, path) = scratch();
        go_file(&path, "1", SystemTime::now());
        assert_eq!(state(&path), (PidState::Alive, Some(1)));
    }
}

#[test]
fn a_strangers_file_in_a_sticky_directory_is_not_believed() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to make a file another user's");
        return;
    }
    let (dir, path) = scratch();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).expect("chmod");
    go_file(&path, "1", SystemTime::now());
    std::os::unix::fs::chown(&path, Some(65534), None).expect("chown");
    let read = read_pid(&path).expect("read");
    assert_eq!((read.state, read.pid), (PidState::Invalid, None));
    assert!(read.reason.contains("belongs to user 65534, not to 0"), "{}", read.reason);
    // It is not believed if it has a lock, either.
    let stranger = File::options().write(true).open(&path).expect("open");
    assert!(os::lock_file(std::os::fd::AsRawFd::as_raw_fd(&stranger)));
    assert_eq!(state(&path), (PidState::Invalid, None));
}

#[test]
fn another_users_file_counts_for_that_users_processes_alone() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to be another user");
        return;
    }
    let (dir, path) = scratch();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    let theirs = host::Running::start(&mut host::command(test_path!("a_host_of_another_user_that_runs")), "runs");
    for (pid, expected) in [(1, PidState::Dead), (theirs.0.id() as i32, PidState::Alive)] {
        go_file(&path, &pid.to_string(), SystemTime::now());
        std::os::unix::fs::chown(&path, Some(1234), None).expect("chown");
        assert_eq!(state(&path), (expected, Some(pid)));
    }
}

#[test]
fn a_file_that_anybody_could_have_put_there_is_not_believed() {
    let (dir, path) = scratch();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
    let invalid = |why: &str| {
        let read = read_pid(&path).expect("read");
        assert_eq!((read.state, read.pid), (PidState::Invalid, None));
        assert!(read.reason.contains(why), "{}", read.reason);
    };
    go_file(&path, &own_pid().to_string(), SystemTime::now());
    assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));

    mode(dir.path(), 0o777);
    invalid("not sticky");
    mode(dir.path(), 0o755);

    mode(&path, 0o666);
    invalid("may be written by everybody");
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::PermissionDenied && text.contains("may be written by everybody"), "{text}");
    mode(&path, 0o644);

    let other = dir.path().join("other");
    fs::hard_link(&path, &other).expect("link");
    invalid("2 names");
    fs::remove_file(other).expect("remove");
    assert_eq!(state(&path), (PidState::Alive, Some(own_pid())));
}

hosted_part! {
    fn a_host_of_another_user_that_runs() {
        os::set_real_user_for_good(1234);
        println!("runs");
        thread::park();
    }
}

#[test]
fn a_file_that_cannot_be_removed_is_given_back_empty() {
    if !os::is_root() {
        println!("skipped: needs root to be another user");
        return;
    }
    let (dir, _) = scratch();
    let path = dir.path().join("it.pid");
    // The host is a daemon that gives up its rights after it has taken its file.
    let mut host = host::command(test_path!("a_host_that_gives_up_its_rights"));
    host.env("PID_FILE", &path);
    host::run_command(host);
    assert_eq!(fs::read_to_string(&path).expect("read"), "");
    assert_eq!(state(&path).0, PidState::Invalid);
    held(&path).release().expect("taken over");
}

hosted_part! {
    fn a_host_that_gives_up_its_rights() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        let file = held(&path);
        os::set_real_user_for_good(1234);
        let error = file.release().expect_err("not permitted");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("remove"), "{error}");
        assert!(!file.is_held());
    }
}
