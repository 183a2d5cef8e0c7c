//! Many processes and threads at once, and processes that are stopped or killed in the middle of a write.

use super::{entry, files, get, go_json, list, names, of, put, registry_of_host, scratch};
use crate::{NOBODY, own_pid};
use coreproc::{DaemonEntry, ErrorKind};
use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use support::*;

#[test]
fn many_files_are_listed_without_keeping_anybody_from_registering() {
    let (_dir, registry) = scratch();
    registry.register(&entry("a", "b")).expect("register");
    let number = count("files of dead daemons in a directory", 100_000);
    for number in 0..number {
        put(&registry, &format!("dead-{number}.json"), go_json("dead", &number.to_string(), NOBODY, ""));
    }
    let (done, registered) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                registry.register(&entry("c", "d")).expect("register");
                registered.fetch_add(1, Ordering::SeqCst);
            }
        });
        assert!(names(&list(&registry)).contains(&"a/b".to_owned()));
        done.store(true, Ordering::SeqCst);
    });
    println!("registered {} times during a list of {number} files", registered.load(Ordering::SeqCst));
    assert_eq!(files(&registry), ["a-b.json", "c-d.json"]);
}

fn number_of_host(name: &str) -> u64 {
    std::env::var(name).expect("set").parse().expect("a number")
}

hosted_part! {
    /// Registers, looks and unregisters; and goes from dead to alive while others list.
    fn a_host_that_comes_and_goes() {
        let registry = registry_of_host();
        let (me, hosts, stays) = (number_of_host("ME"), number_of_host("HOSTS"), number_of_host("STAYS"));
        let mine = format!("host-{me}");
        for round in 0..number_of_host("ROUNDS") {
            // Its predecessor has ended without unregistering; lists may remove that entry at any moment.
            registry.register(&of(&mine, "reborn", NOBODY)).expect("register");
            let reborn = registry.register(&entry(&mine, "reborn")).expect("register");
            let written = registry.register(&DaemonEntry { binary: round.to_string(), ..entry(&mine, "x") }).expect("register");
            assert_eq!(get(&registry, &mine, "reborn").as_ref(), Some(&reborn), "lost");
            let found = list(&registry);
            assert!(found.contains(&written) && found.contains(&reborn), "lost");
            for entry in &found {
                let number = |prefix| entry.code.strip_prefix(prefix).and_then(|n: &str| n.parse::<u64>().ok());
                let known = number("host-").is_some_and(|n| n < hosts) && ["x", "reborn"].contains(&entry.daemon.as_str())
                    || number("stays-").is_some_and(|n| n < stays) && entry.daemon == "y";
                assert!(known, "invented: {entry:?}");
            }
            let staying = found.iter().filter(|entry| entry.daemon == "y").count() as u64;
            assert_eq!(staying, stays, "lost");
            registry.unregister(&mine, "x").expect("unregister");
            registry.unregister_own(&reborn).expect("unregister");
            assert!(!list(&registry).iter().any(|entry| entry.code == mine), "invented");
        }
    }

    /// Registers once, counted from the first system call.
    fn a_host_that_registers_once() {
        let registry = registry_of_host();
        let new = DaemonEntry { binary: "new".into(), ..of("a-b", "c", number_of_host("PID") as i32) };
        trace::start_counting();
        registry.register(&new).expect("register");
    }
}

#[test]
fn of_32_processes_that_come_and_go_none_is_lost_and_none_invented() {
    let (_dir, registry) = scratch();
    let rounds = count("registrations each by 32 processes at once", 200);
    let stays = 10;
    for number in 0..stays {
        registry.register(&entry(&format!("stays-{number}"), "y")).expect("register");
    }
    thread::scope(|scope| {
        for me in 0..32 {
            let registry = &registry;
            scope.spawn(move || {
                let mut host = host::command(test_path!("a_host_that_comes_and_goes"));
                host.env("REGISTRY", registry.dir()).env("ROUNDS", rounds.to_string());
                host.env("ME", me.to_string()).env("HOSTS", "32").env("STAYS", stays.to_string());
                host::run_command(host);
            });
        }
    });
    assert_eq!(list(&registry).len() as u64, stays);
    assert_eq!(files(&registry).len() as u64, stays);
}

/// A list reads names before it reads files: a file whose name it has read may have another one by now.
#[test]
fn a_daemon_whose_entry_gets_another_name_is_in_every_list() {
    use std::os::fd::AsRawFd;
    let (_dir, registry) = scratch();
    registry.register(&entry("a-b", "c")).expect("register");
    let lock = fs::File::options().write(true).open(registry.dir().join(".lock")).expect("open");
    let in_dir = |name: &str| registry.dir().join(name);
    let lists = AtomicU64::new(0);
    let list_on = || {
        assert_eq!(names(&list(&registry)), ["a-b/c"]);
        lists.fetch_add(1, Ordering::SeqCst);
    };
    beside(2, list_on, || {
        for _ in 0..count("renamings of an entry under lists", 2_000) {
            while !os::lock_file(lock.as_raw_fd()) {
                thread::yield_now();
            }
            // The file gets the name that the Go module gives it; the next registration gives it ours again.
            fs::rename(in_dir("a%2Db-c.json"), in_dir("a-b-c.json")).expect("rename");
            os::unlock_file(lock.as_raw_fd());
            registry.register(&entry("a-b", "c")).expect("register");
        }
    });
    println!("in {} lists", lists.load(Ordering::SeqCst));
}

#[test]
fn kill_9_at_each_step_of_a_write_leaves_the_old_entry_or_the_new_one() {
    let (_dir, registry) = scratch();
    let (mut old, mut new) = (0, 0);
    for stop in 1.. {
        let before = registry.register(&DaemonEntry { binary: "old".into(), ..entry("a-b", "c") }).expect("register");
        let mut host = host::command(test_path!("a_host_that_registers_once"));
        host.env("REGISTRY", registry.dir()).env("PID", own_pid().to_string()).stdout(Stdio::null());
        let met = trace::kill_at(host, stop);
        let found = get(&registry, "a-b", "c").expect("neither old nor new");
        match found.binary.as_str() {
            "old" => {
                assert_eq!(found, before);
                assert_eq!(new, 0, "new, then old again");
                old += 1;
            }
            "new" => {
                assert_eq!((found.pid, &found.process), (before.pid, &before.process));
                new += 1;
            }
            other => panic!("{other}"),
        }
        assert_eq!(list(&registry), [found]);
        assert_eq!(files(&registry), ["a%2Db-c.json"]);
        if met != trace::Met::Killed {
            assert_eq!(met, trace::Met::Ended(0));
            break;
        }
    }
    println!("killed at {} moments: old {old} times, new {new} times", old + new - 1);
    assert!(old > 10 && new > 2);
}

#[test]
fn somebody_who_was_stopped_with_the_lock_stops_no_list() {
    use std::os::fd::AsRawFd;
    let (_dir, registry) = scratch();
    registry.register(&entry("a", "b")).expect("register");
    let lock = fs::File::options().write(true).open(registry.dir().join(".lock")).expect("open");
    assert!(os::lock_file(lock.as_raw_fd()));
    thread::scope(|scope| {
        let listing = scope.spawn(|| list(&registry));
        let error = registry.register(&entry("a", "b")).expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("lock"), "{error}");
        assert_eq!(names(&listing.join().expect("list")), ["a/b"]);
    });
    assert_eq!(files(&registry), ["a-b.json"]);
}

hosted! {
    fn children_of_fork_keep_nobody_out() {
        let (_dir, registry) = scratch();
        for number in 0..200 {
            registry.register(&entry("a", &number.to_string())).expect("register");
        }
        let lock = fs::File::open(registry.dir().join(".lock")).expect("open");
        let done = AtomicBool::new(false);
        let parent = std::process::id();
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    list(&registry);
                }
            });
            for _ in 0..10 {
                while !os::is_locked(&lock) {
                    thread::yield_now();
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
        registry.register(&entry("c", "d")).expect("register");
    }
}
