package run

import (
	"fmt"
	"syscall"

	"dappco.re/go/core/process/internal/engine"
)

// Error is the error of a command that ran and failed.
type Error struct {
	Line   string
	Code   int            // -1 unless it exited by itself
	Signal syscall.Signal // 0 unless a signal ended it
	Done   error          // error of the context that had it killed, or nil
	Cause  error          // how it ended and what else failed, joined
}

func (e *Error) Error() string {
	switch {
	case e.Signal != 0 && e.Done != nil:
		return fmt.Sprintf("command %q was killed by %s: %v", e.Line, engine.SignalName(e.Signal), e.Done)
	case e.Signal != 0:
		return fmt.Sprintf("command %q was killed by %s", e.Line, engine.SignalName(e.Signal))
	case e.Code > 0:
		return fmt.Sprintf("command %q failed with exit code %d", e.Line, e.Code)
	default:
		return fmt.Sprintf("command %q failed: %v", e.Line, e.Cause)
	}
}

// Unwrap returns the causes.
func (e *Error) Unwrap() []error {
	if e.Done == nil {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.Done}
}

// StartError is the error of a command that could not be started.
type StartError struct {
	Line  string
	Cause error
}

func (e *StartError) Error() string {
	return fmt.Sprintf("command %q failed to start: %v", e.Line, e.Cause)
}

// Unwrap adds os/exec's error for an unknown program to the cause.
func (e *StartError) Unwrap() []error { return engine.StartCauses(e.Cause) }
