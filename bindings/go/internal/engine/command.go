package engine

import "dappco.re/go/core/process/internal/capi"

// NewCommand makes a command that runs the program name in a directory; "" means that of this program. A name without a
// slash is looked up as exec.LookPath does. The environment is that of this program with the added entries. The caller
// closes the command.
func NewCommand(name string, args []string, dir string, added []string) (*capi.Command, error) {
	path, err := lookUp(name)
	if err != nil {
		return nil, err
	}
	env, err := environment(dir, added)
	if err != nil {
		return nil, err
	}
	command := capi.NewCommand(path)
	command.Arg0(name)
	command.Args(args...)
	command.Env(env)
	if dir != "" {
		command.Dir(dir)
	}
	return command, nil
}

// NewFailingCommand makes a command that cannot be started, for a place that needs one. The caller closes it.
func NewFailingCommand() *capi.Command { return capi.NewCommand("/dev/null/nowhere") }
