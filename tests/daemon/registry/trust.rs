//! Other users: which of their entries are believed, and what they may change.

use super::{entry, files, go_json, list, mode, names, of, put, registry_of_host, scratch};
use crate::NOBODY;
use coreproc::{ErrorKind, Listing, Registry};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use support::*;

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
    fs::set_permissions(registry.dir().join("open-one.json"), mode(0o666)).expect("chmod");

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

    // In a directory that every user may write, an entry is not believed even about a process of its own user.
    let theirs = host::Running::start(
        host::command(test_path!("a_host_of_another_user_that_runs")).env("REGISTRY", registry.dir()),
        "runs",
    );
    put(&registry, "u-own.json", go_json("u", "own", theirs.0.id() as i32, "2126-01-01T00:00:00Z"));
    std::os::unix::fs::chown(registry.dir().join("u-own.json"), Some(1234), None).expect("chown");
    assert_eq!(names(&registry.list().expect("list").entries), ["good/one", "u/own"]);
    fs::set_permissions(registry.dir(), mode(0o1777)).expect("chmod");
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
    fs::set_permissions(dir.path(), mode(0o755)).expect("chmod");
    fs::create_dir(registry.dir()).expect("mkdir");
    std::os::unix::fs::chown(registry.dir(), Some(1234), None).expect("chown");
    let theirs = host::Running::start(
        host::command(test_path!("a_host_of_another_user_that_runs")).env("REGISTRY", registry.dir()),
        "runs",
    );
    for (daemon, pid) in [("theirs", theirs.0.id() as i32), ("roots", 1), ("dead", NOBODY)] {
        let name = format!("u-{daemon}.json");
        put(&registry, &name, go_json("u", daemon, pid, "2126-01-01T00:00:00Z"));
        std::os::unix::fs::chown(registry.dir().join(name), Some(1234), None).expect("chown");
    }
    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["u/theirs"]);
    assert!(problems.len() == 1 && problems[0].reason.contains("PID 1 does not"), "{problems:?}");
    // No file of theirs was changed, and none was made.
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
    fs::set_permissions(dir.path(), mode(0o755)).expect("chmod");
    registry.register(&entry("a", "b")).expect("register");
    // An earlier version, or another umask, leaves it like this.
    fs::set_permissions(registry.dir().join(".lock"), mode(0o664)).expect("chmod");
    registry.register(&entry("a", "b")).expect("register");
    let mut host = host::command(test_path!("a_host_of_another_user_that_wants_the_lock"));
    host.env("REGISTRY", registry.dir());
    host::run_command(host);
}

/// Its mode and owner would be changed, whatever file it is.
#[test]
fn a_lock_file_that_has_other_names_is_refused_and_left_alone() {
    let (dir, registry) = scratch();
    fs::create_dir_all(registry.dir()).expect("directory");
    let file = dir.path().join("file");
    fs::write(&file, "somebody's").expect("write");
    fs::set_permissions(&file, mode(0o644)).expect("chmod");
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
    fs::set_permissions(registry.dir(), mode(0o777)).expect("chmod");
    let error = registry.register(&entry("c", "d")).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("may be written by everybody"), "{error}");
    let Listing { entries, problems } = registry.list().expect("list");
    assert_eq!(names(&entries), ["a/b"]);
    assert!(problems.len() == 1 && problems[0].file == registry.dir(), "{problems:?}");
    fs::set_permissions(registry.dir(), mode(0o1777)).expect("chmod");
    registry.register(&entry("c", "d")).expect("register");
    assert_eq!(names(&list(&registry)), ["a/b", "c/d"]);
}

#[test]
fn another_users_registry_can_be_read_and_not_changed() {
    if !os::is_root() {
        println!("skipped: needs root to be another user");
        return;
    }
    let (dir, registry) = scratch();
    fs::set_permissions(dir.path(), mode(0o755)).expect("chmod");
    registry.register(&entry("a", "b")).expect("register");
    registry.register(&of("dead", "d", NOBODY)).expect("register");
    put(&registry, "secret-s.json", "x");
    fs::set_permissions(registry.dir().join("secret-s.json"), mode(0o600)).expect("chmod");
    let mut host = host::command(test_path!("a_host_of_another_user"));
    host.env("REGISTRY", registry.dir());
    host::run_command(host);
    assert_eq!(files(&registry), ["a-b.json", "dead-d.json", "secret-s.json"]);
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
        // It believes its own entries, and those of root.
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
}

hosted! {
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
            // Others may not lock it, because they could keep the lock.
            ("core/daemons/.lock", 0o600),
        ];
        for (made, mode) in made {
            let metadata = dir.path().join(made).metadata().expect("metadata");
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{made}");
        }
    }
}
