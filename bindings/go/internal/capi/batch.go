package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// EventKind says what happened.
type EventKind uint32

// The kinds of events. Ignore a kind that is not in this list.
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

// Batch holds some consecutive events of one process. It must be closed: until then the process gets no further batch
// and, once its queue is full, its output is not read.
type Batch struct {
	handle[*C.coreproc_batch]
	id     uint64
	run    uint64 // the run that the process belongs to, or 0
	spec   int    // index of its spec in that run
	events *C.coreproc_event
	count  int
	stride int
	next   int

	data  string  // data of the events from next on, and the bytes that may lie between them
	last  uintptr // end of the data, in C, of the event before next
	event Event   // the event that Next returned last
}

// newBatch copies the payload of a batch into one piece of Go memory.
func newBatch(pointer *C.coreproc_batch, events *C.coreproc_event, count, stride int) *Batch {
	batch := &Batch{events: events, count: count, stride: stride}
	batch.own(pointer, func(p *C.coreproc_batch) { C.coreproc_batch_free(p) })
	if count > 0 {
		batch.id = uint64(events.process_id)
		batch.run = uint64(events.run_id)
		batch.spec = int(events.spec)
	}
	batch.data = batch.payload()
	return batch
}

// payload copies the data of all events. Usually they lie side by side, or with the "\n" of a line between them, so
// that one copy is enough.
func (b *Batch) payload() string {
	size, last := 0, uintptr(0)
	for i := range b.count {
		event := b.at(i)
		if event.len > 0 {
			size += gap(event, last) + int(event.len)
			last = end(event)
		}
	}
	if size == 0 {
		return ""
	}
	// A Builder's memory is not zeroed first.
	var data strings.Builder
	data.Grow(size)
	var run *C.uint8_t
	length := 0
	last = 0
	for i := range b.count {
		event := b.at(i)
		switch {
		case event.len == 0:
			continue
		case run != nil && uintptr(unsafe.Pointer(event.data)) == last+uintptr(gap(event, last)):
			length += gap(event, last) + int(event.len)
		default:
			data.WriteString(unsafe.String((*byte)(run), length))
			run, length = event.data, int(event.len)
		}
		last = end(event)
	}
	data.WriteString(unsafe.String((*byte)(run), length))
	return data.String()
}

// gap returns 1 if exactly one byte lies between the last data and those of the event, else 0.
func gap(event *C.coreproc_event, last uintptr) int {
	if last != 0 && uintptr(unsafe.Pointer(event.data)) == last+1 {
		return 1
	}
	return 0
}

// end returns the address at which the data of an event end.
func end(event *C.coreproc_event) uintptr {
	return uintptr(unsafe.Pointer(event.data)) + uintptr(event.len)
}

func (b *Batch) at(i int) *C.coreproc_event {
	return (*C.coreproc_event)(unsafe.Add(unsafe.Pointer(b.events), i*b.stride))
}

// ProcessID returns the ID of the process that the events belong to.
func (b *Batch) ProcessID() uint64 { return b.id }

// Run returns the ID of the run that the events belong to, its own events or those of one of its processes; 0 if there is
// none.
func (b *Batch) Run() uint64 { return b.run }

// Spec returns the index of the spec whose process it is. It has a meaning only for processes of a run.
func (b *Batch) Spec() int { return b.spec }

// Started returns the time of the first event. In the first batch of a process that is the time of its start.
func (b *Batch) Started() time.Time {
	defer runtime.KeepAlive(b)
	if b.Left() == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(b.at(0).realtime_ns))
}

// Process returns the process that the events belong to, even if it is closed. It returns ErrNotFound for a run's own
// events.
func (b *Batch) Process() (*Process, error) {
	pointer, err := b.acquire()
	if err != nil {
		return nil, err
	}
	defer b.release()
	var process *C.coreproc_process
	var cerr *C.coreproc_error
	if err := check(C.coreproc_batch_process(pointer, &process, &cerr), cerr); err != nil {
		return nil, err
	}
	return newProcess(process), nil
}

// Left returns how many events Next has not returned yet; 0 once the batch is closed.
func (b *Batch) Left() int {
	if b.closed.Load() {
		return 0
	}
	return b.count - b.next
}

// Next returns the next event, in order; nil after the last, and once the batch is closed. The event is valid until Next is
// called again; its Data stay valid.
func (b *Batch) Next() *Event {
	if b.Left() == 0 {
		return nil
	}
	event := b.at(b.next)
	b.next++
	data := ""
	if event.len > 0 {
		start := gap(event, b.last)
		stop := start + int(event.len)
		data, b.data = b.data[start:stop], b.data[stop:]
		b.last = end(event)
	}
	b.event = Event{
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
	runtime.KeepAlive(b)
	return &b.event
}
