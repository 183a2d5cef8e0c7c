package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// Service starts processes, keeps them, and broadcasts what happens to them as actions of its Core, if it has one. It
// may be used by several goroutines at once. A service that is no longer reachable is freed by the garbage collector
// once its processes have ended; that ends none of them.
//
// [NewService] and [Register] make one. The zero Service works, too: without a Core, with the default options.
type Service struct {
	*core.ServiceRuntime[Options]

	lastID    atomic.Uint64
	shutdowns atomic.Uint64
	tasks     sync.Once   // decides how tasks reach the service
	hears     atomic.Bool // tasks reach it by HandleIPCEvents
	backend   atomic.Pointer[backend]
	opening   sync.Mutex // held while the backend is made

	mu        sync.RWMutex
	processes map[string]*ManagedProcess
}

// backend is the part of a service that works in the library. The service alone holds it: when the service is no longer
// reachable, the backend is not either, and the garbage collector frees the library's service, which ends the feed.
type backend struct {
	service *capi.Service
	feed    *feed
	runs    runs
}

// longestLine is the length at which a line is cut in pieces. A process that writes such lines takes that much memory.
const longestLine = 4 << 20

func newBackend(options Options, listened bool) (*backend, error) {
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
	wanted := capi.SubscriptionOptions{Delivery: delivery, MaxLineBytes: longestLine}
	feed, err := engine.Open(service, wanted, receiver.receive, receiver.lose)
	if err != nil {
		service.Close()
		return nil, err
	}
	return &backend{service: service, feed: feed}, nil
}

// NewService returns a function that makes a *Service for a Core, which may be nil.
func NewService(options Options) func(*core.Core) (any, error) {
	return func(c *core.Core) (any, error) {
		backend, err := newBackend(options, c != nil)
		if err != nil {
			return nil, err
		}
		service := &Service{ServiceRuntime: core.NewServiceRuntime(c, options)}
		service.backend.Store(backend)
		return service, nil
	}
}

// listeners returns the Core whose handlers hear of the processes, or nil.
func (s *Service) listeners() *core.Core {
	if s.ServiceRuntime == nil {
		return nil
	}
	return s.Core()
}

// open returns the backend, and makes it for a zero Service.
func (s *Service) open() (*backend, error) {
	if s == nil {
		return nil, ErrServiceNotInitialized
	}
	if backend := s.backend.Load(); backend != nil {
		return backend, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if backend := s.backend.Load(); backend != nil {
		return backend, nil
	}
	var options Options
	if s.ServiceRuntime != nil {
		options = s.Options()
	}
	backend, err := newBackend(options, s.listeners() != nil)
	if err == nil {
		s.backend.Store(backend)
	}
	return backend, err
}

// settleTime is how long OnShutdown waits for the processes that it killed. A process does not end before its handler
// has returned, and that handler may have called OnShutdown.
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
	// A start that is under way either sees this count, or its process is in the list.
	s.shutdowns.Add(1)
	running := s.list((*Process).mayLive)
	var failures []error
	if backend := s.backend.Load(); backend != nil {
		failures = append(failures, backend.runs.cancel())
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

func (s *Service) add(process *ManagedProcess) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.processes == nil {
		s.processes = make(map[string]*ManagedProcess)
	}
	s.processes[process.facts.id] = process
}
