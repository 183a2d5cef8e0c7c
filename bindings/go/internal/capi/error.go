package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"strings"
	"syscall"
)

// Result is the code of a failed call. It is an error itself, so that
// errors.Is(err, capi.ErrNotFound) tells the kind of failure.
type Result int32

// The failures of the C ABI; coreproc.h says what each means.
const (
	ErrInvalidArgument  Result = C.COREPROC_INVALID_ARGUMENT
	ErrNotFound         Result = C.COREPROC_NOT_FOUND
	ErrPermissionDenied Result = C.COREPROC_PERMISSION_DENIED
	ErrSystem           Result = C.COREPROC_SYSTEM
	ErrOutOfMemory      Result = C.COREPROC_OUT_OF_MEMORY
	ErrNotRunning       Result = C.COREPROC_NOT_RUNNING
	ErrStdinClosed      Result = C.COREPROC_STDIN_CLOSED
	ErrTimedOut         Result = C.COREPROC_TIMED_OUT
	ErrClosed           Result = C.COREPROC_CLOSED
	ErrDeadlock         Result = C.COREPROC_DEADLOCK
	ErrForked           Result = C.COREPROC_FORKED
	ErrPanic            Result = C.COREPROC_PANIC
	ErrUnsupported      Result = C.COREPROC_UNSUPPORTED
	ErrBusy             Result = C.COREPROC_BUSY
	ErrMalformed        Result = C.COREPROC_MALFORMED
	ErrInvalidState     Result = C.COREPROC_INVALID_STATE
)

// Error returns the name of the constant in C, such as "COREPROC_NOT_FOUND".
func (r Result) Error() string {
	return C.GoString(C.coreproc_result_name(C.coreproc_result(r)))
}

// Error is a failed call of the C ABI. errors.Is finds its Result and its Errno.
type Error struct {
	Result  Result
	Errno   syscall.Errno // 0 if no system call has failed
	Op      string        // the operation that failed, such as "spawn"
	Stage   string        // stage that failed, such as "lookup"; "" if the operation has no stages
	Message string        // text that can be shown as it is
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the errors that errors.Is finds.
func (e *Error) Unwrap() []error {
	if e.Errno == 0 {
		return []error{e.Result}
	}
	return []error{e.Result, e.Errno}
}

// check turns the result of a call into an error, and frees the C error. Every call of the library that can fail ends
// here.
func check(result C.coreproc_result, cerr *C.coreproc_error) error {
	if result == C.COREPROC_OK {
		return nil
	}
	if cerr == nil {
		return Result(result)
	}
	defer C.coreproc_error_free(cerr)
	return &Error{
		Result:  Result(result),
		Errno:   syscall.Errno(C.coreproc_error_errno(cerr)),
		Op:      C.GoString(C.coreproc_error_operation(cerr)),
		Stage:   C.GoString(C.coreproc_error_stage(cerr)),
		Message: strings.ToValidUTF8(C.GoString(C.coreproc_error_message(cerr)), "\uFFFD"),
	}
}
