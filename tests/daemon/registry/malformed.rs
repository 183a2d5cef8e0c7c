//! Files that are no entries: they are set aside, and hold up no call.

use super::{entry, files, go_json, list, names, put, scratch, started_at};
use crate::own_pid;
use coreproc::{ErrorKind, Listing, Registry, RegistryProblem};
use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, SystemTime};
use support::*;

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
    // These are neither entries nor files of ours.
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

    // A problem is reported once.
    assert_eq!(names(&list(&registry)), ["good/one"]);
    assert!(files(&registry).contains(&"README".to_owned()) && files(&registry).contains(&".hidden.json".to_owned()));
    // Later ones are set aside beside the earlier ones.
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
    // The Go module may use such names; our own are shorter.
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

/// Lists, and registers a daemon once the list has the lock. Returns the problems of the list.
fn list_while_registering(registry: &Registry) -> Vec<RegistryProblem> {
    let lock = fs::File::open(registry.dir().join(".lock")).expect("open");
    thread::scope(|scope| {
        let listing = scope.spawn(|| registry.list().expect("list").problems);
        while !listing.is_finished() && !os::is_locked(&lock) {
            thread::yield_now();
        }
        registry.register(&entry("c", "d")).expect("register");
        listing.join().expect("join")
    })
}

#[test]
fn files_that_have_long_been_empty_hold_up_nobody() {
    let (_dir, registry) = scratch();
    registry.register(&entry("a", "b")).expect("register");
    // A full disk leaves such files. To wait for each of them takes longer than the patience with the lock.
    const FILES: usize = 300;
    for number in 0..FILES {
        let path = registry.dir().join(format!("empty-{number}.json"));
        fs::File::create(path)
            .expect("create")
            .set_modified(started_at(1_700_000_000).expect("a time"))
            .expect("utimes");
    }
    let problems = list_while_registering(&registry);
    assert_eq!(problems.len(), FILES);
}

/// If the clock was set back, such files would count as new for a long time.
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
    let problems = list_while_registering(&registry);
    assert_eq!(problems.len(), 2 * FILES);
    assert!(problems.iter().all(|problem| problem.moved_to.is_some() && problem.reason == "is empty"));
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
    // A read lock, which every reader can take, is no writer.
    let reader = fs::File::open(registry.dir().join(".entry-2-2")).expect("open");
    os::lock_for_reading(&reader);
    assert_eq!(list(&registry), []);
    assert_eq!(files(&registry), [""; 0]);
}
