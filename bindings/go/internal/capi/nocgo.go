//go:build !cgo

package capi

// The library needs cgo. Without it this package has no other file, and the error of the compiler here says what to do.
const _ = coreproc_needs_cgo_and_a_C_compiler__set_CGO_ENABLED_1
