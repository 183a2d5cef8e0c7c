//! What a health server costs its host: descriptors, threads, wake-ups, signals, fork. Each in a host of its own.

use coreproc::{ErrorKind, HealthOptions, HealthServer, probe_health, wait_for_health};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use support::census::{Census, fds, memory_kb, of_library_threads, switches};
use support::net::{Tcp, get, serve, serve_at, with};
use support::*;

hosted! {
    fn servers_and_probes_leave_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = format!("unix:{}/s", dir.path().display());
        let life = |i: u64| {
            let server = serve_at(["127.0.0.1:0", "[::1]:0", "localhost:0", &path][i as usize % 4]);
            for _ in 0..i % 3 {
                server.add_check("", || Ok(())).expect("add");
            }
            assert!(probe_health(&server.address(), GUARD).ok);
            assert!(wait_for_health(&server.address(), GUARD).ok);
            assert_eq!(kind_of(serve_at_fails(&server.address())), ErrorKind::Busy);
            if i.is_multiple_of(2) {
                server.stop(GUARD).expect("stop");
            }
        };
        let before = warm_census();
        for i in 0..count("lives of a server", 500) {
            life(i);
            // A server that was only dropped ends a little later; the next may use the same path.
            eventually("it has ended", || of_library_threads("Name").is_empty());
        }
        before.assert_restored("servers");
    }

    fn an_idle_server_wakes_nobody_up() {
        let server = serve();
        server.add_check("x", || Ok(())).expect("add");
        assert_eq!(get(&server, "/health").status, 200);
        eventually("the threads have come to rest", || {
            let now = switches();
            thread::sleep(Duration::from_millis(1200)); // longer than a connection lingers
            switches() == now
        });
        let before = switches();
        thread::sleep(Duration::from_secs(3));
        let after = switches();
        println!("context switches of {} threads over 3 s: {after:?}", after.len());
        assert_eq!(after.len(), 2, "coreproc-http and coreproc-check");
        assert_eq!(after, before);
        assert_eq!(get(&server, "/health").status, 200);
        server.stop(GUARD).expect("stop");
    }

    fn threads_block_all_signals_and_are_no_more_than_the_checks_and_one() {
        let server = with(HealthOptions { check_timeout: GUARD, ..Default::default() });
        let masks = Arc::new(std::sync::Mutex::new(Vec::new()));
        for i in 0..4 {
            let masks = Arc::clone(&masks);
            server
                .add_check(format!("c{i}"), move || {
                    masks.lock().expect("lock").push(os::signal_mask());
                    Ok(())
                })
                .expect("add");
        }
        in_parallel(4, count("requests", 2_000), |_, _| assert_eq!(get(&server, "/health").body, "ok\n"));
        let blocked = of_library_threads("SigBlk");
        println!("{blocked:?}");
        assert!(blocked.len() <= 5, "{blocked:?}");
        assert_eq!(blocked.keys().filter(|(_, name)| name == "coreproc-http").count(), 1);
        // All signals but SIGKILL and SIGSTOP, which cannot be blocked, and 32 and 33, libc's own.
        let all = !(1u64 << 8 | 1 << 18 | 1 << 31 | 1 << 32);
        assert!(blocked.values().all(|mask| u64::from_str_radix(mask, 16) == Ok(all)), "{blocked:?}");
        assert!(masks.lock().expect("lock").iter().all(|mask| *mask == all));
        server.stop(GUARD).expect("stop");
    }

    fn every_descriptor_is_close_on_exec_and_above_2() {
        let standard = os::put_standard_away();
        let outcome = std::panic::catch_unwind(|| {
            let before = fds();
            let server = serve();
            let mut open: Vec<Tcp> = Vec::new();
            let inside: Vec<i32> = fds().into_keys().filter(|fd| !before.contains_key(fd)).collect();
            for _ in 0..8 {
                let mut connection = Tcp::to(&server);
                connection.send("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n");
                assert_eq!(connection.answer().status, 200);
                open.push(connection);
            }
            assert!(probe_health(&server.address(), GUARD).ok);
            let clients: Vec<i32> = open.iter().map(Tcp::fd).collect();
            let ours = |fd: &i32| !before.contains_key(fd) && !clients.contains(fd);
            let now: Vec<i32> = fds().into_keys().filter(ours).collect();
            let cloexec = now.iter().all(|fd| os::is_close_on_exec(*fd));
            server.stop(GUARD).expect("stop");
            (inside, now, cloexec, clients)
        });
        os::bring_standard_back(&standard);
        let (inside, now, cloexec, clients) = outcome.expect("the body");
        println!("server alone {inside:?}, with connections {now:?}, clients {clients:?}");
        assert!(clients.contains(&0), "the lowest were free");
        assert!(!inside.is_empty() && inside.iter().all(|fd| *fd > 2), "{inside:?}");
        assert!(now.len() >= inside.len() + 8 && now.iter().all(|fd| *fd > 2), "{now:?}");
        assert!(cloexec);
    }

    fn a_fork_can_neither_use_nor_hurt_it() {
        let server = serve();
        let address = server.address();
        let told = os::in_fork(|| {
            let kinds = [
                kind_of(server.start()),
                kind_of(server.stop(GUARD)),
                kind_of(server.add_check("x", || Ok(()))),
            ];
            let probe = probe_health(&address, GUARD);
            drop(server.clone());
            i32::from(kinds == [ErrorKind::Forked; 3] && !probe.ok && probe.reason.contains("fork"))
        });
        assert_eq!(told, 1);
        assert!(probe_health(&address, GUARD).ok);
        server.stop(GUARD).expect("stop");
    }

    fn children_of_fork_keep_neither_the_address_nor_connections() {
        let dir = tempfile::tempdir().expect("tempdir");
        let parent = std::process::id();
        let fork = || {
            // The child keeps a copy of every descriptor until this process has ended.
            os::fork_off(|| {
                while std::os::unix::process::parent_id() == parent {
                    thread::sleep(Duration::from_millis(5));
                }
            })
        };
        for given in ["127.0.0.1:0".to_owned(), format!("unix:{}/s", dir.path().display())] {
            let mut address = given;
            for _ in 0..2 {
                let server = serve_at(&address);
                address = server.address();
                let mut client = (!address.starts_with("unix:")).then(|| Tcp::to(&server));
                if let Some(client) = &mut client {
                    client.send("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n");
                    assert_eq!(client.answer().status, 200);
                }
                fork();
                server.stop(GUARD).expect("stop");
                assert!(client.is_none_or(|mut client| client.rest_bytes().is_empty()), "it has ended");
                let probe = probe_health(&address, GUARD);
                assert!(!probe.ok && !probe.reason.contains("no answer"), "{probe:?}");
            }
            serve_at(&address).stop(GUARD).expect("stop");
        }
    }

    fn half_open_and_byte_a_second_clients_stay_open_while_every_request_is_answered() {
        os::raise_file_limit();
        let total = count("half-open and slow connections", 10_000).min(1_000) as usize;
        let server = with(HealthOptions { header_timeout: GUARD, idle_timeout: GUARD, ..Default::default() });
        server.add_check("db", || Ok(())).expect("add");
        assert_eq!(get(&server, "/health").body, "ok\n");
        let (before, fds_before) = (memory_kb("VmRSS"), fds().len());
        let mut slow: Vec<Tcp> = (0..total).map(|_| Tcp::to(&server)).collect();
        let request = b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: yes\r\n\r\n";
        // Half of them send a byte in each round, the others nothing after their first ones.
        for (sent, byte) in request[..request.len() - 1].iter().enumerate() {
            for (i, connection) in slow.iter_mut().enumerate() {
                if i % 2 == 0 || sent < i % 20 {
                    connection.send_bytes(&[*byte]);
                }
            }
            for _ in 0..4 {
                let answer = get(&server, "/health");
                assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
            }
        }
        let (grown, open) = (memory_kb("VmRSS") - before, fds().len() - fds_before);
        println!("{total} connections: {open} descriptors (both ends), {grown} kB (both ends)");
        assert!(open <= 2 * total + 2, "{open}");
        assert!(grown < 64 * 1024, "{grown} kB");
        // All are still open: each of the slow ones ends its request, and is answered.
        for connection in slow.iter_mut().step_by(2) {
            connection.send_bytes(b"\n");
            assert_eq!(connection.answer().body, "ok\n");
        }
        server.stop(GUARD).expect("stop");
        for connection in &mut slow {
            assert!(connection.rest_bytes().is_empty());
        }
    }

    fn a_start_that_takes_long_holds_up_no_other_call() {
        let dir = tempfile::tempdir().expect("tempdir");
        let lock = dir.path().join("s.lock");
        let held = std::fs::File::create(&lock).expect("create");
        assert!(os::lock_file(held.as_raw_fd()));
        let address = format!("unix:{}/s", dir.path().display());
        let server = HealthServer::new(&address, HealthOptions::default());
        thread::scope(|scope| {
            // It waits for the lock, as it would for another server's start.
            let start = scope.spawn(|| server.start());
            eventually("it has the lock open", || {
                fds().values().filter(|path| path.as_str() == lock.to_str().expect("UTF-8")).count() > 1
            });
            assert_eq!(server.address(), address);
            assert_eq!(kind_of(server.start()), ErrorKind::InvalidState);
            assert_eq!(kind_of(server.stop(Duration::ZERO)), ErrorKind::TimedOut);
            assert!(!start.is_finished());
            drop(held);
            start.join().expect("thread").expect("start");
        });
        assert!(probe_health(&address, GUARD).ok);
        server.stop(GUARD).expect("stop");
    }

    fn a_socket_file_in_a_deep_folder_is_served_by_its_short_name() {
        let dir = tempfile::tempdir().expect("tempdir");
        let deep = dir.path().join("x".repeat(100)).join("y".repeat(100));
        std::fs::create_dir_all(&deep).expect("mkdir");
        std::env::set_current_dir(&deep).expect("chdir");
        // A killed server leaves such a file.
        drop(std::os::unix::net::UnixListener::bind("s").expect("bind"));
        let server = serve_at("unix:s");
        assert_eq!(server.address(), "unix:s");
        assert!(probe_health("unix:s", GUARD).ok);
        assert_eq!(kind_of(serve_at_fails("unix:s")), ErrorKind::Busy);
        std::env::set_current_dir("/").expect("chdir");
        server.stop(GUARD).expect("stop");
        assert!(!deep.join("s").exists());
    }

    fn a_huge_text_of_a_check_is_not_kept_for_each_request_that_waits() {
        const REQUESTS: usize = 100;
        let server = serve();
        let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let said = Arc::new(AtomicUsize::new(0));
        server.add_check("huge", {
            let said = Arc::clone(&said);
            move || {
                said.fetch_add(1, Ordering::SeqCst);
                Err("x".repeat(8 << 20))
            }
        }).expect("add");
        server.add_check("slow", {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            move || {
                begun.fetch_add(1, Ordering::SeqCst);
                gate.wait();
                Ok(())
            }
        }).expect("add");
        let mut clients: Vec<Tcp> = (0..REQUESTS).map(|_| Tcp::to(&server)).collect();
        let before = memory_kb("VmRSS");
        for client in &mut clients {
            client.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
        }
        assert_eq!(get(&server, "/ready").status, 200);
        // A further request has the check run again, once its result is known. Now all wait for the slow one.
        eventually("it runs again", || {
            clients.push(Tcp::to(&server));
            clients.last_mut().expect("pushed").send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
            said.load(Ordering::SeqCst) > 1 && begun.load(Ordering::SeqCst) == 1
        });
        assert_eq!(get(&server, "/ready").status, 200);
        gate.wait();
        for client in &mut clients {
            let answer = client.answer();
            assert!(answer.status == 503 && answer.body.len() < 1100, "{answer:?}");
        }
        let grown = memory_kb("VmHWM").saturating_sub(before);
        println!("{REQUESTS} requests: {grown} kB");
        assert!(grown < 128 * 1024, "{grown} kB");
        server.stop(GUARD).expect("stop");
    }

    fn a_server_without_descriptors_to_spare_goes_on() {
        let server = serve();
        assert_eq!(get(&server, "/health").status, 200);
        let address = server.address();
        let limit = os::limit(libc::RLIMIT_NOFILE);
        let mut held: Vec<Tcp> = (0..4).map(|_| Tcp::to(&server)).collect();
        held[0].send("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(held[0].answer().status, 200);
        // There is one more descriptor: the client gets it, and the server none, so it closes a connection that only
        // waits.
        let highest = *fds().keys().last().expect("some");
        os::set_limit(libc::RLIMIT_NOFILE, highest as u64 + 2, limit.rlim_max).expect("setrlimit");
        let probe = probe_health(&address, GUARD);
        assert!(probe.ok, "{probe:?}");
        os::set_limit(libc::RLIMIT_NOFILE, limit.rlim_cur, limit.rlim_max).expect("setrlimit");
        assert_eq!(get(&server, "/health").status, 200);
        drop(held);
        server.stop(GUARD).expect("stop");
    }

    fn starts_stops_requests_and_drops_race_without_harm() {
        let before = warm_census();
        let server = HealthServer::new("127.0.0.1:0", HealthOptions::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        server
            .add_check("c", move || {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
            .expect("add");
        let over = AtomicBool::new(false);
        let together = Barrier::new(5);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    together.wait();
                    while !over.load(Ordering::SeqCst) {
                        let _ = probe_health(&server.address(), Duration::from_secs(5));
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    together.wait();
                    while !over.load(Ordering::SeqCst) {
                        let stopped = server.clone().stop(GUARD);
                        assert!(stopped.is_ok(), "{stopped:?}");
                    }
                });
            }
            together.wait();
            let mut started = 0;
            let total = count("starts", 5_000);
            while started < total {
                match server.start() {
                    Ok(()) => started += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidState, "{error}"),
                }
            }
            over.store(true, Ordering::SeqCst);
        });
        server.stop(GUARD).expect("stop");
        println!("checks run: {}", calls.load(Ordering::SeqCst));
        drop(server);
        before.assert_restored("the race");
    }
}

/// Takes the census of a host in which a first server has come and gone: a runtime makes some things once.
fn warm_census() -> Census {
    serve().stop(GUARD).expect("stop");
    eventually("it has ended", || of_library_threads("Name").is_empty());
    Census::take()
}

fn serve_at_fails(address: &str) -> coreproc::Result<()> {
    HealthServer::new(address, HealthOptions::default()).start()
}
