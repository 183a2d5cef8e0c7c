package process

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
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

	handle *capi.Process // nil: could not be started
	core   *core.Core    // nil: nobody listens
	number uint64        // that of the ID; 0: no service made it
	forget func() bool   // stops watching the context; nil: there is nothing to watch

	pid         int32
	scope       capi.Scope // whom Kill, Shutdown and Signal reach
	beforeStart func()     // of a run: what its start, which comes with its events, waits for

	abrupt   bool // Shutdown is Kill
	killTold bool // Killed is broadcast, or was; whoever has the turn may look

	turn  turn       // whose handlers may run
	input sync.Mutex // held while it is sent input

	mu    sync.Mutex
	facts facts
	done  chan struct{} // made for who asks first
	err   error         // what Wait returns; until the end, that of the context that has killed it
}

// facts are what the service keeps of a process for itself. A service may have many that do nothing, so it is small.
type facts struct {
	id        string
	command   string
	args      []string
	dir       string
	startedAt time.Time
	duration  time.Duration
	exitCode  int32
	phase     phase
	gone      bool // no event of it will come, and it may run on
}

// phase is a Status in a byte.
type phase uint8

const (
	pending phase = iota
	running
	exited
	failed
	killed
)

func (p phase) status() Status {
	return [...]Status{StatusPending, StatusRunning, StatusExited, StatusFailed, StatusKilled}[p]
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
		abrupt:    options.GracePeriod <= 0,
		core:      listeners,
		number:    number,
		facts: facts{
			id: id, command: options.Command, args: slices.Clone(options.Args), dir: options.Dir, startedAt: now,
		},
	}
}

// Info tells how the process is doing. Duration runs until the process has ended, which may be a moment before
// all its output was read.
func (p *ManagedProcess) Info() Info {
	if p.number == 0 {
		return p.fields()
	}
	p.mu.Lock()
	facts := p.facts
	p.mu.Unlock()
	info := Info{
		ID: facts.id, Command: facts.command, Args: slices.Clone(facts.args), Dir: facts.dir, StartedAt: facts.startedAt,
		Running: facts.phase == running, Status: facts.phase.status(), ExitCode: int(facts.exitCode), Duration: facts.duration,
		PID: int(p.pid),
	}
	if info.Running {
		info.Duration = p.soFar(facts.startedAt)
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
	return p.facts.phase == running
}

// mayLive says whether there may be somebody to kill.
func (p *ManagedProcess) mayLive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.facts.phase == running || p.facts.gone
}

// Done is closed when the process has ended and its output was read and broadcast. Whatever the handlers of that did
// happens before it.
func (p *ManagedProcess) Done() <-chan struct{} {
	if p.number == 0 {
		return ended
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
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
	if p.number == 0 {
		return ErrProcessNotRunning
	}
	<-p.Done()
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
	p.pid = int32(handle.PID())
	p.Status = StatusRunning
	p.facts.phase = running
}

// killWhenDone kills the process when the context is done.
func (p *ManagedProcess) killWhenDone(ctx context.Context) {
	if ctx.Done() != nil {
		p.forget = context.AfterFunc(ctx, func() { p.cancel(ctx.Err()) })
	}
}

func (p *ManagedProcess) cancel(cause error) {
	p.mu.Lock()
	if p.facts.phase == running {
		p.err = cause
	}
	p.mu.Unlock()
	_ = p.kill(p.scope)
}

// failed makes it a process that could not be started.
func (p *ManagedProcess) failed(cause error) {
	p.end(func(facts *facts) error {
		facts.phase, facts.exitCode = failed, -1
		return &startError{cause}
	})
}

// lose makes it a process of which nothing will be heard any more, and says so, after the events that are being
// handled.
func (p *ManagedProcess) lose(cause error) {
	p.turn.enter(self())
	defer p.turn.leave()
	p.end(func(facts *facts) error {
		facts.phase, facts.exitCode, facts.duration, facts.gone = failed, -1, time.Since(facts.startedAt), true
		return ServiceError("process was lost", cause)
	})
	p.announceEnd()
}

// closed makes it a process that has ended, its output read, and says so.
func (p *ManagedProcess) closed(event *capi.Event) {
	core, err := p.handle.Info()
	// Deferred, because the handler of Killed may end its goroutine.
	defer p.announceEnd()
	defer p.end(func(facts *facts) error {
		facts.phase, facts.exitCode = exited, int32(event.ExitCode)
		if event.Signal != 0 {
			facts.phase = killed
		}
		facts.duration = time.Since(facts.startedAt)
		if err == nil {
			facts.duration = lifetime(core)
		}
		if event.ExitCode == 0 && event.Signal == 0 {
			return nil
		}
		failure := &ExitError{code: event.ExitCode, signal: event.Signal, timedOut: event.Cause == capi.CauseTimeout}
		if event.Cause == capi.CauseKilled {
			failure.cause = p.err
		}
		return failure
	})
	if p.turn.owes() && event.Signal != 0 {
		// Who has killed and waits for Done has heard of it.
		p.announceKill(event.Signal)
	}
}

// end writes the final state, also to the fields, and closes Done.
func (p *ManagedProcess) end(write func(*facts) error) {
	p.turn.opened()
	if p.forget != nil {
		p.forget()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = write(&p.facts)
	// Done has not been closed, so nobody may look at these yet.
	p.Status, p.ExitCode, p.Duration = p.facts.phase.status(), int(p.facts.exitCode), p.facts.duration
	if p.done == nil {
		p.done = ended
		return
	}
	close(p.done)
}

// Its broadcasts.

func (p *ManagedProcess) broadcast(message core.Message) {
	if p.core != nil {
		p.core.ACTION(message)
	}
}

// announceFirst takes the turn and says that it was started.
func (p *ManagedProcess) announceFirst() {
	if p.core == nil {
		p.turn.opened()
		return
	}
	p.turn.enter(self())
	defer p.turn.leave()
	p.announceStart()
}

// announceStart says that it was started. The caller has the turn, if there are handlers.
func (p *ManagedProcess) announceStart() {
	defer p.turn.opened()
	p.broadcast(ActionProcessStarted{
		ID: p.facts.id, Command: p.facts.command, Args: slices.Clone(p.facts.args), Dir: p.facts.dir, PID: int(p.pid),
	})
}

// announceEnd says how the process ended, once it has. The caller has the turn, if anybody was told of the start.
func (p *ManagedProcess) announceEnd() {
	if p.core == nil {
		return
	}
	err := p.Wait()
	// Deferred, because the handler of Killed may end its goroutine.
	defer p.broadcast(ActionProcessExited{
		ID: p.facts.id, ExitCode: int(p.facts.exitCode), Duration: p.facts.duration, Error: err,
	})
	var exit *ExitError
	if errors.As(err, &exit) && exit.signal != 0 {
		p.announceKill(exit.signal)
	}
}

// announceKill says which signal ended the process, once. The caller has the turn.
func (p *ManagedProcess) announceKill(signal syscall.Signal) {
	if !p.killTold {
		p.killTold = true
		defer p.turn.over()
		p.broadcast(ActionProcessKilled{ID: p.facts.id, Signal: signalName(signal)})
	}
}
