package engine

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"dappco.re/go/core/process/internal/capi"
)

// table finds the receivers of the events of a service's processes and runs. Events can come before the start they
// belong to has returned: the table owns such batches until their receiver becomes known, or no start is left that
// could make one known. Its methods may be called by several goroutines at once.
type table[R any] struct {
	mu       sync.Mutex
	starting int                      // starts under way
	known    map[uint64]R             // receivers by the id of their process or run
	early    map[uint64][]*capi.Batch // batches by the id that may become known
	failed   error                    // why no more events come, or nil
}

func newTable[R any]() table[R] {
	return table[R]{known: make(map[uint64]R), early: make(map[uint64][]*capi.Batch)}
}

// Begin says that a start is under way, until End: batches without a receiver are kept.
func (t *table[R]) Begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starting++
}

// End says that a start is over: its receiver was added, or it failed.
func (t *table[R]) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starting--
	if t.starting == 0 {
		// A start that failed may have left events, which no receiver will ask for.
		t.discard()
	}
}

// discard closes the batches that are kept. The caller holds t.mu.
func (t *table[R]) discard() {
	for _, batches := range t.early {
		for _, batch := range batches {
			batch.Close()
		}
	}
	clear(t.early)
}

// Add makes a receiver known and returns the batches that came before it. If no more events will come, it returns the
// reason instead.
func (t *table[R]) Add(id uint64, to R) ([]*capi.Batch, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		return nil, t.failed
	}
	t.known[id] = to
	early := t.early[id]
	delete(t.early, id)
	return early, nil
}

// Remove makes a receiver unknown, and reports whether it was known. The caller that removes a receiver, or gets it from
// fail, ends it; so each receiver ends once.
func (t *table[R]) Remove(id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.known[id]
	delete(t.known, id)
	return known
}

// Err says why no more events come, or returns nil.
func (t *table[R]) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// route finds the receiver of a batch: that of its process, else that of its run. If there is none, the table keeps the
// batch.
func (t *table[R]) route(batch *capi.Batch) (to R, known bool) {
	process := batch.ProcessID()
	first := cmp.Or(batch.Run(), process) // the id that has to become known
	t.mu.Lock()
	defer t.mu.Unlock()
	to, known = t.known[process]
	if !known {
		to, known = t.known[first]
	}
	switch {
	case known:
	case t.starting > 0:
		t.early[first] = append(t.early[first], batch)
	default:
		// It belongs to a start that failed, or to a receiver that was removed.
		batch.Close()
	}
	return to, known
}

// fail says that no more events will come, and why. It removes the receivers that are left and returns them.
func (t *table[R]) fail(cause error) []R {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = cause
	left := slices.Collect(maps.Values(t.known))
	clear(t.known)
	t.discard()
	return left
}
