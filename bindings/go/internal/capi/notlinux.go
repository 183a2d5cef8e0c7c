//go:build !linux

package capi

// The library is for Linux. On other systems the error of the compiler here says so.
const _ = coreproc_is_for_Linux_alone
