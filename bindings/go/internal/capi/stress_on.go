//go:build coreproc_gcstress

package capi

import "runtime"

// stress runs the garbage collector before and after every call of the library, which frees what the call uses if no
// reference holds it.
func stress() { runtime.GC() }
