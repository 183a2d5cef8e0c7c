// Package route finds the receivers of events, for the pumps that take these in batches.
package route

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"dappco.re/go/core/process/internal/capi"
)

// Table says who receives the events of a service's processes and runs. Events can come before the start they are of
// has returned: the table owns batches until their receiver becomes known, or nobody is left who could be. R is the
// type of the receivers.
type Table[R any] struct {
	mu       sync.Mutex
	starting int                      // starts under way
	known    map[uint64]R             // by the id of a process or run
	early    map[uint64][]*capi.Batch // by the id that may become known
	broken   error                    // no more events
}

// NewTable is a table without receivers.
func NewTable[R any]() *Table[R] {
	return &Table[R]{known: make(map[uint64]R), early: make(map[uint64][]*capi.Batch)}
}

// Begin says that a start is under way, until End: batches without a receiver are kept.
func (t *Table[R]) Begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starting++
}

// End says that a start is over: what it started was added, or it failed.
func (t *Table[R]) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starting--
	if t.starting == 0 {
		// A start that failed may have left events, and nobody will ever ask for them.
		t.discard()
	}
}

// discard closes the batches that are kept, with t locked.
func (t *Table[R]) discard() {
	for _, batches := range t.early {
		for _, batch := range batches {
			batch.Close()
		}
	}
	clear(t.early)
}

// Add makes a receiver known and gives it the batches that came before it. Once the table is broken, it gives the
// cause instead: no event will come.
func (t *Table[R]) Add(id uint64, to R) ([]*capi.Batch, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken != nil {
		return nil, t.broken
	}
	t.known[id] = to
	early := t.early[id]
	delete(t.early, id)
	return early, nil
}

// Route gives the receiver of a batch: that of its process, else that of its run. If there is none, it gives the zero
// R, and the batch is the table's.
func (t *Table[R]) Route(batch *capi.Batch) R {
	process := batch.ProcessID()
	first := cmp.Or(batch.Run(), process) // who has to become known
	t.mu.Lock()
	defer t.mu.Unlock()
	to, known := t.known[process]
	if !known {
		to, known = t.known[first]
	}
	switch {
	case known:
	case t.starting > 0:
		t.early[first] = append(t.early[first], batch)
	default:
		// Of a start that failed, or of a receiver that was removed.
		batch.Close()
	}
	return to
}

// Remove makes a receiver unknown, and says whether it was known. Who removes it, or gets it from Break, ends it: one
// end alone comes to pass.
func (t *Table[R]) Remove(id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.known[id]
	delete(t.known, id)
	return known
}

// Break says that no more events will come, and why. It removes the receivers that are left and returns them.
func (t *Table[R]) Break(cause error) []R {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = cause
	left := slices.Collect(maps.Values(t.known))
	clear(t.known)
	t.discard()
	return left
}

// Broken is what Break was told, or nil.
func (t *Table[R]) Broken() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}
