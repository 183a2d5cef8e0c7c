package process

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// Start starts a command. See StartWithOptions.
func (s *Service) Start(ctx context.Context, command string, args ...string) (*Process, error) {
	return s.StartWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// StartWithOptions starts a process, with a pipe for its stdin, and returns once it runs. When ctx is
// done, the process is killed. It leads a process group of its own, so a Ctrl-C at the terminal does not reach it, and
// it goes on when this program ends, with broken pipes. If the process cannot be started, it is returned with the error,
// with StatusFailed; errors.Is finds exec.ErrNotFound of os/exec if the program is unknown.
func (s *Service) StartWithOptions(ctx context.Context, options RunOptions) (*Process, error) {
	return s.start(ctx, options, false, capi.StdioPipe)
}

// StartGroup starts a process as StartWithOptions does. Whatever ends it reaches all processes of its group: ctx, the
// timeout, Kill, Shutdown and Signal. KillGroup may be set or not; with Detach the context ends nothing.
func (s *Service) StartGroup(ctx context.Context, options RunOptions) (*Process, error) {
	return s.start(ctx, options, true, capi.StdioPipe)
}

// Run runs a command to its end. See RunWithOptions.
func (s *Service) Run(ctx context.Context, command string, args ...string) (string, error) {
	return s.RunWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// RunWithOptions runs a process to its end, with nothing on its stdin, and returns its output: both streams in the order
// in which they came. The error is that of Start or Wait; the output is returned with it.
func (s *Service) RunWithOptions(ctx context.Context, options RunOptions) (string, error) {
	process, err := s.start(ctx, options, false, capi.StdioNull)
	if err != nil {
		return "", err
	}
	err = process.Wait()
	return process.Output(), err
}

func (s *Service) start(ctx context.Context, options RunOptions, group bool, stdin capi.StdioMode) (*Process, error) {
	if ctx == nil {
		return nil, ErrContextRequired
	}
	if options.Command == "" {
		return nil, errCommandRequired
	}
	if options.KillGroup && !options.Detach && !group {
		return nil, errKillGroup
	}
	backend, err := s.open()
	if err != nil {
		return nil, err
	}
	shutdowns := s.shutdowns.Load()
	scope := capi.ScopeProcess
	if group || options.KillGroup {
		scope = capi.ScopeGroup
	}
	process := newProcess(s.lastID.Add(1), options, scope, s.listeners())
	backend.feed.Begin()
	if err := process.spawn(ctx, backend.service, options, stdin); err != nil {
		backend.feed.End()
		process.failed(err)
		s.add(process)
		process.announceEnd()
		return process, process.err
	}
	s.add(process)
	// Deferred, because a handler may panic.
	defer backend.feed.Know(process.handle.ID(), process)
	if s.shutdowns.Load() != shutdowns {
		_ = process.kill(capi.ScopeGroup)
	}
	if !options.Detach {
		process.killWhenDone(ctx)
	}
	process.announceFirst()
	return process, nil
}

// spawn has the library start the process.
func (p *ManagedProcess) spawn(ctx context.Context, service *capi.Service, options RunOptions, stdin capi.StdioMode) error {
	if err := ctx.Err(); err != nil && !options.Detach {
		return err
	}
	command, err := newCommand(options, p.scope, stdin)
	if err != nil {
		return err
	}
	defer command.Close()
	handle, pid, err := command.Spawn(service)
	if err != nil {
		return err
	}
	p.started(handle, pid)
	return nil
}

// newCommand makes the command that the options ask for. The caller closes it.
func newCommand(options RunOptions, scope capi.Scope, stdin capi.StdioMode) (*capi.Command, error) {
	if strings.IndexByte(options.Command, 0) >= 0 {
		return nil, &os.PathError{Op: "lookup", Path: options.Command, Err: errors.New("has a NUL byte")}
	}
	command, err := engine.NewCommand(options.Command, options.Args, options.Dir, options.Env)
	if err != nil {
		return nil, err
	}
	command.Stdio(capi.Stdin, stdin)
	command.StopBy(stopOptions(options, scope))
	if options.Timeout > 0 {
		command.Timeout(options.Timeout)
	}
	if options.DisableCapture {
		command.Capture(capi.Unlimited)
	}
	if options.Detach {
		command.Detach()
	}
	return command, nil
}

// stopOptions says how Shutdown and the timeout stop the process.
func stopOptions(options RunOptions, scope capi.Scope) capi.StopOptions {
	if options.GracePeriod <= 0 {
		return capi.StopOptions{Signal: syscall.SIGKILL, Scope: scope}
	}
	return capi.StopOptions{Signal: syscall.SIGTERM, Scope: scope, Grace: options.GracePeriod}
}
