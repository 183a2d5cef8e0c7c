//! Running a process to its end, and what it ended with; and calls that must fail.

use crate::GUARDED;
use coreproc::{Cause, Command, Error, ErrorKind, ExitStatus, Info, Process, Service, ServiceOptions};
use std::time::Duration;

pub fn service() -> Service {
    Service::new(ServiceOptions::default()).expect("service")
}

pub trait Ends {
    fn cause(&self) -> Option<Cause>;
}

impl Ends for Info {
    fn cause(&self) -> Option<Cause> {
        self.ending.map(|ending| ending.cause)
    }
}

#[derive(Debug)]
pub struct Ended {
    pub info: Info,
    pub output: Vec<u8>,
}

impl Ended {
    pub fn code(&self) -> i32 {
        match self.info.status() {
            Some(ExitStatus::Code(code)) => code,
            ref other => panic!("no exit code: {other:?}, output {}", lossy(&self.output)),
        }
    }

    pub fn signal(&self) -> i32 {
        match self.info.status() {
            Some(ExitStatus::Signal { signal, .. }) => signal,
            ref other => panic!("no signal: {other:?}, output {}", lossy(&self.output)),
        }
    }

    pub fn text(&self) -> String {
        lossy(&self.output)
    }
}

pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn finish(process: &Process) -> Ended {
    let info = process.wait(GUARDED).expect("closed");
    Ended { info, output: process.output().expect("output") }
}

pub fn run(service: &Service, command: &Command) -> Ended {
    finish(&command.spawn(service).expect("spawn"))
}

/// Writes all of `data`, in as many calls as it takes; `timeout` is for each.
pub fn write_all(process: &Process, mut data: &[u8], timeout: Option<Duration>) -> coreproc::Result<()> {
    while !data.is_empty() {
        data = &data[process.write_stdin(data, timeout)?..];
    }
    Ok(())
}

/// Returns the error of a spawn that must fail.
pub fn refused(service: &Service, command: &Command) -> Error {
    match command.spawn(service) {
        Ok(process) => panic!("spawned {}", process.pid()),
        Err(error) => error,
    }
}

/// Returns the kind of the error of a call that must fail.
#[track_caller]
pub fn kind_of<T>(result: coreproc::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => error.kind(),
    }
}
