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
	Sequence  uint64 // from 1 for each process, without gaps; lines that were read together share one
	Monotonic uint64 // nanoseconds
	Realtime  uint64 // nanoseconds
	PID       int
	ExitCode  int            // of EventExited and EventClosed, else -1
	Signal    syscall.Signal // of EventExited and EventClosed, else 0
	Cause     Cause          // of EventExited and EventClosed, else CauseNone
	Data      string         // lines that were read together share memory; strings.Clone frees one from the others
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

	lines bool   // output is given line by line
	rest  string // lines of the event that Next returned last, which Next returns one by one
	event Event  // the event that Next returned last
}

func newBatch(pointer *C.coreproc_batch, events *C.coreproc_event, count, stride int, lines bool) *Batch {
	batch := &Batch{events: events, count: count, stride: stride, lines: lines}
	batch.own(pointer, func(p *C.coreproc_batch) { C.coreproc_batch_free(p) })
	if count > 0 {
		batch.id = uint64(events.process_id)
		batch.run = uint64(events.run_id)
		batch.spec = int(events.spec)
	}
	return batch
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
	return newProcess(process, b.id), nil
}

// Left returns how many events the library gave that Next has not returned to their end; 0 once the batch is closed.
func (b *Batch) Left() int {
	switch {
	case b.closed.Load():
		return 0
	case b.rest != "":
		return b.count - b.next + 1
	default:
		return b.count - b.next
	}
}

// Next returns the next event, in order; nil after the last, and once the batch is closed. The event is valid until Next is
// called again; its Data stay valid.
func (b *Batch) Next() *Event {
	if b.closed.Load() {
		return nil
	}
	if b.rest != "" {
		b.event.Data, b.rest, _ = strings.Cut(b.rest, "\n")
		return &b.event
	}
	if b.next == b.count {
		return nil
	}
	event := b.at(b.next)
	b.next++
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
		Data:      goText(event.data, event.len),
	}
	runtime.KeepAlive(b)
	if b.lines && b.event.isOfWholeLines() {
		b.event.Data, b.rest, _ = strings.Cut(b.event.Data, "\n")
	}
	return &b.event
}

// isOfWholeLines reports whether the data are one or more lines, each with its "\n".
func (e *Event) isOfWholeLines() bool {
	isOutput := e.Kind == EventStdout || e.Kind == EventStderr
	return isOutput && e.Flags&(FlagPartial|FlagNoNewline) == 0
}
