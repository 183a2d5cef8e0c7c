//! Requests: malformed, huge, in pieces, in a row.

use super::Gate;
use coreproc::HealthOptions;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;
use support::net::{Answer, Tcp, get, serve, with};
use support::*;

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
    // Bytes that are no HTTP, cut anywhere, get no answer and do no harm.
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
    // An endless request does not hold its answer up.
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
