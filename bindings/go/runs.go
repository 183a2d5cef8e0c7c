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

// start starts a run with r locked, so that cancel finds every run that has started a process.
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

// cancel kills the processes of the runs, and skips the specs that have not started.
func (r *runs) cancel() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failures []error
	for run := range r.active {
		failures = append(failures, run.Cancel())
	}
	return errors.Join(failures...)
}
