//go:build !coreproc_tree && !coreproc_vendor

package capi

// #cgo pkg-config: coreproc
import "C"
