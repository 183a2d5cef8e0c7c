//! Reading what a child writes, from when its outputs report it until they end.

use std::sync::Arc;

use super::slot::Slot;
use super::{Child, Inner};
use crate::event::Stream;
use crate::process::reader::{Next, Reader};
use crate::runtime::lock;
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::{Stamp, monotonic_ns};
use crate::sys::poller::Interest;
use crate::sys::space::Bytes;

/// Reads of one output before others get their turn.
const READS_AT_ONCE: usize = 16;

impl Child {
    /// Looks at each pipe once before the poller has them.
    pub(super) fn read_early(self: &Arc<Self>, inner: &mut Inner, buffer: &mut ReadBuffer) {
        for index in inner.outputs.indices() {
            if !matches!(inner.outputs.reader(index), Some(Reader::Pipe(_))) {
                continue;
            }
            match inner.outputs.read(index, false, buffer, self.reactor().blocks()) {
                Next::Data { bytes, .. } => self.accept(inner, index, &bytes),
                Next::Empty => {}
                Next::End => self.output_ended(inner, index),
            }
        }
    }

    /// Has the loop report the outputs.
    pub(super) fn watch_outputs(&self, inner: &mut Inner) -> std::result::Result<(), i32> {
        for index in inner.outputs.indices() {
            let token = Slot::of_output(index).token(self.id);
            match inner.outputs.reader(index) {
                Some(Reader::Pipe(pipe)) => {
                    self.reactor().poller.watch(&pipe.fd, token, Interest::Readable)?;
                    pipe.watched = true;
                }
                Some(Reader::Spool(spool)) => {
                    spool.watch = Some(self.reactor().follow(&spool.file, token)?);
                    // Writes before the watch are not reported.
                    spool.due = true;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Reads an output until it is empty, ends, or is to be paused. With `hang_up` it reads on after a short read,
    /// because no further edge will tell of the end. A hang-up without input is no end yet: the kernel looks at a
    /// pipe's bytes first and at its writers then, without a lock, so a last write may have come in between.
    pub(super) fn read(self: &Arc<Self>, inner: &mut Inner, index: usize, hang_up: bool, buffer: &mut ReadBuffer) {
        for _ in 0..READS_AT_ONCE {
            if inner.outputs.is_paused() {
                return inner.outputs.trim_spool(index);
            }
            match inner.outputs.read(index, inner.life.has_ended(), buffer, self.reactor().blocks()) {
                Next::Data { bytes, more } => {
                    self.accept(inner, index, &bytes);
                    if !more && !hang_up {
                        return;
                    }
                }
                Next::Empty => return,
                Next::End => return self.output_ended(inner, index),
            }
        }
        // Other outputs get their turn; what is left is reported again.
        self.reread(inner, index);
    }

    /// Reads the spools that are to be looked at again.
    pub(super) fn read_due_spools(self: &Arc<Self>, inner: &mut Inner, buffer: &mut ReadBuffer) {
        for index in 0..2 {
            if inner.outputs.reader(index).is_some_and(Reader::take_due) {
                self.read(inner, index, true, buffer);
            }
        }
    }

    /// Reads, at the drain bound, what the pipes hold now, and not what comes meanwhile.
    pub(super) fn read_what_is_held(self: &Arc<Self>, inner: &mut Inner, buffer: &mut ReadBuffer) {
        for index in inner.outputs.indices() {
            let mut left = inner.outputs.reader(index).map_or(0, |reader| reader.holds());
            loop {
                match inner.outputs.read(index, true, buffer, self.reactor().blocks()) {
                    Next::Data { bytes, .. } => {
                        left = left.saturating_sub(bytes.len());
                        self.accept(inner, index, &bytes);
                        if left == 0 {
                            break;
                        }
                    }
                    Next::Empty => break,
                    Next::End => {
                        self.output_ended(inner, index);
                        break;
                    }
                }
            }
        }
    }

    /// Has an output that was not read to its end reported again.
    pub(super) fn reread(&self, inner: &mut Inner, index: usize) {
        match inner.outputs.reader(index) {
            Some(Reader::Pipe(pipe)) => {
                let token = Slot::of_output(index).token(self.id);
                self.reactor().poller.rearm(&pipe.fd, token, Interest::Readable);
            }
            Some(Reader::Spool(spool)) => spool.due = true,
            None => {}
        }
    }

    /// Reads on, because the queues have room again; the drain bound's times shift by how long they had none.
    pub(super) fn go_on_reading(&self, inner: &mut Inner) {
        let Some(paused) = inner.outputs.end_pause() else { return };
        let now = monotonic_ns();
        inner.life.stood_still(paused, now);
        inner.outputs.watchdog().into_iter().for_each(|watchdog| watchdog.stood_still(paused, now));
        for index in inner.outputs.indices() {
            self.reread(inner, index);
        }
    }

    fn accept(self: &Arc<Self>, inner: &mut Inner, index: usize, bytes: &Bytes<'_>) {
        if inner.life.is_closed() {
            return inner.outputs.discard(bytes.len() as u64);
        }
        let now = Stamp::now();
        inner.life.heard(now.monotonic_ns);
        if let Some(count) = inner.outputs.counts.get_mut(index) {
            *count += bytes.len() as u64;
        }
        self.watch_output(inner, bytes.len() as u64, now.monotonic_ns);
        inner.outputs.capture_of(index).write(bytes);
        let stream = inner.outputs.stream_at(index);
        if inner.audience.tell_output(&self.sender(inner), stream, bytes, now) {
            inner.outputs.pause(now.monotonic_ns);
        }
        if inner.outputs.should_share(index) && (inner.outputs.capture.can_share() || inner.audience.can_share()) {
            inner.outputs.share(self.reactor().blocks());
        }
    }

    /// Closes our end of an output.
    pub(crate) fn close_output(self: &Arc<Self>, stream: Stream) {
        let mut inner = lock(&self.inner);
        if let Some(index) = inner.outputs.index_of(stream) {
            self.end_output(&mut inner, index);
        }
        self.finish(inner);
    }

    /// Closes our end of an output that may still be written to.
    pub(super) fn end_output(&self, inner: &mut Inner, index: usize) {
        if inner.outputs.reader(index).is_some_and(|reader| reader.terminal().is_some()) {
            self.end_typing(inner);
        }
        if let Some(Reader::Pipe(pipe)) = inner.outputs.reader(index)
            && pipe.watched
        {
            // A child between clone and exec may hold a copy, which would go on reporting.
            self.reactor().poller.forget(&pipe.fd);
        }
        self.output_ended(inner, index);
    }

    /// Closes our end of an output that is at its end. The poller need not forget a pipe, because nothing more comes.
    fn output_ended(&self, inner: &mut Inner, index: usize) {
        let Some(reader) = inner.outputs.take_reader(index) else { return };
        match &reader {
            Reader::Spool(spool) => spool.watch.into_iter().for_each(|watch| self.reactor().unfollow(watch)),
            // A process may open a terminal again for as long as a child between clone and exec holds a copy.
            Reader::Pipe(pipe) if pipe.watched && reader.terminal().is_some() => self.reactor().poller.forget(&pipe.fd),
            Reader::Pipe(_) => {}
        }
        drop(reader);
        if inner.life.is_closed() && inner.is_drained() {
            self.owner.drained(self.id);
        }
    }
}
