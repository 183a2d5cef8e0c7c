//! The library's own client, which waits for servers and asks them, against servers of any kind.

use coreproc::{HealthOptions, HealthServer, probe_health, probe_ready, wait_for_health, wait_for_ready};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::net::{serve, serve_at};
use support::*;

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn a_probe_tells_what_was_answered() {
    let server = serve();
    let address = server.address();
    let probe = probe_health(&address, GUARD);
    assert!(probe.ok);
    assert_eq!(probe.reason, "ok");
    assert_eq!(probe_ready(&address, GUARD).reason, "ready");
    server.set_ready(false);
    let unready = probe_ready(&address, GUARD);
    assert!(!unready.ok);
    assert_eq!(unready.reason, "503: not ready");
    server.add_check("db", || Err("down".into())).expect("add");
    assert_eq!(probe_health(&address, GUARD).reason, "503: unhealthy: db: down");
    for form in [format!("http://{address}"), format!("http://{address}/"), address.replace("127.0.0.1", "")] {
        assert_eq!(probe_ready(&form, GUARD).reason, "503: not ready", "{form}");
    }
    server.stop(GUARD).expect("stop");
    assert_eq!(probe_health(&address, GUARD).reason, "connection refused");
}

#[test]
fn addresses_that_cannot_be_asked_are_a_reason_at_once() {
    for (address, why) in [
        ("", "no port"),
        ("localhost", "no port"),
        ("127.0.0.1:0", "port 0"),
        ("https://127.0.0.1:1", "https"),
        ("http://127.0.0.1:1/health", "path"),
        ("unix:", "no path"),
        ("a b:1", "' '"),
    ] {
        for probe in [probe_health(address, Duration::MAX), wait_for_health(address, Duration::MAX)] {
            assert!(!probe.ok && probe.reason.contains(why), "{address}: {probe:?} lacks {why:?}");
        }
    }
}

#[test]
fn waiting_ends_when_the_server_comes_and_when_it_is_ready() {
    let dir = tempfile::tempdir().expect("tempdir");
    let address = format!("unix:{}/s", dir.path().display());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| wait_for_health(&address, GUARD));
        assert!(!waiting.is_finished());
        let server = serve_at(&address);
        let probe = waiting.join().expect("waiter");
        assert!(probe.ok, "{probe:?}");
        server.set_ready(false);
        let waiting = scope.spawn(|| wait_for_ready(&address, GUARD));
        assert_eq!(probe_ready(&address, GUARD).reason, "503: not ready");
        server.set_ready(true);
        assert!(waiting.join().expect("waiter").ok);
        server.stop(GUARD).expect("stop");
    });
}

#[test]
fn waiting_in_vain_tells_the_last_reason() {
    let server = serve();
    let address = server.address();
    server.set_ready(false);
    // Long enough for an answer on a busy machine.
    assert_eq!(wait_for_ready(&address, Duration::from_secs(2)).reason, "503: not ready");
    server.stop(GUARD).expect("stop");
    let probe = wait_for_health(&address, SHORT);
    assert_eq!((probe.ok, probe.reason.as_str()), (false, "connection refused"));
    assert_eq!(wait_for_health("unix:/no/such/file", SHORT).reason, "no such file or directory");
    let probe = wait_for_health("no-such-host.invalid:1", SHORT);
    assert!(!probe.ok && !probe.reason.is_empty(), "{probe:?}");
}

/// Runs a server that does with each connection what it is told; `ask` gets its address and the count of connections.
fn odd_server<T>(behave: impl Fn(TcpStream) + Sync, ask: impl FnOnce(&str, &AtomicUsize) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address").to_string();
    let seen = AtomicUsize::new(0);
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let (over, behave, listener, seen) = (&over, &behave, &listener, &seen);
        scope.spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                seen.fetch_add(1, Ordering::SeqCst);
                behave(stream.expect("accept"));
            }
        });
        struct End<'a>(&'a std::sync::atomic::AtomicBool, &'a str);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
                let _ = TcpStream::connect(self.1);
            }
        }
        let _end = End(over, &address);
        ask(&address, seen)
    })
}

fn read_request(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        bytes.push(byte[0]);
    }
}

#[test]
fn a_server_that_never_answers_takes_no_longer_than_the_timeout() {
    let held = std::sync::Mutex::new(Vec::new());
    odd_server(
        |stream| held.lock().expect("lock").push(stream),
        |address, _| {
            for probe in [probe_health(address, SHORT), wait_for_health(address, SHORT)] {
                assert_eq!((probe.ok, probe.reason.as_str()), (false, "no answer within 50 ms"));
            }
            assert!(!probe_health(address, Duration::ZERO).ok);
        },
    );
    // A server whose answer never ends.
    odd_server(
        |mut stream| {
            while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {}
        },
        |address, _| assert!(!probe_health(address, SHORT).ok),
    );
    odd_server(
        |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        },
        |address, _| {
            let probe = probe_health(address, GUARD);
            assert!(probe.reason.starts_with("503: xxx") && probe.reason.len() < 1100, "{}", probe.reason.len());
        },
    );
}

#[test]
fn answers_that_are_no_http_or_none_are_told_and_retried() {
    let answers: [&[u8]; 6] = [
        b"",
        b"220 mail ready\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\no",
    ];
    for bytes in answers {
        odd_server(
            |mut stream| {
                read_request(&mut stream);
                let _ = stream.write_all(bytes);
            },
            |address, _| {
                let probe = probe_health(address, GUARD);
                assert!(!probe.ok && !probe.reason.is_empty(), "{:?}: {probe:?}", lossy(bytes));
            },
        );
    }
    let turn = AtomicUsize::new(0);
    odd_server(
        |mut stream| {
            let turn = turn.fetch_add(1, Ordering::SeqCst);
            read_request(&mut stream);
            let good = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
            let _ = stream.write_all(answers.get(turn).copied().unwrap_or(good));
        },
        |address, seen| {
            let probe = wait_for_health(address, GUARD);
            assert!(probe.ok, "{probe:?}");
            assert_eq!(seen.load(Ordering::SeqCst), answers.len() + 1);
        },
    );
}

#[test]
fn waiting_is_refused_inside_a_callback() {
    let server = serve();
    let address = server.address();
    let service = service();
    let (sender, probes) = std::sync::mpsc::channel();
    let inner = server.clone();
    let listener = service
        .listen(coreproc::SubscriptionOptions::default(), move |_| {
            let _ = sender.send((probe_health(&address, GUARD), kind_of(inner.stop(GUARD))));
        })
        .expect("listen");
    run(&service, &script("exit 0"));
    let (probe, stop) = probes.recv_timeout(GUARD).expect("a callback");
    assert!(!probe.ok && probe.reason.contains("inside a callback"), "{probe:?}");
    assert_eq!(stop, coreproc::ErrorKind::Deadlock);
    listener.close().expect("close");
    server.stop(GUARD).expect("stop");
}

#[test]
fn clients_work_inside_a_runtime_of_the_host() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let server = HealthServer::new("127.0.0.1:0", HealthOptions::default());
        server.start().expect("start");
        assert!(wait_for_health(&server.address(), GUARD).ok);
        server.stop(GUARD).expect("stop");
        drop(server);
    });
}

hosted! {
    /// A runtime interrupts its threads with signals, as Go's does.
    fn a_signal_while_the_answer_is_awaited_does_not_lose_it() {
        extern "C" fn nothing(_: i32) {}
        let mut action = os::swap_action(libc::SIGUSR1, None);
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        os::swap_action(libc::SIGUSR1, Some(action));
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address").to_string();
        let asking = os::own_thread();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().expect("accept");
                let mut question = [0; 1024];
                assert!(stream.read(&mut question).expect("the question") > 0);
                for _ in 0..5 {
                    // The pause is long enough for the client to wait.
                    thread::sleep(SHORT);
                    os::kill_thread(asking, libc::SIGUSR1);
                }
                thread::sleep(SHORT);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("answer");
            });
            let probe = probe_health(&address, Duration::from_secs(20));
            assert!(probe.ok, "{probe:?}");
        });
    }
}
