package process

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/capi"
)

// Service starts processes, keeps them, and broadcasts what happens to them as actions of its Core, if it has
// one. It may be used by several goroutines at once. A service that nobody reaches any more is freed by the
// garbage collector once its processes have ended; that ends none of them.
//
// [NewService] and [Register] make one. The zero Service works, too: without a Core, with the default options.
type Service struct {
	*core.ServiceRuntime[Options]

	lastID    atomic.Uint64
	shutdowns atomic.Uint64
	tasks     sync.Once   // decides how they reach the service
	hears     atomic.Bool // by HandleIPCEvents
	engine    atomic.Pointer[engine]
	opening   sync.Mutex // guards the making of the engine

	mu        sync.RWMutex
	processes map[string]*ManagedProcess
}

// engine is the library's part of a service. The service alone holds it: when that is unreachable, so is the
// engine, and the garbage collector gives its service back, which lets the hub end.
type engine struct {
	service *capi.Service
	hub     *hub
	runs    runs
}

// longestLine is where a line is cut in pieces. A process may hold so much memory, and does if it writes such
// lines.
const longestLine = 4 << 20

func newEngine(options Options, listened bool) (*engine, error) {
	if options.BufferSize < 0 {
		return nil, fmt.Errorf("options: BufferSize is negative: %d", options.BufferSize)
	}
	size := uint64(options.BufferSize)
	if size == 0 {
		size = DefaultBufferSize
	}
	service, err := capi.NewService(capi.ServiceOptions{CaptureBytes: size})
	if err != nil {
		return nil, err
	}
	delivery := capi.DeliveryLines
	if !listened {
		delivery = capi.DeliveryNone
	}
	events, err := service.Subscribe(capi.SubscriptionOptions{
		Drive: true, EndsOnly: true, Delivery: delivery, MaxLineBytes: longestLine,
	})
	if err != nil {
		service.Close()
		return nil, err
	}
	return &engine{service: service, hub: newHub(events)}, nil
}

// NewService gives a function that makes a *Service for a Core, which may be nil.
func NewService(options Options) func(*core.Core) (any, error) {
	return func(c *core.Core) (any, error) {
		engine, err := newEngine(options, c != nil)
		if err != nil {
			return nil, err
		}
		service := &Service{ServiceRuntime: core.NewServiceRuntime(c, options)}
		service.engine.Store(engine)
		return service, nil
	}
}

// listeners is who hears of the processes, or nil.
func (s *Service) listeners() *core.Core {
	if s.ServiceRuntime == nil {
		return nil
	}
	return s.Core()
}

// open gives the engine, and makes it if this was a zero Service.
func (s *Service) open() (*engine, error) {
	if s == nil {
		return nil, ErrServiceNotInitialized
	}
	if engine := s.engine.Load(); engine != nil {
		return engine, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if engine := s.engine.Load(); engine != nil {
		return engine, nil
	}
	var options Options
	if s.ServiceRuntime != nil {
		options = s.Options()
	}
	engine, err := newEngine(options, s.listeners() != nil)
	if err == nil {
		s.engine.Store(engine)
	}
	return engine, err
}

// How long OnShutdown waits for what it killed. A handler may have called it, and then its own process does not
// end before it returns.
const settleTime = time.Second

// OnShutdown sends SIGKILL to the group of every process, detached ones too. Then it waits up to a second, or until
// ctx is done, for them to end. The service can be used afterwards.
func (s *Service) OnShutdown(ctx context.Context) error {
	if s == nil {
		return ErrServiceNotInitialized
	}
	if ctx == nil {
		return ErrContextRequired
	}
	// Starts on their way see this, or are in the list.
	s.shutdowns.Add(1)
	running := s.list((*Process).mayLive)
	var failures []error
	if engine := s.engine.Load(); engine != nil {
		failures = append(failures, engine.runs.cancel())
	}
	for _, process := range running {
		failures = append(failures, process.kill(capi.ScopeGroup))
	}
	settle, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, process := range running {
		select {
		case <-process.Done():
		case <-settle.Done():
		}
	}
	return errors.Join(failures...)
}

// Start starts a command. See StartWithOptions.
func (s *Service) Start(ctx context.Context, command string, args ...string) (*Process, error) {
	return s.StartWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// StartWithOptions starts a process, with a pipe for its stdin, and returns once it runs. When ctx is
// done, the process is killed. It leads a process group of its own, so a Ctrl-C at the terminal does not reach it, and
// it goes on when this program ends, with broken pipes. A process that cannot be started is returned with the error, as a
// process with StatusFailed; an unknown program is exec.ErrNotFound of os/exec.
func (s *Service) StartWithOptions(ctx context.Context, options RunOptions) (*Process, error) {
	return s.start(ctx, options, capi.StdioPipe)
}

// Run runs a command to its end. See RunWithOptions.
func (s *Service) Run(ctx context.Context, command string, args ...string) (string, error) {
	return s.RunWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// RunWithOptions runs a process to its end, with nothing on its stdin, and returns its output, both
// streams as they came. The error is that of Start or Wait; the output is there as well.
func (s *Service) RunWithOptions(ctx context.Context, options RunOptions) (string, error) {
	process, err := s.start(ctx, options, capi.StdioNull)
	if err != nil {
		return "", err
	}
	err = process.Wait()
	return process.Output(), err
}

func (s *Service) start(ctx context.Context, options RunOptions, stdin capi.StdioMode) (*Process, error) {
	if ctx == nil {
		return nil, ErrContextRequired
	}
	if options.Command == "" {
		return nil, errCommandRequired
	}
	if options.KillGroup && !options.Detach {
		return nil, errKillGroup
	}
	engine, err := s.open()
	if err != nil {
		return nil, err
	}
	shutdowns := s.shutdowns.Load()
	scope := capi.ScopeProcess
	if options.KillGroup {
		scope = capi.ScopeGroup
	}
	process := newProcess(s.lastID.Add(1), options, scope, s.listeners())
	engine.hub.Begin()
	if err := process.spawn(ctx, engine.service, options, stdin); err != nil {
		engine.hub.End()
		process.failed(err)
		s.add(process)
		process.announceEnd()
		return process, process.err
	}
	s.add(process)
	// Also when a handler panics.
	defer engine.hub.know(process.handle.ID(), process)
	if s.shutdowns.Load() != shutdowns {
		_ = process.kill(capi.ScopeGroup)
	}
	if !options.Detach {
		process.killWhenDone(ctx)
	}
	process.announceFirst()
	return process, nil
}

func processID(number uint64) string {
	return "proc-" + strconv.FormatUint(number, 10)
}

func (s *Service) add(process *ManagedProcess) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.processes == nil {
		s.processes = make(map[string]*ManagedProcess)
	}
	s.processes[process.facts.id] = process
}
