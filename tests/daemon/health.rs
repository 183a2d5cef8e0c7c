//! The health server, by bytes on real sockets.

use coreproc::{HealthOptions, HealthServer, probe_health, probe_ready};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::net::{Answer, Tcp, ask, get, serve, serve_at, with};
use support::*;

#[test]
fn answers_are_exactly_those_of_the_contract() {
    let server = serve();
    let healthy = get(&server, "/health");
    assert_eq!((healthy.status, healthy.body.as_str()), (200, "ok\n"));
    assert_eq!(healthy.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(healthy.header("cache-control"), Some("no-store"));
    let ready = get(&server, "/ready");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    server.set_ready(false);
    assert!(!server.is_ready());
    let unready = get(&server, "/ready");
    assert_eq!((unready.status, unready.body.as_str()), (503, "not ready\n"));
    assert_eq!(get(&server, "/health?verbose=1").status, 200, "a query is no part of the path");
    server.add_check("", || Err("no database".into())).expect("add");
    let unhealthy = get(&server, "/health");
    assert_eq!((unhealthy.status, unhealthy.body.as_str()), (503, "unhealthy: no database\n"));
    server.stop(GUARD).expect("stop");
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = serve();
    server.add_check("db", || Err("down".into())).expect("add");
    for path in ["/health", "/ready"] {
        let got = get(&server, path);
        let mut connection = Tcp::to(&server);
        connection.send(&format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        let head = connection.rest();
        assert_eq!(head.status, got.status);
        assert_eq!(head.header("content-length"), Some(&*got.body.len().to_string()));
        assert_eq!(head.body, "");
    }
    server.stop(GUARD).expect("stop");
}

#[test]
fn other_paths_are_404_and_other_methods_405() {
    let server = serve();
    for path in ["/", "//", "/healthz", "/health//", "//health", "/ready/x", "*"] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        for path in ["/health", "/ready", "/health/", "/ready/"] {
            let answer = ask(&server, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method} {path}");
        }
    }
    server.stop(GUARD).expect("stop");
}

#[test]
fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let server = serve();
    for (path, body) in [("/health/", "ok\n"), ("/ready/", "ready\n"), ("/health/?x=1", "ok\n")] {
        let answer = get(&server, path);
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
    }
    server.stop(GUARD).expect("stop");
}

#[test]
fn options_tells_the_methods() {
    let server = serve();
    let mut connection = Tcp::to(&server);
    for path in ["*", "/health", "/ready"] {
        connection.send(&format!("OPTIONS {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
        let answer = connection.answer();
        assert_eq!((answer.status, answer.header("allow")), (204, Some("GET, HEAD, OPTIONS")), "{path}");
        assert_eq!(answer.header("content-length"), None, "RFC 9110, 8.6");
    }
    drop(connection);
    assert_eq!(ask(&server, "OPTIONS /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").status, 404);
    server.stop(GUARD).expect("stop");
}

/// RFC 9112, 3.2.
#[test]
fn a_missing_or_doubled_or_impossible_host_is_a_bad_request() {
    let server = serve();
    for path in ["/health", "/ready", "/nothing"] {
        for host in ["", "host: x\r\nhost: x\r\n", "host: x\r\nHost: y\r\n", "host: x/y\r\n", "host: x y\r\n"] {
            let answer = ask(&server, &format!("GET {path} HTTP/1.1\r\n{host}\r\n"));
            assert_eq!(answer.status, 400, "{path} {host:?}");
        }
    }
    for request in [
        "GET /health HTTP/1.0\r\n\r\n",
        "GET /health HTTP/1.0\r\nhost: x\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close\r\n\r\n",
        "GET http://x/health HTTP/1.1\r\nhost: x:80\r\nconnection: close\r\n\r\n",
    ] {
        assert_eq!(ask(&server, request).status, 200, "{request:?}");
    }
    assert_eq!(ask(&server, "GET /health HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n").status, 400);
    server.stop(GUARD).expect("stop");
}

#[test]
fn every_check_that_fails_is_named() {
    let server = serve();
    server.add_check("fine", || Ok(())).expect("add");
    server.add_check("db", || Err("down\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK".into())).expect("add");
    server.add_check("", || Err("disk full".into())).expect("add");
    server.add_check("silent", || Err(String::new())).expect("add");
    let answer = get(&server, "/health");
    assert_eq!(
        answer.body,
        "unhealthy: db: down Content-Length: 0 HTTP/1.1 200 OK; disk full; silent: failed, and does not say why\n"
    );
    server.stop(GUARD).expect("stop");
}

#[test]
fn an_error_text_is_cut_to_what_an_answer_may_hold() {
    let server = serve();
    server.add_check("long", || Err("ä".repeat(1 << 20))).expect("add");
    let answer = get(&server, "/health");
    assert!(answer.body.len() < 1100, "{}", answer.body.len());
    assert!(answer.body.ends_with("ä…\n"));
    server.stop(GUARD).expect("stop");
}

#[test]
fn names_of_checks_are_refused_when_they_would_confuse() {
    let server = serve();
    server.add_check("db", || Ok(())).expect("add");
    for name in ["db", "a\nb", "nul\0", &"x".repeat(101)] {
        let dropped = Arc::new(());
        let held = Arc::clone(&dropped);
        let refused = server.add_check(name, move || {
            let _ = &held;
            Ok(())
        });
        assert_eq!(kind_of(refused), ErrorKind::InvalidArgument, "{name:?}");
        assert_eq!(Arc::strong_count(&dropped), 1, "a refused check is dropped");
    }
    for _ in 0..2 {
        server.add_check("", || Ok(())).expect("any number without a name");
    }
    assert_eq!(get(&server, "/health").status, 200);
    server.stop(GUARD).expect("stop");
}

use coreproc::ErrorKind;

fn json(server: &HealthServer, path: &str, accept: &str) -> serde_json::Value {
    let text = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    let answer = ask(server, &text);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}");
    serde_json::from_str(&answer.body).expect("JSON")
}

#[test]
fn json_tells_each_check_its_state_and_duration() {
    let gate = Gate::default();
    let server = with(HealthOptions { check_timeout: Duration::from_millis(50), ..Default::default() });
    server.add_check("good", || Ok(())).expect("add");
    server.add_check("bad", || Err("a \"quoted\" reason".into())).expect("add");
    server.add_check("wild", || panic!("boom")).expect("add");
    let wait = gate.clone();
    server.add_check("stuck", move || wait.pass()).expect("add");
    server.add_check("", || Ok(())).expect("add");
    let first = json(&server, "/health", "application/json");
    assert_eq!(first["status"], "unhealthy");
    let of = |answer: &serde_json::Value, field: &str| -> Vec<serde_json::Value> {
        answer["checks"].as_array().expect("checks").iter().map(|check| check[field].clone()).collect()
    };
    assert_eq!(of(&first, "name"), ["good", "bad", "wild", "stuck", "check 5"]);
    assert_eq!(of(&first, "state"), ["passed", "failed", "panicked", "timed out", "passed"]);
    assert_eq!(first["checks"][1]["error"], "a \"quoted\" reason");
    assert_eq!(first["checks"][2]["error"], "panicked: boom");
    assert!(of(&first, "duration_ms").iter().all(|ms| ms.as_f64().is_some_and(|ms| ms >= 0.0)));
    let second = json(&server, "/health", "text/plain;q=0.5, application/json");
    assert_eq!(of(&second, "state"), ["passed", "failed", "panicked", "still running", "passed"]);
    assert_eq!(json(&server, "/ready", "application/json, text/plain, */*")["status"], "ready");
    gate.open();
    server.stop(GUARD).expect("stop");
}

#[test]
fn plain_text_is_what_everybody_else_gets() {
    let server = serve();
    for accept in ["*/*", "text/html", "application/json;q=0", "text/plain, application/json;q=0.9", ""] {
        let text = format!("GET /health HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        assert_eq!(ask(&server, &text).body, "ok\n", "{accept:?}");
    }
    server.stop(GUARD).expect("stop");
}

/// A check that can be held, and says when it has begun.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, std::sync::Condvar, AtomicUsize)>);

impl Gate {
    fn pass(&self) -> Result<(), String> {
        self.0.2.fetch_add(1, Ordering::SeqCst);
        let mut open = self.0.0.lock().expect("lock");
        while !*open {
            open = self.0.1.wait(open).expect("wait");
        }
        Ok(())
    }

    fn open(&self) {
        *self.0.0.lock().expect("lock") = true;
        self.0.1.notify_all();
    }

    fn begun(&self) -> usize {
        self.0.2.load(Ordering::SeqCst)
    }

    fn wait_begun(&self, times: usize) {
        eventually("the check has begun", || self.begun() >= times);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A failed test must not leave a thread behind.
        self.open();
    }
}

#[test]
fn a_check_that_hangs_is_reported_delays_no_other_and_is_not_started_twice() {
    let gate = Gate::default();
    let others = Arc::new(AtomicUsize::new(0));
    let server = with(HealthOptions { check_timeout: Duration::from_millis(40), ..Default::default() });
    let (held, counted) = (gate.clone(), Arc::clone(&others));
    server.add_check("stuck", move || held.pass()).expect("add");
    server
        .add_check("quick", move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .expect("add");
    assert_eq!(get(&server, "/health").body, "unhealthy: stuck: timed out after 40 ms\n");
    for round in 2..20 {
        let body = get(&server, "/health").body;
        assert!(body.starts_with("unhealthy: stuck: still running after "), "{body}");
        assert_eq!(others.load(Ordering::SeqCst), round);
        assert_eq!(get(&server, "/ready").status, 200);
    }
    assert_eq!(gate.begun(), 1);
    gate.open();
    eventually("the check is run again, and passes", || get(&server, "/health").body == "ok\n");
    server.stop(GUARD).expect("stop");
}

#[test]
fn checks_run_side_by_side() {
    // Each waits for the others: one after the other they would never end.
    let barrier = Arc::new(std::sync::Barrier::new(8));
    let server = serve();
    for i in 0..8 {
        let barrier = Arc::clone(&barrier);
        server
            .add_check(format!("c{i}"), move || {
                barrier.wait();
                Ok(())
            })
            .expect("add");
    }
    assert_eq!(get(&server, "/health").body, "ok\n");
    server.stop(GUARD).expect("stop");
}

#[test]
fn requests_that_come_while_a_check_runs_share_its_run() {
    let gate = Gate::default();
    let server = with(HealthOptions { check_timeout: GUARD, ..Default::default() });
    let held = gate.clone();
    server.add_check("slow", move || held.pass()).expect("add");
    let mut asking: Vec<_> = (0..count("requests that share a run", 200)).map(|_| Tcp::to(&server)).collect();
    for connection in &mut asking {
        connection.send("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    }
    gate.wait_begun(1);
    // A request's answer, on a connection made later, shows that the earlier ones have been read.
    assert_eq!(get(&server, "/ready").status, 200);
    gate.open();
    for mut connection in asking {
        assert_eq!(connection.rest().body, "ok\n");
    }
    println!("runs of the check: {}", gate.begun());
    assert!(gate.begun() <= 3, "{}", gate.begun());
    server.stop(GUARD).expect("stop");
}

#[test]
fn a_check_that_panics_is_named_and_the_server_goes_on() {
    let server = serve();
    let calls = AtomicUsize::new(0);
    server
        .add_check("wild", move || {
            if calls.fetch_add(1, Ordering::SeqCst) < 2 {
                panic!("boom {}", 7);
            }
            Ok(())
        })
        .expect("add");
    for _ in 0..2 {
        assert_eq!(get(&server, "/health").body, "unhealthy: wild: panicked: boom 7\n");
    }
    assert_eq!(get(&server, "/health").body, "ok\n");
    server.stop(GUARD).expect("stop");
}

#[test]
fn malformed_requests_get_400_and_the_connection_ends() {
    let server = serve();
    let bad: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"GET /health HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost : x\r\n\r\n",
        b"G\0T /health HTTP/1.1\r\n\r\n",
        b"GET /he alth HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ];
    for bytes in bad {
        let mut connection = Tcp::to(&server);
        connection.send_bytes(bytes);
        let answer = connection.rest();
        assert_eq!(answer.status, 400, "{:?}", String::from_utf8_lossy(bytes));
    }
    // No HTTP at all, cut anywhere: nothing is answered, nothing is harmed.
    let whole = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    for cut in 0..whole.len() {
        let mut connection = Tcp::to(&server);
        connection.send_bytes(&whole[..cut]);
        connection.end_writing();
        assert!(connection.rest_bytes().is_empty(), "cut at {cut}");
    }
    assert_eq!(get(&server, "/health").status, 200);
    server.stop(GUARD).expect("stop");
}

/// What a fuzzer would send: requests with bytes changed, cut, doubled, or nothing but noise.
#[test]
fn bytes_of_any_kind_are_answered_by_a_client_error_or_not_at_all() {
    let server = with(HealthOptions { header_timeout: Duration::from_millis(500), ..Default::default() });
    let request =
        b"GET /health?x=1 HTTP/1.1\r\nhost: x\r\naccept: application/json;q=0.5, */*\r\ncontent-length: 0\r\n\r\n";
    in_parallel(8, count("requests of any kind", 20_000), |_, seed| {
        let mut random = support::pattern::Random::new(seed);
        let mut bytes = match seed % 4 {
            0 => support::pattern::pattern(random.below(300) as usize, seed),
            1 => request.repeat(1 + random.below(3) as usize),
            _ => request.to_vec(),
        };
        for _ in 0..random.below(8) {
            let at = random.below(bytes.len() as u64 + 1) as usize;
            match random.below(3) {
                0 if at < bytes.len() => bytes[at] = random.number() as u8,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, b"\r\n \0\xff:/H"[random.below(8) as usize]),
            }
        }
        let mut connection = Tcp::to(&server);
        connection.send_bytes(&bytes);
        connection.end_writing();
        let answer = connection.rest_bytes();
        let status = answer.get(9..12).map(lossy).unwrap_or_default();
        let known = ["", "200", "204", "400", "404", "405", "414", "431"].contains(&status.as_str());
        assert!(known, "{:?} gave {:?}", lossy(&bytes), lossy(&answer));
    });
    assert_eq!(get(&server, "/health").body, "ok\n");
    server.stop(GUARD).expect("stop");
}

#[test]
fn huge_headers_get_431_which_arrives() {
    let server = with(HealthOptions { max_header_bytes: 4096, ..Default::default() });
    for size in [5_000, 100_000, 3 << 20] {
        let mut connection = Tcp::to(&server);
        connection.send_bytes(b"GET /health HTTP/1.1\r\nhost: x\r\nx-large: ");
        connection.send_bytes(&vec![b'x'; size]);
        connection.send_bytes(b"\r\n\r\n");
        assert_eq!(connection.rest().status, 431, "{size}");
    }
    let mut connection = Tcp::to(&server);
    connection.send("GET /health HTTP/1.1\r\n");
    for i in 0..101 {
        connection.send(&format!("x{i}: y\r\n"));
    }
    connection.send("\r\n");
    assert_eq!(connection.rest().status, 431, "too many");
    let mut connection = Tcp::to(&server);
    connection
        .send(&format!("GET /health HTTP/1.1\r\nhost: x\r\nx-fits: {}\r\nconnection: close\r\n\r\n", "y".repeat(3900)));
    assert_eq!(connection.rest().status, 200);
    server.stop(GUARD).expect("stop");
}

#[test]
fn pipelined_requests_are_all_answered_in_order() {
    let server = serve();
    let total = count("pipelined requests", 10_000) as usize;
    let mut connection = Tcp::to(&server);
    let mut writer = connection.clone_stream();
    let sent = thread::spawn(move || {
        for i in 0..total {
            let path = ["/health", "/ready", "/nowhere"][i % 3];
            writer.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).expect("write");
        }
    });
    for i in 0..total {
        let answer = connection.answer();
        let expected = [(200, "ok\n"), (200, "ready\n"), (404, "not found\n")][i % 3];
        assert_eq!((answer.status, answer.body.as_str()), expected, "number {i}");
    }
    sent.join().expect("writer");
    drop(connection);
    server.stop(GUARD).expect("stop");
}

#[test]
fn a_request_in_single_bytes_is_a_request() {
    let server = serve();
    let mut connection = Tcp::to(&server);
    for byte in b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" {
        connection.send_bytes(&[*byte]);
    }
    assert_eq!(connection.rest().body, "ok\n");
    server.stop(GUARD).expect("stop");
}

#[test]
fn a_body_is_never_taken_for_a_request() {
    let server = serve();
    let inner = "GET /ready HTTP/1.1\r\nhost: x\r\n\r\n";
    for text in [
        format!("GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{inner}", inner.len()),
        format!("POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{inner}", inner.len()),
        format!(
            "GET /health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n",
            inner.len()
        ),
    ] {
        let mut connection = Tcp::to(&server);
        connection.send(&text);
        let all = lossy(&connection.rest_bytes());
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
        assert!(all.contains("connection: close"), "{all}");
    }
    // An endless one does not hold its answer up.
    let mut connection = Tcp::to(&server);
    connection.send("POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000000\r\n\r\nbegin");
    assert_eq!(connection.answer().status, 405);
    drop(connection);
    server.stop(GUARD).expect("stop");
}

#[test]
fn old_and_half_closed_clients_are_answered() {
    let server = serve();
    let mut connection = Tcp::to(&server);
    connection.send("GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(connection.rest().body, "ok\n", "HTTP/1.0 closes by itself");
    let gate = Gate::default();
    let held = gate.clone();
    server.add_check("slow", move || held.pass()).expect("add");
    let mut connection = Tcp::to(&server);
    connection.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    connection.end_writing();
    gate.wait_begun(1);
    gate.open();
    assert_eq!(connection.rest().body, "ok\n", "the client only stopped writing");
    server.stop(GUARD).expect("stop");
}

#[test]
fn slow_clients_are_closed_by_the_limits_and_nobody_else() {
    let options = HealthOptions {
        header_timeout: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(50),
        ..Default::default()
    };
    let server = with(options);
    let mut silent = Tcp::to(&server);
    let mut begun = Tcp::to(&server);
    begun.send("GET /health HT");
    let mut idle = Tcp::to(&server);
    idle.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(idle.answer().body, "ok\n");
    for connection in [&mut silent, &mut begun, &mut idle] {
        assert!(connection.rest_bytes().is_empty());
    }
    // A check may take longer than they may.
    let gate = Gate::default();
    let held = gate.clone();
    server.add_check("slow", move || held.pass()).expect("add");
    let mut waits = Tcp::to(&server);
    waits.send("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    gate.wait_begun(1);
    let mut later = Tcp::to(&server);
    assert!(later.rest_bytes().is_empty(), "a connection that began later has been closed by its limit");
    gate.open();
    assert_eq!(waits.rest().body, "ok\n");
    server.stop(GUARD).expect("stop");
}

#[test]
fn beyond_the_cap_the_connection_that_waited_longest_makes_room() {
    let server = with(HealthOptions { max_connections: 4, ..Default::default() });
    let mut first: Vec<Tcp> = (0..4).map(|_| Tcp::to(&server)).collect();
    // Used now, so it has waited less than the three after it.
    first[0].send("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(first[0].answer().status, 200);
    let mut later = Vec::new();
    for connection in &mut first[1..] {
        later.push(Tcp::to(&server));
        assert!(connection.rest_bytes().is_empty(), "closed");
    }
    first[0].send("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(first[0].answer().status, 200);
    for _ in 0..count("connections beyond the cap", 2_000) {
        later.push(Tcp::to(&server));
        assert_eq!(get(&server, "/health").body, "ok\n");
    }
    server.stop(GUARD).expect("stop");
}

#[test]
fn requests_under_way_are_not_cut_to_make_room() {
    let gate = Gate::default();
    let server = with(HealthOptions { max_connections: 2, check_timeout: GUARD, ..Default::default() });
    let held = gate.clone();
    server.add_check("slow", move || held.pass()).expect("add");
    let mut busy: Vec<Tcp> = (0..2).map(|_| Tcp::to(&server)).collect();
    for connection in &mut busy {
        connection.send("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    }
    gate.wait_begun(1);
    let mut third = Tcp::to(&server);
    third.send("GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    gate.open();
    for connection in &mut busy {
        assert_eq!(connection.rest().body, "ok\n");
    }
    assert_eq!(third.rest().body, "ready\n");
    server.stop(GUARD).expect("stop");
}

#[test]
fn stop_closes_what_idles_and_waits_for_what_is_under_way() {
    let gate = Gate::default();
    let server = with(HealthOptions { check_timeout: GUARD, ..Default::default() });
    let held = gate.clone();
    server.add_check("slow", move || held.pass()).expect("add");
    let mut kept: Vec<Tcp> = (0..20).map(|_| Tcp::to(&server)).collect();
    for connection in &mut kept {
        connection.send("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(connection.answer().status, 200);
    }
    let mut half = Tcp::to(&server);
    half.send("GET /health HTTP/1.1\r\nhos");
    let mut busy = Tcp::to(&server);
    busy.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    gate.wait_begun(1);
    let address = server.address();
    let (stopped, done) = channel();
    let stopper = {
        let server = server.clone();
        thread::spawn(move || stopped.send(server.stop(GUARD)))
    };
    for connection in &mut kept {
        assert!(connection.rest_bytes().is_empty(), "closed at once");
    }
    assert!(half.rest_bytes().is_empty(), "closed at once");
    assert!(done.try_recv().is_err(), "the stop waits");
    gate.open();
    let answer = busy.rest();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    done.recv_timeout(GUARD).expect("in time").expect("stop");
    let _ = stopper.join();
    assert_eq!(probe_health(&address, GUARD).reason, "connection refused");
    server.stop(GUARD).expect("twice is fine");
}

#[test]
fn requests_that_have_arrived_when_a_stop_begins_are_answered() {
    for _ in 0..count("stops with requests that have just arrived", 100) {
        let server = serve();
        let mut sent: Vec<Tcp> = (0..10).map(|_| Tcp::to(&server)).collect();
        for connection in &mut sent {
            connection.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
        }
        server.stop(GUARD).expect("stop");
        for connection in &mut sent {
            assert_eq!(connection.rest().body, "ok\n");
        }
    }
}

#[test]
fn a_stop_past_its_deadline_cuts_and_says_so() {
    let gate = Gate::default();
    let server = with(HealthOptions { check_timeout: GUARD, ..Default::default() });
    let held = gate.clone();
    server.add_check("slow", move || held.pass()).expect("add");
    let mut busy = Tcp::to(&server);
    busy.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    gate.wait_begun(1);
    let error = server.stop(Duration::from_millis(20)).expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(busy.rest_bytes().is_empty());
    server.stop(GUARD).expect("stopped all the same");
    gate.open();

    let idle = serve();
    let _open = Tcp::to(&idle);
    idle.stop(Duration::ZERO).expect("nothing was under way");
}

#[test]
fn states_are_kept() {
    let server = HealthServer::new("127.0.0.1:0", HealthOptions::default());
    assert_eq!(server.address(), "127.0.0.1:0");
    server.stop(GUARD).expect("never started");
    for _ in 0..3 {
        server.start().expect("start");
        assert_eq!(kind_of(server.start()), ErrorKind::InvalidState);
        let address = server.address();
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
        assert!(probe_ready(&address, GUARD).ok);
        let other = HealthServer::new(address, HealthOptions::default());
        assert_eq!(kind_of(other.start()), ErrorKind::Busy);
        server.stop(GUARD).expect("stop");
        assert_eq!(server.address(), "127.0.0.1:0");
    }
}

#[test]
fn a_stop_from_inside_a_check_is_a_deadlock_and_harms_nothing() {
    let server = serve();
    let (seen, kinds) = channel();
    let inner = Arc::new(Mutex::new(Some(server.clone())));
    let held = Arc::clone(&inner);
    server
        .add_check("self", move || {
            if let Some(server) = held.lock().expect("lock").as_ref() {
                let _ = seen.send(kind_of(server.stop(GUARD)));
            }
            Ok(())
        })
        .expect("add");
    assert_eq!(get(&server, "/health").body, "ok\n");
    assert_eq!(kinds.recv().expect("kind"), ErrorKind::Deadlock);
    inner.lock().expect("lock").take();
    server.stop(GUARD).expect("stop");
}

#[test]
fn addresses_of_every_kind_are_served() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = format!("unix:{}/s.sock", dir.path().display());
    for address in ["127.0.0.1:0", "[::1]:0", "localhost:0", ":0", "0.0.0.0:0", "[::]:0", &path] {
        let server = serve_at(address);
        let bound = server.address();
        assert!(!bound.ends_with(":0"), "{bound}");
        let probe = probe_health(&bound, GUARD);
        assert!(probe.ok && probe.reason == "ok", "{address}, {bound}: {probe:?}");
        server.stop(GUARD).expect("stop");
        assert!(!probe_health(&bound, GUARD).ok);
    }
    assert!(std::fs::read_dir(dir.path()).expect("dir").next().is_none(), "the socket file has gone");
}

#[test]
fn bad_addresses_say_what_is_wrong() {
    let long = format!("unix:/{}", "x".repeat(107));
    let host = format!("{}:1", "h".repeat(256));
    for (address, why) in [
        ("", "no port"),
        ("127.0.0.1", "no port"),
        ("::1:80", "brackets"),
        ("[::1]", "no port"),
        ("[::1:80", "without its"),
        ("[127.0.0.1]:80", "brackets"),
        ("127.0.0.1:", "no number"),
        ("127.0.0.1:http", "no number"),
        ("127.0.0.1:-1", "no number"),
        ("127.0.0.1:65536", "above 65535"),
        ("127.0.0.1:99999999999999999999", "above 65535"),
        ("a b:80", "' '"),
        ("a\0b:80", "NUL"),
        ("unix:", "no path"),
        ("unix:@", "no name"),
        (&long, "108 bytes"),
        (&host, "256 bytes"),
    ] {
        let error = HealthServer::new(address, HealthOptions::default()).start().expect_err(address);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(why), "{error} lacks {why:?}");
    }
    let error = HealthServer::new("192.0.2.1:80", HealthOptions::default()).start().expect_err("not ours");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(libc::EADDRNOTAVAIL)), "{error}");
    let error = HealthServer::new("unix:/no/such/dir/s", HealthOptions::default()).start().expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn a_socket_file_is_replaced_only_when_nobody_lives_behind_it() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("s.sock");
    let address = format!("unix:{}", path.display());
    // As a killed server leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    assert!(path.exists());
    let server = serve_at(&address);
    assert_eq!(kind_of(HealthServer::new(&address, HealthOptions::default()).start()), ErrorKind::Busy);
    assert!(probe_health(&address, GUARD).ok, "the living one was left alone");
    // A successor's file is not the first one's to remove.
    std::fs::remove_file(&path).expect("remove");
    let successor = serve_at(&address);
    server.stop(GUARD).expect("stop");
    assert!(probe_health(&address, GUARD).ok);
    successor.stop(GUARD).expect("stop");
    assert!(!path.exists());

    std::fs::write(&path, "mine").expect("write");
    let error = HealthServer::new(&address, HealthOptions::default()).start().expect_err("no socket");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert_eq!(std::fs::read(&path).expect("read"), b"mine");
}

#[test]
fn a_name_that_is_no_file_is_served_and_makes_none() {
    let name = format!("@coreproc-{}", std::process::id());
    let address = format!("unix:{name}");
    let server = serve_at(&address);
    assert_eq!(server.address(), address);
    assert!(!std::path::Path::new(&name).exists());
    let probe = probe_health(&address, GUARD);
    assert!(probe.ok && probe.reason == "ok", "{probe:?}");
    assert_eq!(kind_of(HealthServer::new(&address, HealthOptions::default()).start()), ErrorKind::Busy);
    server.stop(GUARD).expect("stop");
    assert!(!probe_health(&address, GUARD).ok);
    // The kernel forgets it with the server.
    let again = serve_at(&address);
    again.stop(GUARD).expect("stop");
}

hosted! {
    fn others_cannot_connect_to_a_socket_file_whatever_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("s.sock");
        for (umask, mode) in [(0, 0o660), (0o002, 0o660), (0o022, 0o640), (0o077, 0o600)] {
            os::set_umask(umask);
            let server = serve_at(&format!("unix:{}", path.display()));
            assert_eq!(path.metadata().expect("metadata").permissions().mode() & 0o7777, mode, "umask {umask:o}");
            assert!(probe_health(&server.address(), GUARD).ok);
            server.stop(GUARD).expect("stop");
        }
    }
}

/// Whoever may read the directory can have it, for ever.
#[test]
fn a_lock_of_the_directory_blocks_no_start() {
    let dir = tempfile::tempdir().expect("tempdir");
    let locked = std::fs::File::open(dir.path()).expect("open");
    locked.lock().expect("flock");
    let server = serve_at(&format!("unix:{}/s.sock", dir.path().display()));
    assert!(probe_health(&server.address(), GUARD).ok);
    server.stop(GUARD).expect("stop");
}

#[test]
fn the_lock_of_a_socket_goes_with_the_start() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("s.sock");
    let lock = dir.path().join("s.sock.lock");
    let names = || {
        let entries = std::fs::read_dir(dir.path()).expect("directory").map(|entry| entry.expect("entry").file_name());
        let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    // Also one that a start which was killed has left.
    for left in [false, true] {
        if left {
            std::fs::write(&lock, "").expect("write");
        }
        let server = serve_at(&format!("unix:{}", path.display()));
        assert_eq!(names(), ["s.sock"]);
        server.stop(GUARD).expect("stop");
    }
    if !os::is_root() {
        println!("NOT TESTED: needs root to make a file another user's");
        return;
    }
    std::fs::write(&lock, "").expect("write");
    std::os::unix::fs::chown(&lock, Some(1234), None).expect("chown");
    let address = format!("unix:{}", path.display());
    let error = HealthServer::new(address, HealthOptions::default()).start().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("s.sock.lock\" is no file of this user"), "{error}");
}

#[test]
fn of_many_starts_on_a_stale_socket_exactly_one_wins() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("s.sock");
    let address = format!("unix:{}", path.display());
    for _ in 0..count("rounds of 8 starts on a stale socket", 200) {
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
        let servers: Vec<_> = (0..8).map(|_| HealthServer::new(&address, HealthOptions::default())).collect();
        let won = AtomicUsize::new(0);
        thread::scope(|scope| {
            for server in &servers {
                scope.spawn(|| match server.start() {
                    Ok(()) => {
                        won.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
                });
            }
        });
        assert_eq!(won.load(Ordering::SeqCst), 1);
        assert!(probe_health(&address, GUARD).ok);
        for server in &servers {
            server.stop(GUARD).expect("stop");
        }
    }
}

#[test]
fn checks_are_dropped_once_the_server_is() {
    let held = Arc::new(());
    let server = serve();
    let inside = Arc::clone(&held);
    server
        .add_check("holds", move || {
            let _ = &inside;
            Ok(())
        })
        .expect("add");
    assert_eq!(get(&server, "/health").status, 200);
    let other = server.clone();
    drop(server);
    assert_eq!(get(&other, "/health").status, 200, "a clone keeps it");
    let address = other.address();
    drop(other);
    eventually("the check is dropped", || Arc::strong_count(&held) == 1);
    assert_eq!(probe_health(&address, GUARD).reason, "connection refused");
}

#[test]
fn keep_alive_connections_serve_many_requests() {
    let server = serve();
    let mut connection = Tcp::to(&server);
    for _ in 0..count("requests on one connection", 1_000) {
        connection.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
        let Answer { status, body, .. } = connection.answer();
        assert_eq!((status, body.as_str()), (200, "ok\n"));
    }
    let mut rest = [0; 1];
    server.stop(GUARD).expect("stop");
    assert_eq!(connection.clone_stream().read(&mut rest).expect("read"), 0);
}
