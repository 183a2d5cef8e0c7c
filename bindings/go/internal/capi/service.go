package capi

/*
#include <coreproc.h>
*/
import "C"

import "unsafe"

// Service supervises any number of processes on one thread of its own.
type Service struct {
	handle[*C.coreproc_service]
}

// ServiceOptions are the defaults of a service's commands.
type ServiceOptions struct {
	CaptureBytes uint64 // 0 means 1 MiB, Unlimited means no capture
}

// CloseMode says what happens to the processes of a service that is closed.
type CloseMode uint32

// What Service.Shut does with the processes that still run.
const (
	CloseLeave CloseMode = C.COREPROC_CLOSE_LEAVE
	CloseStop  CloseMode = C.COREPROC_CLOSE_STOP
	CloseKill  CloseMode = C.COREPROC_CLOSE_KILL
)

// NewService starts a service.
func NewService(options ServiceOptions) (*Service, error) {
	coptions := C.coreproc_service_options{
		struct_size:   C.uint32_t(unsafe.Sizeof(C.coreproc_service_options{})),
		capture_bytes: C.uint64_t(options.CaptureBytes),
	}
	var pointer *C.coreproc_service
	var cerr *C.coreproc_error
	if err := check(C.coreproc_service_new(&coptions, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	service := new(Service)
	service.own(pointer, func(p *C.coreproc_service) { C.coreproc_service_free(p) })
	return service, nil
}

// Count returns the number of processes that are not closed yet.
func (s *Service) Count() (int, error) {
	pointer, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer s.release()
	var count C.uint64_t
	var cerr *C.coreproc_error
	if err := check(C.coreproc_service_count(pointer, &count, &cerr), cerr); err != nil {
		return 0, err
	}
	return int(count), nil
}

// Shut refuses new processes from now on, and stops or leaves the running ones as mode says, without
// waiting for them. It calls coreproc_service_close, while Close gives the handle back.
func (s *Service) Shut(mode CloseMode) error {
	pointer, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_service_close(pointer, C.uint32_t(mode), &cerr), cerr)
}
