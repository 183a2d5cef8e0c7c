package process

import "time"

// DefaultBufferSize is how many bytes of a process's output are kept by default.
const DefaultBufferSize = 1024 * 1024

// Options are the options of a service.
type Options struct {
	// BufferSize is how many bytes of each process's output are kept: the newest ones.
	// 0 means DefaultBufferSize, a negative size is an error.
	BufferSize int
}

// RunOptions say which process to start, and how.
type RunOptions struct {
	Command string   // path if it has a slash, else a name that is looked up in PATH as exec.LookPath does
	Args    []string // without the command itself
	Dir     string   // working directory; "" means that of this program
	Env     []string // "KEY=VALUE", added to the inherited environment; the last of a name wins

	// DisableCapture keeps no output. The lines are broadcast all the same.
	DisableCapture bool
	// Detach lets the process outlive this program, in a session of its own. It ignores the context.
	Detach bool
	// Timeout is how long the process may run before it is shut down, see [ManagedProcess.Shutdown].
	// 0 means for ever.
	Timeout time.Duration
	// GracePeriod is the time between SIGTERM and SIGKILL when the process is shut down.
	// 0 means SIGKILL at once.
	GracePeriod time.Duration
	// KillGroup has Kill, Shutdown and Signal reach all processes of the process's group. It needs Detach, with which the
	// context ends nothing; use [Service.StartGroup] for that. Without KillGroup a
	// Kill or a timeout reaches the process alone, and the processes that it has started go on.
	KillGroup bool
}
