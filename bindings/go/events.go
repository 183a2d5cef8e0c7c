package process

import (
	"strings"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// This file brings events from the feed of a service to the handlers of its Core.
//
// The pump of the feed calls no handler, because handlers may block. Without a Core there are none, and the pump itself
// handles a batch. With a Core a goroutine hands the batch to the handlers and then looks for the next one: it goes on
// with that if it belongs to the same process, else the feed brings it to its receiver.

// feed brings the events of a service's processes to them.
type feed = engine.Feed[receiver]

// receiver is a *ManagedProcess, or a *liveRun, which receives the first events of each of its processes.
type receiver interface {
	// receive handles the events of a batch, and has it closed when they are handled. It does not block.
	receive(feed *feed, batch *capi.Batch)
	// lose says that no more events will come.
	lose(cause error)
}

func (p *ManagedProcess) receive(feed *feed, batch *capi.Batch) {
	if p.listeners == nil {
		p.deliver(feed, batch, 0)
	} else {
		go p.deliverAll(feed, batch)
	}
}

// deliverAll delivers a batch, and goes on with the next batch of the process while there is one at once.
func (p *ManagedProcess) deliverAll(feed *feed, batch *capi.Batch) {
	me := self()
	for batch != nil {
		p.deliver(feed, batch, me)
		batch = feed.More(p)
	}
}

// deliver hands the events of a batch to the handlers, on this goroutine.
func (p *ManagedProcess) deliver(feed *feed, batch *capi.Batch, me goroutine) {
	p.turn.enter(me)
	over := false
	defer func() {
		p.turn.leave()
		if !over {
			// The panic of a handler ends the program: this process must not be reported as ended before that.
			if cause := recover(); cause != nil {
				panic(cause)
			}
		}
		if batch.Left() > 0 {
			// A handler has ended this goroutine, as t.FailNow does. Another one delivers the rest.
			go p.deliverAll(feed, batch)
			return
		}
		batch.Close()
	}()
	for event := batch.Next(); event != nil; event = batch.Next() {
		if p.turn.isWanted() {
			p.turn.leave()
			p.turn.enter(me)
		}
		if p.facts.gone {
			batch.Close() // its end was broadcast
			break
		}
		p.handleEvent(feed, event)
	}
	over = true
}

func (p *ManagedProcess) handleEvent(feed *feed, event *capi.Event) {
	switch event.Kind {
	case capi.EventStarted:
		if before := p.beforeStart; before != nil {
			p.beforeStart = nil // it holds the whole run
			before()
			p.announceStart()
		}
	case capi.EventStdout:
		p.broadcast(ActionProcessOutput{ID: p.facts.id, Line: line(event), Stream: StreamStdout})
	case capi.EventStderr:
		p.broadcast(ActionProcessOutput{ID: p.facts.id, Line: line(event), Stream: StreamStderr})
	case capi.EventClosed:
		if feed.Remove(event.ProcessID) {
			p.closed(event)
		}
	}
}

// broadcast calls the handlers of the Core, on this goroutine. The caller has the turn.
func (p *ManagedProcess) broadcast(message core.Message) {
	if p.listeners != nil {
		p.listeners.ACTION(message)
	}
}

// line returns the text of a line. "\r" is part of the end of a line only if the line has an end.
func line(event *capi.Event) string {
	if event.Flags&(capi.FlagPartial|capi.FlagNoNewline) != 0 {
		return event.Data
	}
	return strings.TrimSuffix(event.Data, "\r")
}
