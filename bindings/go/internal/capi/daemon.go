package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// Daemon is a PID file, a health server and an entry in a registry, each of them if the options ask for it.
type Daemon struct {
	handle[*C.coreproc_daemon]
}

// DaemonOptions say which parts a daemon has.
type DaemonOptions struct {
	ShutdownTimeout time.Duration // 0 means 30 s
	PIDFile         string        // "" means none
	HealthAddress   string        // "" means none
	Registry        *Registry     // nil means none
	Entry           Entry         // entry in the registry; PID and Started must be 0
}

// NewDaemon makes a daemon that has not started.
func NewDaemon(options DaemonOptions) (*Daemon, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pidFile, pidFileLen := pinned(&pinner, options.PIDFile)
	health, healthLen := pinned(&pinner, options.HealthAddress)
	coptions := C.coreproc_daemon_options{
		struct_size:         C.uint32_t(unsafe.Sizeof(C.coreproc_daemon_options{})),
		shutdown_timeout_ms: milliseconds(options.ShutdownTimeout),
		pid_file:            pidFile, pid_file_len: pidFileLen,
		health_address: health, health_address_len: healthLen,
	}
	if options.Registry != nil {
		registry, err := options.Registry.acquire()
		if err != nil {
			return nil, err
		}
		defer options.Registry.release()
		entry := options.Entry.toC(&pinner)
		pinner.Pin(&entry)
		coptions.registry, coptions.entry = registry, &entry
	}
	var pointer *C.coreproc_daemon
	var cerr *C.coreproc_error
	if err := check(C.coreproc_daemon_new(&coptions, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	daemon := new(Daemon)
	daemon.own(pointer, func(p *C.coreproc_daemon) { C.coreproc_daemon_free(p) })
	return daemon, nil
}

// Start takes the PID file, starts the health server, and registers the daemon. If a step fails, it undoes the others.
func (d *Daemon) Start() error {
	pointer, err := d.acquire()
	if err != nil {
		return err
	}
	defer d.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_daemon_start(pointer, &cerr), cerr)
}

// Stop undoes Start, and waits on a thread for requests under way. Stopping a daemon that does not run is fine.
func (d *Daemon) Stop() error {
	pointer, err := d.acquire()
	if err != nil {
		return err
	}
	defer d.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_daemon_stop(pointer, &cerr), cerr)
}

// SetReady sets what /ready answers while the daemon runs.
func (d *Daemon) SetReady(ready bool) error {
	pointer, err := d.acquire()
	if err != nil {
		return err
	}
	defer d.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_daemon_set_ready(pointer, number(ready), &cerr), cerr)
}

// Ready reports whether the daemon runs and is ready.
func (d *Daemon) Ready() bool {
	pointer, err := d.acquire()
	if err != nil {
		return false
	}
	defer d.release()
	return C.coreproc_daemon_ready(pointer) != 0
}

// HealthAddress returns the address at which the health server listens, or will listen; "" if there is none.
func (d *Daemon) HealthAddress() (string, error) {
	pointer, err := d.acquire()
	if err != nil {
		return "", err
	}
	defer d.release()
	var bytes *C.coreproc_bytes
	var cerr *C.coreproc_error
	if err := check(C.coreproc_daemon_health_address(pointer, &bytes, &cerr), cerr); err != nil {
		return "", err
	}
	return goString(bytes), nil
}
