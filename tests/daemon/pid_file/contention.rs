//! Many that start at once: exactly one holds the file.

use super::scratch;
use crate::{NOBODY, own_pid};
use coreproc::{ErrorKind, PidFile};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::*;

/// Acquires a file by 32 handles at once, while `meanwhile` runs.
fn acquire_at_once(path: &Path, meanwhile: impl FnOnce()) -> Vec<(PidFile, coreproc::Result<()>)> {
    let start = Barrier::new(33);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let file = PidFile::new(path);
                    start.wait();
                    let result = file.acquire();
                    (file, result)
                })
            })
            .collect();
        start.wait();
        meanwhile();
        threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
    })
}

#[test]
fn of_many_that_start_at_once_exactly_one_wins() {
    let (_dir, path) = scratch();
    let rounds = count("starts of 32 at once, by handles of one process", 1_000);
    for round in 0..rounds {
        // The file is missing, stale or empty.
        match round % 3 {
            0 => {}
            1 => fs::write(&path, NOBODY.to_string()).expect("write"),
            _ => fs::write(&path, "").expect("write"),
        }
        let results = acquire_at_once(&path, || ());
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
}

#[test]
fn of_many_that_replace_a_file_with_a_read_lock_exactly_one_wins() {
    let (dir, path) = scratch();
    let rounds = count("starts of 32 at once on a file with a read lock", 50);
    for _ in 0..rounds {
        fs::write(&path, NOBODY.to_string()).expect("write");
        let reader = File::open(&path).expect("open");
        os::lock_for_reading(&reader);
        // The lock is dropped at any moment of the acquisition.
        let results = acquire_at_once(&path, || drop(reader));
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
