package process

import (
	"syscall"

	"dappco.re/go/core/process/internal/run"
)

// The errors of package exec have an ExitError of this package in them. internal/run makes them, which this package
// imports: so it is given what makes one.
func init() {
	run.ExitError = func(code int, signal syscall.Signal) error { return &ExitError{code: code, signal: signal} }
}
