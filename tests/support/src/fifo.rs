//! Handshakes with children over FIFOs: events instead of sleeps. Both ends are open here for reading and writing, so
//! that opening never blocks; when they are dropped, children that wait see the end of the file and go on.

use super::GUARD;
use super::os::{self, Fd};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn open(path: &Path) -> File {
    os::mkfifo(path);
    OpenOptions::new().read(true).write(true).open(path).expect("fifo")
}

/// A gate at which children wait: `await PATH`.
pub struct Gate {
    path: PathBuf,
    file: File,
}

impl Gate {
    pub fn new(dir: &Path, name: &str) -> Gate {
        let path = dir.join(name);
        Gate { file: open(&path), path }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().expect("utf-8")
    }

    /// Lets `n` waiting children, now or later, through.
    pub fn open(&self, n: usize) {
        for chunk in vec![b'!'; n].chunks(4096) {
            (&self.file).write_all(chunk).expect("gate");
        }
    }

    /// Lets all children through, those that wait now and those that come later.
    pub fn open_for_all(self) {}
}

/// An inbox through which children tell their PID: `notify PATH TEXT`.
pub struct Inbox {
    path: PathBuf,
    file: File,
    rest: Vec<u8>,
}

impl Inbox {
    pub fn new(dir: &Path, name: &str) -> Inbox {
        let path = dir.join(name);
        Inbox { file: open(&path), path, rest: Vec::new() }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().expect("utf-8")
    }

    /// Waits for the next message, and returns its text and the sender's PID.
    #[track_caller]
    pub fn message(&mut self) -> (String, i32) {
        self.message_within(GUARD).expect("no message")
    }

    pub fn message_within(&mut self, timeout: Duration) -> Option<(String, i32)> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = String::from_utf8(line).expect("utf-8");
                let (text, pid) = line.trim_end().rsplit_once(' ').expect("text and pid");
                return Some((text.to_owned(), pid.parse().expect("pid")));
            }
            if !os::readable(&self.file, timeout) {
                return None;
            }
            let mut buffer = [0; 4096];
            let n = self.file.read(&mut buffer).expect("inbox");
            self.rest.extend_from_slice(&buffer[..n]);
        }
    }

    #[track_caller]
    pub fn expect(&mut self, text: &str) -> i32 {
        let (got, pid) = self.message();
        assert_eq!(got, text);
        pid
    }

    /// Waits for `n` messages of the same text, and returns the senders, each watched from here on.
    #[track_caller]
    pub fn expect_many(&mut self, text: &str, n: u64) -> Vec<Fd> {
        (0..n).map(|_| os::pidfd(self.expect(text)).expect("sender lives")).collect()
    }
}

/// A directory with a gate and an inbox, which most tests need.
pub struct Talk {
    pub dir: tempfile::TempDir,
    pub gate: Gate,
    pub inbox: Inbox,
}

impl Talk {
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Talk {
        let dir = tempfile::tempdir().expect("tempdir");
        Talk { gate: Gate::new(dir.path(), "gate"), inbox: Inbox::new(dir.path(), "inbox"), dir }
    }

    /// Does the same for hosts whose descriptors 0 to 2 are closed and must stay closed.
    pub fn at_high_descriptors() -> Talk {
        let Talk { dir, gate, inbox } = Talk::new();
        let gate = Gate { path: gate.path, file: os::high(gate.file) };
        let inbox = Inbox { path: inbox.path, file: os::high(inbox.file), rest: inbox.rest };
        Talk { dir, gate, inbox }
    }

    pub fn verbs(&self, script: &str) -> Vec<String> {
        verbs_in(self.dir.path(), script)
    }

    pub fn tool(&self, script: &str) -> coreproc::Command {
        super::tool(self.verbs(script))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Returns the words of `script`, with GATE, LAST and INBOX for the paths of those names in `dir`.
pub fn verbs_in(dir: &Path, script: &str) -> Vec<String> {
    script
        .split_whitespace()
        .map(|word| match word {
            "GATE" | "LAST" | "INBOX" => dir.join(word.to_lowercase()).to_str().expect("utf-8").to_owned(),
            word => word.to_owned(),
        })
        .collect()
}
