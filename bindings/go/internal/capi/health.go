package capi

/*
#include <coreproc.h>
*/
import "C"

import "time"

// Health is an HTTP server that says whether its program is well.
type Health struct {
	handle[*C.coreproc_health]
}

// NewHealth makes a server that will listen at an address.
func NewHealth(address string) (*Health, error) {
	data, size := text(address)
	var pointer *C.coreproc_health
	var cerr *C.coreproc_error
	if err := check(C.coreproc_health_new(data, size, nil, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	health := new(Health)
	health.own(pointer, func(p *C.coreproc_health) { C.coreproc_health_free(p) })
	return health, nil
}

// SetReady sets what /ready answers.
func (h *Health) SetReady(ready bool) error {
	pointer, err := h.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_health_set_ready(pointer, number(ready), &cerr), cerr)
}

// Ready reports whether /ready answers yes.
func (h *Health) Ready() bool {
	pointer, err := h.acquire()
	if err != nil {
		return false
	}
	defer h.release()
	return C.coreproc_health_ready(pointer) != 0
}

// Start listens and serves.
func (h *Health) Start() error {
	pointer, err := h.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_health_start(pointer, &cerr), cerr)
}

// Address returns the address at which the server listens, or will listen.
func (h *Health) Address() (string, error) {
	pointer, err := h.acquire()
	if err != nil {
		return "", err
	}
	defer h.release()
	var bytes *C.coreproc_bytes
	var cerr *C.coreproc_error
	if err := check(C.coreproc_health_address(pointer, &bytes, &cerr), cerr); err != nil {
		return "", err
	}
	return goString(bytes), nil
}

// Stop waits on a thread for requests under way, until the timeout; a negative one means for ever.
func (h *Health) Stop(timeout time.Duration) error {
	pointer, err := h.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_health_stop(pointer, limit(timeout), &cerr), cerr)
}

// Endpoint is a path that a health server answers.
type Endpoint uint32

// The endpoints.
const (
	EndpointHealth Endpoint = C.COREPROC_ENDPOINT_HEALTH
	EndpointReady  Endpoint = C.COREPROC_ENDPOINT_READY
)

// WaitHealth asks a server, on a thread, until it answers that all is well or the timeout is over.
func WaitHealth(address string, endpoint Endpoint, timeout time.Duration) (bool, error) {
	data, size := text(address)
	var ok C.uint32_t
	var cerr *C.coreproc_error
	result := C.coreproc_health_wait(data, size, C.uint32_t(endpoint), limit(timeout), &ok, nil, &cerr)
	return ok != 0, check(result, cerr)
}

// ProbeHealth asks a server once, on a thread, and returns its answer, or why there was none.
func ProbeHealth(address string, endpoint Endpoint, timeout time.Duration) (bool, string, error) {
	data, size := text(address)
	var ok C.uint32_t
	var reason *C.coreproc_bytes
	var cerr *C.coreproc_error
	result := C.coreproc_health_probe(data, size, C.uint32_t(endpoint), limit(timeout), &ok, &reason, &cerr)
	if err := check(result, cerr); err != nil {
		return false, "", err
	}
	return ok != 0, goString(reason), nil
}
