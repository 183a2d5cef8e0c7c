//! Stopping a server: what is closed, what is waited for.

use super::Gate;
use coreproc::ErrorKind;
use coreproc::{HealthOptions, HealthServer, probe_health, probe_ready};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::net::{Tcp, get, serve, with};
use support::*;

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
