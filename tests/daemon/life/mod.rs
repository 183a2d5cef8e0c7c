//! A daemon's life: what it holds at each moment, what it gives back, what ends it.

mod signals;
mod start;
mod stop;

use coreproc::{Daemon, DaemonEntry, DaemonOptions, PidState, Registry, probe_health, read_pid};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use support::*;

const ANY_PORT: &str = "127.0.0.1:0";

struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch { dir: tempfile::tempdir().expect("tempdir") }
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.path().join("run/it.pid")
    }

    fn registry(&self) -> Registry {
        Registry::new(self.dir.path().join("daemons"))
    }

    fn options(&self) -> DaemonOptions {
        DaemonOptions {
            pid_file: Some(self.pid_file()),
            health_address: Some(ANY_PORT.into()),
            registry: Some(self.registry()),
            entry: DaemonEntry { code: "core".into(), daemon: "agent".into(), ..DaemonEntry::default() },
            ..DaemonOptions::default()
        }
    }

    fn daemon(&self) -> Daemon {
        Daemon::new(self.options())
    }

    #[track_caller]
    fn entry(&self) -> Option<DaemonEntry> {
        self.registry().get("core", "agent").expect("get")
    }

    #[track_caller]
    fn pid_state(&self) -> PidState {
        read_pid(self.pid_file()).expect("read").state
    }

    #[track_caller]
    fn assert_nothing_is_there(&self) {
        assert_eq!(self.pid_state(), PidState::Missing);
        assert_eq!(self.entry(), None);
    }
}

fn is_answered(address: &str) -> bool {
    probe_health(address, GUARD).ok
}

/// Sends a request, and returns its connection before the answer.
fn request(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("write");
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    text
}
