//! PIDs of other namespaces, and PIDs that are used again.

use super::{entry, files, get, list, names, of, put, registry_of_host, scratch};
use crate::{NOBODY, own_pid};
use coreproc::Listing;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use support::*;

#[test]
fn a_daemon_of_another_pid_namespace_is_neither_told_nor_removed() {
    let Some(mut host) = host::command_with_own_pids(test_path!("a_host_that_registers")) else { return };
    let (_dir, registry) = scratch();
    let outer = registry.register(&entry("outer", "o")).expect("register");
    let inner = host::Running::start(host.env("REGISTRY", registry.dir()), "registered");
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

    // None of its processes exist in a later boot.
    let path = registry.dir().join("inner-i.json");
    let text = fs::read_to_string(&path).expect("read");
    let boot_id = &outer.process.as_ref().expect("known").boot_id;
    put(&registry, "inner-i.json", text.replace(boot_id, "00000000-0000-0000-0000-000000000000"));
    assert_eq!(registry.list().expect("list").problems.len(), 1);
    assert!(!path.exists());

    // A caller that names it may replace and remove it.
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
    /// Registers itself and a child, and lists these two, not the daemon outside.
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
        // The PID is 1 here, but not in /proc.
        assert_eq!(own_pid(), 1);
        let written = registry.register(&entry("a", "b")).expect("register");
        assert_eq!(written.process, None, "that of another process");
        assert_eq!(list(&registry), [written]);
        registry.register(&of("a", "b", NOBODY)).expect("register");
        assert_eq!(list(&registry), []);
    }
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
        // Two starts within one clock tick cannot be told apart.
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
