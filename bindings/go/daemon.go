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

// DaemonOptions say which parts a daemon has: those whose options are not empty.
type DaemonOptions struct {
	PIDFile         string        // path of its PID file; missing directories are made
	ShutdownTimeout time.Duration // how long Stop may take; 0 means 30 s
	HealthAddr      string        // address of its health server, see NewHealthServer
	HealthChecks    []HealthCheck // checks of the health server
	Registry        *Registry     // registry that it has an entry in
	// RegistryEntry is its entry in the registry: Code and Daemon are needed. Start fills in PID, Started and, if there is a
	// health server, Health; it fills in Project (the current directory) and Binary if they are empty.
	RegistryEntry DaemonEntry
}

// Daemon gives a program the life of a daemon: a PID file, so that one runs at a time, a health server, and an entry in a
// registry. It may be used by several goroutines at once.
type Daemon struct {
	handle *capi.Daemon
	broken error // why there is no handle, or nil

	bound atomic.Pointer[string] // address at which its health server listens, or did last

	mu   sync.Mutex
	life *daemonLife // nil if it is not started
}

// daemonLife is the time between a start and a stop.
type daemonLife struct {
	end  sync.Once
	over chan struct{} // closed when the stop is over
	err  error         // of the stop, once over is closed
}

var (
	errDaemonNotStarted = errors.New("daemon: not started")
	errNoDaemon         = errors.New("daemon: NewDaemon makes one")
)

// NewDaemon makes a daemon that has not started. Start reports a mistake in the options.
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

// Start takes the PID file, starts the health server, and registers the daemon. If a step fails, the steps before it are
// undone. Starting a daemon that is started is an error; one that was stopped can be started again.
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

// Run waits until ctx is done and stops the daemon, or until another goroutine has stopped it. It returns the error of that
// stop. It is an error if the daemon is not started.
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

// Stop undoes Start, within the shutdown timeout: it waits for requests to the health server that are under way, and cuts
// them when the timeout is over. Stopping a daemon that is stopped returns nil.
func (d *Daemon) Stop() error {
	life := d.current()
	if life == nil {
		return nil
	}
	// Another goroutine that stops it at the same time waits here, and gets the same error.
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

// SetReady sets whether the health server answers "ready" to /ready; at first it does.
func (d *Daemon) SetReady(ready bool) {
	if d.handle != nil {
		_ = d.handle.SetReady(ready)
	}
}

// Ready reports whether the daemon runs and is ready.
func (d *Daemon) Ready() bool { return d.handle != nil && d.handle.Ready() }

// HealthAddr returns the address at which the health server listens, or listened before Stop; "" if there is none.
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
