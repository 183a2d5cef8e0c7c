package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// DaemonOptions say what a daemon has; what is empty, it has not.
type DaemonOptions struct {
	PIDFile         string        // the path of its PID file; missing folders are made
	ShutdownTimeout time.Duration // how long Stop may take; 0 means 30 s
	HealthAddr      string        // where its health server listens, see NewHealthServer
	HealthChecks    []HealthCheck // of the health server, if there is one
	Registry        *Registry     // in which it is found
	// RegistryEntry is what the registry says of it: Code and Daemon are needed. Start fills in PID, Started and,
	// where there is a health server, Health; Project (the current folder) and Binary if they are empty.
	RegistryEntry DaemonEntry
}

// Daemon gives a program the life of a daemon: one at a time by a PID file, a health server, an entry in a
// registry. It may be used by several goroutines at once.
type Daemon struct {
	handle *capi.Daemon
	broken error // why there is no handle

	bound atomic.Pointer[string] // where its health server listens, or did last

	mu   sync.Mutex
	life *daemonLife // nil: not started
}

// daemonLife is the time between a start and a stop.
type daemonLife struct {
	end  sync.Once
	over chan struct{}
	err  error // how the stop went, once it is over
}

var (
	errDaemonNotStarted = errors.New("daemon: not started")
	errNoDaemon         = errors.New("daemon: NewDaemon makes one")
)

// NewDaemon is a daemon that has not started. A mistake in the options is reported by Start.
func NewDaemon(options DaemonOptions) *Daemon {
	handle, err := newDaemon(options)
	return &Daemon{handle: handle, broken: err}
}

func newDaemon(options DaemonOptions) (*capi.Daemon, error) {
	coptions := capi.DaemonOptions{
		ShutdownTimeout: options.ShutdownTimeout,
		PIDFile:         options.PIDFile,
		HealthAddress:   options.HealthAddr,
	}
	if options.Registry != nil {
		if err := options.Registry.usable(); err != nil {
			return nil, err
		}
		entry := options.RegistryEntry
		coptions.Registry = options.Registry.handle
		coptions.Entry = capi.Entry{Code: entry.Code, Daemon: entry.Daemon, Health: entry.Health, Project: entry.Project, Binary: entry.Binary}
	}
	handle, err := capi.NewDaemon(coptions)
	if err != nil || options.HealthAddr == "" {
		return handle, err
	}
	for _, check := range options.HealthChecks {
		if check == nil {
			continue
		}
		if err := handle.AddCheck(capi.Check(check)); err != nil {
			handle.Close()
			return nil, err
		}
	}
	return handle, nil
}

// Start takes the PID file, starts the health server, and registers. When a step fails, what was done before it
// is undone. Starting what is started is an error; what was stopped can be started again.
func (d *Daemon) Start() error {
	if d.handle == nil {
		return cmp.Or(d.broken, errNoDaemon)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.handle.Start(); err != nil {
		if errors.Is(err, capi.ErrInvalidState) {
			return fmt.Errorf("daemon is already running: %w", err)
		}
		return named(err)
	}
	if address, err := d.handle.HealthAddress(); err == nil {
		d.bound.Store(&address)
	}
	d.life = &daemonLife{over: make(chan struct{})}
	keep(d)
	return nil
}

// Run waits until ctx is done and stops the daemon, or until somebody else has stopped it. It returns how the stop
// went. A daemon that is not started is an error.
func (d *Daemon) Run(ctx context.Context) error {
	if ctx == nil {
		return ErrDaemonContextRequired
	}
	life := d.current()
	if life == nil {
		return errDaemonNotStarted
	}
	select {
	case <-ctx.Done():
		return d.Stop()
	case <-life.over:
		return life.err
	}
}

// Stop undoes Start, within the shutdown timeout: requests to the health server under way are waited for, and cut
// when it is over. Stopping what is stopped is nil.
func (d *Daemon) Stop() error {
	life := d.current()
	if life == nil {
		return nil
	}
	// Whoever stops it too waits here, and is told the same.
	err := d.handle.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.life == life {
		d.life = nil
		letGo(d)
	}
	life.end.Do(func() {
		life.err = err
		close(life.over)
	})
	return err
}

func (d *Daemon) current() *daemonLife {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.life
}

// SetReady says what the health server answers to /ready, which is yes at first.
func (d *Daemon) SetReady(ready bool) {
	if d.handle != nil {
		_ = d.handle.SetReady(ready)
	}
}

// Ready says whether the daemon runs and is ready.
func (d *Daemon) Ready() bool { return d.handle != nil && d.handle.Ready() }

// HealthAddr is the address at which the health server listens, or did before Stop; "" where there is none.
func (d *Daemon) HealthAddr() string {
	if d.handle == nil {
		return ""
	}
	if bound := d.bound.Load(); bound != nil {
		return *bound
	}
	given, err := d.handle.HealthAddress()
	if err != nil {
		return ""
	}
	return given
}

// What is kept lives on although the program has dropped it: the lock of a PID file, a server, a daemon. The library
// would give them back with the last reference.
var kept sync.Map

func keep(what any)  { kept.Store(what, nil) }
func letGo(what any) { kept.Delete(what) }
