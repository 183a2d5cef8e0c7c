//! The names of files: ours, those of the Go module, and plain ones.

use super::{entry, files, get, go_json, list, names, put, scratch};
use crate::{NOBODY, own_pid};
use coreproc::{DaemonEntry, ErrorKind, RegistryNames};
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

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
    // There is nothing outside the directory.
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
    // This process started later than that, so the PID was another's.
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

    // Our file takes the place of theirs, whatever its name.
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

    // These are a daemon whose plain name another daemon's file has, as its fields say, and daemons whose names are not
    // safe.
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

    // When the name is free again, the next daemon that registers takes it, and its earlier file goes.
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
