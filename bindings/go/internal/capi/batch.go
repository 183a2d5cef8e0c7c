package capi

/*
#include <coreproc.h>

#cgo noescape coreproc_batch_free
#cgo nocallback coreproc_batch_free
*/
import "C"

import (
	"iter"
	"syscall"
	"unsafe"
)

// EventKind says what happened.
type EventKind uint32

// The kinds of events. A kind that is not in this list is to be ignored.
const (
	EventStarted EventKind = C.COREPROC_EVENT_STARTED
	EventStdout  EventKind = C.COREPROC_EVENT_STDOUT
	EventStderr  EventKind = C.COREPROC_EVENT_STDERR
	EventExited  EventKind = C.COREPROC_EVENT_EXITED
	EventClosed  EventKind = C.COREPROC_EVENT_CLOSED
)

// Event is something that happened to a process.
type Event struct {
	Kind      EventKind
	Flags     Flags
	ProcessID uint64
	Sequence  uint64 // from 1 for each process, without gaps
	Monotonic uint64 // nanoseconds
	Realtime  uint64 // nanoseconds
	PID       int
	ExitCode  int            // of EventExited and EventClosed, else -1
	Signal    syscall.Signal // of EventExited and EventClosed, else 0
	Cause     Cause          // of EventExited and EventClosed, else CauseNone
	Data      string         // shares memory with the other events of its batch; strings.Clone frees one from the others
}

// Batch is some consecutive events of one process. That process gets no further batch until this
// one is closed, and once its queue is full, its output is not read: so it must be closed.
type Batch struct {
	handle[*C.coreproc_batch]
	events *C.coreproc_event
	count  int
	stride int
	data   string // of all events, one after another
}

// newBatch copies the payload of a batch into one piece of Go memory.
func newBatch(pointer *C.coreproc_batch, events *C.coreproc_event, count, stride int) *Batch {
	batch := &Batch{events: events, count: count, stride: stride}
	batch.own(pointer, func(p *C.coreproc_batch) { C.coreproc_batch_free(p) })
	size := 0
	for i := range count {
		size += int(batch.at(i).len)
	}
	if size > 0 {
		data := make([]byte, 0, size)
		for i := range count {
			event := batch.at(i)
			data = append(data, unsafe.Slice((*byte)(event.data), int(event.len))...)
		}
		batch.data = unsafe.String(unsafe.SliceData(data), len(data))
	}
	return batch
}

func (b *Batch) at(i int) *C.coreproc_event {
	return (*C.coreproc_event)(unsafe.Add(unsafe.Pointer(b.events), i*b.stride))
}

// Len is the number of events.
func (b *Batch) Len() int { return b.count }

// ProcessID is whose events these are; 0 once the batch is closed.
func (b *Batch) ProcessID() uint64 {
	if _, err := b.acquire(); err != nil || b.count == 0 {
		return 0
	}
	defer b.release()
	return uint64(b.at(0).process_id)
}

// Events gives the events in order; none once the batch is closed.
func (b *Batch) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		if _, err := b.acquire(); err != nil {
			return
		}
		defer b.release()
		rest := b.data
		for i := range b.count {
			event := b.at(i)
			data := rest[:int(event.len)]
			rest = rest[len(data):]
			if !yield(newEvent(event, data)) {
				return
			}
		}
	}
}

func newEvent(event *C.coreproc_event, data string) Event {
	return Event{
		Kind:      EventKind(event.kind),
		Flags:     Flags(event.flags),
		ProcessID: uint64(event.process_id),
		Sequence:  uint64(event.sequence),
		Monotonic: uint64(event.monotonic_ns),
		Realtime:  uint64(event.realtime_ns),
		PID:       int(event.pid),
		ExitCode:  int(event.exit_code),
		Signal:    syscall.Signal(event.signal),
		Cause:     Cause(event.cause),
		Data:      data,
	}
}
