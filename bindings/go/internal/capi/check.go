package capi

/*
#include <coreproc.h>

extern int32_t capiRunCheck(coreproc_check_answer *answer, uintptr_t check);
extern void capiForgetCheck(uintptr_t check);

// A cgo.Handle is a number, and only C sees it as a pointer.
static int32_t capi_check(coreproc_check_answer *answer, void *check) {
	return capiRunCheck(answer, (uintptr_t)check);
}

static void capi_forget(void *check) {
	capiForgetCheck((uintptr_t)check);
}

static coreproc_result capi_health_add(coreproc_health *health, uintptr_t check, coreproc_error **err) {
	return coreproc_health_add_check(health, NULL, 0, capi_check, (void *)check, capi_forget, err);
}

static coreproc_result capi_daemon_add(coreproc_daemon *daemon, uintptr_t check, coreproc_error **err) {
	return coreproc_daemon_add_check(daemon, NULL, 0, capi_check, (void *)check, capi_forget, err);
}

#cgo noescape capi_health_add
#cgo noescape capi_daemon_add
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
)

// Check returns nil if all is well, else an error that says what is wrong.
type Check func() error

//export capiRunCheck
func capiRunCheck(answer *C.coreproc_check_answer, check C.uintptr_t) C.int32_t {
	err := cgo.Handle(check).Value().(Check).run()
	if err == nil {
		return 0
	}
	data, size := text(err.Error())
	C.coreproc_check_answer_reason(answer, data, size, nil)
	return 1
}

//export capiForgetCheck
func capiForgetCheck(check C.uintptr_t) { cgo.Handle(check).Delete() }

var errCheckEnded = errors.New("the check ended its goroutine")

// run runs a check on a goroutine of its own, because the check may end its goroutine, and C has called this one. A panic
// counts as a failure.
func (c Check) run() error {
	result := make(chan error, 1)
	go func() {
		received()
		err := errCheckEnded
		defer func() {
			if panicked := recover(); panicked != nil {
				err = fmt.Errorf("panicked: %v", panicked)
			}
			sent()
			result <- err
		}()
		err = c()
	}()
	return <-result
}

// AddCheck adds a check, which is forgotten when the server is freed. The check must not refer to the server, because
// that would keep the server from being freed.
func (h *Health) AddCheck(added Check) error {
	pointer, err := h.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	var cerr *C.coreproc_error
	return check(C.capi_health_add(pointer, C.uintptr_t(cgo.NewHandle(added)), &cerr), cerr)
}

// AddCheck adds a check to the health server. The check is forgotten when the daemon is freed.
func (d *Daemon) AddCheck(added Check) error {
	pointer, err := d.acquire()
	if err != nil {
		return err
	}
	defer d.release()
	var cerr *C.coreproc_error
	return check(C.capi_daemon_add(pointer, C.uintptr_t(cgo.NewHandle(added)), &cerr), cerr)
}
