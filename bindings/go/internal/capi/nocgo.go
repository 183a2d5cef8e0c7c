//go:build !cgo

package capi

// The library is C: without cgo this package has no other file, and the compiler says here what to do.
const _ = coreproc_needs_cgo_and_a_C_compiler__set_CGO_ENABLED_1
