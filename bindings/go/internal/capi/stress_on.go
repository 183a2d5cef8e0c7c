//go:build coreproc_gcstress

package capi

import "runtime"

// stress runs the garbage collector before and after every call of the library: what only seems to be held
// is gone by then.
func stress() { runtime.GC() }
