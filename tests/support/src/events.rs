//! Events taken from a subscription, kept and checked.

use super::GUARDED;
use coreproc::{Event, EventKind, Stream, Subscription};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub struct Kept {
    pub kind: EventKind,
    pub process_id: u64,
    pub pid: i32,
    pub sequence: u64,
    pub monotonic_ns: u64,
    pub lost: bool,
    pub data: Vec<u8>,
}

impl Kept {
    pub fn of(event: &Event<'_>) -> Kept {
        Kept {
            kind: event.kind,
            process_id: event.process_id,
            pid: event.pid,
            sequence: event.sequence,
            monotonic_ns: event.time.monotonic_ns,
            lost: event.lost,
            data: event.data.to_vec(),
        }
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.kind, EventKind::Closed { .. })
    }

    pub fn is_exited(&self) -> bool {
        matches!(self.kind, EventKind::Exited(_))
    }
}

pub type Log = BTreeMap<u64, Vec<Kept>>;

/// Takes until `n` processes are closed.
#[track_caller]
pub fn until_closed(subscription: &Subscription, n: usize) -> Log {
    let mut log = Log::new();
    let mut closed = 0;
    while closed < n {
        let batch = subscription.take(0, GUARDED).expect("events");
        for event in batch.events() {
            let kept = Kept::of(&event);
            closed += usize::from(kept.is_closed());
            log.entry(kept.process_id).or_default().push(kept);
        }
    }
    log
}

/// Checks that `Started` comes first, the sequence has no gaps, one exit and one end come, and nothing comes after it.
#[track_caller]
pub fn assert_whole(events: &[Kept]) {
    let id = events[0].process_id;
    assert!(matches!(events[0].kind, EventKind::Started), "process {id} begins with {:?}", events[0]);
    for (i, event) in events.iter().enumerate() {
        assert_eq!(event.sequence, i as u64 + 1, "process {id}");
        assert_eq!(event.process_id, id);
    }
    let times: Vec<u64> = events.iter().map(|e| e.monotonic_ns).collect();
    assert!(times.is_sorted(), "process {id}: the clock goes back: {times:?}");
    assert_eq!(events.iter().filter(|e| e.is_exited()).count(), 1, "process {id}");
    assert_eq!(events.iter().filter(|e| e.is_closed()).count(), 1, "process {id}");
    assert!(events[events.len() - 1].is_closed(), "process {id}");
}

/// Returns all payload of a stream in order, chunk by chunk.
pub fn bytes_of(events: &[Kept], of: Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        if matches!(event.kind, EventKind::Output { stream, .. } if stream == of) {
            bytes.extend_from_slice(&event.data);
        }
    }
    bytes
}

/// Returns a stream's lines, put together from their pieces; the newline is part of those that had one.
pub fn lines_of(events: &[Kept], of: Stream) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut open = false;
    for event in events {
        let EventKind::Output { stream, partial, unterminated } = event.kind else { continue };
        assert!(!event.lost);
        if stream != of {
            continue;
        }
        line.extend_from_slice(&event.data);
        open = partial;
        if !partial {
            if !unterminated {
                line.push(b'\n');
            }
            lines.push(std::mem::take(&mut line));
        }
    }
    assert!(!open, "a partial piece was the last of its stream");
    lines
}

/// Returns how many pieces each line came in.
pub fn pieces_of(events: &[Kept], of: Stream) -> Vec<Vec<usize>> {
    let mut lines = vec![vec![]];
    for event in events {
        let EventKind::Output { stream, partial, .. } = event.kind else { continue };
        if stream == of {
            lines.last_mut().expect("one").push(event.data.len());
            if !partial {
                lines.push(vec![]);
            }
        }
    }
    lines.pop();
    lines
}
