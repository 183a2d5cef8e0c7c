package run

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/signals"
)

// ExitError makes the *ExitError of package process, which sets it: that package imports this one.
var ExitError func(code int, signal syscall.Signal) error

// Error is a command that ran and failed.
type Error struct {
	Line   string
	Code   int            // -1 unless it exited by itself
	Signal syscall.Signal // 0 unless a signal ended it
	Done   error          // of the context that had it killed, or nil
	Cause  error          // joined: how it ended, what else failed
}

func (e *Error) Error() string {
	switch {
	case e.Signal != 0 && e.Done != nil:
		return fmt.Sprintf("command %q was killed by %s: %v", e.Line, signals.Name(e.Signal), e.Done)
	case e.Signal != 0:
		return fmt.Sprintf("command %q was killed by %s", e.Line, signals.Name(e.Signal))
	case e.Code > 0:
		return fmt.Sprintf("command %q failed with exit code %d", e.Line, e.Code)
	default:
		return fmt.Sprintf("command %q failed: %v", e.Line, e.Cause)
	}
}

// Unwrap gives the causes.
func (e *Error) Unwrap() []error {
	if e.Done == nil {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.Done}
}

// StartError is a command that could not be started.
type StartError struct {
	Line  string
	Cause error
}

func (e *StartError) Error() string {
	return fmt.Sprintf("command %q failed to start: %v", e.Line, e.Cause)
}

// Unwrap adds os/exec's word for an unknown program to the cause, but not for a missing folder.
func (e *StartError) Unwrap() []error {
	var failure *capi.Error
	if errors.As(e.Cause, &failure) && failure.Result == capi.ErrNotFound &&
		(failure.Stage == "exec" || failure.Stage == "lookup") {
		return []error{e.Cause, exec.ErrNotFound}
	}
	return []error{e.Cause}
}
