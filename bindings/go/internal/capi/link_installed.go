//go:build !coreproc_tree

package capi

// #cgo pkg-config: coreproc
import "C"
