//! One output of a child, as we read it: a pipe, or a spool that we follow.

use std::os::fd::OwnedFd;

use crate::sys::buffer::{READ_SIZE, ReadBuffer};
use crate::sys::pipe::{self, Read};
use crate::sys::spool;

pub(crate) enum Output {
    Pipe(Pipe),
    /// Rare, so not part of what every process costs.
    Spool(Box<Spool>),
}

pub(crate) struct Pipe {
    pub(crate) fd: OwnedFd,
    /// Reads that brought much; after two, the pipe is grown.
    large_reads: u8,
}

pub(crate) struct Spool {
    pub(crate) file: OwnedFd,
    pub(crate) watch: Option<i32>,
    offset: u64,
    /// Disk space up to here was given back.
    punched: u64,
    max: u64,
    lost: u64,
}

/// What a look at an output brought.
pub(crate) enum Next<'a> {
    /// Bytes. Without `more`, it was empty after them.
    Data {
        bytes: &'a [u8],
        more: bool,
    },
    Empty,
    End,
}

const LARGE_READ: usize = 16 * 1024;
/// Disk space is given back in pieces of this size.
const PUNCH: u64 = 1024 * 1024;

impl Output {
    pub(crate) fn pipe(fd: OwnedFd) -> Output {
        Output::Pipe(Pipe { fd, large_reads: 0 })
    }

    pub(crate) fn spool(file: OwnedFd, max: u64) -> Output {
        Output::Spool(Box::new(Spool { file, watch: None, offset: 0, punched: 0, max, lost: 0 }))
    }

    /// One read without waiting. A spool has no end of its own: it ends with the leader.
    pub(crate) fn read<'a>(&mut self, leader_ended: bool, buffer: &'a mut ReadBuffer) -> Next<'a> {
        match self {
            Output::Pipe(pipe) => match pipe::read(&pipe.fd, buffer) {
                Read::Data(bytes) => {
                    if bytes.len() >= LARGE_READ && pipe.large_reads < 2 {
                        pipe.large_reads += 1;
                        if pipe.large_reads == 2 {
                            pipe::grow(&pipe.fd);
                        }
                    }
                    let more = bytes.len() == READ_SIZE;
                    Next::Data { bytes, more }
                }
                Read::Empty => Next::Empty,
                Read::End => Next::End,
            },
            Output::Spool(spool) => spool.read(leader_ended, buffer),
        }
    }

    /// Bytes lost from a spool since the last call.
    pub(crate) fn take_lost(&mut self) -> u64 {
        match self {
            Output::Pipe(_) => 0,
            Output::Spool(spool) => std::mem::take(&mut spool.lost),
        }
    }

    /// Bounds what waits in a spool while nobody reads it.
    pub(crate) fn trim(&mut self) {
        if let Output::Spool(spool) = self {
            spool.trim();
        }
    }

    /// How many bytes wait now.
    pub(crate) fn holds(&self) -> usize {
        match self {
            Output::Pipe(pipe) => pipe::holds(&pipe.fd),
            Output::Spool(spool) => spool.backlog() as usize,
        }
    }

    pub(crate) fn pipe_inode(&self) -> Option<u64> {
        match self {
            Output::Pipe(pipe) => pipe::inode(&pipe.fd),
            Output::Spool(_) => None,
        }
    }
}

impl Spool {
    fn backlog(&self) -> u64 {
        spool::length(&self.file).saturating_sub(self.offset)
    }

    fn read<'a>(&mut self, leader_ended: bool, buffer: &'a mut ReadBuffer) -> Next<'a> {
        self.trim();
        let bytes = spool::read_at(&self.file, self.offset, buffer);
        if bytes.is_empty() {
            return if leader_ended { Next::End } else { Next::Empty };
        }
        self.offset += bytes.len() as u64;
        self.punch(PUNCH);
        // Always looked at again: the end of a file is no edge.
        Next::Data { bytes, more: true }
    }

    /// Beyond its maximum, the oldest bytes that wait are lost, and counted.
    fn trim(&mut self) {
        let excess = self.backlog().saturating_sub(self.max);
        if excess > 0 {
            self.offset += excess;
            self.lost += excess;
            self.punch(1);
        }
    }

    fn punch(&mut self, at_least: u64) {
        if self.offset - self.punched >= at_least {
            spool::punch(&self.file, self.punched, self.offset);
            self.punched = self.offset;
        }
    }
}
