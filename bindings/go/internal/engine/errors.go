package engine

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
)

// End says how a process that did not succeed ended.
type End struct {
	Code     int            // exit code; -1 if a signal ended the process or the kernel would not tell
	Signal   syscall.Signal // signal that ended the process, or 0
	TimedOut bool           // the timeout of the process ended it
	Cause    error          // error of the context that killed the process, or nil
}

// Exit is an End as an error. Package process has the type that callers see, ExitError, which is defined as this one: a
// conversion turns one into the other, also in package exec. The End is in a field that callers cannot reach.
type Exit struct{ end End }

// NewExit makes an Exit.
func NewExit(end End) *Exit { return &Exit{end} }

// End returns how the process ended.
func (e *Exit) End() End { return e.end }

func (e *Exit) Error() string {
	switch end := &e.end; {
	case end.Signal != 0 && end.Cause != nil:
		return "process was killed: " + end.Cause.Error()
	case end.Signal != 0:
		return "process was killed"
	case end.Code < 0:
		return "exit status unknown"
	default:
		return fmt.Sprintf("process exited with code %d", end.Code)
	}
}

// StartCauses returns the errors that errors.Is finds in the error of a start that failed: the cause, and
// exec.ErrNotFound of os/exec if the program is unknown. A missing directory or interpreter is not an unknown program.
func StartCauses(cause error) []error {
	var failure *capi.Error
	if errors.As(cause, &failure) && failure.Result == capi.ErrNotFound &&
		(failure.Stage == "exec" || failure.Stage == "lookup") {
		return []error{cause, exec.ErrNotFound}
	}
	return []error{cause}
}
