//! [`Outputs`]: what a child writes, as far as it was read and is kept.

use crate::process::capture::Capture;
use crate::process::reader::{Next, Reader};
use crate::sys::buffer::ReadBuffer;

pub(super) struct Outputs {
    /// Standard output and standard error; None if it is not read, or has ended.
    pub(super) readers: [Option<Reader>; 2],
    pub(super) capture: Capture,
    /// How many bytes were read from each.
    pub(super) counts: [u64; 2],
    /// How many bytes were read after the child was closed, or lost from a spool.
    pub(super) discarded: u64,
    /// Since when a full queue has kept us from reading, on CLOCK_MONOTONIC.
    pub(super) paused_since: Option<u64>,
}

impl Outputs {
    pub(super) fn new(readers: [Option<Reader>; 2], capture: Capture) -> Outputs {
        Outputs { readers, capture, counts: [0; 2], discarded: 0, paused_since: None }
    }

    pub(super) fn are_ended(&self) -> bool {
        self.readers.iter().all(Option::is_none)
    }

    /// Returns the inodes of the pipes that are still open.
    pub(super) fn pipe_inodes(&self) -> Vec<u64> {
        self.readers.iter().flatten().filter_map(Reader::pipe_inode).collect()
    }

    /// Returns whether a spool is to be looked at again, which no descriptor reports.
    pub(super) fn has_due_spool(&self) -> bool {
        self.readers.iter().flatten().any(Reader::is_due)
    }

    /// Reads once, and counts what the read found to be lost, whatever else it brought.
    pub(super) fn read<'a>(&mut self, index: usize, leader_ended: bool, buffer: &'a mut ReadBuffer) -> Next<'a> {
        let Some(reader) = &mut self.readers[index] else { return Next::Empty };
        let next = reader.read(leader_ended, buffer);
        let lost = reader.take_lost();
        self.discard(lost);
        next
    }

    /// Bounds what waits in a spool while it is not read.
    pub(super) fn trim_spool(&mut self, index: usize) {
        if let Some(reader) = &mut self.readers[index] {
            reader.trim();
            let lost = reader.take_lost();
            self.discard(lost);
        }
    }

    pub(super) fn discard(&mut self, bytes: u64) {
        self.discarded = self.discarded.saturating_add(bytes);
    }

    /// Forgets the descriptors without closing them: the host has closed them, and the numbers may be its own now.
    pub(super) fn lose(&mut self) {
        std::mem::forget(std::mem::take(&mut self.readers));
    }
}
