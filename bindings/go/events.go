package process

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"dappco.re/go/core/process/internal/capi"
)

// The way of an event: one goroutine, the pump, takes batches; a goroutine for each batch hands it to
// the handler. The library gives out one batch of a process at a time and goes on when that is closed:
// that keeps the messages of a process in order, holds up a process whose handler is slow, and nobody
// else.

func (s *Service) pump() {
	defer close(s.ended)
	for {
		batch, err := s.events.Next()
		if err != nil {
			s.lose(err)
			break
		}
		if process := s.route(batch); process != nil {
			s.dispatch(process, batch)
		}
	}
	s.events.Close()
}

// route finds the process of a batch. When its start is still under way, the batch is put aside, and
// there can be no second one.
func (s *Service) route(batch *capi.Batch) *ManagedProcess {
	id := batch.ProcessID()
	s.mu.Lock()
	defer s.mu.Unlock()
	process := s.known[id]
	if process == nil {
		s.early[id] = batch
	}
	return process
}

// know lets the events of a process pass, once its start was announced.
func (s *Service) know(process *ManagedProcess) {
	id := process.core.ID()
	s.mu.Lock()
	s.known[id] = process
	batch := s.early[id]
	delete(s.early, id)
	broken := s.broken
	s.mu.Unlock()
	if broken != nil {
		s.abandon(process, broken)
	} else if batch != nil {
		s.dispatch(process, batch)
	}
}

func (s *Service) dispatch(process *ManagedProcess, batch *capi.Batch) {
	if s.handle == nil {
		s.deliver(process, batch)
	} else {
		go s.deliver(process, batch)
	}
}

// deliver hands the events of a batch to the handler. It reads info.ID, which nobody writes: callers may
// write to the field ID.
func (s *Service) deliver(process *ManagedProcess, batch *capi.Batch) {
	defer batch.Close()
	for event := range batch.Events() {
		switch event.Kind {
		case capi.EventStdout:
			s.announce(ActionProcessOutput{ID: process.info.ID, Line: line(event), Stream: StreamStdout})
		case capi.EventStderr:
			s.announce(ActionProcessOutput{ID: process.info.ID, Line: line(event), Stream: StreamStderr})
		case capi.EventClosed:
			s.finish(process, event)
		}
	}
}

// line is the text of a line; "\r" is part of its end only where there was an end.
func line(event capi.Event) string {
	if event.Flags&(capi.FlagPartial|capi.FlagNoNewline) != 0 {
		return event.Data
	}
	return strings.TrimSuffix(event.Data, "\r")
}

// finish is the regular end of a process.
func (s *Service) finish(process *ManagedProcess, event capi.Event) {
	if s.drop(event.ProcessID) {
		process.closed(event)
		s.announceEnd(process)
		s.leave()
	}
}

// abandon is the end of a process whose events were lost.
func (s *Service) abandon(process *ManagedProcess, cause error) {
	if s.drop(process.core.ID()) {
		process.lost(cause)
		s.announceEnd(process)
		s.leave()
	}
}

// drop makes a process unknown again, and says whether it was known: one end alone comes to pass.
func (s *Service) drop(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.known[id]
	delete(s.known, id)
	return known
}

// lose abandons the processes that are left when no more events will come. At the end of the stream there
// are none: if there are, or it was not the end, the library has failed.
func (s *Service) lose(cause error) {
	s.mu.Lock()
	if len(s.known) > 0 || len(s.early) > 0 || !errors.Is(cause, capi.ErrClosed) {
		s.broken = cause
	}
	known := slices.Collect(maps.Values(s.known))
	early := slices.Collect(maps.Values(s.early))
	clear(s.early)
	s.mu.Unlock()
	for _, batch := range early {
		batch.Close()
	}
	for _, process := range known {
		go s.abandon(process, cause)
	}
}
