//! What is registered, found, listed and unregistered.

use super::{entry, files, get, list, names, of, put, scratch, started_at};
use crate::{NOBODY, own_pid};
use coreproc::{DaemonEntry, ErrorKind, ProcessStart, Registry, RegistryNames};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::*;

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
fn an_entry_counts_for_its_own_process_alone() {
    let (_dir, registry) = scratch();
    let written = registry.register(&entry("a", "b")).expect("register");
    let process = written.process.clone().expect("known");
    let path = registry.dir().join("a-b.json");
    let text = fs::read_to_string(&path).expect("read");
    // The same PID with another start was reused.
    put(&registry, "a-b.json", text.replace(&process.ticks.to_string(), &(process.ticks + 1).to_string()));
    assert_eq!(get(&registry, "a", "b"), None);
    // The entry is of another boot.
    put(&registry, "a-b.json", text.replace(&process.boot_id, "00000000-0000-0000-0000-000000000000"));
    assert_eq!(get(&registry, "a", "b"), None);
    assert_eq!(list(&registry), []);
    assert!(!path.exists());
    put(&registry, "a-b.json", text);
    assert_eq!(list(&registry), [written]);
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

hosted! {
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
        assert_eq!(Registry::default_dir().expect("a directory"), Path::new("/home/somebody/.core/daemons"));
        set(Some("relative"));
        assert_eq!(kind_of(Registry::default_dir()), ErrorKind::InvalidArgument);
        set(Some(""));
        assert_eq!(kind_of(Registry::default_dir()), ErrorKind::NotFound);
        set(None);
        assert_eq!(kind_of(Registry::default_dir()), ErrorKind::NotFound);
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
