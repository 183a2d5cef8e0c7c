package process

import (
	"slices"
	"strconv"
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

// ManagedProcess is a process of a Service. Its methods may be called by several goroutines at once. Status, ExitCode
// and Duration are final, and may be read, once Done is closed; until then ask Info. The service does not look at the
// fields: writing to them changes nothing else. A ManagedProcess that no service made, such as a literal in a test,
// does not run, and its Info has the values of its fields.
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

	handle    *capi.Process // nil if it could not be started
	listeners *core.Core    // Core whose handlers hear of it, or nil
	number    uint64        // number in the ID; 0 if no service made it
	forget    func() bool   // stops watching the context; nil if there is none to watch

	pid         int32
	scope       capi.Scope // which processes Kill, Shutdown and Signal reach
	beforeStart func()     // of a run: waits until the start, which comes with the events, may be broadcast

	abrupt   bool // Shutdown is Kill
	killTold bool // Killed is broadcast, or was; only the goroutine that has the turn may look

	turn  turn       // decides which goroutine calls the handlers
	input sync.Mutex // held while input is sent

	mu    sync.Mutex
	facts facts
	done  chan struct{} // made by the first call of Done
	err   error         // what Wait returns; before the end, the error of the context that has killed it
}

// facts are what the service keeps of a process for itself. A service may have many idle processes, so they are small.
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
		listeners: listeners,
		number:    number,
		facts: facts{
			id: id, command: options.Command, args: slices.Clone(options.Args), dir: options.Dir, startedAt: now,
		},
	}
}

func processID(number uint64) string {
	return "proc-" + strconv.FormatUint(number, 10)
}

// Info returns a snapshot of the process. Duration grows until the process has ended, which may be a moment before
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

// fields returns the Info of a process that no service made.
func (p *ManagedProcess) fields() Info {
	return Info{
		ID: p.ID, Command: p.Command, Args: slices.Clone(p.Args), Dir: p.Dir, StartedAt: p.StartedAt, Status: p.Status,
		ExitCode: p.ExitCode, Duration: p.Duration,
	}
}

func (p *ManagedProcess) soFar(started time.Time) time.Duration {
	if info, err := p.handle.Info(); err == nil && info.State != capi.StateRunning {
		return lifetime(info)
	}
	return time.Since(started)
}

// lifetime returns how long a process that has ended ran.
func lifetime(info capi.Info) time.Duration {
	return time.Duration(info.ExitedMonotonic - info.StartedMonotonic)
}

// IsRunning reports whether the process runs or its output is still read.
func (p *ManagedProcess) IsRunning() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.facts.phase == running
}

// mayLive reports whether there may be a process to kill.
func (p *ManagedProcess) mayLive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.facts.phase == running || p.facts.gone
}

// Done is closed when the process has ended and its output was read and broadcast. What the handlers did with
// that output happens before it.
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

// ended is a closed channel.
var ended = func() chan struct{} {
	channel := make(chan struct{})
	close(channel)
	return channel
}()

// Wait waits until Done is closed. It returns nil if the process exited with code 0, else an error: an
// [*ExitError], or what Start returned for a process that could not be started.
func (p *ManagedProcess) Wait() error {
	if p.number == 0 {
		return ErrProcessNotRunning
	}
	<-p.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Output returns what the process has written up to now: both streams in the order in which they came, the newest part if
// that is more than the service's BufferSize; "" without capture.
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

// OutputBytes is Output as bytes; nil if there are none.
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

// BytesRead returns how many bytes of the process's outputs were read, whether they were kept or not.
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
