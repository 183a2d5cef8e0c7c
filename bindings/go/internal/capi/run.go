package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"syscall"
	"time"
	"unsafe"
)

// RunMode says in which order the specs of a pipeline run.
type RunMode uint32

// The orders, see coreproc.h.
const (
	RunAll        RunMode = C.COREPROC_RUN_ALL
	RunSequential RunMode = C.COREPROC_RUN_SEQUENTIAL
	RunParallel   RunMode = C.COREPROC_RUN_PARALLEL
)

// SpecState says how a spec ended.
type SpecState uint32

// How a spec can end.
const (
	SpecPassed    SpecState = C.COREPROC_SPEC_PASSED
	SpecFailed    SpecState = C.COREPROC_SPEC_FAILED
	SpecSkipped   SpecState = C.COREPROC_SPEC_SKIPPED
	SpecCancelled SpecState = C.COREPROC_SPEC_CANCELLED
	SpecTimedOut  SpecState = C.COREPROC_SPEC_TIMED_OUT
)

// SpecResult is the result of a spec.
type SpecResult struct {
	State    SpecState
	ExitCode int            // -1 unless it exited by itself
	Signal   syscall.Signal // signal that ended it, or 0
	Flags    Flags
	Error    string // why it did not pass; "" if it did
	Output   string // both streams in order of arrival
	Duration time.Duration
}

// Ran reports whether there was a process: the spec was not skipped, and its process could be started.
func (r SpecResult) Ran() bool {
	return r.State != SpecSkipped && (r.ExitCode >= 0 || r.Signal != 0 || r.Flags&FlagStatusUnknown != 0)
}

// Run is a pipeline under way, or its result.
type Run struct {
	handle[*C.coreproc_run]
	id uint64
}

// Start runs a pipeline, with no limit on how many specs run at a time. It does not wait.
func (p *Pipeline) Start(service *Service, mode RunMode) (*Run, error) {
	return p.start(service, C.coreproc_run_options{mode: C.uint32_t(mode), limit: C.COREPROC_UNLIMITED})
}

func (p *Pipeline) start(service *Service, options C.coreproc_run_options) (*Run, error) {
	pointer, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.release()
	servicePointer, err := service.acquire()
	if err != nil {
		return nil, err
	}
	defer service.release()
	options.struct_size = C.uint32_t(unsafe.Sizeof(options))
	var started *C.coreproc_run
	var cerr *C.coreproc_error
	if err := check(C.coreproc_run_start(pointer, servicePointer, &options, &started, &cerr), cerr); err != nil {
		return nil, err
	}
	run := &Run{id: uint64(C.coreproc_run_id(started))}
	run.own(started, func(p *C.coreproc_run) { C.coreproc_run_free(p) })
	return run, nil
}

// ID returns the number of the run in its service. Runs and processes are numbered together.
func (r *Run) ID() uint64 { return r.id }

// Wait waits until every spec has ended. It holds a thread.
func (r *Run) Wait() error {
	pointer, err := r.acquire()
	if err != nil {
		return err
	}
	defer r.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_run_wait(pointer, -1, &cerr), cerr)
}

// Cancel stops the specs that run, and skips those that have not started. It does not wait.
func (r *Run) Cancel() error {
	pointer, err := r.acquire()
	if err != nil {
		return err
	}
	defer r.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_run_cancel(pointer, &cerr), cerr)
}

// Outcome returns how long a run that has ended took, and whether every spec has passed or was allowed to fail.
func (r *Run) Outcome() (duration time.Duration, success bool, err error) {
	pointer, err := r.acquire()
	if err != nil {
		return 0, false, err
	}
	defer r.release()
	info := C.coreproc_run_info{struct_size: C.uint32_t(unsafe.Sizeof(C.coreproc_run_info{}))}
	var cerr *C.coreproc_error
	err = check(C.coreproc_run_info_get(pointer, &info, &cerr), cerr)
	return time.Duration(info.duration_ns), info.success != 0, err
}

// Result returns the result of a spec of a run that has ended.
func (r *Run) Result(spec int) (SpecResult, error) {
	pointer, err := r.acquire()
	if err != nil {
		return SpecResult{}, err
	}
	defer r.release()
	result := C.coreproc_spec_result{struct_size: C.uint32_t(unsafe.Sizeof(C.coreproc_spec_result{}))}
	var cerr *C.coreproc_error
	if err := check(C.coreproc_run_spec_get(pointer, C.size_t(spec), &result, &cerr), cerr); err != nil {
		return SpecResult{}, err
	}
	return SpecResult{
		State:    SpecState(result.state),
		ExitCode: int(result.exit_code),
		Signal:   syscall.Signal(result.signal),
		Flags:    Flags(result.flags),
		Error:    goText(result.error, result.error_len),
		Output:   goText(result.output, result.output_len),
		Duration: time.Duration(result.duration_ns),
	}, nil
}
