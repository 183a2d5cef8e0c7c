package capi

import (
	"runtime"
	"sync/atomic"
)

// external has the garbage collector run for memory that it does not see: C memory that Go objects own. As with
// Go's own heap, it runs when that has doubled.
var external struct {
	held    atomic.Int64 // now
	settled atomic.Int64 // after the last collection
	running atomic.Bool
}

// externalLeast is how much may be held for which no collection is worth its while.
const externalLeast = 64 << 20

// holding says that C memory was taken (or, with a negative size, given back) for a Go object.
func holding(bytes int64) {
	held := external.held.Add(bytes)
	if bytes < 0 {
		// Cleanups run some time after the collection that found them.
		if settled := external.settled.Load(); held < settled {
			external.settled.CompareAndSwap(settled, held)
		}
		return
	}
	settled := external.settled.Load()
	limit := max(settled, externalLeast)
	switch more := held - settled; {
	case more > 2*limit:
		// Memory is taken faster than it is found to be free: whoever takes it waits.
		runtime.GC()
	case more > limit && external.running.CompareAndSwap(false, true):
		go func() {
			runtime.GC()
			external.settled.Store(external.held.Load())
			external.running.Store(false)
		}()
	}
}
