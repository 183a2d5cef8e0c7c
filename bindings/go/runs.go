package process

import (
	"errors"
	"sync"

	"dappco.re/go/core/process/internal/capi"
)

// runs are the runs of a service that are under way.
type runs struct {
	mu     sync.Mutex
	active map[*capi.Run]struct{}
}

// start starts a run with r locked, so that cancel finds every run that has started anything.
func (r *runs) start(start func() (*capi.Run, error)) (*capi.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, err := start()
	if err != nil {
		return nil, err
	}
	if r.active == nil {
		r.active = make(map[*capi.Run]struct{})
	}
	r.active[run] = struct{}{}
	return run, nil
}

func (r *runs) remove(run *capi.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.active, run)
}

// cancel kills what runs, and skips the rest.
func (r *runs) cancel() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failures []error
	for run := range r.active {
		failures = append(failures, run.Cancel())
	}
	return errors.Join(failures...)
}

// liveRun makes the processes that a run of the library starts processes of the service, when their first events
// come.
type liveRun struct {
	service *Service
	specs   []RunSpec
	mode    capi.RunMode
	indices map[string]int // of the specs by their names

	mu        sync.Mutex
	changed   sync.Cond // L is &mu
	processes map[int]*ManagedProcess
	latest    *ManagedProcess // of these
	absent    map[int]bool    // specs that could not be started
	lost      error           // no more will come
}

func newLiveRun(service *Service, specs []RunSpec, mode capi.RunMode) *liveRun {
	run := &liveRun{
		service: service, specs: specs, mode: mode, processes: make(map[int]*ManagedProcess, len(specs)), absent: make(map[int]bool),
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
	process.started(handle)
	r.mu.Lock()
	defer r.mu.Unlock()
	process.beforeStart = r.predecessors(process, batch.Spec())
	r.service.add(process)
	r.processes[batch.Spec()] = process
	r.latest = process
	r.changed.Broadcast()
	return process
}

// predecessors gives what waits, before the start of a process is broadcast, until all is handled that those have said
// which had to end before it: the library has not waited for the handlers. r is locked.
func (r *liveRun) predecessors(process *ManagedProcess, spec int) func() {
	latest := r.latest
	switch {
	case process.core == nil || r.mode == capi.RunParallel:
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

// started gives the process of a spec that has ended, nil for one that could not be started. Its first events are taken
// before those of its followers, but by a goroutine that may just be about to adopt it.
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

// finish waits until all of a spec was broadcast. One that could not be started has a process, too, as with Start.
func (r *liveRun) finish(spec int, core capi.SpecResult, failure error) error {
	// One that could not be watched may have been seen all the same.
	if core.Ran() || r.process(spec) != nil {
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

// wait waits until the process of a spec, which there is, has ended and its output was broadcast.
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

func (r *liveRun) lose(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = cause
	r.changed.Broadcast()
}
