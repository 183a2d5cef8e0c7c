//! A service: closing it, finding its processes, dropping it.

use crate::{OBEDIENT, SHORT, STUBBORN};
use coreproc::{Cause, CloseMode, ErrorKind, Scope, StopOptions};
use std::time::Duration;
use support::fifo::Talk;
use support::*;

fn policy(grace: Option<Duration>) -> StopOptions {
    StopOptions { grace, ..Default::default() }
}

#[test]
fn a_closed_service_refuses_to_spawn_and_leaves_stops_or_kills_its_children() {
    for (mode, want) in [
        (CloseMode::Leave, None),
        (CloseMode::Stop, Some((libc::SIGTERM, Cause::Stopped))),
        (CloseMode::Kill, Some((libc::SIGKILL, Cause::Killed))),
    ] {
        let (mut talk, service) = (Talk::new(), service());
        let processes: Vec<_> = (0..20).map(|_| talk.tool(OBEDIENT).spawn(&service).expect("spawn")).collect();
        talk.inbox.expect_many("up", 20);
        assert_eq!(service.count(), 20);
        assert_eq!(kind_of(service.wait_idle(Some(Duration::ZERO))), ErrorKind::TimedOut);

        service.close(mode).expect("close");
        service.close(mode).expect("close again");
        assert_eq!(refused(&service, &script("exit 0")).kind(), ErrorKind::Closed);
        if want.is_none() {
            for process in &processes {
                process.signal(0, Scope::Process).expect("left alone");
            }
            talk.gate.open(20);
        }
        service.wait_idle(GUARDED).expect("idle");
        assert_eq!(service.count(), 0);
        for process in &processes {
            let ended = finish(process);
            match want {
                None => assert_eq!((ended.code(), ended.info.cause()), (0, Some(Cause::Natural))),
                Some(want) => assert_eq!((ended.signal(), ended.info.cause().expect("cause")), want),
            }
        }
    }
}

#[test]
fn closing_with_stop_reaches_stubborn_children_by_their_own_policy() {
    let (mut talk, service) = (Talk::new(), service());
    let processes: Vec<_> =
        (0..20).map(|_| talk.tool(STUBBORN).stop_options(policy(SHORT)).spawn(&service).expect("spawn")).collect();
    talk.inbox.expect_many("up", 20);
    service.close(CloseMode::Stop).expect("close");
    service.wait_idle(GUARDED).expect("idle");
    for process in &processes {
        assert_eq!(finish(process).signal(), libc::SIGKILL);
    }
}

#[test]
fn a_closing_that_is_too_patient_can_be_made_to_kill() {
    let (mut talk, service) = (Talk::new(), service());
    let process = talk.tool(STUBBORN).stop_options(policy(None)).spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    service.close(CloseMode::Stop).expect("close");
    assert_eq!(kind_of(service.wait_idle(Some(Duration::from_millis(200)))), ErrorKind::TimedOut);
    service.close(CloseMode::Kill).expect("kill");
    service.wait_idle(GUARDED).expect("idle");
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
}

#[test]
fn an_ended_process_is_found_while_the_service_keeps_it() {
    let (mut talk, service) = (Talk::new(), service());
    let process = talk.tool(OBEDIENT).spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    let id = process.id();
    let found = service.process(id).expect("found");
    assert_eq!((found.id(), found.pid()), (id, process.pid()));
    drop((process, found));
    // Without a handle, the process lives on in the service.
    let found = service.process(id).expect("found again");
    talk.gate.open(1);
    found.wait(GUARDED).expect("closed");
    drop(found);
    eventually(
        "the service has let go of it",
        || matches!(service.process(id), Err(error) if error.kind() == ErrorKind::NotFound),
    );
    for id in [0, id + 1, u64::MAX] {
        assert_eq!(kind_of(service.process(id)), ErrorKind::NotFound);
    }
}

hosted! {
    fn dropping_every_handle_kills_nobody_and_everything_ends_with_the_last_child() {
        let mut talk = Talk::new();
        // Everything that starts once has started.
        run(&service(), &script("exit 0"));
        census::wait_serviceless();
        let quiet = census::Census::take();
        let service = service();
        let process = talk.tool("notify INBOX up await GATE pattern 1 300000 1 notify INBOX on await GATE")
            .spawn(&service)
            .expect("spawn");
        talk.inbox.expect("up");
        drop((process, service));

        talk.gate.open(1);
        talk.inbox.expect("on");
        assert!(!os::has_no_child());
        talk.gate.open(1);
        quiet.assert_restored("the last child of a service that nobody holds");
    }
}
