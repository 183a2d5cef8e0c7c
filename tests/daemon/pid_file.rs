//! PID files: one daemon at a time, whatever is there, and what a reader makes of it.

use coreproc::{ErrorKind, PidFile, PidRead, PidState, read_pid};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};
use support::*;

/// No kernel gives this PID (PID_MAX_LIMIT is 2^22).
const NOBODY: i32 = 999_999_999;

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("it.pid");
    (dir, path)
}

fn own_pid() -> i32 {
    std::process::id() as i32
}

fn held(path: &Path) -> PidFile {
    let file = PidFile::new(path);
    file.acquire().expect("acquire");
    file
}

#[track_caller]
fn refused(path: &Path) -> (ErrorKind, String) {
    let error = PidFile::new(path).acquire().expect_err("acquired");
    (error.kind(), error.to_string())
}

#[track_caller]
fn state(path: &Path) -> (PidState, Option<i32>) {
    let PidRead { state, pid, reason } = read_pid(path).expect("read");
    assert_eq!(reason.is_empty(), state == PidState::Alive && pid.is_some(), "{reason}");
    (state, pid)
}

/// Another process, which lives while this does.
struct Other(std::process::Child);

impl Other {
    fn start() -> Other {
        let mut child = std::process::Command::new("sh");
        let child = child.args(["-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().expect("spawn");
        // It runs by now.
        let mut byte = [0];
        child.stdout.as_mut().expect("stdout").read_exact(&mut byte).expect("a byte");
        Other(child)
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A PID file as the pure Go module leaves it: a number, no lock.
fn go_file(path: &Path, text: &str, written: SystemTime) {
    fs::write(path, text).expect("write");
    File::options().write(true).open(path).expect("open").set_modified(written).expect("set time");
}

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
    /// As daemons have it that want nothing but their own modes.
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
        // Whoever may write it may put a folder of theirs in the place of the one below.
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

    // As that user: a folder it may not write, and a file of root's.
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
        // Another user's process is there all the same.
        let (_dir, path) = scratch();
        go_file(&path, "1", SystemTime::now());
        assert_eq!(state(&path), (PidState::Alive, Some(1)));
    }
}

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
    // Huge, and not read.
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

    // Written before that process started: the PID was another's then.
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
fn of_many_that_start_at_once_exactly_one_wins() {
    let (_dir, path) = scratch();
    let rounds = count("starts of 32 at once, by handles of one process", 1_000);
    for round in 0..rounds {
        // Missing, stale, empty.
        match round % 3 {
            0 => {}
            1 => fs::write(&path, NOBODY.to_string()).expect("write"),
            _ => fs::write(&path, "").expect("write"),
        }
        let start = Barrier::new(32);
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        let file = PidFile::new(&path);
                        start.wait();
                        let result = file.acquire();
                        (file, result)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
        });
        let winners = results.iter().filter(|(_, result)| result.is_ok()).count();
        assert_eq!(winners, 1);
        for (_, result) in &results {
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
                assert!(error.to_string().contains(&format!("PID {}", own_pid())), "{error}");
            }
        }
        drop(results);
        assert!(!path.exists());
    }
}

#[test]
fn of_many_processes_exactly_one_holds_it_at_any_moment() {
    let (dir, path) = scratch();
    let rounds = count("acquisitions each by 16 processes", 2_000);
    let witness = dir.path().join("witness");
    thread::scope(|scope| {
        let hosts: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let mut host = host::command(test_path!("a_host_that_acquires_and_releases"));
                    host.env("PID_FILE", &path).env("WITNESS", &witness).env("ROUNDS", rounds.to_string());
                    host::run_command(host)
                })
            })
            .collect();
        let said: Vec<String> = hosts.into_iter().map(|host| host.join().expect("host")).collect();
        let won: u64 = said
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.strip_prefix("won ")?.parse::<u64>().ok())
            .sum();
        println!("held {won} times");
        assert!(won > 0);
    });
    assert!(!path.exists() && !witness.exists());
}

hosted_part! {
    /// Acquires and releases; while it holds the file it is alone.
    fn a_host_that_acquires_and_releases() {
        let var = |name| PathBuf::from(std::env::var_os(name).expect("set"));
        let rounds: u64 = std::env::var("ROUNDS").expect("set").parse().expect("a number");
        let file = PidFile::new(var("PID_FILE"));
        let mut won = 0;
        for _ in 0..rounds {
            match file.acquire() {
                Ok(()) => {
                    drop(File::create_new(var("WITNESS")).expect("alone"));
                    fs::remove_file(var("WITNESS")).expect("mine");
                    won += 1;
                    file.release().expect("release");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
            }
        }
        println!("\nwon {won}");
    }

    /// Holds the file until it is killed.
    fn a_host_that_holds() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        let _file = held(&path);
        println!("held");
        thread::park();
    }

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

fn start_holder(path: &Path) -> host::Running {
    start(host::command(test_path!("a_host_that_holds")).env("PID_FILE", path), "held")
}

/// A host that has said this line.
fn start(command: &mut std::process::Command, line: &str) -> host::Running {
    let mut host = host::Running(command.stdout(Stdio::piped()).spawn().expect("host"));
    let mut said = String::new();
    let mut stdout = host.0.stdout.take().expect("stdout");
    let mut buffer = [0; 256];
    while !said.contains(&format!("{line}\n")) {
        let n = stdout.read(&mut buffer).expect("read");
        assert!(n > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    host
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

/// The lock says that it lives, whatever the file says.
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
    // Whatever its time says: the clock may have been set.
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
        // Not within the tick in which the file was written.
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
        // The child's end gives nothing back.
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
                // They live on, with a copy of every descriptor, until this process has ended.
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

/// Anybody may take it, who may read the file, and keep it for ever.
#[test]
fn another_users_read_lock_does_not_block_a_restart() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to be another user");
        return;
    }
    let (dir, path) = scratch();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    fs::write(&path, NOBODY.to_string()).expect("write");
    let reader =
        start(host::command(test_path!("a_host_of_another_user_with_a_read_lock")).env("PID_FILE", &path), "locked");
    held(&path).release().expect("release");
    drop(reader);
}

#[test]
fn of_many_that_replace_a_file_with_a_read_lock_exactly_one_wins() {
    let (dir, path) = scratch();
    let rounds = count("starts of 32 at once on a file with a read lock", 50);
    for _ in 0..rounds {
        fs::write(&path, NOBODY.to_string()).expect("write");
        let reader = File::open(&path).expect("open");
        os::lock_for_reading(&reader);
        let start = Barrier::new(33);
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        let file = PidFile::new(&path);
                        start.wait();
                        let result = file.acquire();
                        (file, result)
                    })
                })
                .collect();
            start.wait();
            // At any moment of it.
            drop(reader);
            threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
        });
        assert_eq!(results.iter().filter(|(_, result)| result.is_ok()).count(), 1);
        for error in results.iter().filter_map(|(_, result)| result.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        }
        drop(results);
        assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 0);
    }
}

#[test]
fn of_many_processes_that_replace_each_others_files_exactly_one_holds_it() {
    let (dir, path) = scratch();
    let rounds = count("acquisitions each by 8 processes, with read locks by another", 200);
    let witness = dir.path().join("witness");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // A lock on each file that comes by, until the next one has come.
            let mut reader = None;
            while !done.load(Ordering::SeqCst) {
                if let Ok(file) = File::open(&path)
                    && os::try_lock_for_reading(&file)
                {
                    reader = Some(file);
                }
            }
            drop(reader);
        });
        let hosts: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut host = host::command(test_path!("a_host_that_acquires_and_releases"));
                    host.env("PID_FILE", &path).env("WITNESS", &witness).env("ROUNDS", rounds.to_string());
                    host::run_command(host)
                })
            })
            .collect();
        let said: Vec<_> = hosts.into_iter().map(|host| host.join()).collect();
        done.store(true, Ordering::SeqCst);
        assert!(said.iter().all(|said| said.is_ok()));
    });
    assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 0);
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
    // Nor if it has a lock.
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
    let theirs = start(&mut host::command(test_path!("a_host_of_another_user_that_runs")), "runs");
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

#[test]
fn a_number_of_another_pid_namespace_is_not_told() {
    let Some(mut host) = host::command_with_own_pids(test_path!("a_host_that_holds")) else { return };
    let (_dir, path) = scratch();
    let holder = start(host.env("PID_FILE", &path), "held");
    // It is a stranger here.
    assert_eq!(fs::read_to_string(&path).expect("read"), "1");
    let read = read_pid(&path).expect("read");
    assert_eq!((read.state, read.pid), (PidState::Alive, None));
    assert!(read.reason.contains("another PID namespace"), "{}", read.reason);
    let (kind, text) = refused(&path);
    assert!(kind == ErrorKind::Busy && text.contains("another PID namespace"), "{text}");
    drop(holder);
    eventually("its lock is gone", || state(&path).0 != PidState::Alive || state(&path).1.is_some());
}

/// As after unshare(CLONE_NEWPID) alone: what it says of a number is about another process.
#[test]
fn a_proc_of_another_namespace_proves_nothing() {
    let Some(mut host) = host::command_with_own_pids_alone(test_path!("a_host_without_its_own_proc")) else { return };
    let (_dir, path) = scratch();
    host.env("PID_FILE", path);
    host::run_command(host);
}

/// The number runs, and the file is locked; and yet the one has nothing to do with the other.
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

/// As after a boot with a clock that is behind: what runs now started before the file was written, by the clock.
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
    // A lock is a proof whatever the time.
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

    fn a_host_of_another_user_with_a_read_lock() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        os::set_real_user_for_good(1234);
        let file = File::open(path).expect("open");
        os::lock_for_reading(&file);
        println!("locked");
        thread::park();
    }

    fn a_host_of_another_user_that_runs() {
        os::set_real_user_for_good(1234);
        println!("runs");
        thread::park();
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

#[test]
fn a_file_that_cannot_be_removed_is_given_back_empty() {
    if !os::is_root() {
        println!("skipped: needs root to be another user");
        return;
    }
    let (dir, _) = scratch();
    let path = dir.path().join("it.pid");
    // A daemon that gives up its rights after it took its file.
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
