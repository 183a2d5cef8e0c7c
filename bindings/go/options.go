package process

import "time"

// DefaultBufferSize is how many bytes of a process's output are kept, unless told otherwise.
const DefaultBufferSize = 1024 * 1024

// Options of a service.
type Options struct {
	// BufferSize is how many bytes of each process's output are kept, the newest.
	// 0 means DefaultBufferSize, a negative size is an error.
	BufferSize int
}

// RunOptions say what to run, and how.
type RunOptions struct {
	Command string   // a path if it has a slash, else looked up in PATH as exec.LookPath does
	Args    []string // without the command itself
	Dir     string   // working directory; "" is that of this program
	Env     []string // "KEY=VALUE", added to the inherited environment; the last of a name wins

	// DisableCapture keeps no output. Its lines are broadcast all the same.
	DisableCapture bool
	// Detach lets the process outlive this program, in a session of its own. It ignores the context.
	Detach bool
	// Timeout is how long the process may run before it is shut down, see [ManagedProcess.Shutdown].
	// 0 means for ever.
	Timeout time.Duration
	// GracePeriod is how long a process that is shut down has between SIGTERM and SIGKILL.
	// 0 means SIGKILL at once.
	GracePeriod time.Duration
	// KillGroup has Kill, Shutdown and Signal reach all of the process's group. It needs Detach, with which the context
	// ends nothing: context.AfterFunc(ctx, func() { _ = process.Shutdown() }) does. Without it a Kill or a timeout
	// reaches the process alone, and what that has started goes on.
	KillGroup bool
}
