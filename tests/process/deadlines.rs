//! Deadlines besides the timeout: start, silence, CPU time, output. A test that has to wait for time to pass waits for
//! another process to be stopped by a deadline of its own.

use coreproc::{
    Cause, Command, Delivery, Descriptor, ErrorKind, Output, Service, State, Stdin, StopOptions, Stream,
    SubscriptionOptions, SubscriptionScope,
};
use std::time::Duration;
use support::events::until_closed;
use support::fifo::Talk;
use support::*;

const FAR: Duration = Duration::from_secs(3600);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Returns once this much time has passed, and all that came before has been handled.
fn pass(service: &Service, time: Duration) {
    let mut clock = tool(["pause"]);
    clock.timeout(time);
    assert_eq!(run(service, &clock).info.cause(), Some(Cause::Timeout));
}

/// A deadline, how a child passes it, and how a command gets it, short or far away.
struct Kind {
    cause: Cause,
    body: &'static str,
    set: fn(&mut Command, bool),
}

const KINDS: [Kind; 5] = [
    Kind {
        cause: Cause::Timeout,
        body: "text 1 x await GATE",
        set: |command, short| _ = command.timeout(if short { ms(500) } else { FAR }),
    },
    Kind {
        cause: Cause::StartTimeout,
        body: "await GATE",
        set: |command, short| _ = command.start_timeout(if short { ms(100) } else { FAR }),
    },
    Kind {
        cause: Cause::Silence,
        body: "text 1 x await GATE",
        set: |command, short| _ = command.silence_timeout(if short { ms(500) } else { FAR }),
    },
    Kind {
        cause: Cause::CpuTime,
        body: "text 1 x work 1000000",
        set: |command, short| _ = command.cpu_time_limit(if short { ms(100) } else { FAR }),
    },
    Kind {
        cause: Cause::OutputLimit,
        body: "pattern 1 1000 1 await GATE",
        set: |command, short| _ = command.output_limit(if short { 999 } else { u64::MAX }),
    },
];

#[test]
fn each_deadline_stops_the_process_alone_and_beside_each_other() {
    let (talk, service) = (Talk::new(), service());
    let mut running = Vec::new();
    for passed in &KINDS {
        for other in &KINDS {
            let mut command = talk.tool(passed.body);
            (other.set)(&mut command, false);
            (passed.set)(&mut command, true);
            running.push((passed.cause, other.cause, command.spawn(&service).expect("spawn")));
        }
    }
    for (cause, other, process) in running {
        let ended = finish(&process);
        assert_eq!(ended.info.cause(), Some(cause), "beside {other:?}");
        assert_eq!(ended.signal(), libc::SIGTERM, "{cause:?} beside {other:?}");
    }
}

#[test]
fn a_process_within_its_deadlines_ends_naturally() {
    let service = service();
    let mut command = script("text 1 x work 10 exit 3");
    KINDS.iter().for_each(|kind| (kind.set)(&mut command, false));
    let ended = run(&service, &command);
    assert_eq!((ended.code(), ended.info.cause()), (3, Some(Cause::Natural)));
}

#[test]
fn a_deadline_runs_the_whole_stop_policy_on_the_group() {
    let (mut talk, service) = (Talk::new(), service());
    let body = "fork plain ignore 15 notify INBOX up await GATE end ignore 15 text 2 x await GATE";
    let mut command = talk.tool(body);
    command.start_timeout(FAR).silence_timeout(ms(700));
    command.stop_options(StopOptions { grace: Some(ms(50)), ..StopOptions::default() });
    let process = command.spawn(&service).expect("spawn");
    let member = talk.inbox.expect_many("up", 1);
    let ended = finish(&process);
    os::assert_ends(&member[0]);
    assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGKILL, Some(Cause::Silence)));
    assert!(!ended.info.drain_bound);
}

#[test]
fn the_first_cause_stays() {
    let (mut talk, service) = (Talk::new(), service());
    let mut command = talk.tool("ignore 15 notify INBOX up await GATE text 1 xxxxx await GATE");
    command.output_limit(3).stop_options(StopOptions { grace: None, ..StopOptions::default() });
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    process.stop(None).expect("stop");
    talk.gate.open(1);
    eventually("it wrote", || process.info().expect("info").stdout_bytes == 5);
    talk.gate.open(1);
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.info.cause()), (0, Some(Cause::Stopped)));
}

#[test]
fn output_exactly_at_the_limit_is_allowed_and_one_byte_more_is_not() {
    let (talk, service) = (Talk::new(), service());
    // The limit is that of all outputs together.
    let body = "pattern 1 100000 1 pattern 2 50000 1 pattern 5 50000 1 await GATE";
    let mut command = talk.tool(body);
    command.descriptor(5, Descriptor::Output).output_limit(200_000);
    let process = command.spawn(&service).expect("spawn");
    let other = |process: &coreproc::Process| process.captured(Some(Stream::Descriptor(5))).expect("output").tail.len();
    eventually("all was read", || {
        let info = process.info().expect("info");
        info.stdout_bytes + info.stderr_bytes == 150_000 && other(&process) == 50_000
    });
    pass(&service, ms(1));
    talk.gate.open(1);
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.info.cause()), (0, Some(Cause::Natural)));

    command.output_limit(199_999);
    let ended = run(&service, &command);
    assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGTERM, Some(Cause::OutputLimit)));
    // What it wrote is all there.
    assert_eq!(ended.info.stdout_bytes + ended.info.stderr_bytes, 150_000);
}

#[test]
fn a_flood_is_stopped_and_what_was_read_beyond_the_limit_is_delivered() {
    let service = service();
    let options = SubscriptionOptions { delivery: Delivery::Chunks, ..SubscriptionOptions::default() };
    let events = service.subscribe(options).expect("subscribe");
    let mut command = sh("yes");
    command.output_limit(100_000);
    let process = command.spawn(&service).expect("spawn");
    let log = until_closed(&events, 1);
    let ended = finish(&process);
    assert_eq!(ended.info.cause(), Some(Cause::OutputLimit));
    let delivered = support::events::bytes_of(&log[&process.id()], coreproc::Stream::Stdout).len() as u64;
    assert!(ended.info.stdout_bytes > 100_000 && delivered == ended.info.stdout_bytes);
}

#[test]
fn each_output_begins_the_silence_anew() {
    let (talk, service) = (Talk::new(), service());
    // At most one record of six bytes a millisecond: the limit is reached long after the time of the silence.
    let mut command = talk.tool("noise 2 GATE");
    command.silence_timeout(ms(700)).output_limit(6 * 1500);
    let ended = run(&service, &command);
    assert_eq!(ended.info.cause(), Some(Cause::OutputLimit));
    assert!(ended.info.duration().expect("ended") > ms(1400));
}

#[test]
fn silence_does_not_count_before_the_first_output_if_there_is_a_start_timeout() {
    let (talk, service) = (Talk::new(), service());
    let mut command = talk.tool("await GATE");
    command.start_timeout(ms(300)).silence_timeout(ms(1));
    assert_eq!(run(&service, &command).info.cause(), Some(Cause::StartTimeout));
}

#[test]
fn the_clock_of_the_silence_stands_still_while_a_queue_is_full() {
    let (mut talk, service) = (Talk::new(), service());
    let options = SubscriptionOptions {
        scope: SubscriptionScope::Named,
        delivery: Delivery::Chunks,
        queue_bytes: 1,
        ..SubscriptionOptions::default()
    };
    let events = service.subscribe(options).expect("subscribe");
    let mut command = talk.tool("text 1 one notify INBOX written await GATE text 1 two exit 4");
    command.start_timeout(FAR).silence_timeout(ms(800)).subscribe(&events);
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("written");
    eventually("it is read", || process.info().expect("info").stdout_bytes == 3);
    pass(&service, ms(2000));
    assert_eq!(process.info().expect("info").state, State::Running);
    talk.gate.open(1);
    let log = until_closed(&events, 1);
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.info.cause()), (4, Some(Cause::Natural)));
    assert_eq!(support::events::bytes_of(&log[&process.id()], coreproc::Stream::Stdout), b"onetwo");
}

#[test]
fn after_backpressure_the_silence_counts_again() {
    let (mut talk, service) = (Talk::new(), service());
    let options =
        SubscriptionOptions { scope: SubscriptionScope::Named, queue_bytes: 1, ..SubscriptionOptions::default() };
    let events = service.subscribe(options).expect("subscribe");
    let mut command = talk.tool("text 1 one notify INBOX written await GATE");
    command.start_timeout(FAR).silence_timeout(ms(300)).subscribe(&events);
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("written");
    eventually("it is read", || process.info().expect("info").stdout_bytes == 3);
    pass(&service, ms(900));
    assert_eq!(process.info().expect("info").state, State::Running);
    until_closed(&events, 1);
    assert_eq!(finish(&process).info.cause(), Some(Cause::Silence));
}

#[test]
fn a_suspended_process_is_silent_and_acts_on_its_stop() {
    let (talk, service) = (Talk::new(), service());
    let mut command = talk.tool("on 15 3 text 1 x stop await GATE");
    command.start_timeout(FAR).silence_timeout(ms(300));
    let ended = run(&service, &command);
    assert_eq!((ended.code(), ended.info.cause()), (3, Some(Cause::Silence)));
}

#[test]
fn what_was_written_in_time_counts_even_if_nobody_turned_the_loop() {
    let (mut talk, service) = (Talk::new(), service());
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    // From here on the host would have to turn the loop, and does not.
    events.drive().expect("drive");
    let mut command = talk.tool("await GATE text 1 x notify INBOX written await GATE");
    command.start_timeout(ms(1500)).silence_timeout(ms(10));
    // The end, too, is seen at the next deadline.
    command.stop_options(StopOptions { grace: Some(ms(50)), ..StopOptions::default() });
    let process = command.spawn(&service).expect("spawn");
    talk.gate.open(1);
    talk.inbox.expect("written");
    assert_eq!(finish(&process).info.cause(), Some(Cause::Silence));
}

#[test]
fn a_spool_of_a_detached_process_has_the_deadlines_of_outputs() {
    let (talk, service) = (Talk::new(), service());
    let mut silent = talk.tool("await GATE");
    silent.detach().start_timeout(ms(100));
    let mut loud = talk.tool("pattern 1 1001 1 await GATE");
    loud.detach().output_limit(1000).start_timeout(FAR);
    assert_eq!(run(&service, &silent).info.cause(), Some(Cause::StartTimeout));
    assert_eq!(run(&service, &loud).info.cause(), Some(Cause::OutputLimit));
}

#[test]
fn an_idle_process_uses_no_cpu_time() {
    let (talk, service) = (Talk::new(), service());
    let mut command = talk.tool("text 1 x await GATE");
    command.cpu_time_limit(ms(200)).start_timeout(FAR).silence_timeout(ms(900));
    assert_eq!(run(&service, &command).info.cause(), Some(Cause::Silence));
}

#[test]
fn the_cpu_time_of_children_that_were_waited_for_counts() {
    let (mut talk, service) = (Talk::new(), service());
    let gate = talk.gate.path().to_owned();
    let mut command = sh("\"$0\" work 400; echo done; \"$0\" notify \"$1\" up await \"$2\"");
    command.arg(child()).args([talk.inbox.path(), &gate]).cpu_time_limit(ms(300));
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    let ended = finish(&process);
    assert_eq!((ended.text().as_str(), ended.info.cause()), ("done\n", Some(Cause::CpuTime)));
}

hosted_part! {
    fn a_host_whose_proc_shows_other_processes() {
        let error = refused(&service(), script("exit 0").cpu_time_limit(FAR));
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("cpu time limit: /proc"), "{error}");
        // The other deadlines need no /proc.
        let mut command = script("pause");
        command.start_timeout(ms(50));
        assert_eq!(run(&service(), &command).info.cause(), Some(Cause::StartTimeout));
    }
}

#[test]
fn without_a_proc_of_its_own_a_limit_of_cpu_time_is_not_supported() {
    let path = test_path!("a_host_whose_proc_shows_other_processes");
    let Some(host) = host::command_with_own_pids_alone(path) else { return };
    host::run_command(host);
}

#[test]
fn deadlines_that_make_no_sense_are_refused_by_name() {
    let service = service();
    type Set = fn(&mut Command);
    let cases: [(&str, Set); 7] = [
        ("start timeout: is zero", |command| _ = command.start_timeout(Duration::ZERO)),
        ("silence timeout: is zero", |command| _ = command.silence_timeout(Duration::ZERO)),
        ("cpu time limit: is zero", |command| _ = command.cpu_time_limit(Duration::ZERO)),
        ("output limit: is zero", |command| _ = command.output_limit(0)),
        ("start timeout: the library reads no output of the process", |command| {
            command.start_timeout(FAR).stdout(Output::Null).stderr(Output::Null);
        }),
        ("silence timeout: the library reads no output of the process", |command| {
            command.silence_timeout(FAR).stdout(Output::Inherit).stderr(Output::Merge);
        }),
        ("output limit: the library reads no output of the process", |command| {
            command.output_limit(1).stdout(Output::Null).stderr(Output::Inherit).stdin(Stdin::Pipe);
        }),
    ];
    for (expected, set) in cases {
        let mut command = script("exit 0");
        set(&mut command);
        let error = refused(&service, &command);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    // An output above standard error is one that is read; CPU time needs none.
    let mut command = script("text 4 x exit 0");
    command.stdout(Output::Null).stderr(Output::Null).descriptor(4, Descriptor::Output);
    command.start_timeout(FAR).cpu_time_limit(FAR);
    assert_eq!(run(&service, &command).code(), 0);
}
