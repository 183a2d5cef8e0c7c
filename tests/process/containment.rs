//! Containment: what a process starts is found again and ended, on the rung of a cgroup without an exception, and on
//! those below it what got away is named.
//!
//! A test that needs a cgroup says so if this system allows none.

use coreproc::{
    Cause, Command, Containment, ErrorKind, Group, Output, Process, Rung, Scope, Service, StopOptions, TreeMember,
};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use support::fifo::Talk;
use support::os::Fd;
use support::*;

/// Members of each kind that ignore SIGTERM: with a session of its own, an orphan with one, a stopped orphan, a member
/// of the group with a child in another session; and the leader.
const WILD: &str = "fork setsid ignore 15 notify INBOX up await GATE end \
                    fork double ignore 15 notify INBOX up await GATE end \
                    fork double notify INBOX up stop await GATE end \
                    fork plain ignore 15 fork setsid ignore 15 notify INBOX up await GATE end \
                      notify INBOX up await GATE end \
                    ignore 15 notify INBOX up await GATE";
const MEMBERS: u64 = 6;

fn contained(talk: &Talk, script: &str, containment: Containment) -> Command {
    let mut command = talk.tool(script);
    command.contain(containment);
    command
}

/// Returns whether this system allows a cgroup. Says why if it does not.
fn has_cgroups(service: &Service) -> bool {
    match script("exit 0").contain(Containment::Require(Rung::Cgroup)).spawn(service) {
        Ok(process) => {
            finish(&process);
            true
        }
        Err(error) => {
            println!("NOT TESTED: {error}");
            assert_eq!((error.kind(), error.stage()), (ErrorKind::Unsupported, "contain"));
            false
        }
    }
}

/// Returns the directory of the cgroup in which a process is.
fn cgroup_of(pid: i32) -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a mount");
    let path = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroup");
    let path = path.lines().find_map(|line| line.strip_prefix("0::/")).expect("version 2").to_owned();
    PathBuf::from(mount.split(' ').nth(4).expect("a mount point")).join(path)
}

fn brief(scope: Scope) -> StopOptions {
    StopOptions { grace: Some(Duration::from_millis(20)), scope, ..Default::default() }
}

fn pids(members: &[TreeMember]) -> Vec<i32> {
    members.iter().map(|member| member.pid).collect()
}

/// Ends trees in cgroups in every way that reaches a tree.
fn end_trees_in_cgroups(service: &Service) {
    let mut talk = Talk::new();
    let mut left = count("trees", 1000);
    while left > 0 {
        let batch = left.min(40);
        left -= batch;
        let command = contained(&talk, WILD, Containment::Require(Rung::Cgroup));
        let trees: Vec<Process> = (0..batch).map(|_| command.spawn(service).expect("spawn")).collect();
        let members = talk.inbox.expect_many("up", batch * MEMBERS);
        let cgroups: Vec<PathBuf> = trees.iter().map(|process| cgroup_of(process.pid())).collect();
        for (at, process) in trees.iter().enumerate() {
            match at % 3 {
                0 => process.kill(Scope::Tree).expect("kill"),
                1 => process.kill(Scope::Default).expect("kill"),
                _ => process.stop(Some(&brief(Scope::Default))).expect("stop"),
            }
        }
        members.iter().for_each(os::assert_ends);
        for process in &trees {
            let ended = finish(process);
            assert_eq!((ended.signal(), ended.info.rung), (libc::SIGKILL, Rung::Cgroup));
            assert_eq!(process.tree().expect("tree"), []);
            assert_eq!(kind_of(process.kill(Scope::Tree)), ErrorKind::NotRunning);
        }
        eventually("no directory is left", || cgroups.iter().all(|path| !path.exists()));
    }
}

hosted! {
    fn a_tree_in_a_cgroup_leaves_nothing() {
        os::raise_file_limit();
        let service = service();
        if has_cgroups(&service) {
            end_trees_in_cgroups(&service);
        }
    }

    fn trees_in_a_group_leave_nothing_that_is_not_named() {
        os::raise_file_limit();
        let (mut talk, service) = (Talk::new(), service());
        let mut left = count("trees", 200);
        while left > 0 {
            let batch = left.min(10);
            left -= batch;
            for (rung, group) in [(Rung::Group, Group::Own), (Rung::Process, Group::Inherit)] {
                let mut command = contained(&talk, WILD, Containment::Require(rung));
                command.group(group).stdout(Output::Null).stderr(Output::Null);
                let trees: Vec<Process> = (0..batch).map(|_| command.spawn(&service).expect("spawn")).collect();
                let members: Vec<(i32, Fd)> = (0..batch * MEMBERS)
                    .map(|_| talk.inbox.expect("up"))
                    .map(|pid| (pid, os::pidfd(pid).expect("it lives")))
                    .collect();
                let mut named = Vec::new();
                for (at, process) in trees.iter().enumerate() {
                    if at % 2 == 0 {
                        process.kill(Scope::Default).expect("kill");
                    } else {
                        process.stop(Some(&brief(Scope::Tree))).expect("stop");
                    }
                    let ended = finish(process);
                    assert_eq!((ended.signal(), ended.info.rung), (libc::SIGKILL, rung));
                    // The two orphans of its own tree, and nobody else's, once those that were killed are gone.
                    let look = || process.tree().expect("tree");
                    eventually("two are left", || look().len() == 2);
                    let tree = look();
                    for member in &tree {
                        assert!(!member.reachable && member.command.contains("notify"), "{member:?}");
                    }
                    named.extend(pids(&tree));
                }
                for (pid, pidfd) in &members {
                    if named.contains(pid) {
                        assert!(os::lives(pidfd));
                        os::kill(*pid, libc::SIGKILL).expect("kill");
                    }
                    os::assert_ends(pidfd);
                }
                trees.iter().for_each(|process| assert_eq!(process.tree().expect("tree"), []));
            }
        }
    }
}

const DIRECTORY: &str = "COREPROC_TEST_DIRECTORY";

hosted_part! {
    fn a_host_with_a_contained_child() {
        let directory = PathBuf::from(std::env::var_os(DIRECTORY).expect("a directory"));
        let service = service();
        let mut command = tool(fifo::verbs_in(&directory, "notify INBOX up await GATE"));
        let process = command.contain(Containment::Require(Rung::Cgroup)).spawn(&service).expect("spawn");
        println!("started");
        finish(&process);
    }
}

/// A host that was killed leaves the directory, which its processes still need.
#[test]
fn what_a_killed_host_leaves_behind_is_removed_by_the_next() {
    let (mut talk, service) = (Talk::new(), service());
    if !has_cgroups(&service) {
        return;
    }
    let mut command = host::command(test_path!("a_host_with_a_contained_child"));
    command.env(DIRECTORY, talk.dir.path());
    let killed = host::Running::start(&mut command, "started");
    let child = talk.inbox.expect("up");
    let (cgroup, watch) = (cgroup_of(child), os::pidfd(child).expect("it lives"));
    drop(killed);
    assert!(os::lives(&watch) && cgroup.exists());
    talk.gate.open(1);
    os::assert_ends(&watch);
    assert!(cgroup.exists());
    let mut next = host::command(test_path!("a_host_with_a_contained_child"));
    next.env(DIRECTORY, talk.dir.path());
    let _next = host::Running::start(&mut next, "started");
    talk.inbox.expect("up");
    assert!(!cgroup.exists());
    talk.gate.open(1);
}

#[test]
fn each_rung_is_had_or_refused_as_it_is_asked_for() {
    let service = service();
    let has_cgroups = has_cgroups(&service);
    let best = if has_cgroups { Rung::Cgroup } else { Rung::Group };
    for (containment, group, rung) in [
        (Containment::Default, Group::Own, Rung::Group),
        (Containment::Default, Group::Inherit, Rung::Process),
        (Containment::Prefer, Group::Own, best),
        (Containment::Require(Rung::Group), Group::Own, Rung::Group),
        (Containment::Require(Rung::Process), Group::Inherit, Rung::Process),
    ] {
        let ended = run(&service, script("env").group(group).contain(containment));
        assert_eq!(ended.info.rung, rung);
        let is_marked = containment != Containment::Default && rung != Rung::Cgroup;
        assert_eq!(ended.text().matches("COREPROC_TREE=").count(), usize::from(is_marked));
    }
    for (rung, group) in [(Rung::Group, Group::Inherit), (Rung::Process, Group::Own)] {
        let error = refused(&service, script("exit 0").group(group).contain(Containment::Require(rung)));
        assert_eq!((error.kind(), error.stage()), (ErrorKind::InvalidArgument, "contain"));
    }
}

#[test]
fn a_mark_keeps_those_of_the_trees_around_it() {
    let service = service();
    let mut command = script("env");
    command.env("COREPROC_TREE", "outer").env("A", "1").contain(Containment::Require(Rung::Group));
    let text = run(&service, &command).text();
    let (_, mark) = text.split_once("COREPROC_TREE=outer:").expect("both marks");
    assert!(mark.starts_with(|first: char| first.is_ascii_digit()) && text.contains("A=1"), "{text}");
}

#[test]
fn a_daemon_in_a_cgroup_can_be_ended_after_its_leader_is_closed() {
    let (mut talk, service) = (Talk::new(), service());
    if !has_cgroups(&service) {
        return;
    }
    let daemon = "fork double close 1 close 2 ignore 15 notify INBOX up await GATE end exit 4";
    for by_stop in [false, true] {
        let command = contained(&talk, daemon, Containment::Prefer);
        let process = command.spawn(&service).expect("spawn");
        let pid = talk.inbox.expect("up");
        let (cgroup, watch) = (cgroup_of(pid), os::pidfd(pid).expect("it lives"));
        assert_eq!(finish(&process).code(), 4);
        let tree = process.tree().expect("tree");
        assert!(pids(&tree) == [pid] && tree[0].reachable, "{tree:?}");
        assert!(os::lives(&watch) && cgroup.exists());
        process.signal(0, Scope::Tree).expect("probe");
        if by_stop {
            process.stop(Some(&brief(Scope::Tree))).expect("stop");
        } else {
            process.kill(Scope::Tree).expect("kill");
        }
        os::assert_ends(&watch);
        eventually("no directory is left", || !cgroup.exists());
        assert_eq!(kind_of(process.signal(0, Scope::Tree)), ErrorKind::NotRunning);
        // Its end is still its own.
        assert_eq!(process.info().expect("info").cause(), Some(Cause::Natural));
    }
}

#[test]
fn a_cgroup_is_gone_when_its_last_process_has_ended_by_itself() {
    let (mut talk, service) = (Talk::new(), service());
    if !has_cgroups(&service) {
        return;
    }
    let daemon = "fork double close 1 close 2 notify INBOX up await GATE end exit 4";
    let process = contained(&talk, daemon, Containment::Prefer).spawn(&service).expect("spawn");
    let cgroup = cgroup_of(talk.inbox.expect("up"));
    // A directory that a process makes in its cgroup goes with it.
    fs::create_dir(cgroup.join("inner")).expect("mkdir");
    assert_eq!(finish(&process).code(), 4);
    assert!(cgroup.exists());
    talk.gate.open(1);
    eventually("no directory is left", || !cgroup.exists());
}

#[test]
fn a_signal_reaches_every_member_of_the_tree() {
    let (mut talk, service) = (Talk::new(), service());
    let mut rungs = vec![Containment::Require(Rung::Group), Containment::Default];
    if has_cgroups(&service) {
        rungs.push(Containment::Require(Rung::Cgroup));
    }
    for containment in rungs {
        let body = "on 10 0 fork setsid fork plain fork setsid notify INBOX up await GATE end notify INBOX up await GATE end \
                    notify INBOX up await GATE end notify INBOX up await GATE";
        let process = contained(&talk, body, containment).spawn(&service).expect("spawn");
        let members = talk.inbox.expect_many("up", 4);
        let tree = process.tree().expect("tree");
        assert!(tree.len() == 4 && tree.iter().all(|member| member.reachable), "{tree:?}");
        process.signal(libc::SIGUSR1, Scope::Tree).expect("signal");
        members.iter().for_each(os::assert_ends);
        assert_eq!(finish(&process).code(), 0);
    }
}

/// Without a cgroup, the way to it is lost when the leader ends, but it was found before.
#[test]
fn a_stop_ends_a_session_whose_parent_has_obeyed() {
    let (mut talk, service) = (Talk::new(), service());
    let body = "fork setsid ignore 15 close 1 close 2 notify INBOX up await GATE end notify INBOX up await GATE";
    for (rung, group) in [(Rung::Group, Group::Own), (Rung::Process, Group::Inherit)] {
        let mut command = contained(&talk, body, Containment::Require(rung));
        let process = command.group(group).spawn(&service).expect("spawn");
        let members = talk.inbox.expect_many("up", 2);
        process.stop(Some(&brief(Scope::Tree))).expect("stop");
        members.iter().for_each(os::assert_ends);
        assert_eq!(finish(&process).signal(), libc::SIGTERM);
    }
}

#[test]
fn a_stop_of_a_tree_goes_on_until_it_is_empty() {
    let (mut talk, service) = (Talk::new(), service());
    if !has_cgroups(&service) {
        return;
    }
    let body = "fork setsid close 1 close 2 on 15 0 notify INBOX up await GATE end \
                fork double close 1 close 2 ignore 15 notify INBOX up await GATE end notify INBOX up await GATE";
    let process = contained(&talk, body, Containment::Prefer).spawn(&service).expect("spawn");
    let members = talk.inbox.expect_many("up", 3);
    process.stop(Some(&brief(Scope::Default))).expect("stop");
    let ended = finish(&process);
    // It is closed only when the one that ignores SIGTERM has been killed.
    assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGTERM, Some(Cause::Stopped)));
    members.iter().for_each(os::assert_ends);
}

/// Waits until the process is in this state, as /proc/PID/stat has it.
fn await_state(pid: i32, state: char) {
    eventually("the state is reached", || os::state_of(pid) == Some(state));
}

#[test]
fn a_paused_tree_stands_still_and_goes_on() {
    let (mut talk, service) = (Talk::new(), service());
    let mut rungs = vec![(Rung::Group, Group::Own), (Rung::Process, Group::Inherit)];
    if has_cgroups(&service) {
        rungs.push((Rung::Cgroup, Group::Own));
    }
    let body = "fork setsid notify INBOX up await GATE exit 0 end notify INBOX up await GATE exit 5";
    for (rung, group) in rungs {
        let mut command = contained(&talk, body, Containment::Require(rung));
        let process = command.group(group).spawn(&service).expect("spawn");
        let pids: Vec<i32> = (0..2).map(|_| talk.inbox.expect("up")).collect();
        process.pause(Scope::Default).expect("pause");
        if rung == Rung::Cgroup {
            let events = cgroup_of(process.pid()).join("cgroup.events");
            eventually("it is frozen", || fs::read_to_string(&events).expect("events").contains("frozen 1"));
        } else {
            pids.iter().for_each(|pid| await_state(*pid, 'T'));
        }
        talk.gate.open(2);
        assert_eq!(kind_of(process.wait_exit(Some(Duration::from_millis(50)))), ErrorKind::TimedOut);
        process.resume(Scope::Default).expect("resume");
        assert_eq!(finish(&process).code(), 5);
        // The other member may be on its way out.
        let is_over = |pid: &i32| os::state_of(*pid).is_none_or(|state| matches!(state, 'Z' | 'X'));
        eventually("all have ended", || pids.iter().all(is_over));
        assert_eq!(kind_of(process.pause(Scope::Tree)), ErrorKind::NotRunning);
    }
}

#[test]
fn a_paused_tree_acts_on_a_stop_and_dies_of_a_kill() {
    let (mut talk, service) = (Talk::new(), service());
    let mut rungs = vec![Rung::Group];
    if has_cgroups(&service) {
        rungs.push(Rung::Cgroup);
    }
    let body = "fork setsid notify INBOX up await GATE end on 15 3 notify INBOX up await GATE";
    for (rung, kill) in rungs.into_iter().flat_map(|rung| [(rung, false), (rung, true)]) {
        let process = contained(&talk, body, Containment::Require(rung)).spawn(&service).expect("spawn");
        let members = talk.inbox.expect_many("up", 2);
        process.pause(Scope::Tree).expect("pause");
        if kill {
            process.kill(Scope::Default).expect("kill");
            assert_eq!(finish(&process).signal(), libc::SIGKILL);
        } else {
            process.stop(None).expect("stop");
            assert_eq!(finish(&process).code(), 3);
        }
        members.iter().for_each(os::assert_ends);
    }
}

#[test]
fn a_limit_needs_a_controller_that_the_error_names() {
    let service = service();
    for (set, controller) in [
        ((|command| command.memory_max(64 << 20)) as fn(&mut Command) -> &mut Command, "memory"),
        (|command| command.processes_max(8), "pids"),
        (|command| command.cpu_max(500), "cpu"),
    ] {
        let mut command = script("exit 3");
        match set(&mut command).spawn(&service) {
            Ok(process) => {
                let ended = finish(&process);
                assert_eq!((ended.code(), ended.info.rung), (3, Rung::Cgroup));
            }
            Err(error) => {
                println!("NOT TESTED, tests/c/contain.c does it on other kernels: {error}");
                assert_eq!((error.kind(), error.stage()), (ErrorKind::Unsupported, "contain"));
                let missing = format!("the controller \"{controller}\"");
                assert!(!has_cgroups(&service) || error.to_string().contains(&missing), "{error}");
            }
        }
        let error = refused(&service, set(script("exit 3").contain(Containment::Require(Rung::Group))));
        assert_eq!((error.kind(), error.stage()), (ErrorKind::InvalidArgument, "contain"));
    }
    for (mistaken, field) in [
        ((|command| command.memory_max(0)) as fn(&mut Command) -> &mut Command, "memory max"),
        (|command| command.processes_max(0), "processes max"),
        (|command| command.cpu_max(9), "cpu max"),
    ] {
        let error = refused(&service, mistaken(&mut script("exit 3")));
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(field), "{error}");
    }
}

#[test]
fn the_processor_time_of_a_whole_tree_is_told() {
    let service = service();
    if !has_cgroups(&service) {
        return;
    }
    let mut command = sh("(setsid sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done') ; exit 0");
    let ended = run(&service, command.contain(Containment::Prefer));
    let usage = ended.info.usage.expect("usage");
    assert!(usage.cpu_time.expect("cpu.stat") > Duration::from_millis(1), "{usage:?}");
    assert_eq!(run(&service, &script("exit 0")).info.usage, None);
}

/// Changes what this host sees at a place of its file system, with `mount` and these arguments.
fn mount(arguments: &[&str]) {
    let done = std::process::Command::new("mount").args(arguments).status().expect("mount");
    assert!(done.success());
}

#[test]
fn a_cgroup_that_cannot_be_made_is_refused_with_the_reason() {
    let name = test_path!("a_cgroup_that_cannot_be_made_is_refused_with_the_reason");
    if !host::inside(name) {
        if let Some(command) = host::command_in_namespaces(name, &["--mount"])
            && has_cgroups(&service())
        {
            host::run_command(command);
        }
        return;
    }
    let service = service();
    let cgroup = cgroup_of(std::process::id() as i32);
    let place = cgroup.to_str().expect("utf-8");
    let refusal = |what: &str| {
        let error = refused(&service, script("exit 0").contain(Containment::Require(Rung::Cgroup)));
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Unsupported, "contain"));
        assert!(error.to_string().contains(what), "{error}");
        let ended = run(&service, script("exit 3").contain(Containment::Prefer));
        assert_eq!((ended.code(), ended.info.rung), (3, Rung::Group));
    };
    mount(&["--bind", place, place]);
    mount(&["-o", "remount,bind,ro", place]);
    refusal("read-only file system");
    mount(&["-t", "tmpfs", "none", place]);
    refusal("another file system is mounted over");
    mount(&["-t", "tmpfs", "none", "/proc"]);
    refusal("read \"/proc/self/cgroup\": no such file or directory");
    host::done();
}
