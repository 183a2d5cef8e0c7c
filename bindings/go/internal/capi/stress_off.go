//go:build !coreproc_gcstress

package capi

func stress() {}
