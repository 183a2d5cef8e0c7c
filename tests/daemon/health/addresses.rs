//! Addresses, and the files of Unix sockets.

use coreproc::ErrorKind;
use coreproc::{HealthOptions, HealthServer, probe_health};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::net::serve_at;
use support::*;

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
    let error = HealthServer::new("unix:/no/such/dir/s", HealthOptions::default()).start().expect_err("no directory");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn a_socket_file_is_replaced_only_when_nobody_lives_behind_it() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("s.sock");
    let address = format!("unix:{}", path.display());
    // A killed server leaves such a file.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    assert!(path.exists());
    let server = serve_at(&address);
    assert_eq!(kind_of(HealthServer::new(&address, HealthOptions::default()).start()), ErrorKind::Busy);
    assert!(probe_health(&address, GUARD).ok, "the living one was left alone");
    // The first server must not remove its successor's file.
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
    // The kernel forgets the name with the server.
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

/// Every user that may read the directory can take a lock of it, and keep it for ever.
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
    // The file may be one that a killed start has left.
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
