package process

import (
	"errors"
	"sync"

	"dappco.re/go/core/process/internal/capi"
)

// liveRun is a run of the library that is under way. It makes each process that the run starts a process of the service,
// when the first events of that process come.
type liveRun struct {
	service *Service
	specs   []RunSpec
	mode    capi.RunMode
	indices map[string]int // of the specs by their names

	mu        sync.Mutex
	changed   sync.Cond               // L is &mu
	processes map[int]*ManagedProcess // by the index of their spec
	latest    *ManagedProcess         // the one that was adopted last
	absent    map[int]bool            // specs that could not be started
	lost      error                   // why no more processes will come, or nil
}

func newLiveRun(service *Service, specs []RunSpec, mode capi.RunMode) *liveRun {
	run := &liveRun{
		service: service, specs: specs, mode: mode,
		processes: make(map[int]*ManagedProcess, len(specs)), absent: make(map[int]bool),
	}
	run.changed.L = &run.mu
	if mode == capi.RunAll {
		run.indices = make(map[string]int, len(specs))
		for index, spec := range specs {
			run.indices[spec.Name] = index
		}
	}
	return run
}

// receive makes the process of a first batch known. Until the batch is closed, the process has no second one.
func (r *liveRun) receive(feed *feed, batch *capi.Batch) {
	if batch.ProcessID() == batch.Run() {
		// The run's own events say nothing that its result does not.
		batch.Close()
		return
	}
	process := r.adopt(batch)
	if process == nil {
		batch.Close()
		return
	}
	if _, err := feed.Add(batch.ProcessID(), process); err != nil {
		batch.Close()
		process.lose(err)
		return
	}
	process.receive(feed, batch)
}

// adopt makes the process whose first events these are.
func (r *liveRun) adopt(batch *capi.Batch) *ManagedProcess {
	handle, err := batch.Process()
	if err != nil {
		r.lose(err)
		return nil
	}
	process := r.newProcess(batch.Spec())
	process.StartedAt = batch.Started()
	process.facts.startedAt = process.StartedAt
	process.started(handle, handle.PID())
	r.mu.Lock()
	defer r.mu.Unlock()
	process.beforeStart = r.predecessors(process, batch.Spec())
	r.service.add(process)
	r.processes[batch.Spec()] = process
	r.latest = process
	r.changed.Broadcast()
	return process
}

// predecessors returns a function that waits until the handlers have heard the end of each process that had to end before
// this one; the start of this one is broadcast after that. The library does not wait for handlers. The caller holds r.mu.
func (r *liveRun) predecessors(process *ManagedProcess, spec int) func() {
	latest := r.latest
	switch {
	case process.listeners == nil || r.mode == capi.RunParallel:
		return func() {}
	case r.mode == capi.RunSequential:
		return func() {
			if latest != nil {
				<-latest.Done()
			}
		}
	default:
		return func() { r.awaitDependencies(spec, make(map[int]bool)) }
	}
}

func (r *liveRun) awaitDependencies(spec int, seen map[int]bool) {
	for _, name := range r.specs[spec].After {
		before := r.indices[name]
		if seen[before] {
			continue
		}
		seen[before] = true
		if process := r.started(before); process != nil {
			<-process.Done()
		} else {
			r.awaitDependencies(before, seen)
		}
	}
}

// started returns the process of a spec that has ended, nil if it could not be started. Its first events are taken
// before those of the specs after it, but the goroutine that took them may not have adopted it yet.
func (r *liveRun) started(spec int) *ManagedProcess {
	var process *ManagedProcess
	known := poll(func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		process = r.processes[spec]
		return process != nil || r.absent[spec]
	})
	if !known {
		r.lack(spec)
	}
	return process
}

// lack says that a spec has no process.
func (r *liveRun) lack(spec int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.absent[spec] = true
}

func (r *liveRun) newProcess(spec int) *ManagedProcess {
	return newProcess(r.service.lastID.Add(1), optionsOf(r.specs[spec]), capi.ScopeGroup, r.service.listeners())
}

// finish waits until all events of a spec were broadcast. If its process could not be started, finish adds one that failed
// to the service, as Start does.
func (r *liveRun) finish(spec int, end capi.SpecResult, failure error) error {
	// Even a process that could not be watched may have events.
	if end.Ran() || r.process(spec) != nil {
		return r.wait(spec)
	}
	var start *startError
	if !errors.As(failure, &start) {
		return nil
	}
	process := r.newProcess(spec)
	process.failed(start.cause)
	r.service.add(process)
	process.announceEnd()
	return nil
}

func (r *liveRun) process(spec int) *ManagedProcess {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.processes[spec]
}

// wait waits until the process of a spec that was started has ended and its output was broadcast.
func (r *liveRun) wait(spec int) error {
	r.mu.Lock()
	for r.processes[spec] == nil && r.lost == nil {
		r.changed.Wait()
	}
	process, lost := r.processes[spec], r.lost
	r.mu.Unlock()
	if process == nil {
		return lost
	}
	<-process.Done()
	return nil
}

// lose says that no more processes will come.
func (r *liveRun) lose(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = cause
	r.changed.Broadcast()
}
