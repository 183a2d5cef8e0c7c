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
	ErrProcessNotFound       = errors.New("process not found")
	ErrProcessNotRunning     = errors.New("process is not running")
	ErrStdinNotAvailable     = errors.New("stdin is not available")
	ErrContextRequired       = errors.New("context is required")
	ErrServiceNotInitialized = errors.New("service is not initialized")
	ErrSetDefaultNil         = errors.New("default service must not be nil")

	ErrProgramNotFound        = errors.New("program not found")
	ErrProgramContextRequired = fmt.Errorf("program: %w", ErrContextRequired)
	ErrProgramNameRequired    = errors.New("program: name is required")

	ErrDaemonContextRequired = fmt.Errorf("daemon: %w", ErrContextRequired)

	ErrRunnerNoService             = errors.New("runner: service is required")
	ErrRunnerContextRequired       = fmt.Errorf("runner: %w", ErrContextRequired)
	ErrRunnerInvalidSpecName       = errors.New("runner: invalid spec name")
	ErrRunnerInvalidDependencyName = errors.New("runner: invalid dependency name")
)

var (
	errCommandRequired = errors.New("command is required")
	errKillGroup       = errors.New("KillGroup requires Detach")
	errStillRunning    = errors.New("process is running")
	// Callers look for either half of this.
	errNotStarted = errors.New("process failed to start: failed to start process")
)

// ServiceError is an error that prints as "message: err" and unwraps to err, which may be nil.
func ServiceError(message string, err error) error {
	if err == nil {
		return errors.New(message)
	}
	return fmt.Errorf("%s: %w", message, err)
}

// ExitError is how a process ended that did not succeed; errors.As finds it in what Wait and Run return.
type ExitError struct {
	code     int
	signal   syscall.Signal
	timedOut bool
	cause    error
}

// ExitCode is the exit code, or -1 if a signal ended the process or the kernel would not tell.
func (e *ExitError) ExitCode() int { return e.code }

// Signal is the signal that ended the process, or 0 if it exited by itself.
func (e *ExitError) Signal() syscall.Signal { return e.signal }

// TimedOut says whether the process was ended by its timeout.
func (e *ExitError) TimedOut() bool { return e.timedOut }

// Unwrap is the error of the context that killed the process, or nil.
func (e *ExitError) Unwrap() error { return e.cause }

func (e *ExitError) Error() string {
	switch {
	case e.signal != 0 && e.cause != nil:
		return "process was killed: " + e.cause.Error()
	case e.signal != 0:
		return "process was killed"
	case e.code < 0:
		return "exit status unknown"
	default:
		return fmt.Sprintf("process exited with code %d", e.code)
	}
}

// startError is why a process could not be started.
type startError struct{ cause error }

func (e *startError) Error() string { return errNotStarted.Error() + ": " + e.cause.Error() }

// Unwrap adds os/exec's word for an unknown program to the cause.
func (e *startError) Unwrap() []error {
	if isUnknownProgram(e.cause) {
		return []error{e.cause, exec.ErrNotFound}
	}
	return []error{e.cause}
}

// isUnknownProgram tells a missing program from a missing folder or a missing interpreter.
func isUnknownProgram(err error) bool {
	var failure *capi.Error
	return errors.As(err, &failure) && failure.Result == capi.ErrNotFound &&
		(failure.Stage == "exec" || failure.Stage == "lookup")
}

// translate says in the words of this package what the library, which has numbers of its own for processes, says.
func (p *ManagedProcess) translate(err error) error {
	switch {
	case errors.Is(err, capi.ErrNotRunning):
		return fmt.Errorf("%s: %w", p.facts.id, ErrProcessNotRunning)
	case errors.Is(err, capi.ErrStdinClosed):
		return fmt.Errorf("%s: %w", p.facts.id, ErrStdinNotAvailable)
	default:
		return err
	}
}
