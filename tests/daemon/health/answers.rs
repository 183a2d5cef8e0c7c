//! What is answered: paths, methods, hosts, JSON and plain text.

use super::Gate;
use coreproc::{HealthOptions, HealthServer};
use std::time::Duration;
use support::net::{Tcp, ask, get, serve, with};
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

fn json(server: &HealthServer, path: &str, accept: &str) -> serde_json::Value {
    let text = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    let answer = ask(server, &text);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}");
    serde_json::from_str(&answer.body).expect("JSON")
}

#[test]
fn json_tells_each_check_its_state_and_duration() {
    let gate = Gate::default();
    let server = with(HealthOptions { check_timeout: Duration::from_millis(500), ..Default::default() });
    server.add_check("good", || Ok(())).expect("add");
    server.add_check("bad", || Err("a \"quoted\" reason".into())).expect("add");
    // The panic has no backtrace, which on a busy machine takes longer than the check may.
    server.add_check("wild", || std::panic::resume_unwind(Box::new("boom"))).expect("add");
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
