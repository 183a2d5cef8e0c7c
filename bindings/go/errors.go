package process

import (
	"errors"
	"fmt"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
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
	// Callers look for either half of this text.
	errNotStarted = errors.New("process failed to start: failed to start process")
)

// ServiceError is an error that prints as "message: err" and unwraps to err, which may be nil.
func ServiceError(message string, err error) error {
	if err == nil {
		return errors.New(message)
	}
	return fmt.Errorf("%s: %w", message, err)
}

// startError says why a process could not be started.
type startError struct{ cause error }

func (e *startError) Error() string { return errNotStarted.Error() + ": " + e.cause.Error() }

// Unwrap adds os/exec's error for an unknown program to the cause.
func (e *startError) Unwrap() []error { return engine.StartCauses(e.cause) }

// translate turns an error of the library into one of this package that names the process by its ID.
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
