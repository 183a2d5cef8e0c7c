package process

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"dappco.re/go/core/process/internal/capi"
)

// hub brings the events of a service's processes to them.
//
// The way of an event: one goroutine, the pump, takes batches, and in doing so reads pipes, reaps children and runs
// timeouts, so nothing moves without it: it calls nobody who may block. A goroutine for each batch hands it to the
// handlers. The library gives out one batch of a process at a time and goes on when that is closed: that
// keeps the messages of a process in order, holds up a process whose handler is slow, and nobody else.
//
// A hub knows the processes that run and nothing of its service: so a service that nobody reaches any more
// can be freed, which ends the stream of events after those of its last process, and the pump with it.
type hub struct {
	events *capi.Subscription

	mu       sync.Mutex
	starting int                        // starts under way, of processes and of runs
	known    map[uint64]*ManagedProcess // may receive events
	early    map[uint64]*capi.Batch     // events of processes that may become known
	runs     map[uint64]*liveRun        // their processes become known by their first events
	broken   error                      // no more events
}

func newHub(events *capi.Subscription) *hub {
	h := &hub{
		events: events,
		known:  make(map[uint64]*ManagedProcess),
		early:  make(map[uint64]*capi.Batch),
		runs:   make(map[uint64]*liveRun),
	}
	go h.pump()
	return h
}

func (h *hub) pump() {
	for {
		batch, err := h.events.Next()
		if err != nil {
			h.lose(err)
			break
		}
		if process := h.route(batch); process != nil {
			h.dispatch(process, batch)
		}
	}
	h.events.Close()
}

// route finds the process of a batch. When its start, or that of its run, may still be under way, the batch is put
// aside, and there can be no second one.
func (h *hub) route(batch *capi.Batch) *ManagedProcess {
	id := batch.ProcessID()
	if id == batch.Run() {
		// A run's own events say nothing that its result does not.
		batch.Close()
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if process := h.known[id]; process != nil {
		return process
	}
	if run := h.runs[batch.Run()]; run != nil {
		return h.adopt(run, batch)
	}
	if h.starting == 0 {
		// Of a process whose start has failed.
		batch.Close()
		return nil
	}
	h.early[id] = batch
	return nil
}

// begin says that something is about to start; know, join or giveUp follows.
func (h *hub) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starting++
}

// giveUp says that it did not start.
func (h *hub) giveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started()
}

// started ends what begin began, with h locked.
func (h *hub) started() {
	h.starting--
	if h.starting > 0 {
		return
	}
	// A start that failed may have left events, and nobody will ever ask for them.
	for _, batch := range h.early {
		batch.Close()
	}
	clear(h.early)
}

// adopt makes a process of a run known, with h locked.
func (h *hub) adopt(run *liveRun, batch *capi.Batch) *ManagedProcess {
	process := run.adopt(batch)
	if process == nil {
		batch.Close()
		return nil
	}
	h.known[batch.ProcessID()] = process
	return process
}

// join lets the events of a run's processes pass.
func (h *hub) join(id uint64, run *liveRun) {
	h.mu.Lock()
	h.runs[id] = run
	broken := h.broken
	var adopted []*ManagedProcess
	var batches []*capi.Batch
	for process, batch := range h.early {
		if batch.Run() != id {
			continue
		}
		delete(h.early, process)
		if process := h.adopt(run, batch); process != nil {
			adopted, batches = append(adopted, process), append(batches, batch)
		}
	}
	h.started()
	h.mu.Unlock()
	if broken != nil {
		run.lose(broken)
	}
	for i, process := range adopted {
		h.dispatch(process, batches[i])
	}
}

// leave forgets a run that is over.
func (h *hub) leave(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.runs, id)
}

// know lets the events of a process pass, once its start was broadcast.
func (h *hub) know(process *ManagedProcess) {
	id := process.handle.ID()
	h.mu.Lock()
	h.known[id] = process
	batch := h.early[id]
	delete(h.early, id)
	h.started()
	broken := h.broken
	h.mu.Unlock()
	if broken != nil {
		h.abandon(process, broken)
	} else if batch != nil {
		h.dispatch(process, batch)
	}
}

func (h *hub) dispatch(process *ManagedProcess, batch *capi.Batch) {
	if process.core == nil {
		h.deliver(process, batch)
	} else {
		go h.deliverAll(process, batch)
	}
}

// deliverAll goes on with the process's next batch while there is one at once: without a detour by the pump.
func (h *hub) deliverAll(process *ManagedProcess, batch *capi.Batch) {
	for batch != nil {
		h.deliver(process, batch)
		batch = nil
		next, err := h.events.Look()
		if err != nil {
			return // nothing, or something that the pump finds, too
		}
		if of := h.route(next); of == process {
			batch = next
		} else if of != nil {
			h.dispatch(of, next)
		}
	}
}

// deliver hands the events of a batch to the handlers.
func (h *hub) deliver(process *ManagedProcess, batch *capi.Batch) {
	process.turn.Lock()
	over := false
	defer func() {
		process.turn.Unlock()
		if !over {
			// The program ends of a handler's panic: the process must not end first, and the program by itself.
			if cause := recover(); cause != nil {
				panic(cause)
			}
		}
		if batch.Left() > 0 {
			// A handler has ended this goroutine, as t.FailNow does: the rest is not lost.
			go h.deliverAll(process, batch)
			return
		}
		batch.Close()
	}()
	for event := batch.Next(); event != nil; event = batch.Next() {
		switch event.Kind {
		case capi.EventStarted:
			if process.unannounced {
				process.announceStart()
			}
		case capi.EventStdout:
			process.broadcast(ActionProcessOutput{ID: process.info.ID, Line: line(event), Stream: StreamStdout})
		case capi.EventStderr:
			process.broadcast(ActionProcessOutput{ID: process.info.ID, Line: line(event), Stream: StreamStderr})
		case capi.EventClosed:
			h.finish(process, event)
		}
	}
	over = true
}

// line is the text of a line; "\r" is part of its end only where there was an end.
func line(event *capi.Event) string {
	if event.Flags&(capi.FlagPartial|capi.FlagNoNewline) != 0 {
		return event.Data
	}
	return strings.TrimSuffix(event.Data, "\r")
}

// finish is the regular end of a process.
func (h *hub) finish(process *ManagedProcess, event *capi.Event) {
	if h.drop(event.ProcessID) {
		process.closed(event)
		process.announceEnd()
	}
}

// abandon is the end of a process whose events were lost.
func (h *hub) abandon(process *ManagedProcess, cause error) {
	if h.drop(process.handle.ID()) {
		process.lost(cause)
		process.announceEnd()
	}
}

// drop makes a process unknown again, and says whether it was known: one end alone comes to pass.
func (h *hub) drop(id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.known[id]
	delete(h.known, id)
	return known
}

// lose abandons the processes that are left when no more events will come. At the end of the stream there
// are none: if there are, or it was not the end, the library has failed.
func (h *hub) lose(cause error) {
	h.mu.Lock()
	if len(h.known)+len(h.early)+len(h.runs)+h.starting > 0 || !errors.Is(cause, capi.ErrClosed) {
		h.broken = cause
	}
	known := slices.Collect(maps.Values(h.known))
	early := slices.Collect(maps.Values(h.early))
	clear(h.early)
	runs := slices.Collect(maps.Values(h.runs))
	h.mu.Unlock()
	for _, run := range runs {
		run.lose(cause)
	}
	for _, batch := range early {
		batch.Close()
	}
	for _, process := range known {
		go h.abandon(process, cause)
	}
}
