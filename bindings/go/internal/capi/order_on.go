//go:build race

package capi

import (
	"os"
	"syscall"
)

// Package syscall tells the race detector that what a program did before it wrote to a descriptor happens before what
// it does after it has read from one, whatever is at the other end. If the library reads and writes, the race detector
// is not told: a check would race with the goroutine that asked for it over HTTP, and a handler with the goroutine that
// wrote what its process answers. So this file tells it, by a Write and a Read of nothing.

// sent says that what happened up to now happens before all that follows from the data that are written.
func sent() {
	// This is no descriptor. Package syscall tells the race detector before it tries to write.
	_, _ = syscall.Write(-1, nil)
}

// received says that what follows happens after all that came before the data that were read were written.
func received() {
	// Package syscall tells the race detector only if this succeeds.
	_, _ = syscall.Read(nothing, make([]byte, 1))
}

var nothing = func() int {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}()
