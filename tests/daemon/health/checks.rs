//! Checks: how they run, fail, hang and panic.

use super::Gate;
use coreproc::ErrorKind;
use coreproc::{HealthOptions, probe_health};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::net::{Tcp, get, serve, with};
use support::*;

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
    // Each check waits for the others: if they ran one after the other, they would never end.
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
