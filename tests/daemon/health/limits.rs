//! Limits: slow clients, and more connections than may be open.

use super::Gate;
use coreproc::HealthOptions;
use std::time::Duration;
use support::net::{Tcp, get, with};
use support::*;

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
    // A check may take longer than these limits.
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
    // This connection is used now, so it has waited less than the three after it.
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
