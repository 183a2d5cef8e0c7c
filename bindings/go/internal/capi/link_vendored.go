//go:build coreproc_vendor && !coreproc_tree

package capi

// make go-vendor puts the header and the library into the directory vendored. The libraries after that one are those that
// Rust's standard library needs; the linker leaves out what this system's C library contains. The unwinder becomes part of
// the program, which otherwise would need libgcc_s.so.1 when it starts. The directory unvendored has a header that says
// what to do if the library is not vendored: without it the compiler would take a header that is installed, perhaps of
// another version.

// #cgo CFLAGS: -I${SRCDIR}/vendored -I${SRCDIR}/unvendored
// #cgo LDFLAGS: ${SRCDIR}/vendored/libcoreproc.a -static-libgcc -lutil -lrt -lpthread -lm -ldl
import "C"

import (
	_ "dappco.re/go/core/process/internal/capi/unvendored"
	_ "dappco.re/go/core/process/internal/capi/vendored"
)
