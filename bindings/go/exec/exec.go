package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"dappco.re/go/core/process"
	"dappco.re/go/core/process/internal/engine"
	"dappco.re/go/core/process/internal/run"
)

// Errors that errors.Is finds in what this package returns. An unknown program is ErrNotFound of os/exec.
var (
	ErrCommandContextRequired = errors.New("command context is required")
)

var (
	errNameRequired   = errors.New("command name is required")
	errAlreadyStarted = errors.New("command was already started")
	errNotStarted     = errors.New("command was not started")
	errBackground     = errors.New("a command in the background has no output to give")
	errStdoutSet      = errors.New("stdout is set already")
	errStderrSet      = errors.New("stderr is set already")
)

// Options hold what a command can be given besides its name and arguments, in one value. A Cmd takes them one by one,
// by WithDir and the other With methods.
type Options struct {
	Dir    string    // working directory; "" means that of this program
	Env    []string  // "KEY=VALUE", added to the inherited environment
	Stdin  io.Reader // nil means nothing to read
	Stdout io.Writer // nil means that the output is thrown away
	Stderr io.Writer // nil means that the errors are thrown away
}

// Cmd is a command, to be run once. The With methods are for the time before that, and return the Cmd itself.
type Cmd struct {
	ctx        context.Context
	spec       run.Spec
	logger     Logger // nil means the default
	background bool

	mu      sync.Mutex
	started bool
	child   *run.Child
	told    sync.Once // the Logger, of the failure
}

// Command makes a command that runs the program name with these arguments. A name without a slash is looked up as LookPath
// of os/exec does. When ctx is done, the process is killed. By default its three streams are null, and its directory,
// environment and process group are those of this program.
func Command(ctx context.Context, name string, args ...string) *Cmd {
	return &Cmd{ctx: ctx, spec: run.Spec{Name: name, Args: slices.Clone(args), ExitError: exitError}}
}

func exitError(exit *engine.Exit) error { return (*process.ExitError)(exit) }

// WithDir sets the working directory; "" means that of this program.
func (c *Cmd) WithDir(dir string) *Cmd {
	c.spec.Dir = dir
	return c
}

// WithEnv adds "KEY=VALUE" entries to the inherited environment; the last of a name wins.
func (c *Cmd) WithEnv(env []string) *Cmd {
	c.spec.Env = append(c.spec.Env, env...)
	return c
}

// WithStdin sets what the command reads. An *os.File becomes the command's stdin itself. A goroutine reads any other
// Reader, until its end or the end of the command.
func (c *Cmd) WithStdin(reader io.Reader) *Cmd {
	c.spec.Stdin = reader
	return c
}

// WithStdout sets where the output goes. An *os.File becomes the command's stdout itself. A slow Writer slows the command
// down. A Writer that fails ends the command by SIGPIPE at its next write, as in a pipeline whose reader has ended. If
// stdout and stderr are the same Writer, one goroutine at a time calls it.
func (c *Cmd) WithStdout(writer io.Writer) *Cmd {
	c.spec.Stdout = writer
	return c
}

// WithStderr sets where the errors go, as WithStdout does.
func (c *Cmd) WithStderr(writer io.Writer) *Cmd {
	c.spec.Stderr = writer
	return c
}

// WithLogger sets the Logger of the command; nil means DefaultLogger.
func (c *Cmd) WithLogger(logger Logger) *Cmd {
	c.logger = logger
	return c
}

// WithBackground has Run return once the command runs. The command is still killed when its context is done.
func (c *Cmd) WithBackground(background bool) *Cmd {
	c.background = background
	return c
}

// Start starts the command and does not wait for it.
func (c *Cmd) Start() error {
	const op = "Cmd.Start"
	err := c.start(c.spec)
	if err == nil && c.background {
		go c.watch(op)
	}
	return c.report(op, err)
}

// Wait waits for the end of a command that was started, and returns the error that Run would.
func (c *Cmd) Wait() error {
	const op = "Cmd.Wait"
	c.mu.Lock()
	child := c.child
	c.mu.Unlock()
	if child == nil {
		return fmt.Errorf("%s: %w", op, errNotStarted)
	}
	return c.report(op, child.Wait())
}

// Run runs the command to its end; in the background it returns once the command runs. The error is nil if the command
// exited with code 0 and its streams were copied.
func (c *Cmd) Run() error {
	const op = "Cmd.Run"
	err := c.start(c.spec)
	if err == nil && c.background {
		go c.watch(op)
	} else if err == nil {
		err = c.child.Wait()
	}
	return c.report(op, err)
}

// watch waits for a command in the background, to tell the Logger if it fails.
func (c *Cmd) watch(op string) { _ = c.report(op, c.child.Wait()) }

// Output runs the command to its end and returns all that it wrote to stdout; nil if it failed.
func (c *Cmd) Output() ([]byte, error) {
	output, err := c.output(func(spec *run.Spec) error {
		if spec.Stdout != nil {
			return errStdoutSet
		}
		spec.Stdout = run.Keep
		return nil
	})
	if err != nil {
		return nil, c.report("Cmd.Output", err)
	}
	return output, nil
}

// CombinedOutput runs the command to its end and returns all that it wrote to stdout and stderr, in the order in which
// it was written, even if it failed.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	output, err := c.output(func(spec *run.Spec) error {
		if spec.Stdout != nil {
			return errStdoutSet
		}
		if spec.Stderr != nil {
			return errStderrSet
		}
		spec.Stdout, spec.Stderr = run.Keep, run.Keep
		return nil
	})
	return output, c.report("Cmd.CombinedOutput", err)
}

// RunQuiet runs a command to its end. If it fails, the error says what it wrote to stderr.
func RunQuiet(ctx context.Context, name string, args ...string) error {
	const op = "RunQuiet"
	c := Command(ctx, name, args...)
	stderr, err := c.output(func(spec *run.Spec) error {
		spec.Stderr = run.Keep
		return nil
	})
	if message := bytes.TrimSpace(stderr); err != nil && len(message) > 0 {
		err = fmt.Errorf("%w: %s", err, message)
	}
	return c.report(op, err)
}

// output runs the command to its end and returns the output that keep has chosen.
func (c *Cmd) output(keep func(*run.Spec) error) ([]byte, error) {
	if c.background {
		return nil, errBackground
	}
	spec := c.spec
	if err := keep(&spec); err != nil {
		return nil, err
	}
	if err := c.start(spec); err != nil {
		return nil, err
	}
	err := c.child.Wait()
	output, lost := c.child.Output()
	if err == nil {
		err = lost
	}
	return output, err
}

func (c *Cmd) start(spec run.Spec) error {
	if c.ctx == nil {
		return ErrCommandContextRequired
	}
	if spec.Name == "" {
		return errNameRequired
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		return errAlreadyStarted
	}
	c.started = true
	c.log().Debug("executing command", "cmd", spec.Name, "args", spec.Args)
	child, err := run.Start(c.ctx, spec)
	if err != nil {
		return err
	}
	c.child = child
	return nil
}

func (c *Cmd) log() Logger {
	if c.logger != nil {
		return c.logger
	}
	return DefaultLogger()
}

// report adds the operation to an error, and tells the Logger of the first one.
func (c *Cmd) report(op string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", op, err)
	c.told.Do(func() { c.log().Error("command failed", "cmd", c.spec.Name, "args", c.spec.Args, "err", err) })
	return err
}
