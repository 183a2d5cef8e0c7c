//! Stop policies with steps of their own: their order, their times, and what a further stop does.

use crate::SHORT;
use coreproc::{Cause, CloseMode, ErrorKind, Process, Scope, Service, StopPolicy, StopStep};
use std::time::Duration;
use support::fifo::Talk;
use support::*;

/// A time that is too long to be what leads to a step here.
const LONG: Option<Duration> = Some(Duration::from_secs(3600));

/// Ignores SIGINT and SIGTERM, and exits with 7 at SIGUSR1.
const CHOOSY: &str = "ignore 2 ignore 15 on 10 7 notify INBOX up await GATE";

fn policy<const N: usize>(steps: [(i32, Option<Duration>); N]) -> StopPolicy {
    let steps = steps.map(|(signal, grace)| StopStep { signal, grace });
    StopPolicy { scope: Scope::Default, steps: steps.into() }
}

fn up(talk: &mut Talk, service: &Service, body: &str) -> Process {
    let process = talk.tool(body).spawn(service).expect("spawn");
    talk.inbox.expect("up");
    process
}

#[test]
fn each_step_follows_when_the_time_of_the_one_before_is_over() {
    let (mut talk, service) = (Talk::new(), service());
    let process = up(&mut talk, &service, CHOOSY);
    let steps = [(libc::SIGINT, SHORT), (libc::SIGTERM, SHORT), (libc::SIGUSR1, LONG), (libc::SIGKILL, None)];
    process.stop_by(&policy(steps)).expect("stop");
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.info.cause()), (7, Some(Cause::Stopped)));
}

#[test]
fn a_process_that_ignores_all_steps_but_the_last_is_killed_by_it() {
    let (mut talk, service) = (Talk::new(), service());
    let process = up(&mut talk, &service, "ignore 2 ignore 15 ignore 10 notify INBOX up await GATE");
    let steps = [(libc::SIGINT, SHORT), (libc::SIGTERM, SHORT), (libc::SIGUSR1, SHORT), (libc::SIGKILL, None)];
    process.stop_by(&policy(steps)).expect("stop");
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
}

#[test]
fn a_further_stop_moves_to_the_next_step_and_not_beyond_it() {
    let (mut talk, service) = (Talk::new(), service());
    let process = up(&mut talk, &service, CHOOSY);
    let steps = [(libc::SIGINT, LONG), (libc::SIGTERM, None), (libc::SIGUSR1, LONG), (libc::SIGKILL, None)];
    // What a further stop is called with has no meaning: by its own options it would kill.
    let kill = policy([(libc::SIGKILL, None)]);
    process.stop_by(&policy(steps)).expect("stop");
    process.stop_by(&kill).expect("second stop");
    process.stop(None).expect("third stop");
    assert_eq!(finish(&process).code(), 7);
}

#[test]
fn the_last_step_is_sent_again_by_a_further_stop_and_never_becomes_a_kill() {
    let service = service();
    let mut command = sh("trap 'n=x$n; echo $n; [ $n = xxx ] && exit 4' USR1; echo up; sleep 1000 & \
                          while :; do wait; done");
    command.stop_policy(policy([(libc::SIGUSR1, SHORT)]));
    let process = command.spawn(&service).expect("spawn");
    let mut expected = "up\n".to_owned();
    for sent in 1..=3 {
        eventually("the signal before was seen", || lossy(&process.output().expect("output")) == expected);
        process.stop_by(&StopPolicy { scope: Scope::Process, ..policy([(libc::SIGUSR1, SHORT)]) }).expect("stop");
        expected += &"x".repeat(sent);
        expected += "\n";
    }
    let info = process.wait_exit(GUARDED).expect("exited");
    assert_eq!((info.status(), info.cause()), (Some(coreproc::ExitStatus::Code(4)), Some(Cause::Stopped)));
    process.kill(Scope::Group).expect("kill of the background sleep");
    finish(&process);
}

#[test]
fn a_suspended_process_acts_on_every_step() {
    let (mut talk, service) = (Talk::new(), service());
    let process = up(&mut talk, &service, "ignore 2 on 15 3 notify INBOX up stop stop await GATE");
    let suspended = || os::state_of(process.pid()) == Some('T');
    process.stop_by(&policy([(libc::SIGINT, None), (libc::SIGTERM, None), (libc::SIGKILL, None)])).expect("stop");
    // It ignores SIGINT, goes on because of the SIGCONT behind it, and suspends itself again.
    eventually("it is suspended", suspended);
    process.stop(None).expect("second stop");
    assert_eq!(finish(&process).code(), 3);
}

#[test]
fn a_group_is_led_through_all_steps_although_its_leader_ends_at_the_first() {
    let (mut talk, service) = (Talk::new(), service());
    let body = "fork plain ignore 2 notify INBOX up await GATE end \
                fork plain ignore 2 ignore 15 notify INBOX up await GATE end notify INBOX up await GATE";
    let process = talk.tool(body).spawn(&service).expect("spawn");
    let members = talk.inbox.expect_many("up", 3);
    process.stop_by(&policy([(libc::SIGINT, SHORT), (libc::SIGTERM, SHORT), (libc::SIGKILL, None)])).expect("stop");
    members.iter().for_each(os::assert_ends);
    let ended = finish(&process);
    assert_eq!((ended.signal(), ended.info.drain_bound), (libc::SIGINT, false));
}

#[test]
fn the_policy_of_a_command_serves_its_timeout_and_the_close_of_its_service() {
    let (mut talk, own) = (Talk::new(), service());
    let steps = [(libc::SIGINT, SHORT), (libc::SIGUSR1, LONG), (libc::SIGKILL, None)];
    let mut command = talk.tool(CHOOSY);
    command.stop_policy(policy(steps));
    let process = command.spawn(&own).expect("spawn");
    talk.inbox.expect("up");
    own.close(CloseMode::Stop).expect("close");
    assert_eq!(finish(&process).code(), 7);

    let own = service();
    let mut command = talk.tool("ignore 2 ignore 10 notify INBOX up await GATE");
    command.stop_policy(policy([(libc::SIGINT, SHORT), (libc::SIGKILL, None)])).timeout(Duration::from_millis(1));
    let ended = run(&own, &command);
    assert_eq!(ended.info.cause(), Some(Cause::Timeout));
    assert!([libc::SIGINT, libc::SIGKILL].contains(&ended.signal()));
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_and_does_nothing() {
    let (mut talk, service) = (Talk::new(), service());
    let process = up(&mut talk, &service, "notify INBOX up await GATE exit 3");
    for (steps, field) in [
        (vec![], "steps: is empty"),
        (vec![(0, None)], "steps[0].signal: 0 is not a signal number"),
        (vec![(2, None), (65, None)], "steps[1].signal: 65 is not a signal number"),
        (vec![(9, LONG), (15, None)], "steps[1]: nothing can follow SIGKILL"),
    ] {
        let steps = steps.into_iter().map(|(signal, grace)| StopStep { signal, grace }).collect();
        let policy = StopPolicy { scope: Scope::Default, steps };
        let error = process.stop_by(&policy).expect_err("refused");
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(field), "{error}");
        let error = refused(&service, script("exit 0").stop_policy(policy));
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(field), "{error}");
    }
    talk.gate.open(1);
    assert_eq!(finish(&process).code(), 3);
}
