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

// Process is one child.
type Process struct {
	handle[*C.coreproc_process]
	id uint64
}

// State is where a process is in its life.
type State uint32

// The states, in order. Between Exited and Closed its output is still read.
const (
	StateRunning State = C.COREPROC_STATE_RUNNING
	StateExited  State = C.COREPROC_STATE_EXITED
	StateClosed  State = C.COREPROC_STATE_CLOSED
)

// Cause says what made a process end.
type Cause uint32

// The causes of an end.
const (
	CauseNone    Cause = C.COREPROC_CAUSE_NONE
	CauseNatural Cause = C.COREPROC_CAUSE_NATURAL
	CauseStopped Cause = C.COREPROC_CAUSE_STOPPED
	CauseKilled  Cause = C.COREPROC_CAUSE_KILLED
	CauseTimeout Cause = C.COREPROC_CAUSE_TIMEOUT
)

// Flags are remarks on an end or on a piece of output.
type Flags uint32

// The flags.
const (
	FlagStatusUnknown Flags = C.COREPROC_FLAG_STATUS_UNKNOWN
	FlagCoreDumped    Flags = C.COREPROC_FLAG_CORE_DUMPED
	FlagPartial       Flags = C.COREPROC_FLAG_PARTIAL
	FlagNoNewline     Flags = C.COREPROC_FLAG_NO_NEWLINE
	FlagDrainBound    Flags = C.COREPROC_FLAG_DRAIN_BOUND
	FlagLost          Flags = C.COREPROC_FLAG_LOST
)

// Info is a snapshot of a process. The clocks are in nanoseconds.
type Info struct {
	ID               uint64
	PID              int
	State            State
	Cause            Cause
	Flags            Flags
	ExitCode         int            // -1 unless it exited by itself
	Signal           syscall.Signal // 0 unless a signal ended it
	StartedMonotonic uint64
	StartedRealtime  uint64
	ExitedMonotonic  uint64 // 0 until it has exited
	ClosedMonotonic  uint64 // 0 until it is closed
	StdoutBytes      uint64 // read so far
	StderrBytes      uint64
	DroppedBytes     uint64 // not, or no longer, in the capture
	DiscardedBytes   uint64 // read after the end and thrown away
}

func newProcess(pointer *C.coreproc_process, id uint64) *Process {
	process := &Process{id: id}
	process.own(pointer, func(p *C.coreproc_process) { C.coreproc_process_free(p) })
	return process
}

// ID returns the number of the process in its service, which is never reused.
func (p *Process) ID() uint64 { return p.id }

// PID returns the number that the kernel gave the process, which is reused; 0 once the handle is closed.
func (p *Process) PID() int {
	pointer, err := p.acquire()
	if err != nil {
		return 0
	}
	defer p.release()
	return int(C.coreproc_process_pid(pointer))
}

// Info returns a snapshot of the process.
func (p *Process) Info() (Info, error) {
	pointer, err := p.acquire()
	if err != nil {
		return Info{}, err
	}
	defer p.release()
	info := C.coreproc_process_info{struct_size: C.uint32_t(unsafe.Sizeof(C.coreproc_process_info{}))}
	var cerr *C.coreproc_error
	if err := check(C.coreproc_process_info_get(pointer, &info, &cerr), cerr); err != nil {
		return Info{}, err
	}
	return Info{
		ID:               uint64(info.id),
		PID:              int(info.pid),
		State:            State(info.state),
		Cause:            Cause(info.cause),
		Flags:            Flags(info.flags),
		ExitCode:         int(info.exit_code),
		Signal:           syscall.Signal(info.signal),
		StartedMonotonic: uint64(info.started_monotonic_ns),
		StartedRealtime:  uint64(info.started_realtime_ns),
		ExitedMonotonic:  uint64(info.exited_monotonic_ns),
		ClosedMonotonic:  uint64(info.closed_monotonic_ns),
		StdoutBytes:      uint64(info.stdout_bytes),
		StderrBytes:      uint64(info.stderr_bytes),
		DroppedBytes:     uint64(info.dropped_bytes),
		DiscardedBytes:   uint64(info.discarded_bytes),
	}, nil
}

// Output returns what the capture holds now, both streams in order of arrival; nil if it is empty.
func (p *Process) Output() ([]byte, error) {
	bytes, err := p.captured()
	if err != nil {
		return nil, err
	}
	return goBytes(bytes), nil
}

// OutputString is Output as a string.
func (p *Process) OutputString() (string, error) {
	bytes, err := p.captured()
	if err != nil {
		return "", err
	}
	return goString(bytes), nil
}

func (p *Process) captured() (*C.coreproc_bytes, error) {
	pointer, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.release()
	var bytes *C.coreproc_bytes
	var cerr *C.coreproc_error
	if err := check(C.coreproc_process_output(pointer, &bytes, &cerr), cerr); err != nil {
		return nil, err
	}
	received()
	return bytes, nil
}

// Signal sends a signal; 0 only checks whether the process runs. It returns [ErrNotRunning] once the process has exited.
func (p *Process) Signal(signal syscall.Signal, scope Scope) error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_process_signal(pointer, C.int32_t(signal), C.uint32_t(scope), &cerr), cerr)
}

// Kill sends SIGKILL.
func (p *Process) Kill(scope Scope) error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_process_kill(pointer, C.uint32_t(scope), &cerr), cerr)
}

// Stop begins to stop the process as its command says, and does not wait. A second Stop kills.
func (p *Process) Stop() error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_process_stop(pointer, nil, &cerr), cerr)
}

// Write writes to the child's stdin what fits within the timeout, and returns how much that was.
// A timeout of 0 writes what fits at once. A negative one means for ever; that and a positive one hold a thread while they
// wait.
func (p *Process) Write(data string, timeout time.Duration) (int, error) {
	pointer, err := p.acquire()
	if err != nil {
		return 0, err
	}
	defer p.release()
	sent()
	bytes, size := (*C.uint8_t)(unsafe.StringData(data)), C.size_t(len(data))
	var written C.size_t
	var cerr *C.coreproc_error
	if err := check(C.coreproc_process_write(pointer, bytes, size, limit(timeout), &written, &cerr), cerr); err != nil {
		return 0, err
	}
	return int(written), nil
}

// CloseStdin closes the child's stdin. It may be called again.
func (p *Process) CloseStdin() error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	sent()
	var cerr *C.coreproc_error
	return check(C.coreproc_process_close_stdin(pointer, &cerr), cerr)
}

// CloseOutput closes our end of an output: what is in the pipe is lost, and a process that writes to it from now on
// gets a SIGPIPE. It may be called again.
func (p *Process) CloseOutput(stream Stream) error {
	pointer, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_process_close_output(pointer, C.uint32_t(stream), &cerr), cerr)
}
