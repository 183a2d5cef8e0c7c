//! Stops and continuations as events and as a state.

use coreproc::{
    Command, Doing, ErrorKind, EventFilter, EventKind, Lifecycle, Output, Process, PtyOptions, Scope, Stdin,
    Subscription, SubscriptionOptions,
};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use support::fifo::Talk;
use support::*;

const OFTEN: Duration = Duration::from_millis(5);
const WHEN_ASKED: Duration = Duration::MAX;

fn name(kind: EventKind) -> String {
    match kind {
        EventKind::Stopped { signal } => format!("stopped {signal}"),
        EventKind::Continued => "continued".to_owned(),
        EventKind::Started => "started".to_owned(),
        EventKind::Exited(_) => "exited".to_owned(),
        EventKind::Closed { .. } => "closed".to_owned(),
        kind => format!("{kind:?}"),
    }
}

/// Waits for this event, and checks that no other comes before it.
#[track_caller]
fn next(events: &Subscription, want: &str) {
    let batch = events.take(1, GUARDED).expect("an event");
    let seen: Vec<_> = batch.events().map(|event| name(event.kind)).collect();
    assert_eq!(seen, [want]);
}

#[track_caller]
fn nothing(events: &Subscription) {
    assert_eq!(kind_of(events.take(0, Some(Duration::ZERO)).map(drop)), ErrorKind::TimedOut);
}

fn is_stopped(process: &Process) -> bool {
    os::state_of(process.pid()) == Some('T')
}

fn stopped(process: &Process) -> Option<i32> {
    process.info().expect("info").stopped
}

#[test]
fn a_stop_and_a_continuation_are_told_whoever_sends_them() {
    let talk = Talk::new();
    let service = service();
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let process = talk.tool("await GATE exit 3").report_stops(OFTEN).spawn(&service).expect("spawn");
    next(&events, "started");
    assert_eq!(stopped(&process), None);
    process.pause(Scope::Process).expect("pause");
    next(&events, "stopped 19");
    assert_eq!(stopped(&process), Some(libc::SIGSTOP));
    // The signal is known although the stop has been waited for.
    assert_eq!(process.activity().expect("activity").doing, Doing::Stopped { signal: Some(libc::SIGSTOP) });
    assert!(process.info_json().expect("json").contains(r#""stopped":19"#));
    process.resume(Scope::Process).expect("resume");
    next(&events, "continued");
    assert_eq!(stopped(&process), None);
    os::kill(process.pid(), libc::SIGTSTP).expect("kill");
    next(&events, "stopped 20");
    os::kill(process.pid(), libc::SIGCONT).expect("kill");
    next(&events, "continued");
    talk.gate.open(1);
    assert_eq!(finish(&process).code(), 3);
    next(&events, "exited");
    next(&events, "closed");
    process.look_for_stops().expect("it has ended");
    nothing(&events);
}

#[test]
fn without_the_option_nothing_is_told() {
    let talk = Talk::new();
    let service = service();
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let process = talk.tool("await GATE exit 3").spawn(&service).expect("spawn");
    process.pause(Scope::Process).expect("pause");
    eventually("it is stopped", || is_stopped(&process));
    assert_eq!(kind_of(process.look_for_stops()), ErrorKind::InvalidArgument);
    assert_eq!(stopped(&process), None);
    process.resume(Scope::Process).expect("resume");
    talk.gate.open(1);
    assert_eq!(finish(&process).code(), 3);
    for kind in ["started", "exited", "closed"] {
        next(&events, kind);
    }
}

#[test]
fn an_end_while_it_is_stopped_comes_without_a_continuation() {
    let talk = Talk::new();
    let service = service();
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let process = talk.tool("await GATE").report_stops(OFTEN).spawn(&service).expect("spawn");
    next(&events, "started");
    process.pause(Scope::Process).expect("pause");
    next(&events, "stopped 19");
    process.kill(Scope::Default).expect("kill");
    next(&events, "exited");
    next(&events, "closed");
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
    assert_eq!(stopped(&process), None);
}

#[test]
fn a_stop_policy_ends_what_is_stopped() {
    let mut talk = Talk::new();
    let service = service();
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let script = "on 15 33 notify INBOX up await GATE";
    let process = talk.tool(script).report_stops(OFTEN).spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    next(&events, "started");
    process.pause(Scope::Process).expect("pause");
    next(&events, "stopped 19");
    process.stop(None).expect("stop");
    assert_eq!(finish(&process).code(), 33);
    let log = events::until_closed(&events, 1);
    let mut kinds: Vec<_> = log.values().flatten().map(|event| name(event.kind)).collect();
    // It may have ended before the next look.
    kinds.retain(|kind| kind != "continued");
    assert_eq!(kinds, ["exited", "closed"]);
}

#[test]
fn a_look_is_made_when_it_is_asked_for_and_finds_what_the_host_has_waited_for() {
    let talk = Talk::new();
    let service = service();
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let process = talk.tool("await GATE exit 3").report_stops(WHEN_ASKED).spawn(&service).expect("spawn");
    next(&events, "started");
    process.pause(Scope::Process).expect("pause");
    eventually("it is stopped", || is_stopped(&process));
    nothing(&events);
    assert_eq!(stopped(&process), None);
    process.look_for_stops().expect("look");
    assert_eq!(stopped(&process), Some(libc::SIGSTOP));
    next(&events, "stopped 19");

    // A second stop that nobody has looked at between tells that it has continued.
    process.resume(Scope::Process).expect("resume");
    eventually("it runs", || !is_stopped(&process));
    process.signal(libc::SIGTSTP, Scope::Process).expect("signal");
    eventually("it is stopped", || is_stopped(&process));
    process.look_for_stops().expect("look");
    next(&events, "continued");
    next(&events, "stopped 20");

    process.resume(Scope::Process).expect("resume");
    os::wait_for_change(process.pid(), libc::WCONTINUED);
    process.look_for_stops().expect("look");
    next(&events, "continued");
    process.pause(Scope::Process).expect("pause");
    os::wait_for_change(process.pid(), libc::WUNTRACED);
    process.look_for_stops().expect("look");
    next(&events, "stopped 0");
    assert_eq!(stopped(&process), Some(0));
    assert_eq!(process.activity().expect("activity").doing, Doing::Stopped { signal: None });
    process.look_for_stops().expect("look");
    nothing(&events);
    process.resume(Scope::Process).expect("resume");
    talk.gate.open(1);
    assert_eq!(finish(&process).code(), 3);
}

#[test]
fn a_subscriber_that_takes_nothing_is_not_told_more_than_it_has_room_for() {
    let talk = Talk::new();
    let service = service();
    let of = |options| service.subscribe(options).expect("subscribe");
    let events = of(SubscriptionOptions { queue_bytes: 1, ..SubscriptionOptions::default() });
    let filter = EventFilter::STARTED | EventFilter::CONTINUED;
    let filtered = of(SubscriptionOptions { filter, ..SubscriptionOptions::default() });
    let ends = of(SubscriptionOptions { lifecycle: Lifecycle::Ends, ..SubscriptionOptions::default() });
    let process = talk.tool("await GATE exit 3").report_stops(WHEN_ASKED).spawn(&service).expect("spawn");
    process.pause(Scope::Process).expect("pause");
    eventually("it is stopped", || is_stopped(&process));
    process.look_for_stops().expect("look");
    assert_eq!(stopped(&process), None);
    next(&events, "started");
    process.look_for_stops().expect("look");
    next(&events, "stopped 19");
    process.resume(Scope::Process).expect("resume");
    eventually("it runs", || !is_stopped(&process));
    process.look_for_stops().expect("look");
    next(&events, "continued");
    talk.gate.open(1);
    assert_eq!(finish(&process).code(), 3);
    next(&filtered, "started");
    next(&filtered, "continued");
    next(&ends, "closed");
}

#[test]
fn an_interval_that_is_too_short_is_refused() {
    let mut command = script("exit 0");
    let error = refused(&service(), command.report_stops(Duration::from_micros(999)));
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().ends_with("report stops: is shorter than a millisecond"), "{error}");
    let service = service();
    assert_eq!(run(&service, script("exit 0").report_stops(Duration::ZERO)).code(), 0);
}

fn at_terminal(script: &str) -> Command {
    let mut command = sh(script);
    command.stdin(Stdin::Inherit).stdout(Output::Inherit).stderr(Output::Inherit).report_stops(OFTEN);
    command
}

hosted_part! {
    fn a_host_of_a_reader() {
        let service = service();
        let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
        let reader = at_terminal("read line; echo never").spawn(&service).expect("spawn");
        next(&events, "started");
        next(&events, "stopped 21");
        assert_eq!(stopped(&reader), Some(libc::SIGTTIN));
        reader.kill(Scope::Default).expect("kill");
        next(&events, "exited");
        next(&events, "closed");

        let terminal = File::options().read(true).write(true).open("/dev/tty").expect("a terminal");
        let mut command = at_terminal("echo ready; read line; echo read $line");
        let job = command.foreground(Arc::new(terminal.into())).spawn(&service).expect("spawn");
        next(&events, "started");
        next(&events, "stopped 20");
        job.foreground().expect("the host has the foreground again");
        next(&events, "continued");
        println!("it runs on");
        assert_eq!(finish(&job).code(), 0);
        next(&events, "exited");
    }
}

#[test]
fn a_child_that_waits_for_a_terminal_is_seen() {
    let path = test_path!("a_host_of_a_reader");
    let plain = host::command(path);
    let mut command = Command::new("/proc/self/exe");
    command.args(plain.get_args()).env("COREPROC_TEST_HOST", path).pty(PtyOptions::default());
    let mut dialog = super::pty::Dialog::start(&service(), &command);
    dialog.expect("ready\r\n");
    dialog.send("\x1a");
    dialog.expect("it runs on\r\n");
    dialog.send("one\n");
    dialog.expect("read one\r\n");
    let (text, ended) = dialog.end();
    assert!(text.contains("host ran to its end"), "{text}");
    assert_eq!(ended.code(), 0);
}
