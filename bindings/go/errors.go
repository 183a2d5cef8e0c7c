package process

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
)

// Errors that errors.Is finds in what this package returns.
var (
	ErrProcessNotRunning = errors.New("process is not running")
	ErrStdinNotAvailable = errors.New("stdin is not available")
	ErrContextRequired   = errors.New("context is required")
)

var (
	errCommandRequired = errors.New("command is required")
	errServiceShutDown = errors.New("service is shut down")
)

// ExitError is how a process ended that did not succeed; errors.As finds it in the error of Wait.
type ExitError struct {
	code     int
	signal   syscall.Signal
	timedOut bool
}

// ExitCode is the exit code, or -1 if a signal ended the process or the kernel would not tell.
func (e *ExitError) ExitCode() int { return e.code }

// Signal is the signal that ended the process, or 0 if it exited by itself.
func (e *ExitError) Signal() syscall.Signal { return e.signal }

// TimedOut says whether the process was ended by its timeout.
func (e *ExitError) TimedOut() bool { return e.timedOut }

func (e *ExitError) Error() string {
	switch {
	case e.signal != 0 && e.timedOut:
		return fmt.Sprintf("process was killed by %s after its timeout", signalName(e.signal))
	case e.signal != 0:
		return fmt.Sprintf("process was killed by %s", signalName(e.signal))
	case e.code < 0:
		return "process ended: exit status unknown"
	default:
		return fmt.Sprintf("process exited with code %d", e.code)
	}
}

// startError is why a process could not be started.
type startError struct{ cause error }

func (e *startError) Error() string { return "process failed to start: " + e.cause.Error() }

// Unwrap adds os/exec's word for an unknown program to the cause.
func (e *startError) Unwrap() []error {
	if errors.Is(e.cause, capi.ErrNotFound) {
		return []error{e.cause, exec.ErrNotFound}
	}
	return []error{e.cause}
}

// translate adds the words of this package to an error of the library.
func translate(err error) error {
	switch {
	case errors.Is(err, capi.ErrNotRunning):
		return fmt.Errorf("%w: %w", ErrProcessNotRunning, err)
	case errors.Is(err, capi.ErrStdinClosed):
		return fmt.Errorf("%w: %w", ErrStdinNotAvailable, err)
	default:
		return err
	}
}
