package process

import (
	"syscall"

	"dappco.re/go/core/process/internal/run"
)

// Package exec tells how a command ended in this package's words, and the other way round it would be a cycle.
func init() {
	run.ExitError = func(code int, signal syscall.Signal) error { return &ExitError{code: code, signal: signal} }
}
