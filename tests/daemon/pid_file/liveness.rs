//! Whether the daemon of a file lives: by its lock, by its PID, by its time.

use super::{HOLDER, Other, go_file, held, refused, scratch, start_holder, state};
use crate::{NOBODY, own_pid};
use coreproc::{ErrorKind, PidState, read_pid};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime};
use support::*;

#[test]
fn what_is_no_pid_is_told_and_never_overwritten() {
    let (_dir, path) = scratch();
    let long = "1".repeat(65);
    for (text, why) in [
        ("-1", "\"-1\""),
        ("0", "\"0\""),
        ("2147483648", "\"2147483648\""),
        ("99999999999999999999", "99999999999999999999"),
        ("12x", "12x"),
        ("1 2", "1 2"),
        ("+1", "+1"),
        ("root:x:0:0", "root"),
        ("\u{fffd}", "\u{fffd}"),
        (long.as_str(), "more than 64 bytes"),
    ] {
        fs::write(&path, text).expect("write");
        let read = read_pid(&path).expect("read");
        assert_eq!((read.state, read.pid), (PidState::Invalid, None), "{text}");
        assert!(read.reason.contains(why), "{}", read.reason);
        let (kind, said) = refused(&path);
        assert!(kind == ErrorKind::Malformed && said.contains(why) && said.contains("it.pid"), "{said}");
        assert_eq!(fs::read_to_string(&path).expect("read"), text);
    }
    // The file is huge, and not read.
    File::create(&path).expect("create").set_len(1 << 40).expect("grow");
    assert_eq!(state(&path), (PidState::Invalid, None));
    assert_eq!(refused(&path).0, ErrorKind::Malformed);
    assert_eq!(fs::metadata(&path).expect("stat").size(), 1 << 40);
}

#[test]
fn what_a_crash_leaves_is_taken_over() {
    let (_dir, path) = scratch();
    let nobody = NOBODY.to_string();
    for (text, read) in [
        ("", PidState::Invalid),
        ("\n", PidState::Invalid),
        ("\0\0\0\0", PidState::Invalid),
        (nobody.as_str(), PidState::Dead),
        ("  999999999\r\n\n", PidState::Dead),
    ] {
        fs::write(&path, text).expect("write");
        assert_eq!(state(&path).0, read, "{text:?}");
        let file = held(&path);
        assert_eq!(fs::read_to_string(&path).expect("read"), own_pid().to_string());
        file.release().expect("release");
    }
}

#[test]
fn a_file_of_the_go_module_is_alive_while_its_process_is_the_one_that_wrote_it() {
    let (_dir, path) = scratch();
    let other = Other::start();
    go_file(&path, &other.pid().to_string(), SystemTime::now());
    assert_eq!(state(&path), (PidState::Alive, Some(other.pid())));
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::Busy && text.contains(&format!("PID {}", other.pid())), "{text}");

    // The file was written before that process started, when the PID was another's.
    go_file(&path, &other.pid().to_string(), SystemTime::now() - Duration::from_secs(3600));
    let read = read_pid(&path).expect("read");
    assert_eq!((read.state, read.pid), (PidState::Dead, Some(other.pid())));
    assert!(read.reason.contains("another process"), "{}", read.reason);
    held(&path).release().expect("release");

    // A process that has ended, reaped or not.
    go_file(&path, &other.pid().to_string(), SystemTime::now());
    os::kill(other.pid(), libc::SIGKILL).expect("kill");
    eventually("it is a zombie", || os::state_of(other.pid()) == Some('Z'));
    assert_eq!(state(&path).0, PidState::Dead);
    drop(other);
    assert_eq!(state(&path).0, PidState::Dead);
    held(&path).release().expect("release");
}

#[test]
fn a_thread_is_no_daemon() {
    let (_dir, path) = scratch();
    let (ready, go) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            ready.wait();
            go.wait();
        });
        ready.wait();
        let tids: Vec<i32> = fs::read_dir("/proc/self/task")
            .expect("task")
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().parse().expect("a number"))
            .filter(|tid| *tid != own_pid())
            .collect();
        assert!(!tids.is_empty());
        for tid in tids {
            go_file(&path, &tid.to_string(), SystemTime::now());
            assert_eq!(state(&path).0, PidState::Dead);
        }
        go.wait();
        thread.join().expect("thread");
    });
}

#[test]
fn a_daemon_that_is_killed_leaves_a_stale_file_at_once() {
    let (_dir, path) = scratch();
    for _ in 0..count("daemons killed", 100) {
        let mut holder = start_holder(&path);
        let pid = holder.0.id() as i32;
        assert_eq!(state(&path), (PidState::Alive, Some(pid)));
        let (kind, text) = refused(&path);
        assert!(kind == ErrorKind::Busy && text.contains(&format!("PID {pid}")), "{text}");
        holder.0.kill().expect("kill");
        holder.0.wait().expect("wait");
        assert_eq!(state(&path), (PidState::Dead, Some(pid)));
        held(&path).release().expect("taken over");
    }
}

/// The lock says that the daemon lives, whatever the file says.
#[test]
fn a_locked_file_is_alive_without_a_pid_that_could_be_the_wrong_one() {
    let (_dir, path) = scratch();
    let holder = start_holder(&path);
    let pid = holder.0.id() as i32;
    for (text, said) in [("", "has not written"), ("999999999", "does not run"), ("junk", "junk")] {
        fs::write(&path, text).expect("write");
        let read = read_pid(&path).expect("read");
        assert_eq!((read.state, read.pid), (PidState::Alive, None));
        assert!(read.reason.contains(said), "{}", read.reason);
        let (kind, text) = refused(&path);
        assert!(kind == ErrorKind::Busy && text.contains(said), "{text}");
    }
    // The time of the file does not matter, because the clock may have been set.
    go_file(&path, &pid.to_string(), SystemTime::UNIX_EPOCH);
    assert_eq!(state(&path), (PidState::Alive, Some(pid)));
}

#[test]
fn a_reused_pid_is_not_the_daemon() {
    if let Some(host) = host::command_with_own_pids(test_path!("a_host_that_reuses_a_pid")) {
        host::run_command(host);
    }
}

hosted_part! {
    fn a_host_that_reuses_a_pid() {
        let (_dir, path) = scratch();
        let mut holder = start_holder(&path);
        let pid = holder.0.id() as i32;
        holder.0.kill().expect("kill");
        holder.0.wait().expect("wait");
        // The start must not be within the tick in which the file was written.
        let written = fs::metadata(&path).expect("stat").modified().expect("time");
        eventually("the clock has gone on", || written.elapsed().is_ok_and(|age| age > Duration::from_millis(60)));
        let other = os::reuse(pid, Other::start, |other| other.pid());
        assert_eq!(other.pid(), pid);
        let read = read_pid(&path).expect("read");
        assert_eq!((read.state, read.pid), (PidState::Dead, Some(pid)));
        held(&path).release().expect("taken over");
    }
}

#[test]
fn a_number_of_another_pid_namespace_is_not_told() {
    let Some(mut host) = host::command_with_own_pids(HOLDER) else { return };
    let (_dir, path) = scratch();
    let holder = host::Running::start(host.env("PID_FILE", &path), "held");
    // Here, the number names another process.
    assert_eq!(fs::read_to_string(&path).expect("read"), "1");
    let read = read_pid(&path).expect("read");
    assert_eq!((read.state, read.pid), (PidState::Alive, None));
    assert!(read.reason.contains("another PID namespace"), "{}", read.reason);
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::Busy && text.contains("another PID namespace"), "{text}");
    drop(holder);
    eventually("its lock is gone", || state(&path).0 != PidState::Alive || state(&path).1.is_some());
}

/// After unshare(CLONE_NEWPID) alone, what /proc says of a number is about another process.
#[test]
fn a_proc_of_another_namespace_proves_nothing() {
    let Some(mut host) = host::command_with_own_pids_alone(test_path!("a_host_without_its_own_proc")) else { return };
    let (_dir, path) = scratch();
    host.env("PID_FILE", path);
    host::run_command(host);
}

/// The number names a process that runs, and the file is locked, but not by that process.
#[test]
fn a_number_whose_process_has_no_lock_is_not_told() {
    let (_dir, path) = scratch();
    let (_holder, other) = (start_holder(&path), Other::start());
    fs::write(&path, other.pid().to_string()).expect("write");
    let read = read_pid(&path).expect("read");
    assert_eq!((read.state, read.pid), (PidState::Alive, None));
    assert!(read.reason.contains("not by PID"), "{}", read.reason);
}

#[test]
fn what_cannot_be_seen_to_have_the_lock_is_not_told() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to be another user");
        return;
    }
    let (dir, path) = scratch();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    let _file = held(&path);
    let mut host = host::command(test_path!("a_host_of_another_user_that_reads"));
    host.env("PID_FILE", &path).env("PID", own_pid().to_string());
    host::run_command(host);
}

/// After a boot with a clock that is behind, all processes seem to have started before the file was written.
#[test]
fn a_stale_file_from_ahead_of_the_clock_is_taken_over() {
    let (_dir, path) = scratch();
    let other = Other::start();
    for ahead in [60, 86_400 * 365] {
        go_file(&path, &other.pid().to_string(), SystemTime::now() + Duration::from_secs(ahead));
        let read = read_pid(&path).expect("read");
        assert_eq!((read.state, read.pid), (PidState::Dead, Some(other.pid())));
        assert!(read.reason.contains("ahead of the clock"), "{}", read.reason);
        held(&path).release().expect("taken over");
    }
    // A lock is a proof at any time.
    let holder = start_holder(&path);
    go_file(&path, &holder.0.id().to_string(), SystemTime::now() + Duration::from_secs(86_400));
    assert_eq!(state(&path), (PidState::Alive, Some(holder.0.id() as i32)));
    assert_eq!(refused(&path).0, ErrorKind::Busy);
}

hosted_part! {
    fn a_host_without_its_own_proc() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        let file = held(&path);
        assert_eq!(fs::read_to_string(&path).expect("read"), "1");
        assert_eq!(state(&path), (PidState::Alive, None));
        file.release().expect("release");
    }

    fn a_host_of_another_user_that_reads() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        os::set_real_user_for_good(1234);
        let read = read_pid(path).expect("read");
        assert_eq!((read.state, read.pid), (PidState::Alive, None));
        let pid = std::env::var("PID").expect("set");
        assert!(read.reason.contains(&pid) && read.reason.contains("cannot be seen"), "{}", read.reason);
    }
}
