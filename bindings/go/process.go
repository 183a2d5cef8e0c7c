package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// Status is where a process is in its life.
type Status string

// The statuses of a process.
const (
	StatusPending Status = "pending" // not started yet
	StatusRunning Status = "running" // until all its output was read
	StatusExited  Status = "exited"  // ended by itself, with whatever code
	StatusFailed  Status = "failed"  // could not be started
	StatusKilled  Status = "killed"  // a signal ended it
)

// Process is a process of a Service.
type Process = ManagedProcess

// ManagedProcess is a process of a Service. Its methods may be called by several goroutines at once.
// Status, ExitCode and Duration are final, and may be read, once Done is closed; until then ask Info.
// The service does not look at the fields: writing to them changes nothing else.
type ManagedProcess struct {
	ID        string
	Command   string
	Args      []string
	Dir       string
	Env       []string // as in RunOptions
	StartedAt time.Time
	Status    Status
	ExitCode  int // -1 if a signal ended it, it was not started, or the kernel would not tell
	Duration  time.Duration

	core   *capi.Process // nil: could not be started
	done   chan struct{}
	forget func() bool // stops watching the context; nil: there is nothing to watch

	mu    sync.Mutex
	info  Info
	began time.Time // on Go's own clock, for the duration so far
	err   error
}

// Info is a snapshot of a process.
type Info struct {
	ID        string        `json:"id"`
	Command   string        `json:"command"`
	Args      []string      `json:"args"`
	Dir       string        `json:"dir"`
	StartedAt time.Time     `json:"startedAt"`
	Running   bool          `json:"running"`
	Status    Status        `json:"status"`
	ExitCode  int           `json:"exitCode"`
	Duration  time.Duration `json:"duration"`
	PID       int           `json:"pid"`
}

func newProcess(id string, options RunOptions) *ManagedProcess {
	return &ManagedProcess{
		ID:      id,
		Command: options.Command,
		Args:    slices.Clone(options.Args),
		Dir:     options.Dir,
		Env:     slices.Clone(options.Env),
		Status:  StatusPending,
		done:    make(chan struct{}),
		info: Info{
			ID:      id,
			Command: options.Command,
			Args:    slices.Clone(options.Args),
			Dir:     options.Dir,
			Status:  StatusPending,
		},
	}
}

// spawn starts the process.
func (p *ManagedProcess) spawn(service *capi.Service, options RunOptions, stdin capi.StdioMode) error {
	command, err := newCommand(options, stdin)
	if err != nil {
		return err
	}
	defer command.Close()
	core, err := command.Spawn(service)
	if err != nil {
		return err
	}
	p.began = time.Now()
	p.core = core
	p.info.StartedAt = p.began
	if info, err := core.Info(); err == nil {
		p.info.StartedAt = time.Unix(0, int64(info.StartedRealtime))
	}
	p.info.PID = core.PID()
	p.info.Status = StatusRunning
	p.info.Running = true
	p.StartedAt, p.Status = p.info.StartedAt, p.info.Status
	return nil
}

// newCommand says in the library's terms what the options ask for.
func newCommand(options RunOptions, stdin capi.StdioMode) (*capi.Command, error) {
	env, err := environment(options.Dir, options.Env)
	if err != nil {
		return nil, err
	}
	command, err := capi.NewCommand(options.Command)
	if err != nil {
		return nil, err
	}
	stop := capi.StopOptions{Signal: syscall.SIGTERM, Scope: capi.ScopeProcess, Grace: options.GracePeriod}
	if options.GracePeriod <= 0 {
		stop = capi.StopOptions{Signal: syscall.SIGKILL, Scope: capi.ScopeProcess}
	}
	settings := []func() error{
		func() error { return command.Args(options.Args...) },
		func() error { return command.Env(env) },
		func() error { return command.SearchPath(os.Getenv("PATH")) },
		func() error { return command.Stdio(capi.Stdin, stdin) },
		func() error { return command.Timeout(options.Timeout) },
		func() error { return command.StopBy(stop) },
	}
	if options.Dir != "" {
		settings = append(settings, func() error { return command.Dir(options.Dir) })
	}
	for _, set := range settings {
		if err := set(); err != nil {
			command.Close()
			return nil, err
		}
	}
	return command, nil
}

// Info is a snapshot. Its Duration is that so far while the process runs, and its ExitCode means
// something once it does not.
func (p *ManagedProcess) Info() Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	info := p.info
	info.Args = slices.Clone(info.Args)
	if info.Running {
		info.Duration = time.Since(p.began)
	}
	return info
}

// IsRunning says whether the process runs, or its output is still read.
func (p *ManagedProcess) IsRunning() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.Running
}

// Done is closed when the process has ended and all its output was handled.
func (p *ManagedProcess) Done() <-chan struct{} { return p.done }

// Wait waits for Done. The error is nil if the process exited with code 0, else an *ExitError, or why
// it could not be started.
func (p *ManagedProcess) Wait() error {
	<-p.done
	return p.err
}

// Output is what the process has written so far, both streams as they came; of a long output the end.
func (p *ManagedProcess) Output() string { return string(p.OutputBytes()) }

// OutputBytes is Output as bytes; nil when there are none.
func (p *ManagedProcess) OutputBytes() []byte {
	if p.core == nil {
		return nil
	}
	output, err := p.core.Output()
	if err != nil {
		return nil
	}
	return output
}

// BytesRead says how much the process has written, as far as it was read, kept or not.
func (p *ManagedProcess) BytesRead() (stdout, stderr uint64) {
	if p.core == nil {
		return 0, 0
	}
	info, err := p.core.Info()
	if err != nil {
		return 0, 0
	}
	return info.StdoutBytes, info.StderrBytes
}

// Kill sends SIGKILL. It does not wait; ErrProcessNotRunning if the process has ended.
func (p *ManagedProcess) Kill() error {
	if p.core == nil {
		return ErrProcessNotRunning
	}
	return translate(p.core.Kill(capi.ScopeProcess))
}

// Shutdown sends SIGTERM, and SIGKILL when the process has not ended within its GracePeriod; without
// one it is Kill. It does not wait; ErrProcessNotRunning if the process has ended.
func (p *ManagedProcess) Shutdown() error {
	if p.core == nil {
		return ErrProcessNotRunning
	}
	return translate(p.core.Stop())
}

// Signal sends a signal, which must be a syscall.Signal; 0 only looks whether the process runs.
// ErrProcessNotRunning if it has ended.
func (p *ManagedProcess) Signal(signal os.Signal) error {
	number, ok := signal.(syscall.Signal)
	if !ok {
		return fmt.Errorf("signal: not a signal of this system: %v", signal)
	}
	if p.core == nil {
		return ErrProcessNotRunning
	}
	return translate(p.core.Signal(number, capi.ScopeProcess))
}

// SendInput writes to the process's stdin, and waits while the process does not read. After CloseStdin,
// or when nobody reads any more, it is ErrStdinNotAvailable; ErrProcessNotRunning if the process has
// ended.
func (p *ManagedProcess) SendInput(input string) error {
	if p.core == nil {
		return ErrProcessNotRunning
	}
	for {
		written, err := p.core.Write(input, -1)
		if errors.Is(err, capi.ErrStdinClosed) && !p.alive() {
			return fmt.Errorf("%w: %w", ErrProcessNotRunning, err)
		}
		if err != nil {
			return translate(err)
		}
		if input = input[written:]; input == "" {
			return nil
		}
	}
}

// CloseStdin closes the process's stdin, which is the end of its input. It may be called again.
func (p *ManagedProcess) CloseStdin() error {
	if p.core == nil {
		return ErrProcessNotRunning
	}
	return translate(p.core.CloseStdin())
}

func (p *ManagedProcess) alive() bool {
	info, err := p.core.Info()
	return err == nil && info.State == capi.StateRunning
}

// failed makes it a process that could not be started.
func (p *ManagedProcess) failed(err error) {
	p.end(func(info *Info) error {
		info.Status, info.ExitCode = StatusFailed, -1
		return err
	})
}

// lost makes it a process of which nothing will be heard any more.
func (p *ManagedProcess) lost(cause error) {
	p.end(func(info *Info) error {
		info.Status, info.ExitCode, info.Duration = StatusFailed, -1, time.Since(p.began)
		return fmt.Errorf("process was lost: %w", cause)
	})
}

// closed makes it a process that has ended, its output read.
func (p *ManagedProcess) closed(event capi.Event) {
	times, err := p.core.Info()
	p.end(func(info *Info) error {
		info.Status, info.ExitCode = StatusExited, event.ExitCode
		if event.Signal != 0 {
			info.Status = StatusKilled
		}
		info.Duration = time.Since(p.began)
		if err == nil {
			info.Duration = time.Duration(times.ExitedMonotonic - times.StartedMonotonic)
		}
		if event.ExitCode == 0 && event.Signal == 0 {
			return nil
		}
		return &ExitError{code: event.ExitCode, signal: event.Signal, timedOut: event.Cause == capi.CauseTimeout}
	})
}

// end writes the final state, also to the fields, and closes Done.
func (p *ManagedProcess) end(write func(*Info) error) {
	if p.forget != nil {
		p.forget()
	}
	p.mu.Lock()
	p.info.Running = false
	p.err = write(&p.info)
	// Done has not been closed, so nobody may look at these yet.
	p.Status, p.ExitCode, p.Duration = p.info.Status, p.info.ExitCode, p.info.Duration
	p.mu.Unlock()
	close(p.done)
}
