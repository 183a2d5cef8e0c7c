//! The registry: nothing lost, nothing invented, whoever writes at once and whatever lies there.

use coreproc::{DaemonEntry, ErrorKind, Listing, ProcessStart, Registry, RegistryNames};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::*;

/// No kernel gives this PID (PID_MAX_LIMIT is 2^22).
const NOBODY: i32 = 999_999_999;

fn own_pid() -> i32 {
    std::process::id() as i32
}

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

/// Names in the folder, without the lock.
fn files(registry: &Registry) -> Vec<String> {
    let entries = fs::read_dir(registry.dir()).expect("folder").map(|entry| entry.expect("entry"));
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

fn put(registry: &Registry, name: &str, text: impl AsRef<[u8]>) {
    fs::create_dir_all(registry.dir()).expect("folder");
    fs::write(registry.dir().join(name), text).expect("write");
}

fn started_at(seconds: u64) -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// As the pure Go module writes it.
fn go_json(code: &str, daemon: &str, pid: i32, started: &str) -> String {
    format!(r#"{{"code":"{code}","daemon":"{daemon}","pid":{pid},"started":"{started}"}}"#)
}

#[test]
fn a_registered_daemon_is_found_with_all_that_was_said_of_it() {
    let (_dir, registry) = scratch();
    assert_eq!(get(&registry, "core", "agent"), None);
    assert_eq!(list(&registry), []);
    registry.unregister("core", "agent").expect("a missing one is fine");
    assert!(!registry.dir().exists(), "nothing was to be written");

    let full = DaemonEntry {
        health: "127.0.0.1:8080".into(),
        project: "/srv/größe ☃".into(),
        binary: "/usr/bin/\"agent\"\n".into(),
        started: Some(UNIX_EPOCH + Duration::new(1_772_353_230, 123_456_789)),
        ..entry("core", "agent")
    };
    let written = registry.register(&full).expect("register");
    let process = written.process.clone().expect("known to the kernel");
    let namespace = written.pid_namespace.clone().expect("known to the kernel");
    let filled_in = DaemonEntry { process: Some(process.clone()), pid_namespace: Some(namespace.clone()), ..full };
    assert_eq!(written, filled_in);
    assert_eq!(get(&registry, "core", "agent").as_ref(), Some(&written));
    assert_eq!(list(&registry), [written]);
    assert_eq!(files(&registry), ["core-agent.json"]);

    let text = fs::read_to_string(registry.dir().join("core-agent.json")).expect("read");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["code"], "core");
    assert_eq!(json["daemon"], "agent");
    assert_eq!(json["pid"], own_pid());
    assert_eq!(json["health"], "127.0.0.1:8080");
    assert_eq!(json["started"], "2026-03-01T08:20:30.123456789Z");
    assert_eq!(json["start_ticks"], process.ticks);
    assert_eq!(json["boot_id"], process.boot_id);
    assert_eq!(json["pid_namespace"], namespace.inode);
    assert_eq!(namespace.boot_id, process.boot_id);

    registry.unregister("core", "agent").expect("unregister");
    registry.unregister("core", "agent").expect("again");
    assert_eq!(get(&registry, "core", "agent"), None);
    assert_eq!(files(&registry), [""; 0]);
}

#[test]
fn what_is_empty_is_left_out_and_the_start_is_now_unless_told() {
    let (_dir, registry) = scratch();
    let before = SystemTime::now();
    let written = registry.register(&entry("a", "b")).expect("register");
    let started = written.started.expect("now");
    assert!(before <= started && started <= SystemTime::now());
    let text = fs::read_to_string(registry.dir().join("a-b.json")).expect("read");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let keys: Vec<&String> = json.as_object().expect("object").keys().collect();
    assert_eq!(keys, ["boot_id", "code", "daemon", "pid", "pid_namespace", "start_ticks", "started"]);
}

#[test]
fn a_later_registration_replaces_an_earlier_one() {
    let (_dir, registry) = scratch();
    registry.register(&entry("a", "b")).expect("register");
    let second = registry.register(&DaemonEntry { binary: "new".into(), ..entry("a", "b") }).expect("register");
    assert_eq!(list(&registry), [second]);
    assert_eq!(files(&registry), ["a-b.json"]);
}

#[test]
fn a_field_that_does_not_fit_is_named() {
    let (_dir, registry) = scratch();
    let long = DaemonEntry { project: "x".repeat(70_000), ..entry("a", "b") };
    let late = DaemonEntry { started: started_at(253_402_300_800), ..entry("a", "b") };
    for (entry, why) in [(entry("", "b"), "code"), (entry("a", ""), "daemon"), (long, "bytes"), (late, "started")] {
        let error = registry.register(&entry).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(kind_of(registry.get("", "b")), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(registry.unregister("a", "")), ErrorKind::InvalidArgument);
    assert!(!registry.dir().exists());
}

#[test]
fn a_text_with_a_nul_byte_is_refused_and_named() {
    let (_dir, registry) = scratch();
    let nul = || "a\0b".to_owned();
    for (entry, field) in [
        (DaemonEntry { code: nul(), ..entry("a", "b") }, "code"),
        (DaemonEntry { daemon: nul(), ..entry("a", "b") }, "daemon"),
        (DaemonEntry { health: nul(), ..entry("a", "b") }, "health"),
        (DaemonEntry { project: nul(), ..entry("a", "b") }, "project"),
        (DaemonEntry { binary: nul(), ..entry("a", "b") }, "binary"),
    ] {
        for registry in [registry.clone(), registry.clone().with_names(RegistryNames::Plain)] {
            let error = registry.register(&entry).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(&format!("{field}: contains a NUL byte")), "{error}");
        }
    }
    assert!(!registry.dir().exists());
}

#[test]
fn dead_daemons_are_pruned_and_living_ones_come_in_order() {
    let (_dir, registry) = scratch();
    let mut child = std::process::Command::new("cat").stdin(Stdio::piped()).spawn().expect("spawn");
    for (code, daemon, pid, started) in [
        ("b", "2", own_pid(), 100),
        ("b", "1", own_pid(), 100),
        ("a", "9", own_pid(), 100),
        ("z", "0", own_pid(), 50),
        ("child", "cat", child.id() as i32, 70),
        ("nobody", "1", NOBODY, 60),
        ("nobody", "2", 0, 60),
        ("nobody", "3", -1, 60),
        ("nobody", "4", i32::MIN, 60),
    ] {
        registry.register(&DaemonEntry { started: started_at(started), ..of(code, daemon, pid) }).expect("register");
    }
    assert_eq!(get(&registry, "nobody", "1"), None);
    assert_eq!(files(&registry).len(), 9);
    assert_eq!(names(&list(&registry)), ["z/0", "child/cat", "a/9", "b/1", "b/2"]);
    assert_eq!(files(&registry).len(), 5);

    child.kill().expect("kill");
    eventually("it is a zombie", || os::state_of(child.id() as i32) == Some('Z'));
    assert_eq!(get(&registry, "child", "cat"), None);
    assert_eq!(names(&list(&registry)), ["z/0", "a/9", "b/1", "b/2"]);
    child.wait().expect("wait");
}

#[test]
fn no_two_daemons_share_a_file_whatever_they_are_called() {
    let (_dir, registry) = scratch();
    let long = "n".repeat(255);
    let longer = "ü".repeat(4000);
    let odd = [
        "a-b",
        "c",
        "a",
        "b-c",
        "..",
        ".",
        "/",
        "../../etc",
        "a/b",
        "%2D",
        "a%2Db",
        "\n",
        "\u{1}",
        "☃",
        &long,
        &longer,
    ];
    let mut pairs = Vec::new();
    for code in odd {
        for daemon in odd {
            pairs.push((code, daemon));
        }
    }
    for (number, (code, daemon)) in pairs.iter().enumerate() {
        let entry = DaemonEntry { project: number.to_string(), ..entry(code, daemon) };
        registry.register(&entry).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(files(&registry).len(), pairs.len());
    assert_eq!(list(&registry).len(), pairs.len());
    for (number, (code, daemon)) in pairs.iter().enumerate() {
        assert_eq!(get(&registry, code, daemon).expect("found").project, number.to_string());
    }
    // Nothing outside.
    let outside = fs::read_dir(registry.dir().parent().expect("parent")).expect("read").count();
    assert_eq!(outside, 1);
    for (code, daemon) in &pairs {
        registry.unregister(code, daemon).expect("unregister");
        assert_eq!(get(&registry, code, daemon), None);
    }
    assert_eq!(files(&registry), [""; 0]);
}

#[test]
fn entries_of_the_go_module_are_found_pruned_and_unregistered() {
    let (_dir, registry) = scratch();
    let now = "2126-03-01T10:20:30.123456789+02:00";
    put(&registry, "a-b-c.json", go_json("a-b", "c", own_pid(), now));
    put(&registry, "x-y.json", go_json("x", "y", own_pid(), "2126-01-01T00:00:00Z"));
    put(&registry, "with_any_name.json", go_json("p/q", "r", own_pid(), "2126-01-02T00:00:00Z"));
    put(&registry, "dead-d.json", go_json("dead", "d", NOBODY, now));
    // This process started later than that: the PID was another's.
    put(&registry, "reused-r.json", go_json("reused", "r", own_pid(), "2020-01-01T00:00:00Z"));
    put(&registry, "unset-u.json", go_json("unset", "u", own_pid(), "0001-01-01T00:00:00Z"));

    let found = get(&registry, "a-b", "c").expect("found by the Go module's name");
    assert_eq!(found.process, None);
    assert_eq!(found.started, Some(UNIX_EPOCH + Duration::new(4_928_026_830, 123_456_789)));
    assert_eq!(get(&registry, "p/q", "r").expect("found by its fields").code, "p/q");
    assert_eq!(get(&registry, "a", "b-c"), None, "the name fits, the fields do not");
    assert_eq!(get(&registry, "reused", "r"), None);
    assert_eq!(names(&list(&registry)), ["unset/u", "x/y", "p/q/r", "a-b/c"]);
    assert_eq!(files(&registry), ["a-b-c.json", "unset-u.json", "with_any_name.json", "x-y.json"]);

    // Ours takes the place of theirs, under whatever name.
    registry.register(&entry("a-b", "c")).expect("register");
    registry.register(&entry("x", "y")).expect("register");
    assert_eq!(files(&registry), ["a%2Db-c.json", "unset-u.json", "with_any_name.json", "x-y.json"]);
    registry.unregister("p/q", "r").expect("unregister");
    registry.unregister("a", "b-c").expect("unregister");
    assert_eq!(names(&list(&registry)), ["unset/u", "a-b/c", "x/y"]);
}

#[test]
fn plain_names_are_found_by_programs_that_do_not_encode_them() {
    let (_dir, encoded) = scratch();
    let plain = encoded.clone().with_names(RegistryNames::Plain);
    plain.register(&entry("a-b", "c")).expect("register");
    plain.register(&entry("github.com/x/y", "w/1")).expect("register");
    assert_eq!(files(&plain), ["a-b-c.json", "github.com-x-y-w-1.json"]);

    // One whose name is another's, by the fields in it, and those whose names are not safe.
    plain.register(&entry("a", "b-c")).expect("register");
    plain.register(&entry("a/b", "c")).expect("register");
    plain.register(&entry(".a", "b")).expect("register");
    plain.register(&entry("a%2Db", "c")).expect("register");
    assert_eq!(
        files(&plain),
        ["%2Ea-b.json", "a%252Db-c.json", "a%2Fb-c.json", "a-b%2Dc.json", "a-b-c.json", "github.com-x-y-w-1.json"]
    );
    for registry in [&plain, &encoded] {
        assert_eq!(list(registry).len(), 6);
        for (code, daemon) in
            [("a-b", "c"), ("a", "b-c"), ("a/b", "c"), (".a", "b"), ("a%2Db", "c"), ("github.com/x/y", "w/1")]
        {
            assert_eq!(get(registry, code, daemon).expect("found").code, code);
        }
    }

    // Free again, the name is the next one's who registers, and the file of before goes.
    plain.unregister("a-b", "c").expect("unregister");
    plain.register(&entry("a", "b-c")).expect("register");
    assert!(!files(&plain).contains(&"a-b%2Dc.json".to_owned()) && files(&plain).contains(&"a-b-c.json".to_owned()));
    encoded.register(&entry("a", "b-c")).expect("register");
    assert!(files(&plain).contains(&"a-b%2Dc.json".to_owned()) && !files(&plain).contains(&"a-b-c.json".to_owned()));
    for (code, daemon) in [("a", "b-c"), ("a/b", "c"), (".a", "b"), ("a%2Db", "c"), ("github.com/x/y", "w/1")] {
        plain.unregister(code, daemon).expect("unregister");
    }
    assert_eq!(files(&plain), [""; 0]);
}

#[test]
fn a_plain_name_takes_the_place_of_junk_but_not_of_what_is_not_ours_to_read() {
    let (_dir, registry) = scratch();
    let registry = registry.with_names(RegistryNames::Plain);
    put(&registry, "a-b-c.json", "junk");
    fs::create_dir(registry.dir().join("x-y-z.json")).expect("mkdir");
    registry.register(&entry("a-b", "c")).expect("register");
    registry.register(&entry("x-y", "z")).expect("register");
    assert_eq!(files(&registry), ["a-b-c.json", "a-b-c.json.bad", "x-y-z.json", "x-y-z.json.bad"]);

    put(&registry, "p-q-r.json", "junk");
    put(&registry, "p-q%2Dr.json", go_json("p", "q-r", own_pid(), "2126-01-01T00:00:00Z"));
    assert_eq!(get(&registry, "p", "q-r").expect("found behind the junk").daemon, "q-r");
}

#[test]
fn an_entry_that_died_hides_none_that_lives_under_another_name() {
    let (_dir, registry) = scratch();
    put(&registry, "a%2Db-c.json", go_json("a-b", "c", NOBODY, "2126-01-01T00:00:00Z"));
    put(&registry, "a-b-c.json", go_json("a-b", "c", own_pid(), "2126-01-01T00:00:00Z"));
    assert_eq!(get(&registry, "a-b", "c").expect("found").pid, own_pid());
}

#[test]
fn a_file_of_another_daemon_is_not_overwritten() {
    let (_dir, registry) = scratch();
    // The Go module's name for this one is ours for a-b/c.
    put(&registry, "a%2Db-c.json", go_json("a%2Db", "c", own_pid(), "2126-01-01T00:00:00Z"));
    let error = registry.register(&entry("a-b", "c")).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("a%2Db-c.json"), "{error}");
    assert_eq!(names(&list(&registry)), ["a%2Db/c"]);
    assert_eq!(files(&registry), ["a%2Db-c.json"]);
}

#[test]
fn a_daemon_with_two_files_is_listed_once() {
    let (_dir, registry) = scratch();
    put(&registry, "one.json", go_json("a", "b", own_pid(), "2126-01-01T00:00:00Z"));
    put(&registry, "two.json", go_json("a", "b", own_pid(), "2126-01-02T00:00:00Z"));
    put(&registry, "three.json", go_json("a", "c", own_pid(), "2125-01-01T00:00:00Z"));
    let found = list(&registry);
    assert_eq!(names(&found), ["a/c", "a/b"]);
    assert_eq!(get(&registry, "a", "b").as_ref(), found.last());
    registry.unregister("a", "b").expect("unregister");
    assert_eq!(names(&list(&registry)), ["a/c"]);
}

#[test]
fn what_is_no_entry_is_set_aside_and_reported() {
    let (_dir, registry) = scratch();
    registry.register(&entry("good", "one")).expect("register");
    let good = go_json("a", "b", own_pid(), "2126-01-01T00:00:00Z");
    let deep = "[".repeat(20_000);
    let huge = format!(r#"{{"code":"a","daemon":"b","pid":1,"started":"","x":"{}"}}"#, "x".repeat(100_000));
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("empty", vec![], "is empty"),
        ("truncated", good.as_bytes()[..good.len() / 2].to_vec(), "line 1 column"),
        ("junk", b"junk".to_vec(), "line 1 column"),
        ("array", b"[]".to_vec(), "line 1 column"),
        ("null", b"null".to_vec(), "null"),
        ("trailing", format!("{good} x").into_bytes(), "trailing"),
        ("no_code", br#"{"daemon":"b","pid":1,"started":""}"#.to_vec(), "`code`"),
        ("empty_code", br#"{"code":"","daemon":"b","pid":1}"#.to_vec(), "code: is empty"),
        ("big_pid", go_json("a", "b", 1, "").replace(":1,", ":2147483648,").into_bytes(), "2147483648"),
        ("no_time", go_json("a", "b", 1, "yesterday").into_bytes(), "started: \"yesterday\""),
        (
            "not_utf8",
            good.replace("\"a\"", "\"\u{e9}\"")
                .replace('\u{e9}', "\u{7f}")
                .bytes()
                .map(|b| if b == 0x7f { 0xe9 } else { b })
                .collect(),
            "line 1 column",
        ),
        ("deep", deep.into_bytes(), "invalid type: sequence"),
        ("huge", huge.into_bytes(), "larger than 65536 bytes"),
        ("twice", br#"{"code":"a","code":"b","daemon":"b","pid":1}"#.to_vec(), "duplicate field"),
    ];
    for (name, text, _) in &cases {
        put(&registry, &format!("{name}.json"), text);
    }
    fs::create_dir(registry.dir().join("folder.json")).expect("mkdir");
    os::mkfifo(&registry.dir().join("fifo.json"));
    symlink("good-one.json", registry.dir().join("link.json")).expect("symlink");
    // Neither entries nor ours.
    put(&registry, "README", "hello");
    put(&registry, ".hidden.json", "junk");
    put(&registry, "old.json.bad", "junk");

    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["good/one"]);
    assert_eq!(problems.len(), cases.len() + 3, "{problems:#?}");
    let reason_of = |name: &str| {
        let file = registry.dir().join(format!("{name}.json"));
        let problem = problems.iter().find(|problem| problem.file == file).expect("reported");
        let aside = registry.dir().join(format!("{name}.json.bad"));
        assert_eq!(problem.moved_to.as_ref(), Some(&aside));
        assert!(problem.to_string().contains(&format!("{name}.json\": ")), "{problem}");
        (problem.reason.clone(), aside)
    };
    for (name, text, why) in &cases {
        let (reason, aside) = reason_of(name);
        assert!(reason.contains(why), "{name}: {reason}");
        assert_eq!(&fs::read(aside).expect("read"), text, "{name}");
    }
    for (name, why) in [("folder", "a directory"), ("fifo", "a FIFO"), ("link", "a symbolic link")] {
        assert!(reason_of(name).0.contains(why));
    }

    // Once.
    assert_eq!(names(&list(&registry)), ["good/one"]);
    assert!(files(&registry).contains(&"README".to_owned()) && files(&registry).contains(&".hidden.json".to_owned()));
    // And again beside the earlier ones.
    for number in 2..5 {
        put(&registry, "junk.json", format!("junk {number}"));
        let problems = registry.list().expect("list").problems;
        assert_eq!(problems[0].moved_to, Some(registry.dir().join(format!("junk.json.bad{number}"))));
    }
    assert_eq!(fs::read_to_string(registry.dir().join("junk.json.bad3")).expect("read"), "junk 3");
}

#[test]
fn a_name_of_full_length_is_set_aside_as_well() {
    let (_dir, registry) = scratch();
    fs::create_dir(registry.dir()).expect("mkdir");
    // As the Go module may name them: our own are shorter.
    let name = format!("{}-a.json", "n".repeat(255 - "-a.json".len()));
    for end in [".bad", ".bad2"] {
        put(&registry, &name, "junk");
        let problems = registry.list().expect("list").problems;
        let to = registry.dir().join(format!("{}{end}", &name[..255 - end.len()]));
        assert_eq!(problems[0].moved_to.as_ref(), Some(&to));
        assert_eq!(fs::read_to_string(to).expect("read"), "junk");
    }
    assert_eq!(registry.list().expect("list").problems, []);
}

#[test]
fn files_that_have_long_been_empty_hold_up_nobody() {
    let (_dir, registry) = scratch();
    registry.register(&entry("a", "b")).expect("register");
    // As a full disk leaves them. To look at each for a while takes longer than the patience with the lock.
    const FILES: usize = 300;
    for number in 0..FILES {
        let path = registry.dir().join(format!("empty-{number}.json"));
        fs::File::create(path)
            .expect("create")
            .set_modified(started_at(1_700_000_000).expect("a time"))
            .expect("utimes");
    }
    let lock = fs::File::open(registry.dir().join(".lock")).expect("open");
    let problems = thread::scope(|scope| {
        let listing = scope.spawn(|| registry.list().expect("list").problems);
        while !listing.is_finished() && !os::is_locked(&lock) {
            thread::yield_now();
        }
        registry.register(&entry("c", "d")).expect("register");
        listing.join().expect("join")
    });
    assert_eq!(problems.len(), FILES);
}

/// By a clock that was set back, they would be new for a long time.
#[test]
fn empty_files_from_ahead_of_the_clock_hold_up_nobody() {
    let (_dir, registry) = scratch();
    registry.register(&entry("a", "b")).expect("register");
    const FILES: usize = 400;
    for (kind, ahead) in [("new", 0), ("ahead", 3600)] {
        for number in 0..FILES {
            let file = fs::File::create(registry.dir().join(format!("{kind}-{number}.json"))).expect("create");
            file.set_modified(SystemTime::now() + Duration::from_secs(ahead)).expect("utimes");
        }
    }
    let lock = fs::File::open(registry.dir().join(".lock")).expect("open");
    let problems = thread::scope(|scope| {
        let listing = scope.spawn(|| registry.list().expect("list").problems);
        while !listing.is_finished() && !os::is_locked(&lock) {
            thread::yield_now();
        }
        registry.register(&entry("c", "d")).expect("register");
        listing.join().expect("join")
    });
    assert_eq!(problems.len(), 2 * FILES);
    assert!(problems.iter().all(|problem| problem.moved_to.is_some() && problem.reason == "is empty"));
}

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

#[test]
fn a_strangers_entry_is_not_believed_and_stays() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to make a file another user's");
        return;
    }
    let (_dir, registry) = scratch();
    registry.register(&entry("good", "one")).expect("register");
    put(&registry, "bad-one.json", go_json("bad", "one", 1, "2126-01-01T00:00:00Z"));
    std::os::unix::fs::chown(registry.dir().join("bad-one.json"), Some(65534), None).expect("chown");
    put(&registry, "open-one.json", go_json("open", "one", 1, "2126-01-01T00:00:00Z"));
    fs::set_permissions(registry.dir().join("open-one.json"), Permissions(0o666)).expect("chmod");

    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["good/one"]);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(said.len() == 2 && said[0].contains("belongs to user 65534, and PID 1 does not"), "{said:?}");
    assert!(said[1].contains("may be written by everybody"), "{said:?}");
    for (code, why) in [("bad", "user 65534"), ("open", "everybody")] {
        let error = registry.get(code, "one").expect_err("not believed");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(files(&registry), ["bad-one.json", "good-one.json", "open-one.json"]);

    // In a directory where everybody can put something, not even about a process of theirs.
    let theirs =
        start(host::command(test_path!("a_host_of_another_user_that_runs")).env("REGISTRY", registry.dir()), "runs");
    put(&registry, "u-own.json", go_json("u", "own", theirs.0.id() as i32, "2126-01-01T00:00:00Z"));
    std::os::unix::fs::chown(registry.dir().join("u-own.json"), Some(1234), None).expect("chown");
    assert_eq!(names(&registry.list().expect("list").entries), ["good/one", "u/own"]);
    fs::set_permissions(registry.dir(), Permissions(0o1777)).expect("chmod");
    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["good/one"]);
    assert!(problems[2].reason.contains("belongs to user 1234, not to 0"), "{problems:?}");
}

#[test]
fn a_users_registry_speaks_for_that_users_processes_alone_and_root_leaves_it_usable() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to be another user");
        return;
    }
    let (dir, registry) = scratch();
    fs::set_permissions(dir.path(), Permissions(0o755)).expect("chmod");
    fs::create_dir(registry.dir()).expect("mkdir");
    std::os::unix::fs::chown(registry.dir(), Some(1234), None).expect("chown");
    let theirs =
        start(host::command(test_path!("a_host_of_another_user_that_runs")).env("REGISTRY", registry.dir()), "runs");
    for (daemon, pid) in [("theirs", theirs.0.id() as i32), ("roots", 1), ("dead", NOBODY)] {
        let name = format!("u-{daemon}.json");
        put(&registry, &name, go_json("u", daemon, pid, "2126-01-01T00:00:00Z"));
        std::os::unix::fs::chown(registry.dir().join(name), Some(1234), None).expect("chown");
    }
    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["u/theirs"]);
    assert!(problems.len() == 1 && problems[0].reason.contains("PID 1 does not"), "{problems:?}");
    // Nothing of theirs was changed, nor was anything made.
    assert_eq!(files(&registry), ["u-dead.json", "u-roots.json", "u-theirs.json"]);
    assert!(!registry.dir().join(".lock").exists());

    registry.register(&entry("root", "r")).expect("register");
    let mut host = host::command(test_path!("a_host_of_another_user_at_home"));
    host.env("REGISTRY", registry.dir());
    host::run_command(host);
}

#[test]
fn another_user_cannot_have_the_lock() {
    if !os::is_root() {
        println!("NOT TESTED: needs root to be another user");
        return;
    }
    let (dir, registry) = scratch();
    fs::set_permissions(dir.path(), Permissions(0o755)).expect("chmod");
    registry.register(&entry("a", "b")).expect("register");
    // As an earlier version, or another umask, has left it.
    fs::set_permissions(registry.dir().join(".lock"), Permissions(0o664)).expect("chmod");
    registry.register(&entry("a", "b")).expect("register");
    let mut host = host::command(test_path!("a_host_of_another_user_that_wants_the_lock"));
    host.env("REGISTRY", registry.dir());
    host::run_command(host);
}

/// Its mode and owner would be changed, whatever file it is.
#[test]
fn a_lock_file_that_has_other_names_is_refused_and_left_alone() {
    let (dir, registry) = scratch();
    fs::create_dir_all(registry.dir()).expect("folder");
    let file = dir.path().join("file");
    fs::write(&file, "somebody's").expect("write");
    fs::set_permissions(&file, Permissions(0o644)).expect("chmod");
    fs::hard_link(&file, registry.dir().join(".lock")).expect("link");
    let error = registry.register(&entry("a", "b")).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("has 2 names"), "{error}");
    registry.list().expect("list");
    let facts = fs::metadata(&file).expect("metadata");
    assert_eq!(facts.permissions().mode() & 0o777, 0o644);
}

#[test]
fn a_directory_that_everybody_may_write_takes_no_entry() {
    let (_dir, registry) = scratch();
    registry.register(&entry("a", "b")).expect("register");
    fs::set_permissions(registry.dir(), Permissions(0o777)).expect("chmod");
    let error = registry.register(&entry("c", "d")).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("may be written by everybody"), "{error}");
    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["a/b"]);
    assert!(problems.len() == 1 && problems[0].file == registry.dir(), "{problems:?}");
    fs::set_permissions(registry.dir(), Permissions(0o1777)).expect("chmod");
    registry.register(&entry("c", "d")).expect("register");
    assert_eq!(names(&list(&registry)), ["a/b", "c/d"]);
}

#[test]
fn fields_of_others_are_nobodys_business_however_deep() {
    let (_dir, registry) = scratch();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let text = go_json("a", "b", own_pid(), "2126-01-01T00:00:00Z").replace("{", &format!("{{\"x\":{deep},"));
    put(&registry, "a-b.json", text);
    assert_eq!(names(&list(&registry)), ["a/b"]);
}

#[test]
fn a_malformed_file_is_said_to_be_one_and_gives_way_to_a_new_entry() {
    let (_dir, registry) = scratch();
    put(&registry, "a-b.json", "junk");
    let error = registry.get("a", "b").expect_err("malformed");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("a-b.json"), "{error}");
    registry.unregister("a", "b").expect("nothing of it is an entry");
    registry.register(&entry("a", "b")).expect("register");
    assert_eq!(names(&list(&registry)), ["a/b"]);
    assert_eq!(fs::read_to_string(registry.dir().join("a-b.json.bad")).expect("read"), "junk");
}

#[test]
fn an_entry_counts_for_its_own_process_alone() {
    let (_dir, registry) = scratch();
    let written = registry.register(&entry("a", "b")).expect("register");
    let process = written.process.clone().expect("known");
    let path = registry.dir().join("a-b.json");
    let text = fs::read_to_string(&path).expect("read");
    // The same PID, another start: reused.
    put(&registry, "a-b.json", text.replace(&process.ticks.to_string(), &(process.ticks + 1).to_string()));
    assert_eq!(get(&registry, "a", "b"), None);
    // Another boot.
    put(&registry, "a-b.json", text.replace(&process.boot_id, "00000000-0000-0000-0000-000000000000"));
    assert_eq!(get(&registry, "a", "b"), None);
    assert_eq!(list(&registry), []);
    assert!(!path.exists());
    put(&registry, "a-b.json", text);
    assert_eq!(list(&registry), [written]);
}

#[test]
fn a_daemon_of_another_pid_namespace_is_neither_told_nor_removed() {
    let Some(mut host) = host::command_with_own_pids(test_path!("a_host_that_registers")) else { return };
    let (_dir, registry) = scratch();
    let outer = registry.register(&entry("outer", "o")).expect("register");
    let inner = start(host.env("REGISTRY", registry.dir()), "registered");
    let before = files(&registry);
    assert_eq!(before, ["inner-child.json", "inner-i.json", "outer-o.json"]);

    for _ in 0..2 {
        let Listing { entries, problems } = registry.list().expect("list");
        assert_eq!(entries, std::slice::from_ref(&outer));
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("inner-child.json") && said[0].contains("of another PID namespace"), "{said:?}");
        assert_eq!(get(&registry, "inner", "i"), None);
        assert_eq!(files(&registry), before);
    }

    // A later boot has none of its processes.
    let path = registry.dir().join("inner-i.json");
    let text = fs::read_to_string(&path).expect("read");
    let boot_id = &outer.process.as_ref().expect("known").boot_id;
    put(&registry, "inner-i.json", text.replace(boot_id, "00000000-0000-0000-0000-000000000000"));
    assert_eq!(registry.list().expect("list").problems.len(), 1);
    assert!(!path.exists());

    // Whoever names it may replace and remove it.
    registry.register(&entry("inner", "child")).expect("register");
    assert_eq!(names(&list(&registry)), ["outer/o", "inner/child"]);
    drop(inner);
}

#[test]
fn a_proc_of_another_pid_namespace_is_not_asked() {
    let Some(mut host) = host::command_with_own_pids_alone(test_path!("a_host_without_its_own_proc")) else { return };
    let (_dir, registry) = scratch();
    host::run_command({
        host.env("REGISTRY", registry.dir());
        host
    });
}

hosted_part! {
    /// Registers itself and a child, and knows them and nobody from outside.
    fn a_host_that_registers() {
        let registry = registry_of_host();
        let child = std::process::Command::new("cat").stdin(Stdio::piped()).spawn().expect("spawn");
        let child = host::Running(child);
        registry.register(&entry("inner", "i")).expect("register");
        registry.register(&of("inner", "child", child.0.id() as i32)).expect("register");
        let Listing { entries, problems } = registry.list().expect("list");
        assert_eq!(names(&entries), ["inner/i", "inner/child"]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].reason.contains("another PID namespace"), "{}", problems[0]);
        println!("registered");
        thread::park();
    }

    fn a_host_without_its_own_proc() {
        let registry = registry_of_host();
        // Here it is 1, in /proc it is not.
        assert_eq!(own_pid(), 1);
        let written = registry.register(&entry("a", "b")).expect("register");
        assert_eq!(written.process, None, "that of another process");
        assert_eq!(list(&registry), [written]);
        registry.register(&of("a", "b", NOBODY)).expect("register");
        assert_eq!(list(&registry), []);
    }
}

/// A host that has said this line.
fn start(command: &mut std::process::Command, line: &str) -> host::Running {
    let mut host = host::Running(command.stdout(Stdio::piped()).spawn().expect("host"));
    let mut said = BufReader::new(host.0.stdout.take().expect("stdout")).lines();
    assert!(said.any(|said| said.expect("read").ends_with(line)), "the host ended");
    host
}

#[test]
fn a_reused_pid_is_dead() {
    if let Some(host) = host::command_with_own_pids(test_path!("a_host_that_reuses_a_pid")) {
        host::run_command(host);
    }
}

hosted_part! {
    fn a_host_that_reuses_a_pid() {
        let (_dir, registry) = scratch();
        let start = || {
            let child = std::process::Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
            host::Running(child.expect("spawn"))
        };
        let first = start();
        let pid = first.0.id() as i32;
        let written = registry.register(&of("a", "b", pid)).expect("register");
        assert_eq!(names(&list(&registry)), ["a/b"]);
        let ticks = |pid| registry.register(&of("probe", "x", pid)).expect("register").process.expect("runs").ticks;
        drop(first);
        // Two within one clock tick cannot be told apart.
        let later = || {
            thread::sleep(Duration::from_millis(10));
            start()
        };
        let second = os::reuse(pid, later, |child| child.0.id() as i32);
        assert_ne!(ticks(pid), written.process.expect("known").ticks);
        assert_eq!(get(&registry, "a", "b"), None);
        registry.unregister("probe", "x").expect("unregister");
        assert_eq!(list(&registry), []);
        drop(second);
    }
}

#[test]
fn only_ones_own_entry_is_unregistered() {
    let (_dir, registry) = scratch();
    let mine = registry.register(&entry("a", "b")).expect("register");
    let mut child = std::process::Command::new("cat").stdin(Stdio::piped()).spawn().expect("spawn");
    let theirs = registry.register(&of("a", "b", child.id() as i32)).expect("register");
    registry.unregister_own(&mine).expect("a successor's stays");
    assert_eq!(get(&registry, "a", "b").as_ref(), Some(&theirs));
    let reused = DaemonEntry { process: Some(ProcessStart { ticks: 1, boot_id: "x".into() }), ..theirs.clone() };
    registry.unregister_own(&reused).expect("another process's stays");
    assert_eq!(get(&registry, "a", "b").as_ref(), Some(&theirs));
    registry.unregister_own(&theirs).expect("unregister");
    assert_eq!(files(&registry), [""; 0]);
    child.kill().expect("kill");
    child.wait().expect("wait");
}

#[test]
fn drafts_of_the_dead_are_cleaned_and_those_of_the_living_are_not() {
    use std::os::fd::AsRawFd;
    let (_dir, registry) = scratch();
    put(&registry, ".entry-1-1", "half an ent");
    put(&registry, ".entry-2-2", "in the making");
    let writer = fs::File::options().write(true).open(registry.dir().join(".entry-2-2")).expect("open");
    assert!(os::lock_file(writer.as_raw_fd()));
    assert_eq!(list(&registry), []);
    assert_eq!(files(&registry), [".entry-2-2"]);
    drop(writer);
    // A read lock, which anybody can take, is no writer.
    let reader = fs::File::open(registry.dir().join(".entry-2-2")).expect("open");
    os::lock_for_reading(&reader);
    assert_eq!(list(&registry), []);
    assert_eq!(files(&registry), [""; 0]);
}

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
        registry.register(&entry("a", "b")).map(drop).expect_err("no folder"),
        registry.list().map(drop).expect_err("no folder"),
    ] {
        assert_eq!(error.kind(), ErrorKind::System);
    }
    assert_eq!(get(&registry, "a", "b"), None);
}

#[test]
fn another_users_registry_can_be_read_and_not_changed() {
    if !os::is_root() {
        println!("skipped: needs root to be another user");
        return;
    }
    let (dir, registry) = scratch();
    fs::set_permissions(dir.path(), Permissions(0o755)).expect("chmod");
    registry.register(&entry("a", "b")).expect("register");
    registry.register(&of("dead", "d", NOBODY)).expect("register");
    put(&registry, "secret-s.json", "x");
    fs::set_permissions(registry.dir().join("secret-s.json"), Permissions(0o600)).expect("chmod");
    let mut host = host::command(test_path!("a_host_of_another_user"));
    host.env("REGISTRY", registry.dir());
    host::run_command(host);
    assert_eq!(files(&registry), ["a-b.json", "dead-d.json", "secret-s.json"]);
}

#[allow(non_snake_case)]
fn Permissions(mode: u32) -> fs::Permissions {
    fs::Permissions::from_mode(mode)
}

fn registry_of_host() -> Registry {
    Registry::new(PathBuf::from(std::env::var_os("REGISTRY").expect("set")))
}

fn number_of_host(name: &str) -> u64 {
    std::env::var(name).expect("set").parse().expect("a number")
}

hosted_part! {
    fn a_host_of_another_user() {
        let registry = registry_of_host();
        os::set_real_user_for_good(1234);
        let Listing { entries, problems } = registry.list().expect("list");
        assert_eq!(names(&entries), ["a/b"]);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].moved_to, None);
        assert!(problems[0].reason.contains("permission denied"), "{}", problems[0].reason);
        assert_eq!(kind_of(registry.register(&entry("a", "b"))), ErrorKind::PermissionDenied);
        assert_eq!(kind_of(registry.unregister("a", "b")), ErrorKind::PermissionDenied);
        assert_eq!(kind_of(registry.get("secret", "s")), ErrorKind::PermissionDenied);
    }

    fn a_host_of_another_user_that_runs() {
        os::set_real_user_for_good(1234);
        println!("runs");
        thread::park();
    }

    fn a_host_of_another_user_at_home() {
        let registry = registry_of_host();
        os::set_real_user_for_good(1234);
        registry.register(&entry("mine", "m")).expect("register");
        let Listing { entries, problems } = registry.list().expect("list");
        // What it says itself it believes, and it believes root.
        assert_eq!(names(&entries), ["root/r", "mine/m", "u/roots", "u/theirs"]);
        assert_eq!(problems, []);
        assert_eq!(files(&registry), ["mine-m.json", "root-r.json", "u-roots.json", "u-theirs.json"]);
    }

    fn a_host_of_another_user_that_wants_the_lock() {
        let registry = registry_of_host();
        os::set_real_user_for_good(1234);
        let error = fs::File::open(registry.dir().join(".lock")).expect_err("opened");
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    }

    /// Registers, looks, unregisters; and goes from dead to alive under everybody's lists.
    fn a_host_that_comes_and_goes() {
        let registry = registry_of_host();
        let (me, hosts, stays) = (number_of_host("ME"), number_of_host("HOSTS"), number_of_host("STAYS"));
        let mine = format!("host-{me}");
        for round in 0..number_of_host("ROUNDS") {
            // Its predecessor ended without a word; lists may prune it at any moment.
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

/// A list reads names first and files then: what it read a name of may have another one by now.
#[test]
fn a_daemon_whose_entry_gets_another_name_is_in_every_list() {
    use std::os::fd::AsRawFd;
    let (_dir, registry) = scratch();
    registry.register(&entry("a-b", "c")).expect("register");
    let lock = fs::File::options().write(true).open(registry.dir().join(".lock")).expect("open");
    let in_folder = |name: &str| registry.dir().join(name);
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
            // To the name that the Go module gives it, and by the next registration back to ours.
            fs::rename(in_folder("a%2Db-c.json"), in_folder("a-b-c.json")).expect("rename");
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
                // They live on, with a copy of every descriptor, until this process has ended.
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

    fn the_users_registry_is_below_home() {
        let set = |home: Option<&str>| {
            // SAFETY: the only thread of this host that looks at the environment.
            #[allow(unsafe_code)]
            unsafe {
                match home {
                    Some(home) => std::env::set_var("HOME", home),
                    None => std::env::remove_var("HOME"),
                }
            }
        };
        set(Some("/home/somebody"));
        assert_eq!(Registry::default_dir().expect("a folder"), Path::new("/home/somebody/.core/daemons"));
        set(Some("relative"));
        assert_eq!(kind_of(Registry::default_dir()), ErrorKind::InvalidArgument);
        set(Some(""));
        assert_eq!(kind_of(Registry::default_dir()), ErrorKind::NotFound);
        set(None);
        assert_eq!(kind_of(Registry::default_dir()), ErrorKind::NotFound);
    }

    fn a_folder_is_made_for_its_owner_alone_to_write_without_a_umask() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("tempdir");
        os::set_umask(0);
        let registry = Registry::new(dir.path().join("core/daemons"));
        registry.register(&entry("a", "b")).expect("register");
        let made = [
            ("core", 0o755),
            ("core/daemons", 0o755),
            ("core/daemons/a-b.json", 0o644),
            // Nor for others to lock, who could keep it.
            ("core/daemons/.lock", 0o600),
        ];
        for (made, mode) in made {
            let metadata = dir.path().join(made).metadata().expect("metadata");
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{made}");
        }
    }

    fn a_relative_folder_is_the_same_after_a_change_of_directory() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::env::set_current_dir(dir.path()).expect("chdir");
        let registry = Registry::new("daemons");
        std::env::set_current_dir("/").expect("chdir");
        registry.register(&entry("a", "b")).expect("register");
        assert!(dir.path().join("daemons/a-b.json").exists());
    }

    fn nothing_is_left_open() {
        let (_dir, registry) = scratch();
        registry.register(&entry("a", "b")).expect("register");
        let before = census::Census::take();
        for _ in 0..20 {
            registry.register(&entry("a", "b")).expect("register");
            list(&registry);
            get(&registry, "c", "d");
            registry.unregister("a", "b").expect("unregister");
        }
        before.assert_restored("twenty rounds");
    }
}
