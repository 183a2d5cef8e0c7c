package process

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"dappco.re/go/core/process/internal/capi"
)

// Service supervises processes. It may be used by several goroutines at once.
type Service struct {
	core   *capi.Service
	events *capi.Subscription
	handle func(message any) // nil: nobody listens
	lastID atomic.Uint64
	idle   chan struct{} // closed when the service is down and the last process has left it
	ended  chan struct{} // closed when the events have ended

	mu     sync.Mutex
	known  map[uint64]*ManagedProcess // may receive events
	early  map[uint64]*capi.Batch     // events of processes that are not known yet
	active int                        // starts under way, and processes that were started and not left
	down   bool                       // no more starts
	broken error                      // no more events
}

// Open starts a service. The handler, which may be nil, hears what happens to its processes: it is
// called with ActionProcessStarted, then ActionProcessOutput for each line, then, when a signal ended
// the process, ActionProcessKilled, and at the end ActionProcessExited.
//
// The messages of one process come one after another, those of different processes at the same time.
// The handler may block, or use the service: that holds up its own process alone, which is not read
// from once its queue is full. It must not wait for the process whose message it handles, nor for
// OnShutdown.
func Open(options Options, handler func(message any)) (*Service, error) {
	if options.BufferSize < 0 {
		return nil, fmt.Errorf("options: BufferSize is negative: %d", options.BufferSize)
	}
	size := uint64(options.BufferSize)
	if size == 0 {
		size = DefaultBufferSize
	}
	core, err := capi.NewService(capi.ServiceOptions{CaptureBytes: size})
	if err != nil {
		return nil, err
	}
	delivery := capi.DeliveryLines
	if handler == nil {
		delivery = capi.DeliveryNone
	}
	events, err := core.Subscribe(capi.SubscriptionOptions{Delivery: delivery})
	if err != nil {
		core.Close()
		return nil, err
	}
	service := &Service{
		core:   core,
		events: events,
		handle: handler,
		idle:   make(chan struct{}),
		ended:  make(chan struct{}),
		known:  make(map[uint64]*ManagedProcess),
		early:  make(map[uint64]*capi.Batch),
	}
	go service.pump()
	return service, nil
}

// Start starts a command. See StartWithOptions.
func (s *Service) Start(ctx context.Context, command string, args ...string) (*Process, error) {
	return s.StartWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// StartWithOptions starts a process, with a pipe for its stdin, and returns once it runs. When ctx is
// done, the process is killed. A process that cannot be started is returned with the error, as a
// process with StatusFailed; an unknown program is exec.ErrNotFound of os/exec.
func (s *Service) StartWithOptions(ctx context.Context, options RunOptions) (*Process, error) {
	return s.start(ctx, options, capi.StdioPipe)
}

// Run runs a command to its end. See RunWithOptions.
func (s *Service) Run(ctx context.Context, command string, args ...string) (string, error) {
	return s.RunWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// RunWithOptions runs a process to its end, with nothing on its stdin, and returns its output, both
// streams as they came. The error is that of Wait; the output is there as well.
func (s *Service) RunWithOptions(ctx context.Context, options RunOptions) (string, error) {
	process, err := s.start(ctx, options, capi.StdioNull)
	if err != nil {
		return "", err
	}
	err = process.Wait()
	output := process.Output()
	// Nobody else has this process: its capture need not wait for the garbage collector.
	process.core.Close()
	return output, err
}

func (s *Service) start(ctx context.Context, options RunOptions, stdin capi.StdioMode) (*Process, error) {
	if ctx == nil {
		return nil, ErrContextRequired
	}
	if options.Command == "" {
		return nil, errCommandRequired
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	process := newProcess("proc-"+strconv.FormatUint(s.lastID.Add(1), 10), options)
	err := ctx.Err()
	if err == nil {
		err = process.spawn(s.core, options, stdin)
	}
	if err != nil {
		process.failed(&startError{err})
		s.announceEnd(process)
		s.leave()
		return process, process.err
	}
	info := process.Info()
	s.announce(ActionProcessStarted{ID: info.ID, Command: info.Command, Args: info.Args, Dir: info.Dir, PID: info.PID})
	if ctx.Done() != nil {
		process.forget = context.AfterFunc(ctx, func() { _ = process.Kill() })
	}
	s.know(process)
	return process, nil
}

// OnShutdown kills every process with its group at once, and returns when all have ended and their
// last messages are handled, or with the error of ctx. After it the service starts nothing; it may be
// called again. A service that is no longer needed has to be shut down.
func (s *Service) OnShutdown(ctx context.Context) error {
	if ctx == nil {
		return ErrContextRequired
	}
	s.mu.Lock()
	if !s.down && s.active == 0 {
		close(s.idle)
	}
	s.down = true
	s.mu.Unlock()
	// Starts that entered before are refused by the library, or have a process by now and lose it: none
	// gets away. The stream of events ends after those of the last process.
	if err := s.core.Shut(capi.CloseKill); err != nil && !errors.Is(err, capi.ErrClosed) {
		return err
	}
	for _, step := range []<-chan struct{}{s.idle, s.ended} {
		select {
		case <-step:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.core.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// enter counts a start until it leaves: OnShutdown waits for it.
func (s *Service) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errServiceShutDown
	}
	s.active++
	return nil
}

// leave is the last step of a process.
func (s *Service) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	if s.down && s.active == 0 {
		close(s.idle)
	}
}

func (s *Service) announce(message any) {
	if s.handle != nil {
		s.handle(message)
	}
}

// announceEnd says how a process ended, when it has.
func (s *Service) announceEnd(process *ManagedProcess) {
	info := process.Info()
	var exit *ExitError
	if errors.As(process.err, &exit) && exit.signal != 0 {
		s.announce(ActionProcessKilled{ID: info.ID, Signal: signalName(exit.signal)})
	}
	s.announce(ActionProcessExited{ID: info.ID, ExitCode: info.ExitCode, Duration: info.Duration, Error: process.err})
}
