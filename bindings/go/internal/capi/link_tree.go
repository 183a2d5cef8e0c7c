//go:build coreproc_tree

package capi

// #cgo CFLAGS: -I${SRCDIR}/../../../../include
// #cgo LDFLAGS: -L${SRCDIR}/../../../../target/release -lcoreproc -Wl,-rpath,${SRCDIR}/../../../../target/release
import "C"
