//! [`Outputs`]: what a child writes, as far as it was read and is kept.

use std::ops::Range;
use std::sync::Arc;

use super::extra::{Extra, ExtraOutput};
use super::info::State;
use super::stops::Stops;
use super::watchdog::Watchdog;
use super::watchers::{Call, Watchers};
use crate::event::Stream;
use crate::process::capture::Capture;
use crate::process::containment::Contained;
use crate::process::input::Input;
use crate::process::reader::{LARGE_READ, Next, Reader};
use crate::runtime::NEVER;
use crate::sys::block::{Filling, Pool};
use crate::sys::buffer::ReadBuffer;
use crate::sys::cgroup::{Cgroup, Usage};
use crate::sys::close_on_fork::CloseOnFork;
use crate::sys::procfs::Written;
use crate::sys::space::Space;

pub(super) struct Outputs {
    /// Standard output and standard error; None if it is not read, or has ended.
    pub(super) readers: [Option<Reader>; 2],
    pub(super) capture: Capture,
    /// The block that is read into next; None while what is read is copied. Boxed, because few children write much.
    filling: Option<Box<Filling>>,
    /// How many bytes were read from each.
    pub(super) counts: [u64; 2],
    extra: Option<Box<Extra>>,
    /// Since when a full queue has kept us from reading, on CLOCK_MONOTONIC; or [`NEVER`].
    paused_since: u64,
}

impl Outputs {
    pub(super) fn new(readers: [Option<Reader>; 2], capture: Capture, extra: Option<Box<Extra>>) -> Outputs {
        Outputs { readers, capture, filling: None, counts: [0; 2], extra, paused_since: NEVER }
    }

    fn others(&self) -> &[ExtraOutput] {
        self.extra.as_ref().map_or(&[], |extra| &extra.outputs)
    }

    /// Returns the indices of all outputs: 0 is standard output, 1 standard error, and the others follow.
    pub(super) fn indices(&self) -> Range<usize> {
        0..2 + self.others().len()
    }

    /// Returns the index of a stream, if the process has it.
    pub(super) fn index_of(&self, stream: Stream) -> Option<usize> {
        self.indices().find(|index| self.stream_at(*index) == stream)
    }

    pub(super) fn stream_at(&self, index: usize) -> Stream {
        match index {
            0 => Stream::Stdout,
            1 => Stream::Stderr,
            _ => Stream::Descriptor(self.others().get(index - 2).map_or(0, |other| other.number)),
        }
    }

    /// Returns the place of a reader.
    fn place(&mut self, index: usize) -> Option<&mut Option<Reader>> {
        match index {
            0 | 1 => Some(&mut self.readers[index]),
            _ => self.extra.as_mut()?.outputs.get_mut(index - 2).map(|other| &mut other.reader),
        }
    }

    pub(super) fn reader(&mut self, index: usize) -> Option<&mut Reader> {
        self.place(index)?.as_mut()
    }

    pub(super) fn take_reader(&mut self, index: usize) -> Option<Reader> {
        self.place(index)?.take()
    }

    /// Returns the capture of an output: the standard ones have one together unless the command asked for two.
    pub(super) fn capture_of(&mut self, index: usize) -> &mut Capture {
        let own = self.extra.as_mut().and_then(|extra| match index {
            0 => None,
            1 => extra.stderr.as_mut(),
            _ => extra.outputs.get_mut(index - 2).map(|other| &mut other.capture),
        });
        own.unwrap_or(&mut self.capture)
    }

    /// Returns the capture of standard error, if it has one of its own.
    pub(super) fn stderr_capture(&self) -> Option<&Capture> {
        self.extra.as_ref()?.stderr.as_ref()
    }

    /// Returns how many bytes the captures no longer hold, or never held.
    pub(super) fn dropped(&self) -> u64 {
        let stderr = self.stderr_capture().map_or(0, Capture::dropped);
        self.capture.dropped() + stderr + self.others().iter().map(|other| other.capture.dropped()).sum::<u64>()
    }

    pub(super) fn extra(&mut self) -> Option<&mut Extra> {
        self.extra.as_deref_mut()
    }

    /// Returns what is rare, even if the child had nothing of it before.
    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(super) fn contained(&mut self) -> Option<&mut Contained> {
        self.extra.as_mut()?.contained.as_mut()
    }

    /// Returns what was used in the cgroup so far.
    pub(super) fn usage(&self) -> Option<Usage> {
        let contained = self.extra.as_ref()?.contained.as_ref()?;
        contained.cgroup.as_ref().map(Cgroup::usage).or(contained.usage)
    }

    pub(super) fn cgroup(&mut self) -> Option<&mut Cgroup> {
        self.contained()?.cgroup.as_mut()
    }

    pub(super) fn watchdog(&mut self) -> Option<&mut Watchdog> {
        self.extra.as_mut()?.watchdog.as_mut()
    }

    pub(super) fn stops(&mut self) -> Option<&mut Stops> {
        self.extra.as_mut()?.stops.as_mut()
    }

    /// Returns the signal by which the process is stopped, as far as it was seen.
    pub(super) fn stopped_by(&self) -> Option<i32> {
        self.extra.as_ref()?.stops.as_ref()?.signal()
    }

    pub(super) fn watchers(&mut self) -> Option<&mut Watchers> {
        Some(&mut self.extra.as_mut()?.watchers)
    }

    /// Has it told that the child has come so far.
    pub(super) fn tell_at(&mut self, until: State, call: Call) {
        self.extra.get_or_insert_default().watchers.add(until, call);
    }

    pub(super) fn other_inputs(&self) -> &[(u16, Input)] {
        self.extra.as_ref().map_or(&[], |extra| &extra.inputs)
    }

    pub(super) fn are_ended(&self) -> bool {
        self.readers.iter().all(Option::is_none) && self.others().iter().all(|other| other.reader.is_none())
    }

    /// Returns the pipes, and the terminal, that are still open.
    pub(super) fn open_files(&self) -> Vec<Written> {
        self.open_readers().filter_map(Reader::file).collect()
    }

    /// Returns our side of the process's terminal, while it is open.
    pub(super) fn terminal(&self) -> Option<&CloseOnFork> {
        self.open_readers().find_map(Reader::terminal)
    }

    fn open_readers(&self) -> impl Iterator<Item = &Reader> {
        self.readers.iter().chain(self.others().iter().map(|other| &other.reader)).flatten()
    }

    /// Returns whether a spool is to be looked at again, which no descriptor reports.
    pub(super) fn has_due_spool(&self) -> bool {
        self.readers.iter().flatten().any(Reader::is_due)
    }

    /// Reads once, into a block or into `buffer`, and counts what the read found to be lost, whatever else it brought.
    pub(super) fn read<'a>(
        &mut self,
        index: usize,
        leader_ended: bool,
        buffer: &'a mut ReadBuffer,
        pool: &Arc<Pool>,
    ) -> Next<'a> {
        if index > 1 {
            // What it brings is copied, because a block is for the one capture of the standard outputs.
            return self.reader(index).map_or(Next::Empty, |reader| reader.read(leader_ended, Space::Buffer(buffer)));
        }
        let Some(reader) = &mut self.readers[index] else { return Next::Empty };
        let mut space = Space::Buffer(buffer);
        if let Some(filling) = &mut self.filling
            && has_room(filling, &mut self.capture, pool)
        {
            space = Space::Block(filling);
        }
        let next = reader.read(leader_ended, space);
        let lost = reader.take_lost();
        self.discard(lost);
        next
    }

    /// Returns whether what this output brings is worth a block, and is copied yet.
    pub(super) fn should_share(&self, index: usize) -> bool {
        self.filling.is_none() && index < 2 && self.readers[index].as_ref().is_some_and(Reader::brings_much)
    }

    /// Reads into blocks from now on, which the capture and the queues share. If there is no memory for one, the next
    /// read tries again.
    pub(super) fn share(&mut self, pool: &Arc<Pool>) {
        let Some(mut filling) = Filling::new(pool) else { return };
        self.capture.share(&mut filling, pool);
        self.filling = Some(Box::new(filling));
    }

    /// Ends what [`Outputs::share`] began: what is read is not kept.
    pub(super) fn stop_sharing(&mut self) {
        self.filling = None;
    }

    /// Notes that a queue is full.
    pub(super) fn pause(&mut self, now: u64) {
        self.paused_since = self.paused_since.min(now);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_since != NEVER
    }

    /// Ends a pause; returns since when there was one.
    pub(super) fn end_pause(&mut self) -> Option<u64> {
        let since = std::mem::replace(&mut self.paused_since, NEVER);
        (since != NEVER).then_some(since)
    }

    /// Bounds what waits in a spool while it is not read.
    pub(super) fn trim_spool(&mut self, index: usize) {
        if let Some(reader) = self.reader(index) {
            reader.trim();
            let lost = reader.take_lost();
            self.discard(lost);
        }
    }

    /// Counts bytes that were read after the child was closed, or lost from a spool.
    pub(super) fn discard(&mut self, bytes: u64) {
        if bytes > 0 {
            let extra = self.extra.get_or_insert_default();
            extra.discarded = extra.discarded.saturating_add(bytes);
        }
    }

    pub(super) fn discarded(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.discarded)
    }

    /// Counts bytes of a given input that will not be written.
    pub(super) fn leave_unwritten(&mut self, bytes: u64) {
        if bytes > 0 {
            self.extra.get_or_insert_default().unwritten += bytes;
        }
    }

    pub(super) fn unwritten(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.unwritten)
    }

    /// Forgets the descriptors without closing them: the host has closed them, and the numbers may be its own now.
    pub(super) fn lose(&mut self) {
        std::mem::forget(std::mem::take(&mut self.readers));
        if let Some(extra) = &mut self.extra {
            extra.outputs.iter_mut().for_each(|other| std::mem::forget(other.reader.take()));
            extra.inputs.drain(..).for_each(std::mem::forget);
            extra.watchers.lose();
            std::mem::forget(extra.contained.as_mut().and_then(|contained| contained.cgroup.take()));
        }
    }
}

/// Makes sure that a large read fits. If memory is short, the oldest part of the capture is given up for the newest.
fn has_room(filling: &mut Filling, capture: &mut Capture, pool: &Arc<Pool>) -> bool {
    if filling.room() >= LARGE_READ {
        return true;
    }
    loop {
        if let Some(next) = Filling::new(pool) {
            *filling = next;
            return true;
        }
        if !capture.give_up_block() {
            return false;
        }
    }
}
