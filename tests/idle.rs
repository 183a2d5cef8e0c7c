//! A thousand sleeping children cost neither threads nor wake-ups.
//!
//! A binary of its own: it counts context switches, and tests that run beside it would preempt the threads it watches.

use coreproc::{Delivery, Drain, Scope, StopOptions, SubscriptionOptions};
use std::thread;
use std::time::Duration;
use support::census::{switches, thread_count};
use support::fifo::Talk;
use support::*;

const CHILDREN: usize = 1_000;

/// Returns how often the library's threads have gone to sleep.
fn sleep_count() -> u64 {
    switches().values().map(|(voluntary, _)| voluntary.parse::<u64>().expect("a number")).sum()
}

/// Counts the context switches of all threads of the library.
fn switch_count() -> u64 {
    let number = |text: &String| text.parse::<u64>().expect("a number");
    switches().values().map(|(voluntary, other)| number(voluntary) + number(other)).sum()
}

hosted! {
    fn a_thousand_sleeping_children_cost_no_thread_and_no_wake_up_and_the_next_exit_still_arrives() {
        let before = os::raise_file_limit();
        let mut talk = Talk::new();
        let service = service();
        let subscription = service
            .subscribe(SubscriptionOptions { delivery: Delivery::Lines, ..Default::default() })
            .expect("subscribe");
        let listener = service.listen(SubscriptionOptions::default(), |_| {}).expect("listen");
        let spawn = || talk.tool("text 1 asleep\\n await GATE exit 3").spawn(&service).expect("spawn");
        let mut processes = vec![spawn()];
        let asleep = |process: &coreproc::Process| process.info().expect("info").stdout_bytes == 7;
        eventually("the first is asleep", || asleep(&processes[0]));
        let threads_with_one = thread_count();

        processes.extend((1..CHILDREN).map(|_| spawn()));
        eventually("all are asleep", || processes.iter().all(asleep));
        // Each brings `started` and one line.
        let mut seen = 0;
        while seen < 2 * CHILDREN {
            seen += subscription.take(0, GUARDED).expect("events").events().count();
        }
        assert_eq!(thread_count(), threads_with_one);
        assert_eq!(os::limit(libc::RLIMIT_NOFILE).rlim_cur, before, "the host's limit is its own");

        // Threads that are still on their way to sleep from the last event get there first.
        eventually("the threads have come to rest", || {
            let now = switches();
            thread::sleep(Duration::from_millis(200));
            switches() == now
        });
        let before = switches();
        assert!(before.len() >= 2, "a supervisor and a dispatcher: {before:?}");
        thread::sleep(Duration::from_secs(5));
        let after = switches();
        println!("context switches of {} threads, with {CHILDREN} children asleep, over 5 s:", after.len());
        for ((tid, name), counts) in &after {
            println!("{name} {tid}: {:?} before, {counts:?} after", before.get(&(*tid, name.clone())));
        }
        assert_eq!(after, before);

        talk.gate.open(1);
        let batch = subscription.take(0, GUARDED).expect("the exit arrives");
        let woken = batch.process_id();
        drop(batch);
        let woken = processes.iter().find(|process| process.id() == woken).expect("one of them");
        assert_eq!(finish(woken).code(), 3);

        talk.gate.open(CHILDREN - 1);
        for process in &processes {
            assert_eq!(finish(process).code(), 3);
        }
        listener.close().expect("close");
        talk.inbox.message_within(Duration::ZERO);
    }

    /// The host's loop has the seat and is busy elsewhere. The library's thread does what is due for it, and then what comes;
    /// what only the host can take must not keep that thread turning.
    fn a_deadline_that_is_met_for_a_busy_host_leaves_no_thread_running() {
        let mut talk = Talk::new();
        let service = service();
        let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
        subscription.drive().expect("drive");
        let speaks = talk.tool("await GATE text 1 up notify INBOX spoke await GATE").spawn(&service).expect("spawn");
        let mut command = talk.tool("notify INBOX runs pause");
        let stopped = command.timeout(Duration::from_millis(300)).spawn(&service).expect("spawn");
        let watch = talk.inbox.expect_many("runs", 1);
        watch.iter().for_each(os::assert_ends);
        // The events that come now are for the host's loop, which does not look.
        talk.gate.open(1);
        talk.inbox.expect("spoke");
        let before = switch_count();
        thread::sleep(Duration::from_secs(1));
        let turned = switch_count() - before;
        println!("context switches of the library's threads beside a busy host, over 1 s: {turned}");
        assert!(turned < 100, "{turned} context switches");
        talk.gate.open(1);
        drop(subscription);
        finish(&speaks);
        finish(&stopped);
    }

    /// No descriptor reports that a group is gone, so it is looked at, now and then; its output has ended before.
    fn a_stop_that_waits_for_a_group_without_output_leaves_no_thread_running() {
        let mut talk = Talk::new();
        let service = service();
        let mut command = talk.tool(
            "fork plain ignore 15 notify INBOX up await GATE close 1 close 2 notify INBOX closed pause end \
             notify INBOX up pause",
        );
        let drain = Drain { silence: Duration::from_millis(200), ..Drain::default() };
        let process = command.drain(drain).spawn(&service).expect("spawn");
        talk.inbox.expect_many("up", 2);
        process.stop(Some(&StopOptions { grace: GUARDED, ..StopOptions::default() })).expect("stop");
        process.wait_exit(GUARDED).expect("exited");
        talk.gate.open(1);
        talk.inbox.expect("closed");
        thread::sleep(Duration::from_millis(500));
        let before = sleep_count();
        thread::sleep(Duration::from_secs(1));
        let slept = sleep_count() - before;
        println!("sleeps of the library's threads between looks at a group that is being stopped, over 1 s: {slept}");
        assert!(slept >= 2, "{slept} sleeps");
        process.kill(Scope::Group).expect("kill");
        finish(&process);
    }
}
