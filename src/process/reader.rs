//! [`Reader`]: our side of one output of a child, a pipe or a terminal that we read, or a spool that we follow.

use std::os::fd::OwnedFd;

use crate::sys::close_on_fork::CloseOnFork;
use crate::sys::pipe::{self, Read};
use crate::sys::procfs::Written;
use crate::sys::pty;
use crate::sys::space::{Bytes, Space};
use crate::sys::spool;

pub(super) enum Reader {
    Pipe(Pipe),
    /// A spool, boxed because it is rare.
    Spool(Box<Spool>),
}

/// A pipe, or our side of a pseudo-terminal.
pub(super) struct Pipe {
    pub(super) fd: CloseOnFork,
    is_terminal: bool,
    /// Whether the poller has it.
    pub(super) watched: bool,
    large_reads: LargeReads,
}

pub(super) struct Spool {
    pub(super) file: OwnedFd,
    /// Its watch number, once the loop follows it.
    pub(super) watch: Option<i32>,
    /// Whether it is to be looked at again, which no descriptor reports.
    pub(super) due: bool,
    /// Where reading goes on.
    offset: u64,
    /// The greatest length that was seen.
    seen: u64,
    /// How many of the first bytes were read and replaced by [`spool::MARK`].
    marked: usize,
    /// The offset up to which disk space was given back, except for the mark's.
    punched: u64,
    /// How many bytes may wait unread.
    max: u64,
    /// Bytes lost since the last [`Reader::take_lost`].
    lost: u64,
    large_reads: LargeReads,
}

/// How many reads of an output have brought much, up to [`LargeReads::MUCH`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct LargeReads(u8);

impl LargeReads {
    /// So many of them make a process one that writes much.
    const MUCH: LargeReads = LargeReads(2);

    /// Counts a read. True if it is the one that makes the difference.
    fn count(&mut self, bytes: usize) -> bool {
        if bytes < LARGE_READ || *self == LargeReads::MUCH {
            return false;
        }
        self.0 += 1;
        *self == LargeReads::MUCH
    }
}

/// What one read brought.
pub(super) enum Next<'a> {
    /// Bytes. Without `more`, the output was empty after them.
    Data {
        bytes: Bytes<'a>,
        more: bool,
    },
    Empty,
    End,
}

/// The least size of a read that brought much.
pub(super) const LARGE_READ: usize = 16 * 1024;
/// Disk space is given back in pieces of this size.
const PUNCH: u64 = 1024 * 1024;
/// If more than this waits, the reader looks whether it was written or is a hole.
const SPARSE: u64 = 1024 * 1024;

impl Reader {
    pub(super) fn pipe(fd: OwnedFd) -> Reader {
        Reader::Pipe(Pipe {
            fd: CloseOnFork::new(fd),
            is_terminal: false,
            watched: false,
            large_reads: LargeReads::default(),
        })
    }

    pub(super) fn of_terminal(fd: OwnedFd) -> Reader {
        Reader::Pipe(Pipe {
            fd: CloseOnFork::terminal(fd),
            is_terminal: true,
            watched: false,
            large_reads: LargeReads::default(),
        })
    }

    pub(super) fn spool(file: OwnedFd, max: u64) -> Reader {
        Reader::Spool(Box::new(Spool {
            file,
            watch: None,
            due: false,
            offset: 0,
            seen: 0,
            marked: 0,
            punched: spool::BLOCK,
            max,
            lost: 0,
            large_reads: LargeReads::default(),
        }))
    }

    /// Reads once without waiting. A spool has no end of its own: it ends with the leader. A terminal does not end
    /// before the leader, which may open it again.
    pub(super) fn read<'a>(&mut self, leader_ended: bool, space: Space<'a, '_>) -> Next<'a> {
        match self {
            Reader::Pipe(pipe) if pipe.is_terminal => pipe.read_terminal(leader_ended, space),
            Reader::Pipe(pipe) => pipe.read(space),
            Reader::Spool(spool) => spool.read(leader_ended, space),
        }
    }

    /// Returns whether the process writes much to it.
    pub(super) fn brings_much(&self) -> bool {
        let large_reads = match self {
            Reader::Pipe(pipe) => pipe.large_reads,
            Reader::Spool(spool) => spool.large_reads,
        };
        large_reads == LargeReads::MUCH
    }

    /// Returns how many bytes were lost from a spool since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        match self {
            Reader::Pipe(_) => 0,
            Reader::Spool(spool) => std::mem::take(&mut spool.lost),
        }
    }

    /// Bounds what waits in a spool while it is not read.
    pub(super) fn trim(&mut self) {
        if let Reader::Spool(spool) = self {
            spool.trim();
        }
    }

    /// Returns whether it is a spool that is to be looked at again.
    pub(super) fn is_due(&self) -> bool {
        matches!(self, Reader::Spool(spool) if spool.due)
    }

    /// Like [`Reader::is_due`], but true only once.
    pub(super) fn take_due(&mut self) -> bool {
        match self {
            Reader::Pipe(_) => false,
            Reader::Spool(spool) => std::mem::take(&mut spool.due),
        }
    }

    /// Returns how many bytes wait now, at most.
    pub(super) fn holds(&self) -> usize {
        match self {
            // The kernel tells only a part of what is on its way.
            Reader::Pipe(pipe) if pipe.is_terminal => pty::HOLDS,
            Reader::Pipe(pipe) => pipe::holds(&pipe.fd),
            Reader::Spool(spool) => spool.backlog() as usize,
        }
    }

    /// Returns the file by which /proc shows its holders.
    pub(super) fn file(&self) -> Option<Written> {
        match self {
            Reader::Pipe(pipe) if pipe.is_terminal => pty::number(&pipe.fd).map(Written::Terminal),
            Reader::Pipe(pipe) => pipe::inode(&pipe.fd).map(Written::Pipe),
            Reader::Spool(_) => None,
        }
    }

    /// Returns the descriptor if it is a terminal's.
    pub(super) fn terminal(&self) -> Option<&CloseOnFork> {
        match self {
            Reader::Pipe(pipe) if pipe.is_terminal => Some(&pipe.fd),
            _ => None,
        }
    }
}

impl Pipe {
    fn read<'a>(&mut self, space: Space<'a, '_>) -> Next<'a> {
        let room = space.len();
        match pipe::read(&self.fd, space) {
            Read::Data(bytes) => {
                if self.large_reads.count(bytes.len()) {
                    pipe::grow(&self.fd);
                }
                let more = bytes.len() == room;
                Next::Data { bytes, more }
            }
            Read::Empty => Next::Empty,
            Read::End => Next::End,
        }
    }

    /// Reads once from a terminal, which gives a few kilobytes at a time, however much there is.
    fn read_terminal<'a>(&self, leader_ended: bool, space: Space<'a, '_>) -> Next<'a> {
        match pty::read(&self.fd, space) {
            Read::Data(bytes) => Next::Data { bytes, more: true },
            Read::End if leader_ended => Next::End,
            Read::Empty | Read::End => Next::Empty,
        }
    }
}

impl Spool {
    fn backlog(&self) -> u64 {
        spool::length(&self.file).saturating_sub(self.offset)
    }

    fn read<'a>(&mut self, leader_ended: bool, space: Space<'a, '_>) -> Next<'a> {
        self.trim();
        let bytes = spool::read_at(&self.file, self.offset, space);
        self.large_reads.count(bytes.len());
        if bytes.is_empty() {
            return if leader_ended { Next::End } else { Next::Empty };
        }
        self.offset += bytes.len() as u64;
        self.seen = self.seen.max(self.offset);
        self.mark();
        self.punch(PUNCH);
        // The spool is always looked at again: no edge reports the end of a file.
        Next::Data { bytes, more: true }
    }

    /// Drops, and counts, the oldest bytes that wait beyond the maximum, and those that were never written.
    fn trim(&mut self) {
        self.look();
        let backlog = self.seen.saturating_sub(self.offset);
        let excess = backlog.saturating_sub(self.max);
        let hole = if backlog > SPARSE { spool::next_data(&self.file, self.offset).min(self.seen) } else { 0 };
        let from = hole.max(self.offset + excess);
        if from > self.offset {
            self.lost = self.lost.saturating_add(from - self.offset);
            self.offset = from;
            self.mark();
            self.punch(1);
        }
    }

    /// Looks whether the child has emptied the file. A child that opens its output again, as `echo > /dev/stdout` does,
    /// empties the file and writes from its start. The length alone would not tell, because the file may have grown
    /// again: then the mark is gone, and so is the hole behind it. What is known to have waited unread is lost, and
    /// what is there now is new.
    fn look(&mut self) {
        let is_as_it_was = spool::is_marked(&self.file, self.marked) || self.has_its_hole();
        let length = spool::length(&self.file);
        if is_as_it_was && length >= self.offset {
            self.seen = self.seen.max(length);
            return;
        }
        self.lost = self.lost.saturating_add(self.seen - self.offset);
        // A mark that was on its way when the file was emptied is none of the child's output.
        let ours = if spool::is_marked(&self.file, spool::MARK.len()) { spool::MARK.len() } else { 0 };
        (self.offset, self.seen, self.marked, self.punched) = (ours as u64, length, ours, spool::BLOCK);
    }

    fn has_its_hole(&self) -> bool {
        self.punched > spool::BLOCK && spool::next_data(&self.file, spool::BLOCK) >= self.punched
    }

    /// Replaces the first bytes, once they were read.
    fn mark(&mut self) {
        let until = spool::MARK.len().min(usize::try_from(self.offset).unwrap_or(usize::MAX));
        if self.marked < until
            && spool::length(&self.file) >= self.offset
            && spool::mark(&self.file, self.marked, until)
        {
            self.marked = until;
        }
    }

    fn punch(&mut self, at_least: u64) {
        if self.offset >= self.punched + at_least {
            spool::punch(&self.file, self.punched, self.offset);
            self.punched = self.offset;
        }
    }
}
