package capi

/*
#include <coreproc.h>
*/
import "C"

// PIDFile is held by one daemon at a time. Who drops one that is held releases it.
type PIDFile struct {
	handle[*C.coreproc_pid_file]
}

// NewPIDFile is the PID file at a path, not held yet.
func NewPIDFile(path string) (*PIDFile, error) {
	data, size := text(path)
	var pointer *C.coreproc_pid_file
	var cerr *C.coreproc_error
	if err := check(C.coreproc_pid_file_new(data, size, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	file := new(PIDFile)
	file.own(pointer, func(p *C.coreproc_pid_file) { C.coreproc_pid_file_free(p) })
	return file, nil
}

// Acquire takes the file for this program. [ErrBusy] while a daemon that lives has it.
func (f *PIDFile) Acquire() error {
	pointer, err := f.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_pid_file_acquire(pointer, &cerr), cerr)
}

// Release removes the file. One that is not held is fine.
func (f *PIDFile) Release() error {
	pointer, err := f.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_pid_file_release(pointer, &cerr), cerr)
}

// ReadPIDFile tells the PID in a file, 0 where there is none for sure, and whether its daemon lives.
func ReadPIDFile(path string) (pid int, alive bool, err error) {
	data, size := text(path)
	var state C.uint32_t
	var number C.int32_t
	var cerr *C.coreproc_error
	if err := check(C.coreproc_pid_file_read(data, size, &state, &number, nil, &cerr), cerr); err != nil {
		return 0, false, err
	}
	return int(number), state == C.COREPROC_PID_ALIVE, nil
}
