//! Reading what a child writes, from when its outputs report it until they end.

use std::sync::Arc;

use super::{Child, Inner, Rest, Slot};
use crate::event::Stream;
use crate::process::output::{Next, Output};
use crate::runtime::Handler;
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::Stamp;
use crate::sys::poller::Interest;

/// Reads of one output before others get their turn.
const READS_AT_ONCE: usize = 16;

impl Child {
    /// One read of what is there.
    pub(super) fn read_once(self: &Arc<Self>, inner: &mut Inner, index: usize, buffer: &mut ReadBuffer) {
        match read_output(inner, index, false, buffer) {
            Next::Data { bytes, .. } => self.accept(inner, index, bytes),
            Next::Empty => {}
            Next::End => self.end_output(inner, index),
        }
    }

    /// Reads an output until it is empty, ends, or is to be paused. With `hang_up` also past a short read,
    /// because no further edge will tell of the end. A hang-up without input is no end yet: the kernel looks at a
    /// pipe's bytes first and at its writers then, without a lock, so a last write may have come in between.
    pub(super) fn read(self: &Arc<Self>, inner: &mut Inner, index: usize, hang_up: bool, buffer: &mut ReadBuffer) {
        for _ in 0..READS_AT_ONCE {
            if inner.paused_since.is_some() {
                self.trim_spool(inner, index);
                return;
            }
            if inner.outputs[index].is_none() {
                return;
            }
            let leader_ended = inner.has_ended();
            match read_output(inner, index, leader_ended, buffer) {
                Next::Data { bytes, more } => {
                    self.accept(inner, index, bytes);
                    if !more && !hang_up {
                        return;
                    }
                }
                Next::Empty => return,
                Next::End => return self.end_output(inner, index),
            }
        }
        // Others get their turn; what is left reports itself again.
        self.reread(inner, index);
    }

    /// At the drain bound: what the pipes hold now, and not what comes meanwhile.
    pub(super) fn read_what_is_held(self: &Arc<Self>, inner: &mut Inner, buffer: &mut ReadBuffer) {
        for index in 0..inner.outputs.len() {
            let mut left = inner.outputs[index].as_ref().map_or(0, Output::holds);
            while inner.outputs[index].is_some() {
                match read_output(inner, index, true, buffer) {
                    Next::Data { bytes, .. } => {
                        left = left.saturating_sub(bytes.len());
                        self.accept(inner, index, bytes);
                        if left == 0 {
                            break;
                        }
                    }
                    Next::Empty => break,
                    Next::End => {
                        self.end_output(inner, index);
                        break;
                    }
                }
            }
        }
    }

    /// Has an output report again that was not read to its end.
    pub(super) fn reread(&self, inner: &mut Inner, index: usize) {
        match &inner.outputs[index] {
            Some(Output::Pipe(pipe)) => {
                let token = Slot::of_stream(index).token(self.id);
                self.supervisor.reactor().poller.rearm(&pipe.fd, token, Interest::Readable);
            }
            Some(Output::Spool(_)) => inner.spool_due = true,
            None => {}
        }
    }

    fn trim_spool(&self, inner: &mut Inner, index: usize) {
        if let Some(output) = &mut inner.outputs[index] {
            output.trim();
            let lost = output.take_lost();
            inner.discarded = inner.discarded.saturating_add(lost);
        }
    }

    fn accept(self: &Arc<Self>, inner: &mut Inner, index: usize, bytes: &[u8]) {
        if inner.is_closed() {
            inner.discarded = inner.discarded.saturating_add(bytes.len() as u64);
            return;
        }
        inner.counts[index] += bytes.len() as u64;
        let now = Stamp::now();
        if let Some(Rest::Draining { quiet_since, .. }) = inner.rest_mut() {
            *quiet_since = now.monotonic_ns;
        }
        inner.capture.write(bytes);
        let stream = if index == 0 { Stream::Stdout } else { Stream::Stderr };
        let sender = self.sender(inner);
        let mut full = false;
        for feed in &inner.feeds {
            full |= feed.push_output(&sender, stream, bytes, now);
        }
        if full && inner.paused_since.is_none() {
            inner.paused_since = Some(now.monotonic_ns);
        }
    }

    pub(super) fn end_output(&self, inner: &mut Inner, index: usize) {
        match &inner.outputs[index] {
            Some(Output::Pipe(pipe)) if inner.watched => self.supervisor.reactor().poller.forget(&pipe.fd),
            Some(Output::Pipe(_)) => {}
            Some(Output::Spool(spool)) => {
                if let Some(watch) = spool.watch {
                    self.supervisor.unfollow(watch);
                }
            }
            None => return,
        }
        let _ended = inner.outputs[index].take();
        if inner.is_closed() && inner.outputs.iter().all(Option::is_none) {
            self.supervisor.child_drained(self.id);
        }
    }
}

/// One read, with what it found to be lost counted, whatever else it brought.
fn read_output<'a>(inner: &mut Inner, index: usize, leader_ended: bool, buffer: &'a mut ReadBuffer) -> Next<'a> {
    let Some(output) = &mut inner.outputs[index] else { return Next::Empty };
    let next = output.read(leader_ended, buffer);
    inner.discarded = inner.discarded.saturating_add(output.take_lost());
    next
}
