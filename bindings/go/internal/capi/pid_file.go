package capi

/*
#include <coreproc.h>
*/
import "C"

// PIDFile is a PID file, which one daemon at a time holds. It is released when it is freed.
type PIDFile struct {
	handle[*C.coreproc_pid_file]
}

// NewPIDFile makes the PID file at a path, which is not held yet.
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

// Acquire takes the file for this program. It returns [ErrBusy] if a daemon that lives holds it.
func (f *PIDFile) Acquire() error {
	pointer, err := f.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_pid_file_acquire(pointer, &cerr), cerr)
}

// Release removes the file. Releasing a file that is not held is fine.
func (f *PIDFile) Release() error {
	pointer, err := f.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_pid_file_release(pointer, &cerr), cerr)
}

// ReadPIDFile returns the PID in a file, 0 if it is not certain, and whether the daemon lives.
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
