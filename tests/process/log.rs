//! Logs: what processes write is in the files, whole and in order, or counted; nothing slows a process.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coreproc::{
    CloseMode, Command, Descriptor, ErrorKind, EventFilter, Log, LogFormat, LogOptions, Service, ServiceOptions,
};
use support::*;

const ALL: EventFilter = EventFilter::STDOUT;

struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("app.log")
    }

    fn options(&self) -> LogOptions {
        LogOptions::new(self.path())
    }

    /// Returns the names of all files, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("list");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }
}

fn read(path: &Path, suffix: &str) -> String {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    fs::read_to_string(&name).unwrap_or_else(|error| panic!("{name:?}: {error}"))
}

/// Returns the numbers from one to another as `seq` writes them.
fn numbers(from: u32, to: u32) -> String {
    (from..=to).map(|number| format!("{number}\n")).collect()
}

fn seq(from: u32, to: u32) -> Command {
    let mut command = Command::new("seq");
    command.args([from.to_string(), to.to_string()]);
    command
}

fn run(service: &Service, log: &Log, command: &mut Command) {
    command.log(log, EventFilter::default()).spawn(service).expect("spawn");
    log.wait_idle(GUARDED).expect("written");
}

/// Reads all that a log has from its beginning.
fn follow(log: &Log, most: usize) -> (Vec<u8>, u64) {
    let mut follower = log.follow(0);
    let mut all = Vec::new();
    loop {
        match follower.read(most, Some(Duration::ZERO)) {
            Ok(bytes) => all.extend(bytes),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                return (all, follower.skipped());
            }
        }
    }
}

#[test]
fn a_log_has_exactly_what_was_written_and_goes_on_where_it_ended() {
    let scratch = Scratch::new();
    fs::write(scratch.path(), "before\n").expect("write");
    let service = service();
    let log = service.open_log(&scratch.options()).expect("open");
    run(&service, &log, &mut seq(1, 50_000));
    run(&service, &log, Command::new("printf").arg("no newline"));
    assert_eq!(read(&scratch.path(), ""), format!("before\n{}no newline", numbers(1, 50_000)));
    let info = log.info().expect("info");
    assert_eq!((info.lost, info.rotations), (0, 0));
    assert_eq!(info.end, fs::metadata(scratch.path()).expect("facts").len());
    assert_eq!(info.written, info.end - 7);
    assert!(info.error.is_none());
    assert_eq!(follow(&log, 1 << 20).0, fs::read(scratch.path()).expect("read"));
}

#[test]
fn lines_of_several_processes_do_not_mix() {
    let scratch = Scratch::new();
    let service = service();
    let log = service.open_log(&scratch.options()).expect("open");
    let mut command = seq(1, 2_000);
    command.log(&log, EventFilter::default());
    (0..8).for_each(|_| drop(command.spawn(&service).expect("spawn")));
    log.wait_idle(GUARDED).expect("written");
    let mut lines: Vec<u32> = read(&scratch.path(), "").lines().map(|line| line.parse().expect("a number")).collect();
    lines.sort_unstable();
    assert!(lines.iter().copied().eq((1..=2_000).flat_map(|number| [number; 8])));
}

#[test]
fn a_file_that_is_full_is_renamed_and_a_bounded_number_is_kept() {
    let scratch = Scratch::new();
    let service = service();
    let log = service.open_log(&LogOptions { max_bytes: 10_000, keep: 1, ..scratch.options() }).expect("open");
    // Each process writes a part of its own, which comes as one write at least.
    for from in [1, 1_001, 2_001, 3_001, 4_001, 5_001] {
        run(&service, &log, &mut seq(from, from + 999));
    }
    assert_eq!(scratch.names(), ["app.log", "app.log.1"]);
    let kept = [".1", ""].map(|suffix| read(&scratch.path(), suffix));
    assert!(kept.iter().all(|file| file.len() <= 10_000), "{:?}", kept.each_ref().map(String::len));
    let kept = kept.concat();
    let all = numbers(1, 5_999 + 1);
    assert!(all.ends_with(&kept) && kept.len() > 10_000);
    assert!(log.info().expect("info").rotations >= 2);
    // A follower learns how much is gone.
    let (followed, skipped) = follow(&log, 999);
    assert_eq!((lossy(&followed), skipped as usize), (kept.clone(), all.len() - kept.len()));
}

#[test]
fn a_log_that_keeps_no_file_is_emptied_instead() {
    let scratch = Scratch::new();
    let service = service();
    let log = service.open_log(&LogOptions { max_bytes: 4_000, ..scratch.options() }).expect("open");
    run(&service, &log, &mut seq(1, 1_000));
    run(&service, &log, &mut seq(1_001, 1_200));
    assert_eq!(scratch.names(), ["app.log"]);
    let kept = read(&scratch.path(), "");
    assert!(numbers(1, 1_200).ends_with(&kept) && kept.starts_with("10") && kept.len() < 1_100, "{kept}");
}

#[test]
fn a_file_that_is_old_is_renamed_before_the_next_line() {
    let scratch = Scratch::new();
    let service = service();
    let options = LogOptions { max_age: Duration::from_nanos(1), keep: 3, ..scratch.options() };
    let log = service.open_log(&options).expect("open");
    run(&service, &log, Command::new("echo").arg("one"));
    run(&service, &log, Command::new("echo").arg("two"));
    assert_eq!(scratch.names(), ["app.log", "app.log.1"]);
    assert_eq!((read(&scratch.path(), ".1"), read(&scratch.path(), "")), ("one\n".to_owned(), "two\n".to_owned()));
    log.rotate().expect("rotate");
    assert_eq!(scratch.names(), ["app.log", "app.log.1", "app.log.2"]);
    assert_eq!(read(&scratch.path(), ""), "");
}

#[test]
fn renamed_files_are_compressed_and_can_be_followed() {
    let scratch = Scratch::new();
    let service = service();
    let options = LogOptions { max_bytes: 20_000, keep: 20, compress: true, ..scratch.options() };
    let log = service.open_log(&options).expect("open");
    for from in (1..10_000).step_by(1_000) {
        run(&service, &log, &mut seq(from, from + 999));
    }
    let mut names = scratch.names();
    let rotations = log.info().expect("info").rotations;
    assert!(rotations > 1);
    assert_eq!(names.remove(0), "app.log");
    assert_eq!(names.len() as u64, rotations);
    assert!(names.iter().all(|name| name.ends_with(".gz")), "{names:?}");
    let mut oldest = String::new();
    let packed = fs::File::open(scratch.directory.path().join(format!("app.log.{rotations}.gz"))).expect("open");
    flate2::read::GzDecoder::new(packed).read_to_string(&mut oldest).expect("gzip");
    assert!(numbers(1, 10_000).starts_with(&oldest) && oldest.len() > 10_000);
    for most in [1_000, 1 << 20] {
        assert_eq!(follow(&log, most), (numbers(1, 10_000).into_bytes(), 0));
    }
    // Another log goes on with the files that are there.
    drop(log);
    let log = service.open_log(&options).expect("open");
    log.rotate().expect("rotate");
    run(&service, &log, Command::new("echo").arg("last"));
    log.wait_idle(GUARDED).expect("compressed");
    assert_eq!(scratch.names().len() as u64, rotations + 2);
}

#[test]
fn a_follower_waits_for_what_comes_and_learns_of_the_end() {
    let scratch = Scratch::new();
    let service = service();
    let log = service.open_log(&LogOptions { max_bytes: 3_000, keep: 1_000, ..scratch.options() }).expect("open");
    let mut follower = log.follow(0);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        loop {
            match follower.read(777, GUARDED) {
                Ok(bytes) => all.extend(bytes),
                Err(error) => break (all, error.kind(), follower.skipped()),
            }
        }
    });
    seq(1, 20_000).log(&log, EventFilter::default()).spawn(&service).expect("spawn");
    log.wait_idle(GUARDED).expect("written");
    service.close(CloseMode::Leave).expect("close");
    assert_eq!(reader.join().expect("reader"), (numbers(1, 20_000).into_bytes(), ErrorKind::Closed, 0));
}

#[test]
fn streams_can_go_to_logs_of_their_own() {
    let scratch = Scratch::new();
    let service = service();
    let log = |name: &str, format| {
        let options = LogOptions { format, ..LogOptions::new(scratch.directory.path().join(name)) };
        service.open_log(&options).expect("open")
    };
    let (out, err) = (log("out", LogFormat::Raw), log("err", LogFormat::Raw));
    let (five, all) = (log("five", LogFormat::Raw), log("all", LogFormat::Cri));
    let mut command = Command::new("sh");
    command.args(["-c", "echo one; echo two >&2; echo five >&5; printf end"]).descriptor(5, Descriptor::Output);
    command.log(&out, EventFilter::STDOUT).log(&err, EventFilter::STDERR).log(&five, EventFilter::DESCRIPTORS);
    run(&service, &all, &mut command);
    let text = |name: &str| fs::read_to_string(scratch.directory.path().join(name)).expect("read");
    assert_eq!((text("out"), text("err"), text("five")), ("one\nend".into(), "two\n".into(), "five\n".into()));
    let mut lines: Vec<String> = text("all")
        .lines()
        .map(|line| {
            let (time, rest) = line.split_once(' ').expect("a time");
            assert!(time.len() == 30 && time.ends_with('Z'), "{time}");
            rest.to_owned()
        })
        .collect();
    lines.sort();
    assert_eq!(lines, ["fd5 F five", "stderr F two", "stdout F end", "stdout F one"]);
}

#[test]
fn a_log_that_another_program_renames_can_be_opened_again() {
    let scratch = Scratch::new();
    let service = service();
    let log = service.open_log(&scratch.options()).expect("open");
    run(&service, &log, Command::new("echo").arg("one"));
    fs::rename(scratch.path(), scratch.directory.path().join("moved")).expect("rename");
    run(&service, &log, Command::new("echo").arg("two"));
    log.reopen().expect("reopen");
    run(&service, &log, Command::new("echo").arg("three"));
    assert_eq!(fs::read_to_string(scratch.directory.path().join("moved")).expect("read"), "one\ntwo\n");
    assert_eq!(read(&scratch.path(), ""), "three\n");
    // One that it empties goes on at its start.
    fs::write(scratch.path(), "").expect("empty");
    run(&service, &log, Command::new("echo").arg("four"));
    assert_eq!(read(&scratch.path(), ""), "four\n");
    assert_eq!(log.info().expect("info").lost, 0);
}

#[test]
fn a_rotation_that_fails_or_finds_its_file_gone_loses_no_older_file() {
    let scratch = Scratch::new();
    let service = service();
    let options = LogOptions { max_bytes: 4, keep: 3, ..scratch.options() };
    let log = service.open_log(&options).expect("open");
    for word in ["one", "two", "six"] {
        run(&service, &log, Command::new("echo").arg(word));
    }
    // Another program renames the file, and the next line does not fit.
    fs::rename(scratch.path(), scratch.directory.path().join("moved")).expect("rename");
    run(&service, &log, Command::new("echo").arg("ten"));
    let text = |name: &str| fs::read_to_string(scratch.directory.path().join(name)).expect("read");
    assert_eq!(scratch.names(), ["app.log", "app.log.1", "app.log.2", "moved"]);
    assert_eq!([text("app.log.2"), text("app.log.1"), text("moved"), text("app.log")].concat(), "one\ntwo\nsix\nten\n");
    // A directory in the way of the first number: nothing is moved twice, whatever the number of tries.
    fs::remove_file(scratch.directory.path().join("app.log.1")).expect("remove");
    fs::create_dir_all(scratch.directory.path().join("app.log.1/x")).expect("make");
    for word in ["abc", "def"] {
        run(&service, &log, Command::new("echo").arg(word));
    }
    let kept: String = scratch
        .names()
        .iter()
        .filter(|name| name.starts_with("app.log") && !scratch.directory.path().join(name).is_dir())
        .map(|name| text(name))
        .collect();
    for word in ["ten", "abc", "def"] {
        assert!(kept.contains(word), "{word} is in none of {:?}", scratch.names());
    }
    assert_eq!(log.info().expect("info").lost, 0);
    // A follower passes over what is gone, and says how much that was.
    let (followed, skipped) = follow(&log, 100);
    assert_eq!(followed.len() as u64 + skipped, log.info().expect("info").end);
    assert!(skipped > 0);
}

#[test]
fn a_log_is_cut_at_lines() {
    let scratch = Scratch::new();
    let service = service();
    let log = service.open_log(&LogOptions { max_bytes: 100, keep: 1_000, ..scratch.options() }).expect("open");
    let long = "x".repeat(150);
    run(&service, &log, Command::new("printf").args(["%s\\n", &long]));
    run(&service, &log, &mut seq(1, 100));
    let sizes: Vec<u64> = scratch
        .names()
        .iter()
        .map(|name| fs::metadata(scratch.directory.path().join(name)).expect("facts").len())
        .collect();
    assert!(sizes.iter().filter(|size| **size > 100).eq([&151]), "{sizes:?}");
    assert_eq!(lossy(&follow(&log, 1 << 20).0).replace(&long, ""), format!("\n{}", numbers(1, 100)));
}

#[test]
fn what_cannot_be_a_log_is_refused() {
    let scratch = Scratch::new();
    let service = service();
    let refused = |options: &LogOptions| service.open_log(options).expect_err("refused");
    let fields: [(&str, LogOptions); 4] = [
        ("path", LogOptions::new("")),
        ("mode", LogOptions { mode: 0o1777, ..scratch.options() }),
        ("keep", LogOptions { keep: 1, ..scratch.options() }),
        ("compress", LogOptions { compress: true, max_bytes: 1, ..scratch.options() }),
    ];
    for (field, options) in fields {
        let error = refused(&options);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(field), "{error}");
    }
    assert_eq!(refused(&LogOptions::new(scratch.directory.path())).kind(), ErrorKind::InvalidArgument);
    assert_eq!(refused(&LogOptions::new("/dev/full")).kind(), ErrorKind::InvalidArgument);
    assert_eq!(refused(&LogOptions::new(scratch.path().join("x"))).kind(), ErrorKind::NotFound);
    std::os::unix::fs::symlink("/dev/null", scratch.path()).expect("link");
    assert_eq!(refused(&scratch.options()).kind(), ErrorKind::InvalidArgument);

    let other = Service::new(ServiceOptions::default()).expect("service");
    let foreign = other.open_log(&LogOptions::new(scratch.directory.path().join("foreign"))).expect("open");
    let own = service.open_log(&LogOptions::new(scratch.directory.path().join("own"))).expect("open");
    let refused = |command: &mut Command| command.spawn(&service).err().expect("refused").kind();
    assert_eq!(refused(Command::new("true").log(&foreign, ALL)), ErrorKind::InvalidArgument);
    assert_eq!(refused(Command::new("true").log(&own, ALL).log(&foreign, ALL)), ErrorKind::InvalidArgument);
    assert_eq!(refused(Command::new("true").log(&own, EventFilter::CLOSED)), ErrorKind::InvalidArgument);
    service.close(CloseMode::Leave).expect("close");
    let late = service.open_log(&LogOptions::new(scratch.directory.path().join("late"))).expect_err("closed");
    assert_eq!(late.kind(), ErrorKind::Closed);
}

#[test]
fn a_log_outlives_the_handles_of_its_service() {
    let scratch = Scratch::new();
    let service = service();
    let log = service.open_log(&scratch.options()).expect("open");
    let mut command = Command::new("sh");
    command.args(["-c", "read go; echo late"]).stdin(coreproc::Stdin::Pipe).log(&log, EventFilter::default());
    let process = command.spawn(&service).expect("spawn");
    drop((service, command));
    process.write_stdin(b"\n", GUARDED).expect("write");
    drop(process);
    log.wait_idle(GUARDED).expect("written");
    assert_eq!(read(&scratch.path(), ""), "late\n");
}

hosted! {
    fn a_file_that_takes_no_more_loses_whole_lines_and_counts_them() {
        let scratch = Scratch::new();
        let service = service();
        let log = service.open_log(&scratch.options()).expect("open");
        // The kernel takes a part of the write that goes beyond the limit, as on a full disk. It would send SIGXFSZ to
        // the thread, which blocks it.
        let limit = |bytes| nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, bytes, libc::RLIM_INFINITY).expect("limit");
        limit(10_001);
        run(&service, &log, &mut seq(1, 20_000));
        let info = log.info().expect("info");
        let (kept, all) = (read(&scratch.path(), ""), numbers(1, 20_000));
        assert!(kept.is_empty() || kept.ends_with('\n'));
        assert!(all.starts_with(&kept) || kept.lines().all(|line| line.parse::<u32>().is_ok()));
        assert_eq!(info.written, kept.len() as u64);
        assert_eq!(info.written + info.lost, all.len() as u64);
        assert!(info.lost > 0);
        let error = info.error.expect("the failure");
        assert_eq!(error.errno(), Some(libc::EFBIG), "{error}");
        limit(libc::RLIM_INFINITY);
        run(&service, &log, Command::new("echo").arg("again"));
        assert_eq!(read(&scratch.path(), ""), format!("{kept}again\n"));
        assert!(log.info().expect("info").error.is_none());
    }

    fn a_log_stays_where_it_was_opened() {
        let scratch = Scratch::new();
        let service = service();
        std::env::set_current_dir(scratch.directory.path()).expect("change directory");
        let log = service.open_log(&LogOptions { max_bytes: 4, keep: 1, ..LogOptions::new("app.log") }).expect("open");
        std::env::set_current_dir("/").expect("change directory");
        for word in ["one", "two"] {
            run(&service, &log, Command::new("echo").arg(word));
        }
        assert_eq!((read(&scratch.path(), ""), read(&scratch.path(), ".1")), ("two\n".to_owned(), "one\n".to_owned()));
    }

    fn whatever_its_speed_each_byte_is_written_or_counted_and_lines_are_whole() {
        let scratch = Scratch::new();
        let service = service();
        let log = service.open_log(&scratch.options()).expect("open");
        let process = seq(1, 1_000_000).log(&log, EventFilter::default()).spawn(&service).expect("spawn");
        process.wait(GUARDED).expect("closed");
        log.wait_idle(GUARDED).expect("written");
        let info = log.info().expect("info");
        assert_eq!(info.written + info.lost, 6_888_896);
        let text = read(&scratch.path(), "");
        let mut last = 0;
        for line in text.lines() {
            let number: u32 = line.parse().expect("a whole line");
            assert!(number > last);
            last = number;
        }
    }
}
