//go:build coreproc_vendor && !coreproc_tree

package capi

// make go-vendor puts header and library there. The libraries after it are those that Rust's standard library
// needs; the linker leaves out what this system's C library holds itself.

// #cgo CFLAGS: -I${SRCDIR}/vendored
// #cgo LDFLAGS: ${SRCDIR}/vendored/libcoreproc.a -lutil -lrt -lpthread -lm -ldl
import "C"
