package process

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"dappco.re/go/core"
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
// The service does not look at the fields: writing to them changes nothing else. One that no service made, such
// as a literal in somebody's test, does not run, and its Info is what its fields say.
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

	handle      *capi.Process // nil: could not be started
	scope       capi.Scope    // whom Kill, Shutdown and Signal reach
	core        *core.Core    // nil: nobody listens
	number      uint64        // that of the ID
	unannounced bool          // its start is broadcast with its events
	done        chan struct{}
	forget      func() bool // stops watching the context; nil: there is nothing to watch

	turn  sync.Mutex // held while its events are handled
	input sync.Mutex // held while it is sent input

	mu   sync.Mutex
	info Info
	err  error
	gone bool // no event of it will come, and it may run on
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

func newProcess(number uint64, options RunOptions, scope capi.Scope, listeners *core.Core) *ManagedProcess {
	id := processID(number)
	now := time.Now()
	return &ManagedProcess{
		ID:        id,
		Command:   options.Command,
		Args:      slices.Clone(options.Args),
		Dir:       options.Dir,
		Env:       slices.Clone(options.Env),
		StartedAt: now,
		Status:    StatusPending,
		scope:     scope,
		core:      listeners,
		number:    number,
		done:      make(chan struct{}),
		info: Info{
			ID:        id,
			Command:   options.Command,
			Args:      slices.Clone(options.Args),
			Dir:       options.Dir,
			StartedAt: now,
			Status:    StatusPending,
		},
	}
}

// Info tells how the process is doing. Duration runs until the process has ended, which may be a moment before
// all its output was read.
func (p *ManagedProcess) Info() Info {
	if p.done == nil {
		return p.fields()
	}
	p.mu.Lock()
	info := p.info
	p.mu.Unlock()
	info.Args = slices.Clone(info.Args)
	if info.Running {
		info.Duration = p.soFar(info.StartedAt)
	}
	return info
}

// fields is the Info of a process that no service made.
func (p *ManagedProcess) fields() Info {
	return Info{
		ID: p.ID, Command: p.Command, Args: slices.Clone(p.Args), Dir: p.Dir, StartedAt: p.StartedAt, Status: p.Status,
		ExitCode: p.ExitCode, Duration: p.Duration,
	}
}

func (p *ManagedProcess) soFar(started time.Time) time.Duration {
	if core, err := p.handle.Info(); err == nil && core.State != capi.StateRunning {
		return lifetime(core)
	}
	return time.Since(started)
}

// lifetime is how long a process that has ended ran.
func lifetime(info capi.Info) time.Duration {
	return time.Duration(info.ExitedMonotonic - info.StartedMonotonic)
}

// IsRunning says whether the process runs or its output is still read.
func (p *ManagedProcess) IsRunning() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.Running
}

// mayLive says whether there may be somebody to kill.
func (p *ManagedProcess) mayLive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.Running || p.gone
}

// Done is closed when the process has ended and its output was read and broadcast.
func (p *ManagedProcess) Done() <-chan struct{} {
	if p.done == nil {
		return ended
	}
	return p.done
}

// ended is closed.
var ended = func() chan struct{} {
	channel := make(chan struct{})
	close(channel)
	return channel
}()

// Wait waits until Done is closed. It returns nil if the process exited with code 0, else an error: an
// [*ExitError], or what Start returned of a process that could not be started.
func (p *ManagedProcess) Wait() error {
	if p.done == nil {
		return ErrProcessNotRunning
	}
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Output is what the process has written up to now, both streams as they came, the newest if it was more than
// the service's BufferSize; "" without capture.
func (p *ManagedProcess) Output() string {
	if p.handle == nil {
		return ""
	}
	output, err := p.handle.OutputString()
	if err != nil {
		return ""
	}
	return output
}

// OutputBytes is Output as bytes; nil when there are none.
func (p *ManagedProcess) OutputBytes() []byte {
	if p.handle == nil {
		return nil
	}
	output, err := p.handle.Output()
	if err != nil {
		return nil
	}
	return output
}

// BytesRead says how much the process has written, as far as it was read, kept or not.
func (p *ManagedProcess) BytesRead() (stdout, stderr uint64) {
	if p.handle == nil {
		return 0, 0
	}
	info, err := p.handle.Info()
	if err != nil {
		return 0, 0
	}
	return info.StdoutBytes, info.StderrBytes
}

// started makes it a process that runs.
func (p *ManagedProcess) started(handle *capi.Process) {
	p.handle = handle
	p.Status = StatusRunning
	p.info.Status = StatusRunning
	p.info.Running = true
	p.info.PID = handle.PID()
}

// killWhenDone kills the process when the context is done.
func (p *ManagedProcess) killWhenDone(ctx context.Context) {
	if ctx.Done() != nil {
		p.forget = context.AfterFunc(ctx, func() { _ = p.Kill() })
	}
}

// failed makes it a process that could not be started.
func (p *ManagedProcess) failed(cause error) {
	p.end(func(info *Info) error {
		info.Status, info.ExitCode = StatusFailed, -1
		return &startError{cause}
	})
}

// lose makes it a process of which nothing will be heard any more, and says so.
func (p *ManagedProcess) lose(cause error) {
	p.end(func(info *Info) error {
		p.gone = true
		info.Status, info.ExitCode, info.Duration = StatusFailed, -1, time.Since(info.StartedAt)
		return ServiceError("process was lost", cause)
	})
	p.announceEnd()
}

// closed makes it a process that has ended, its output read.
func (p *ManagedProcess) closed(event *capi.Event) {
	core, err := p.handle.Info()
	p.end(func(info *Info) error {
		info.Status, info.ExitCode = StatusExited, event.ExitCode
		if event.Signal != 0 {
			info.Status = StatusKilled
		}
		info.Duration = time.Since(info.StartedAt)
		if err == nil {
			info.Duration = lifetime(core)
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

// Its broadcasts.

func (p *ManagedProcess) broadcast(message core.Message) {
	if p.core != nil {
		p.core.ACTION(message)
	}
}

func (p *ManagedProcess) announceStart() {
	if p.core == nil {
		return
	}
	p.broadcast(ActionProcessStarted{
		ID: p.info.ID, Command: p.info.Command, Args: slices.Clone(p.info.Args), Dir: p.info.Dir, PID: p.info.PID,
	})
}

// announceEnd says how the process ended, once it has.
func (p *ManagedProcess) announceEnd() {
	if p.core == nil {
		return
	}
	err := p.Wait()
	// Deferred, because the handler of Killed may end its goroutine.
	defer p.broadcast(ActionProcessExited{ID: p.info.ID, ExitCode: p.info.ExitCode, Duration: p.info.Duration, Error: err})
	var exit *ExitError
	if errors.As(err, &exit) && exit.signal != 0 {
		p.broadcast(ActionProcessKilled{ID: p.info.ID, Signal: signalName(exit.signal)})
	}
}
