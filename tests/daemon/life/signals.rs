//! A daemon that listens to signals, and the handlers of its host.

use super::{Scratch, is_answered};
use crate::own_pid;
use coreproc::{Daemon, DaemonOptions, ErrorKind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::*;

fn send(signal: i32) {
    os::kill(own_pid(), signal).expect("kill");
}

/// Installs a handler, as a program does that has one of its own.
fn catch(signal: i32, counter: extern "C" fn(libc::c_int)) {
    os::set_action(signal, counter as *const () as libc::sighandler_t);
}

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::SeqCst);
}

/// Counts the calls of the handler over which another one was installed.
static FOUND: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_and_pass_on(signal: libc::c_int) {
    note(signal);
    os::call_handler(FOUND.load(Ordering::SeqCst), signal);
}

/// Waits until the library's thread for signals has its name; returns the thread and a field of its status.
fn signal_thread(field: &str) -> (u32, String) {
    let mut found = None;
    eventually("the thread is there", || {
        let mut threads = census::of_library_threads(field).into_iter();
        found = threads.find(|((_, name), _)| name == "coreproc-sig").map(|((tid, _), value)| (tid, value));
        found.is_some()
    });
    found.expect("the thread")
}

hosted! {
    fn sigterm_and_sigint_stop_a_daemon_that_asked_for_it() {
        let scratch = Scratch::new();
        let table = os::signal_table();
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let daemon = scratch.daemon();
            daemon.stop_on_signals().expect("signals");
            daemon.stop_on_signals().expect("again");
            let changed = os::signal_table();
            let differing: Vec<usize> = (0..64).filter(|at| table[*at] != changed[*at]).map(|at| at + 1).collect();
            assert_eq!(differing, [libc::SIGINT as usize, libc::SIGTERM as usize]);
            daemon.start().expect("start");
            thread::scope(|scope| {
                let run = scope.spawn(|| daemon.run());
                send(signal);
                run.join().expect("thread").expect("run");
            });
            scratch.assert_nothing_is_there();
            assert_eq!(os::signal_table(), table, "after a stop");
            eventually("coreproc-sig has ended", || census::of_library_threads("State").is_empty());
        }
    }

    fn a_signal_before_the_start_is_not_missed() {
        let scratch = Scratch::new();
        let daemon = scratch.daemon();
        daemon.stop_on_signals().expect("signals");
        send(libc::SIGTERM);
        daemon.start().expect("start");
        daemon.run().expect("run");
        scratch.assert_nothing_is_there();
    }

    fn signals_reach_a_host_that_blocks_them_on_every_thread() {
        // Of libtest's threads, only the main one does not block them.
        let scratch = Scratch::new();
        let daemon = scratch.daemon();
        os::block_all_signals();
        let mask = os::signal_mask();
        daemon.stop_on_signals().expect("signals");
        // The library's threads block all signals, except for the one that takes these two.
        daemon.start().expect("start");
        let bit = |signal: i32| 1_u64 << (signal - 1);
        // Two are the C library's own; two cannot be blocked.
        let always = bit(32) | bit(33) | bit(libc::SIGKILL) | bit(libc::SIGSTOP);
        eventually("it takes the two, and no other", || {
            let open = !u64::from_str_radix(&signal_thread("SigBlk").1, 16).expect("hex");
            open & !always == bit(libc::SIGTERM) | bit(libc::SIGINT)
        });
        send(libc::SIGINT);
        daemon.run().expect("run");
        assert_eq!(os::signal_mask(), mask);
    }

    fn a_signal_that_nobody_else_takes_is_taken_by_the_library() {
        // The signal would reach this very thread if it were not blocked.
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.start().expect("start");
        daemon.stop_on_signals().expect("signals");
        os::kill_thread(signal_thread("State").0 as i32, libc::SIGTERM);
        daemon.run().expect("run");
    }

    fn what_the_host_had_installed_is_back_afterwards_and_what_it_installs_meanwhile_stays() {
        catch(libc::SIGTERM, note);
        os::set_action(libc::SIGINT, libc::SIG_IGN);
        let table = os::signal_table();
        let daemons = [(); 2].map(|()| Daemon::new(DaemonOptions::default()));
        for daemon in &daemons {
            daemon.start().expect("start");
            daemon.stop_on_signals().expect("signals");
        }
        // Both listen.
        send(libc::SIGTERM);
        daemons.iter().for_each(|daemon| daemon.wait_for_stop_request(GUARDED).expect("requested"));
        assert_eq!(CAUGHT.load(Ordering::SeqCst), 0);
        daemons[0].restore_signals();
        assert_ne!(os::signal_table(), table, "the other still listens");
        daemons[1].restore_signals();
        daemons[1].restore_signals();
        assert_eq!(os::signal_table(), table);
        send(libc::SIGTERM);
        eventually("the host's own is back", || CAUGHT.load(Ordering::SeqCst) == 1);
        send(libc::SIGINT);

        daemons[0].stop_on_signals().expect("signals");
        catch(libc::SIGINT, note);
        daemons[0].stop().expect("stop");
        send(libc::SIGINT);
        eventually("what came over it is still there", || CAUGHT.load(Ordering::SeqCst) == 2);
        send(libc::SIGTERM);
        eventually("and the other is back", || CAUGHT.load(Ordering::SeqCst) == 3);
    }

    fn a_drop_restores_signals() {
        let table = os::signal_table();
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.stop_on_signals().expect("signals");
        assert_ne!(os::signal_table(), table);
        drop(daemon);
        assert_eq!(os::signal_table(), table);
    }

    fn a_child_of_fork_gets_what_it_would_have_without_the_helper() {
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.start().expect("start");
        daemon.stop_on_signals().expect("signals");
        let killed = os::in_fork(|| {
            send(libc::SIGTERM);
            loop {
                thread::park();
            }
        });
        assert_eq!(killed, -libc::SIGTERM);
        let calls = os::in_fork(|| {
            let results = [
                kind_of(daemon.start()),
                kind_of(daemon.stop()),
                kind_of(daemon.run()),
                kind_of(daemon.stop_on_signals()),
                kind_of(daemon.add_check("x", || Ok(()))),
            ];
            daemon.request_stop();
            daemon.restore_signals();
            drop(daemon.clone());
            i32::from(results != [ErrorKind::Forked; 5] || daemon.is_ready())
        });
        assert_eq!(calls, 0);
        assert_eq!(kind_of(daemon.wait_for_stop_request(Some(Duration::ZERO))), ErrorKind::TimedOut, "the parent's");
        send(libc::SIGTERM);
        daemon.run().expect("run");
    }

    fn a_handler_that_is_put_back_after_its_daemon_has_gone_swallows_nothing() {
        catch(libc::SIGTERM, note);
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.stop_on_signals().expect("signals");
        // Some hosts save the present handler, and put it back later.
        let saved = os::swap_action(libc::SIGTERM, None);
        drop(daemon);
        os::swap_action(libc::SIGTERM, Some(saved));
        for round in 1..3 {
            send(libc::SIGTERM);
            eventually("the host's own is called", || CAUGHT.load(Ordering::SeqCst) == round);
        }
    }

    fn a_handler_that_calls_the_one_of_a_daemon_that_has_gone_is_called_once() {
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.stop_on_signals().expect("signals");
        FOUND.store(os::swap_action(libc::SIGTERM, None).sa_sigaction, Ordering::SeqCst);
        catch(libc::SIGTERM, note_and_pass_on);
        drop(daemon);
        // The signal is handled here and now, and so would be the one that the handler sends.
        os::kill_thread(os::own_thread(), libc::SIGTERM);
        assert_eq!(CAUGHT.load(Ordering::SeqCst), 1);
    }

    fn signals_that_race_with_listening_and_restoring_hurt_nobody() {
        os::set_action(libc::SIGTERM, libc::SIG_IGN);
        let table = os::signal_table();
        let rounds = count("listens under fire", 2_000);
        beside(2, || send(libc::SIGTERM), || {
            in_parallel(4, rounds, |_, _| {
                let daemon = Daemon::new(DaemonOptions::default());
                daemon.start().expect("start");
                daemon.stop_on_signals().expect("signals");
                daemon.run().expect("run");
            });
        });
        assert_eq!(os::signal_table(), table);
    }

    fn without_the_helper_no_disposition_is_touched_and_nothing_is_left() {
        let scratch = Scratch::new();
        let round = || {
            let daemon = scratch.daemon();
            daemon.start().expect("start");
            assert!(is_answered(&daemon.health_address()));
            daemon.stop().expect("stop");
        };
        round();
        // A thread tells of its end a moment before it is gone.
        eventually("its threads have ended", || census::of_library_threads("Name").is_empty());
        let (before, table, mask) = (census::Census::take(), os::signal_table(), os::signal_mask());
        for _ in 0..20 {
            round();
        }
        assert_eq!((os::signal_table(), os::signal_mask()), (table, mask));
        before.assert_restored("twenty lives");
    }
}
