package process

import (
	"syscall"

	"dappco.re/go/core/process/internal/engine"
)

// ExitError tells how a process that did not succeed ended; errors.As finds it in the errors of Wait and Run.
type ExitError engine.Exit

func newExitError(end engine.End) *ExitError { return (*ExitError)(engine.NewExit(end)) }

func (e *ExitError) end() engine.End { return (*engine.Exit)(e).End() }

// ExitCode returns the exit code, or -1 if a signal ended the process or the kernel would not tell.
func (e *ExitError) ExitCode() int { return e.end().Code }

// Signal returns the signal that ended the process, or 0 if it exited by itself.
func (e *ExitError) Signal() syscall.Signal { return e.end().Signal }

// TimedOut reports whether the process was ended by its timeout.
func (e *ExitError) TimedOut() bool { return e.end().TimedOut }

// Unwrap returns the error of the context that killed the process, or nil.
func (e *ExitError) Unwrap() error { return e.end().Cause }

func (e *ExitError) Error() string { return (*engine.Exit)(e).Error() }
