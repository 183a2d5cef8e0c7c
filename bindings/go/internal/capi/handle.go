package capi

import (
	"runtime"
	"sync/atomic"
)

// handle owns a C handle, whose pointer type is P. It is embedded in the Go type of that handle.
//
// A call takes the pointer by acquire and gives it back by release. That counts the calls under
// way, so Close does not free the handle during a call, and it keeps the Go object reachable until the
// call has returned, so the garbage collector does not free it either.
type handle[P any] struct {
	pointer P
	free    func(P)
	refs    atomic.Int32 // one for the owner, until Close, and one for each call under way
	closed  atomic.Bool
	cleanup runtime.Cleanup
}

func (h *handle[P]) own(pointer P, free func(P)) {
	h.pointer, h.free = pointer, free
	h.refs.Store(1)
	h.cleanup = runtime.AddCleanup(h, free, pointer)
}

// acquire returns the pointer for one call, or ErrClosed.
func (h *handle[P]) acquire() (P, error) {
	var none P
	stress()
	if h.closed.Load() {
		return none, ErrClosed
	}
	for {
		refs := h.refs.Load()
		if refs == 0 {
			return none, ErrClosed
		}
		if h.refs.CompareAndSwap(refs, refs+1) {
			return h.pointer, nil
		}
	}
}

func (h *handle[P]) release() {
	stress()
	if h.refs.Add(-1) == 0 {
		h.free(h.pointer)
	}
	runtime.KeepAlive(h)
}

// Close frees the handle once the calls under way have returned. It does not wait for them, and may be called again.
func (h *handle[P]) Close() {
	if h.closed.CompareAndSwap(false, true) {
		h.cleanup.Stop()
		h.release()
	}
}
