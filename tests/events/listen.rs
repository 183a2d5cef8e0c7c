//! Listeners: callbacks on a thread of their own, one at a time.

use crate::LOOK;
use coreproc::{CloseMode, Delivery, ErrorKind, Subscription, SubscriptionOptions, SubscriptionScope};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::events::{Kept, Log, assert_whole};
use support::fifo::Talk;
use support::*;

#[test]
fn a_listener_is_called_on_one_thread_in_order_and_never_twice_at_once() {
    let service = service();
    let log: std::sync::Arc<Mutex<Log>> = Default::default();
    let inside = std::sync::Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = std::sync::mpsc::channel();
    let listener = {
        let (log, inside) = (log.clone(), inside.clone());
        let thread = Mutex::new(None);
        service
            .listen(SubscriptionOptions::default(), move |batch| {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                let me = thread::current().id();
                assert_eq!(*thread.lock().expect("thread").get_or_insert(me), me);
                for event in batch.events() {
                    let kept = Kept::of(&event);
                    if kept.is_closed() {
                        sender.send(kept.process_id).expect("test waits");
                    }
                    log.lock().expect("log").entry(kept.process_id).or_default().push(kept);
                }
                inside.fetch_sub(1, Ordering::SeqCst);
            })
            .expect("listen")
    };
    in_parallel(4, 100, |_, i| drop(run(&service, &script(&format!("line 1 500 {i} exit 0")))));
    for _ in 0..100 {
        receiver.recv_timeout(GUARD).expect("closed");
    }
    listener.close().expect("close");
    run(&service, &script("text 1 unheard"));
    let log = log.lock().expect("log");
    assert_eq!(log.len(), 100);
    log.values().for_each(|events| assert_whole(events));
    assert!(receiver.try_recv().is_err(), "no callback after close");
}

#[test]
fn closing_a_listener_waits_for_the_running_callback_and_drops_it() {
    struct Tell(std::sync::mpsc::Sender<&'static str>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.send("dropped").expect("test waits");
        }
    }
    let service = service();
    let (said, heard) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let tell = Tell(said);
    let listener = service
        .listen(SubscriptionOptions::default(), move |_| {
            tell.0.send("in").expect("test waits");
            let _ = wait.recv();
            tell.0.send("out").expect("test waits");
        })
        .expect("listen");
    let process = script("exit 0").spawn(&service).expect("spawn");
    assert_eq!(heard.recv_timeout(GUARD), Ok("in"));
    thread::scope(|scope| {
        let listener = &listener;
        let closer = scope.spawn(move || {
            listener.close().expect("close");
            // By now the callback has run to its end, and will not be called again.
            heard.try_iter().collect::<Vec<_>>()
        });
        drop(go);
        let seen = closer.join().expect("closer");
        assert_eq!(seen.last(), Some(&"dropped"), "{seen:?}");
        let ins = seen.iter().filter(|s| **s == "in").count() + 1;
        assert_eq!(ins, seen.iter().filter(|s| **s == "out").count());
    });
    finish(&process);
}

#[test]
fn a_blocking_call_from_inside_a_callback_is_refused_and_closing_from_there_is_not() {
    let service = service();
    let (sender, receiver) = std::sync::mpsc::channel();
    let slot: std::sync::Arc<Mutex<Option<Subscription>>> = Default::default();
    let options =
        SubscriptionOptions { scope: SubscriptionScope::Named, delivery: Delivery::None, ..Default::default() };
    let nobodys = service.subscribe(options).expect("subscribe");
    let (inner, kept, other) = (service.clone(), slot.clone(), nobodys);
    let listener = service
        .listen(SubscriptionOptions::default(), move |batch| {
            let Ok(process) = inner.process(batch.process_id()) else { return };
            let kinds = [
                kind_of(process.wait(None)),
                kind_of(process.wait_exit(None)),
                kind_of(inner.wait_idle(None)),
                kind_of(other.take(0, None)),
            ];
            // A look is allowed, and a signal is, too.
            let look = kind_of(process.wait(LOOK));
            process.signal(0, coreproc::Scope::Process).expect("probe");
            process.kill(coreproc::Scope::Process).expect("kill");
            if let Some(me) = kept.lock().expect("slot").take() {
                me.close().expect("close from inside");
            }
            let _ = sender.send((kinds, look));
        })
        .expect("listen");
    *slot.lock().expect("slot") = Some(listener.clone());

    let talk = Talk::new();
    let process = talk.tool("await GATE").spawn(&service).expect("spawn");
    let (kinds, look) = receiver.recv_timeout(GUARD).expect("callback");
    assert_eq!(kinds, [ErrorKind::Deadlock; 4]);
    assert_eq!(look, ErrorKind::TimedOut);
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
}

#[test]
fn a_callback_that_panics_hangs_nobody() {
    let service = service();
    let listener =
        service.listen(SubscriptionOptions::default(), |_| panic!("the callback of this test panics")).expect("listen");
    let process = script("pattern 1 3000000 1 exit 3").spawn(&service).expect("spawn");
    match process.wait(GUARDED) {
        Ok(info) => assert_eq!(info.status(), Some(coreproc::ExitStatus::Code(3))),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Panic);
            assert!(error.to_string().contains("the callback of this test panics"), "{error}");
        }
    }
    let _ = listener.close();
    let _ = service.close(CloseMode::Kill);
}
