package process

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/launch"
)

// spawn starts the process.
func (p *ManagedProcess) spawn(ctx context.Context, service *capi.Service, options RunOptions, stdin capi.StdioMode) error {
	if err := ctx.Err(); err != nil && !options.Detach {
		return err
	}
	command, err := newCommand(options, p.scope, stdin)
	if err != nil {
		return err
	}
	defer command.Close()
	handle, err := command.Spawn(service)
	if err != nil {
		return err
	}
	p.started(handle)
	return nil
}

// newCommand says in the library's terms what the options ask for.
func newCommand(options RunOptions, scope capi.Scope, stdin capi.StdioMode) (*capi.Command, error) {
	if strings.IndexByte(options.Command, 0) >= 0 {
		return nil, &os.PathError{Op: "lookup", Path: options.Command, Err: errors.New("has a NUL byte")}
	}
	program, err := launch.Program(options.Command)
	if err != nil {
		return nil, err
	}
	env, err := launch.Environment(options.Dir, options.Env)
	if err != nil {
		return nil, err
	}
	command, err := capi.NewCommand(program)
	if err != nil {
		return nil, err
	}
	if err := configure(command, options, env, scope, stdin); err != nil {
		command.Close()
		return nil, err
	}
	return command, nil
}

func configure(command *capi.Command, options RunOptions, env []string, scope capi.Scope, stdin capi.StdioMode) error {
	steps := []error{
		command.Arg0(options.Command),
		command.Args(options.Args...),
		command.Env(env),
		command.Stdio(capi.Stdin, stdin),
		command.StopBy(stopOptions(options, scope)),
	}
	if options.Dir != "" {
		steps = append(steps, command.Dir(options.Dir))
	}
	if options.Timeout > 0 {
		steps = append(steps, command.Timeout(options.Timeout))
	}
	if options.DisableCapture {
		steps = append(steps, command.Capture(capi.Unlimited))
	}
	if options.Detach {
		steps = append(steps, command.Detach())
	}
	return errors.Join(steps...)
}

// stopOptions is how Shutdown and the timeout stop the process.
func stopOptions(options RunOptions, scope capi.Scope) capi.StopOptions {
	if options.GracePeriod <= 0 {
		return capi.StopOptions{Signal: syscall.SIGKILL, Scope: scope}
	}
	return capi.StopOptions{Signal: syscall.SIGTERM, Scope: scope, Grace: options.GracePeriod}
}
