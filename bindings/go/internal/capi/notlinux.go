//go:build !linux

package capi

// The library is for Linux, and the compiler says so here.
const _ = coreproc_is_for_Linux_alone
