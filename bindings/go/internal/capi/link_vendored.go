//go:build coreproc_vendor && !coreproc_tree

package capi

// make go-vendor puts header and library there. The libraries after it are those that Rust's standard library
// needs; the linker leaves out what this system's C library holds itself. The unwinder becomes part of the program,
// which otherwise would need libgcc_s.so.1 when it starts. In unvendored is a header that says what to do where
// nothing is vendored, instead of one that is installed somewhere and may be another.

// #cgo CFLAGS: -I${SRCDIR}/vendored -I${SRCDIR}/unvendored
// #cgo LDFLAGS: ${SRCDIR}/vendored/libcoreproc.a -static-libgcc -lutil -lrt -lpthread -lm -ldl
import "C"

import (
	_ "dappco.re/go/core/process/internal/capi/unvendored"
	_ "dappco.re/go/core/process/internal/capi/vendored"
)
