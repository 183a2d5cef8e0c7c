package process

import (
	"strings"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/route"
)

// hub brings the events of a service's processes to them.
//
// The way of an event: one goroutine, the pump, takes batches, and in doing so reads pipes, reaps children and runs
// timeouts: it calls nobody who may block. With a Core, a goroutine hands a batch to the handlers and looks for the
// next one, which does the same work; it goes on with that if it is of the same process, else gives it a goroutine of
// its own. Without a Core there are no handlers. The library gives out one batch of a process at a time and goes on when
// that is closed: that keeps the messages of a process in order, holds up a process whose handler is slow, and
// nobody else.
//
// A hub knows the processes that run and nothing of its service: so a service that nobody reaches any more
// can be freed, which ends the stream of events after those of its last process, and the pump with it.
type hub struct {
	*route.Table[receiver]
	events *capi.Subscription
}

// receiver is a *ManagedProcess, or a *liveRun, which gets the first events of each of its processes.
type receiver interface {
	lose(cause error) // no more will come
}

func newHub(events *capi.Subscription) *hub {
	h := &hub{route.NewTable[receiver](), events}
	go h.pump()
	return h
}

func (h *hub) pump() {
	for {
		batch, err := h.events.Next()
		if err != nil {
			// At the end of the stream nobody is left: if somebody is, the library has failed.
			for _, left := range h.Break(err) {
				go left.lose(err)
			}
			h.events.Close()
			return
		}
		h.bring(batch)
	}
}

// know ends a start: the events of what was started pass from now on. Of a process they wait until its start was
// broadcast.
func (h *hub) know(id uint64, to receiver) {
	early, err := h.Add(id, to)
	h.End()
	if err != nil {
		to.lose(err)
	}
	for _, batch := range early {
		h.bring(batch)
	}
}

func (h *hub) bring(batch *capi.Batch) {
	if process := h.processOf(batch); process != nil {
		h.dispatch(process, batch)
	}
}

// processOf finds the process of a batch; without one, the batch is not the caller's any more.
func (h *hub) processOf(batch *capi.Batch) *ManagedProcess {
	if batch.ProcessID() == batch.Run() {
		// A run's own events say nothing that its result does not.
		batch.Close()
		return nil
	}
	switch to := h.Route(batch).(type) {
	case *ManagedProcess:
		return to
	case *liveRun:
		return h.adopt(to, batch)
	}
	return nil
}

// adopt makes the process of a run known whose first batch this is: until that is closed, there is no second one.
func (h *hub) adopt(run *liveRun, batch *capi.Batch) *ManagedProcess {
	process := run.adopt(batch)
	if process == nil {
		batch.Close()
		return nil
	}
	if _, err := h.Add(batch.ProcessID(), process); err != nil {
		batch.Close()
		process.lose(err)
		return nil
	}
	return process
}

func (h *hub) dispatch(process *ManagedProcess, batch *capi.Batch) {
	if process.core == nil {
		h.deliver(process, batch, 0)
	} else {
		go h.deliverAll(process, batch)
	}
}

// deliverAll goes on with the process's next batch while there is one at once: without a detour by the pump.
func (h *hub) deliverAll(process *ManagedProcess, batch *capi.Batch) {
	me := self()
	for batch != nil {
		h.deliver(process, batch, me)
		batch = nil
		next, err := h.events.Look()
		if err != nil {
			return // nothing, or something that the pump finds, too
		}
		if of := h.processOf(next); of == process {
			batch = next
		} else if of != nil {
			h.dispatch(of, next)
		}
	}
}

// deliver hands the events of a batch to the handlers, on this goroutine.
func (h *hub) deliver(process *ManagedProcess, batch *capi.Batch, me goroutine) {
	process.turn.enter(me)
	over := false
	defer func() {
		process.turn.leave()
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
		if process.turn.isWanted() {
			process.turn.leave()
			process.turn.enter(me)
		}
		if process.facts.gone {
			batch.Close() // its end was broadcast
			break
		}
		switch event.Kind {
		case capi.EventStarted:
			if before := process.beforeStart; before != nil {
				process.beforeStart = nil // it holds the whole run
				before()
				process.announceStart()
			}
		case capi.EventStdout:
			process.broadcast(ActionProcessOutput{ID: process.facts.id, Line: line(event), Stream: StreamStdout})
		case capi.EventStderr:
			process.broadcast(ActionProcessOutput{ID: process.facts.id, Line: line(event), Stream: StreamStderr})
		case capi.EventClosed:
			if h.Remove(event.ProcessID) {
				process.closed(event)
			}
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
