//! Stopping: signal, grace, SIGKILL; the process or its group; timeouts; closing a service.

use crate::{OBEDIENT, SHORT, STUBBORN};
use coreproc::{Cause, CloseMode, Drain, ErrorKind, Group, Process, Scope, Service, State, StopOptions};
use std::time::Duration;
use support::fifo::Talk;
use support::os::Fd;
use support::*;

/// A time that is too long to be what ends a process here.
const LONG: Option<Duration> = Some(Duration::from_secs(3600));

fn policy(grace: Option<Duration>, scope: Scope) -> StopOptions {
    StopOptions { grace, scope, ..Default::default() }
}

/// Spawns and waits for "up" from `members` processes of the child's group, the leader included; their pidfds.
fn up(talk: &mut Talk, service: &Service, body: &str, members: u64) -> (Process, Vec<Fd>) {
    let process = talk.tool(body).spawn(service).expect("spawn");
    let fds = talk.inbox.expect_many("up", members);
    (process, fds)
}

const POLITE: &str = "on 15 3 notify INBOX up await GATE";
/// A leader that SIGTERM ends and two members that ignore it.
const FAMILY: &str = "fork plain ignore 15 notify INBOX up await GATE end \
                      fork plain ignore 15 notify INBOX up await GATE end \
                      notify INBOX up await GATE";

#[test]
fn a_child_that_obeys_sigterm_ends_by_it() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, OBEDIENT, 1);
    process.stop(Some(&policy(LONG, Scope::Default))).expect("stop");
    let ended = finish(&process);
    assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGTERM, Some(Cause::Stopped)));
}

#[test]
fn a_child_that_handles_sigterm_ends_with_its_own_code() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, POLITE, 1);
    process.stop(None).expect("stop");
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.info.cause()), (3, Some(Cause::Stopped)));
}

#[test]
fn a_child_that_ignores_sigterm_dies_after_the_grace() {
    let (mut talk, service) = (Talk::new(), service());
    for scope in [Scope::Default, Scope::Process, Scope::Group] {
        let (process, _) = up(&mut talk, &service, STUBBORN, 1);
        process.stop(Some(&policy(SHORT, scope))).expect("stop");
        let ended = finish(&process);
        assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGKILL, Some(Cause::Stopped)));
    }
}

#[test]
fn the_command_says_how_its_process_is_stopped() {
    let (mut talk, service) = (Talk::new(), service());
    let mut command = talk.tool("on 12 5 ignore 15 notify INBOX up await GATE");
    command.stop_options(StopOptions { signal: libc::SIGUSR2, grace: LONG, scope: Scope::Process });
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    process.stop(None).expect("stop");
    assert_eq!(finish(&process).code(), 5);
}

#[test]
fn without_an_end_of_grace_only_a_second_stop_kills() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, STUBBORN, 1);
    process.stop(Some(&policy(None, Scope::Default))).expect("stop");
    assert_eq!(kind_of(process.wait_exit(Some(Duration::from_millis(300)))), ErrorKind::TimedOut);
    process.stop(None).expect("second stop");
    let ended = finish(&process);
    assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGKILL, Some(Cause::Stopped)));
}

#[test]
fn stopping_twice_is_fine_and_kills_at_once() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, STUBBORN, 1);
    for _ in 0..2 {
        process.stop(Some(&policy(LONG, Scope::Default))).expect("stop");
    }
    assert_eq!(finish(&process).signal(), libc::SIGKILL);

    // The end may come between two stops, and stopping what has ended is fine.
    let (process, _) = up(&mut talk, &service, OBEDIENT, 1);
    for _ in 0..10 {
        process.stop(None).expect("stop");
    }
    let ended = finish(&process);
    process.stop(None).expect("stop after the end");
    assert_eq!(finish(&process).info, ended.info);
}

#[test]
fn a_stop_during_an_endless_grace_moves_on_from_many_threads() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, STUBBORN, 1);
    in_parallel(8, 8, |_, _| process.stop(Some(&policy(None, Scope::Default))).expect("stop"));
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
}

#[test]
fn a_stopped_job_is_stopped_for_good() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, fds) = up(&mut talk, &service, "notify INBOX up stop await GATE", 1);
    eventually("the child is suspended", || os::state_of(process.pid()) == Some('T'));
    process.stop(Some(&policy(SHORT, Scope::Default))).expect("stop");
    let ended = finish(&process);
    assert!([libc::SIGTERM, libc::SIGKILL].contains(&ended.signal()));
    fds.iter().for_each(os::assert_ends);
}

#[test]
fn a_group_stop_leaves_no_member_although_the_leader_dies_first() {
    for scope in [Scope::Default, Scope::Group] {
        let (mut talk, service) = (Talk::new(), service());
        let (process, members) = up(&mut talk, &service, FAMILY, 3);
        process.stop(Some(&policy(SHORT, scope))).expect("stop");
        let info = process.wait_exit(GUARDED).expect("exited");
        assert_eq!(info.cause(), Some(Cause::Stopped));
        members.iter().for_each(os::assert_ends);
        // The holders of the output are gone, so none is named.
        assert!(!finish(&process).info.drain_bound);
    }
}

/// The members hold the output and write nothing, so that the drain bound would be reached long before the grace is over.
#[test]
fn a_group_stop_is_not_cut_short_by_the_drain_bound() {
    let grace = Duration::from_millis(600);
    let (mut talk, service) = (Talk::new(), service());
    let mut command = talk.tool(FAMILY);
    command.drain(Drain { silence: Duration::from_millis(20), total: Duration::from_millis(40) });
    let process = command.spawn(&service).expect("spawn");
    let members = talk.inbox.expect_many("up", 3);
    process.stop(Some(&policy(Some(grace), Scope::Default))).expect("stop");
    let info = finish(&process).info;
    assert_eq!(info.cause(), Some(Cause::Stopped));
    // Closed only once SIGKILL was sent to those that ignore SIGTERM.
    assert!(info.closed.expect("closed").monotonic_ns - info.started.monotonic_ns >= grace.as_nanos() as u64);
    members.iter().for_each(os::assert_ends);
}

hosted! {
    /// So it is in a container whose first process reaps no orphans.
    fn members_that_ended_and_are_reaped_by_nobody_do_not_hold_back_the_end_of_a_stop() {
        os::become_subreaper();
        let (mut talk, service) = (Talk::new(), service());
        let body = "fork plain notify INBOX up await GATE end notify INBOX up await GATE";
        let (process, members) = up(&mut talk, &service, body, 2);
        process.stop(Some(&policy(LONG, Scope::Group))).expect("stop");
        members.iter().for_each(os::assert_ends);
        assert_eq!(finish(&process).info.cause(), Some(Cause::Stopped));
    }
}

#[test]
fn a_group_can_be_stopped_after_its_leader_died() {
    for scope in [Scope::Default, Scope::Group] {
        let (mut talk, service) = (Talk::new(), service());
        let body = "fork plain ignore 15 notify INBOX up await GATE end \
                    fork plain notify INBOX up await GATE end exit 4";
        let mut command = talk.tool(body);
        command.drain(Drain { silence: Duration::MAX, total: Duration::MAX });
        let process = command.spawn(&service).expect("spawn");
        let members = talk.inbox.expect_many("up", 2);
        process.wait_exit(GUARDED).expect("exited");

        process.stop(Some(&policy(SHORT, scope))).expect("stop of the group");
        members.iter().for_each(os::assert_ends);
        assert_eq!(finish(&process).code(), 4, "the leader's own end stays what it was");
    }
}

#[test]
fn a_group_can_be_killed_after_its_leader_died() {
    for scope in [Scope::Default, Scope::Group] {
        let (mut talk, service) = (Talk::new(), service());
        let body = "fork plain ignore 15 notify INBOX up await GATE end exit 4";
        let mut command = talk.tool(body);
        command.drain(Drain { silence: Duration::MAX, total: Duration::MAX });
        let process = command.spawn(&service).expect("spawn");
        let members = talk.inbox.expect_many("up", 1);
        process.wait_exit(GUARDED).expect("exited");
        assert_eq!(kind_of(process.kill(Scope::Process)), ErrorKind::NotRunning);

        process.kill(scope).expect("kill of the group");
        members.iter().for_each(os::assert_ends);
        assert_eq!((finish(&process).code(), process.info().expect("info").cause()), (4, Some(Cause::Natural)));
    }
}

#[test]
fn a_process_stop_leaves_the_rest_of_the_group() {
    let (mut talk, service) = (Talk::new(), service());
    let body = "fork plain notify INBOX up await GATE notify INBOX survived end notify INBOX up await GATE";
    let (process, _) = up(&mut talk, &service, body, 2);
    process.stop(Some(&policy(LONG, Scope::Process))).expect("stop");
    assert_eq!(process.wait_exit(GUARDED).expect("exited").cause(), Some(Cause::Stopped));
    talk.gate.open(2);
    talk.inbox.expect("survived");
    finish(&process);
}

#[test]
fn kill_ends_the_process_or_the_whole_group_at_once() {
    for scope in [Scope::Default, Scope::Group] {
        let (mut talk, service) = (Talk::new(), service());
        let (process, members) = up(&mut talk, &service, FAMILY, 3);
        process.kill(scope).expect("kill");
        members.iter().for_each(os::assert_ends);
        let ended = finish(&process);
        assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGKILL, Some(Cause::Killed)));
    }
    let (mut talk, service) = (Talk::new(), service());
    let body = "fork plain notify INBOX up await GATE notify INBOX survived end notify INBOX up await GATE";
    let (process, _) = up(&mut talk, &service, body, 2);
    process.kill(Scope::Process).expect("kill");
    assert_eq!(process.wait_exit(GUARDED).expect("exited").cause(), Some(Cause::Killed));
    talk.gate.open(2);
    talk.inbox.expect("survived");
    finish(&process);
}

#[test]
fn a_kill_during_the_grace_does_not_wait_for_its_end() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, STUBBORN, 1);
    process.stop(Some(&policy(LONG, Scope::Default))).expect("stop");
    process.kill(Scope::Default).expect("kill");
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
}

#[test]
fn a_signal_reaches_the_process_or_the_group() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, "on 10 7 notify INBOX up await GATE", 1);
    process.signal(0, Scope::Process).expect("probe");
    process.signal(libc::SIGUSR1, Scope::Process).expect("signal");
    assert_eq!(finish(&process).code(), 7);

    let body = "on 10 7 fork plain on 10 8 notify INBOX up await GATE end notify INBOX up await GATE";
    let (process, members) = up(&mut talk, &service, body, 2);
    process.signal(libc::SIGUSR1, Scope::Group).expect("signal");
    members.iter().for_each(os::assert_ends);
    assert_eq!(finish(&process).code(), 7);
}

#[test]
fn a_timeout_runs_the_stop_policy_on_the_group() {
    for scope in [Scope::Default, Scope::Group] {
        let (mut talk, service) = (Talk::new(), service());
        let mut command = talk.tool(FAMILY);
        command.timeout(Duration::from_millis(500)).stop_options(policy(SHORT, scope));
        let process = command.spawn(&service).expect("spawn");
        let info = process.wait_exit(GUARDED).expect("exited");
        assert_eq!(info.cause(), Some(Cause::Timeout));
        // All that had started by then are gone: the output has no holder left.
        assert!(!finish(&process).info.drain_bound);
        let mut started = 0;
        while let Some((_, pid)) = talk.inbox.message_within(Duration::ZERO) {
            if let Ok(member) = os::pidfd(pid) {
                os::assert_ends(&member);
            }
            started += 1;
        }
        println!("timeout: {started} members had started, 0 left");
    }
}

#[test]
fn a_timeout_of_one_that_ignores_sigterm_ends_in_sigkill() {
    let (talk, service) = (Talk::new(), service());
    let mut command = talk.tool(STUBBORN);
    command.timeout(Duration::from_millis(300)).stop_options(policy(SHORT, Scope::Default));
    let process = command.spawn(&service).expect("spawn");
    let ended = finish(&process);
    assert_eq!(ended.info.cause(), Some(Cause::Timeout));
    // Under load the timeout may come before the child ignores SIGTERM.
    assert!([libc::SIGKILL, libc::SIGTERM].contains(&ended.signal()));
}

#[test]
fn a_process_that_ends_before_its_timeout_ends_naturally() {
    let service = service();
    let mut command = script("exit 2");
    command.timeout(Duration::from_secs(3600));
    let ended = run(&service, &command);
    assert_eq!((ended.code(), ended.info.cause()), (2, Some(Cause::Natural)));
}

/// The process is suspended by Ctrl-Z, by a terminal that it may not read, or by a SIGSTOP: the signal would be pending
/// until the grace period is over.
#[test]
fn a_suspended_process_acts_on_the_first_signal_of_its_stop() {
    let way_of = |service: &Service, process: &Process, way: usize| match way {
        0 => process.stop(Some(&policy(LONG, Scope::Default))),
        1 => process.stop(Some(&policy(LONG, Scope::Process))),
        2 => service.close(CloseMode::Stop),
        _ => Ok(()),
    };
    for way in 0..4 {
        let (mut talk, service) = (Talk::new(), service());
        let mut command = talk.tool("on 15 3 notify INBOX up stop await GATE");
        command.stop_options(policy(LONG, Scope::Default));
        if way == 3 {
            command.timeout(Duration::from_millis(300));
        }
        let process = command.spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        eventually("the child is suspended", || os::state_of(process.pid()) == Some('T'));
        way_of(&service, &process, way).expect("stop");
        assert_eq!(finish(&process).code(), 3, "way {way}");
    }
}

/// A policy that first suspends has two steps: the suspension, and the last one.
#[test]
fn a_stop_that_suspends_does_not_continue_what_it_suspended() {
    let (mut talk, service) = (Talk::new(), service());
    let (process, _) = up(&mut talk, &service, "on 18 3 notify INBOX up await GATE", 1);
    process.stop(Some(&StopOptions { signal: libc::SIGTSTP, ..policy(None, Scope::Default) })).expect("stop");
    eventually("the child is suspended", || os::state_of(process.pid()) == Some('T'));
    process.stop(None).expect("stop");
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
}

#[test]
fn a_group_that_is_the_hosts_own_is_never_signalled() {
    let name = test_path!("a_group_that_is_the_hosts_own_is_never_signalled");
    if host::inside(name) {
        let (mut talk, service) = (Talk::new(), service());
        let mut command = talk.tool(OBEDIENT);
        command.group(Group::Inherit);
        let process = command.spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        for result in [
            process.signal(libc::SIGTERM, Scope::Group),
            process.kill(Scope::Group),
            process.stop(Some(&policy(SHORT, Scope::Group))),
        ] {
            assert_eq!(kind_of(result), ErrorKind::InvalidArgument);
        }
        assert_eq!(process.info().expect("info").state, State::Running);
        process.stop(None).expect("stop of the process alone");
        assert_eq!(finish(&process).signal(), libc::SIGTERM);
        return host::done();
    }
    use std::os::unix::process::CommandExt;
    let mut command = host::command(name);
    // It is not in the group of this test, in case the host does signal its own.
    command.process_group(0);
    host::run_command(command);
}

hosted! {
    fn a_stop_that_the_kernel_refuses_is_told_kept_and_tried_again() {
        const NOBODY: u32 = 65_534;
        if !os::is_root() {
            println!("not tried: only root can make a program that becomes another user's");
            return host::done();
        }
        let dir = tempfile::tempdir().expect("tempdir");
        let program = child_of_root(dir.path());
        os::set_real_user_for_good(NOBODY);
        let grace = policy(LONG, Scope::Default);
        type Way = fn(&Service, &Process) -> Option<coreproc::Error>;
        let ways: [(&str, Cause, Way); 4] = [
            ("stop", Cause::Stopped, |_, process| process.stop(None).err()),
            ("close stop", Cause::Stopped, |service, _| service.close(CloseMode::Stop).err()),
            ("close kill", Cause::Killed, |service, _| service.close(CloseMode::Kill).err()),
            ("timeout", Cause::Timeout, |_, process| {
                eventually("the timeout is refused", || process.info().expect("info").stop_refused.is_some());
                None
            }),
        ];
        for (name, cause, way) in ways {
            let (mut talk, service) = (Talk::new(), service());
            let mut command = coreproc::Command::new(&program);
            command.args(talk.verbs("user 0 notify INBOX up await GATE user 65534 await GATE"));
            command.stop_options(grace);
            if cause == Cause::Timeout {
                command.timeout(Duration::from_millis(300));
            }
            let process = command.spawn(&service).expect("spawn");
            talk.inbox.expect("up");
            let error = way(&service, &process);
            assert_eq!(error.map(|error| error.kind()), (cause != Cause::Timeout).then_some(ErrorKind::PermissionDenied), "{name}");
            let info = process.info().expect("info");
            assert_eq!((info.state, info.stop_refused), (State::Running, Some(libc::EPERM)), "{name}");
            talk.gate.open(1);
            let ended = finish(&process);
            let signal = if cause == Cause::Killed { libc::SIGKILL } else { libc::SIGTERM };
            assert_eq!((ended.signal(), ended.info.cause()), (signal, Some(cause)), "{name}");
            assert_eq!(ended.info.stop_refused, None, "{name}");
        }

        // A second stop goes on to SIGKILL, and says that it is refused, too; a kill is a single try.
        let (mut talk, service) = (Talk::new(), service());
        let mut command = coreproc::Command::new(&program);
        command.args(talk.verbs("user 0 ignore 15 notify INBOX up await GATE user 65534 await GATE"));
        let process = command.spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        assert_eq!(kind_of(process.kill(Scope::Default)), ErrorKind::PermissionDenied);
        assert_eq!(process.info().expect("info").stop_refused, None);
        for _ in 0..3 {
            assert_eq!(kind_of(process.stop(Some(&grace))), ErrorKind::PermissionDenied);
        }
        talk.gate.open(1);
        assert_eq!(finish(&process).signal(), libc::SIGKILL);
    }

    fn the_hosts_signals_stay_as_they_are_through_all_of_it() {
        os::set_action(libc::SIGUSR1, libc::SIG_IGN);
        let (table, mask) = (os::signal_table(), os::signal_mask());
        let mut talk = Talk::new();
        let service = service();
        for body in [OBEDIENT, STUBBORN, FAMILY] {
            let members = if body == FAMILY { 3 } else { 1 };
            let (process, _) = up(&mut talk, &service, body, members);
            process.stop(Some(&policy(SHORT, Scope::Default))).expect("stop");
            finish(&process);
            refused(&service, &coreproc::Command::new("coreproc-no-such-program"));
            assert_eq!(os::signal_table(), table);
            assert_eq!(os::signal_mask(), mask);
        }
        for (thread, blocked) in census::of_library_threads("SigBlk") {
            let blocked = u64::from_str_radix(&blocked, 16).expect("a mask");
            // All but SIGKILL, SIGSTOP and the two that the C library keeps for its own threads.
            let must: u64 = !(1 << 8 | 1 << 18 | 1 << 31 | 1 << 32);
            assert_eq!(blocked & must, must, "{thread:?}");
        }
        drop(service);
    }
}
