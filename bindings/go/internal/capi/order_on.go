//go:build race

package capi

import (
	"os"
	"syscall"
)

// What a program did before it wrote to a descriptor happens before what it does after it has read from one: so the
// race detector is told by package syscall, which cannot know who is at the other end. Where the library reads and
// writes, nobody tells it: a check would race with who asked for it over HTTP, and a handler with who wrote what its
// process answers. So it is told here, by a Write and a Read of nothing.

// sent says that what happened up to now happens before what follows from what is written.
func sent() {
	// This is no descriptor, and package syscall speaks before it tries.
	_, _ = syscall.Write(-1, nil)
}

// received says that what was read comes after what made somebody write it.
func received() {
	// This one has to succeed.
	_, _ = syscall.Read(nothing, make([]byte, 1))
}

var nothing = func() int {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}()
