package capi

/*
#include <coreproc.h>

typedef struct {
	coreproc_result result;
	coreproc_error *error;
	coreproc_batch *batch;
	const coreproc_event *events;
	size_t count;
	size_t stride;
} capi_taken;

// One crossing from Go instead of four. The codes TIMED_OUT and CLOSED suffice, so their errors are freed here.
static capi_taken capi_take(coreproc_subscription *subscription) {
	capi_taken taken = {0};
	taken.result = coreproc_subscription_take(subscription, 0, 0, &taken.batch, &taken.error);
	if (taken.result == COREPROC_OK) {
		taken.events = coreproc_batch_events(taken.batch, &taken.count, &taken.stride);
	} else if (taken.result == COREPROC_TIMED_OUT || taken.result == COREPROC_CLOSED) {
		coreproc_error_free(taken.error);
		taken.error = NULL;
	}
	return taken;
}

#cgo noescape capi_take
#cgo nocallback capi_take
*/
import "C"

import (
	"cmp"
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// Subscription gives the events of processes that were spawned after it opened.
type Subscription struct {
	handle[*C.coreproc_subscription]
	ready *os.File        // readable while events may wait, and when the stream has ended
	wait  syscall.RawConn // waits for ready
	lines bool            // batches give output line by line

	// look and its last results are fields, because local variables that look changes would be allocated each time.
	look  func(uintptr) bool
	batch *Batch
	err   error
}

// Delivery says in which form output arrives.
type Delivery uint32

// The forms of output.
const (
	DeliveryChunks Delivery = C.COREPROC_DELIVERY_CHUNKS      // as it was read
	DeliveryLines  Delivery = C.COREPROC_DELIVERY_WHOLE_LINES // an event a line, without its "\n"; see [Batch.Next]
	DeliveryNone   Delivery = C.COREPROC_DELIVERY_NONE        // no output at all
)

// SubscriptionOptions say which events a subscription gets.
type SubscriptionOptions struct {
	Named        bool     // it sees only processes whose command names it, see [Command.Subscribe]
	Drive        bool     // Next does the work of the service, which rests between its calls, unless another subscription drives it
	EndsOnly     bool     // its lifecycle events are EventClosed, and EventStarted for the processes of a run
	Delivery     Delivery // 0 means lines
	QueueBytes   uint64   // for each process; 0 means 1 MiB
	MaxLineBytes uint64   // 0 means 1 MiB
}

// Subscribe opens a subscription.
func (s *Service) Subscribe(options SubscriptionOptions) (*Subscription, error) {
	service, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.release()
	options.Delivery = cmp.Or(options.Delivery, DeliveryLines)
	coptions := C.coreproc_subscription_options{
		struct_size:    C.uint32_t(unsafe.Sizeof(C.coreproc_subscription_options{})),
		scope:          C.COREPROC_SUBSCRIBE_ALL,
		delivery:       C.uint32_t(options.Delivery),
		queue_bytes:    C.uint64_t(options.QueueBytes),
		max_line_bytes: C.uint64_t(options.MaxLineBytes),
	}
	if options.Named {
		coptions.scope = C.COREPROC_SUBSCRIBE_NAMED
	}
	if options.EndsOnly {
		coptions.lifecycle = C.COREPROC_LIFECYCLE_ENDS
	}
	var pointer *C.coreproc_subscription
	var cerr *C.coreproc_error
	if err := check(C.coreproc_subscription_open(service, &coptions, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	subscription := &Subscription{lines: options.Delivery == DeliveryLines}
	subscription.own(pointer, func(p *C.coreproc_subscription) { C.coreproc_subscription_free(p) })
	if err := subscription.watch(pointer, options.Drive); err != nil {
		subscription.Close()
		return nil, err
	}
	return subscription, nil
}

// watch has Go's poller watch for events. It watches the poller of the service, whose work Next then does, or a pipe that
// the service's thread writes to.
func (s *Subscription) watch(pointer *C.coreproc_subscription, drive bool) error {
	var fd C.int32_t
	var cerr *C.coreproc_error
	err := error(ErrBusy)
	if drive {
		err = check(C.coreproc_subscription_drive(pointer, &fd, &cerr), cerr)
	}
	if errors.Is(err, ErrBusy) {
		cerr = nil
		err = check(C.coreproc_subscription_fd(pointer, &fd, &cerr), cerr)
	}
	if err != nil {
		return err
	}
	if s.ready, err = duplicate(fd); err != nil {
		return err
	}
	s.look = func(uintptr) bool {
		s.batch, s.err = s.take()
		return s.err != ErrTimedOut
	}
	s.wait, err = s.ready.SyscallConn()
	return err
}

// lowestFd is the lowest descriptor of a duplicate: no standard stream, because the program may have closed those.
const lowestFd = 3

// duplicate makes the descriptor a file in Go's poller. It duplicates the descriptor, because the library closes its own
// and an os.File closes what it wraps.
func duplicate(fd C.int32_t) (*os.File, error) {
	duplicate, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, lowestFd)
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	// So os.NewFile knows that Go's poller can wait for it.
	if err := syscall.SetNonblock(int(duplicate), true); err != nil {
		_ = syscall.Close(int(duplicate))
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(duplicate, "coreproc events"), nil
}

// Next waits for events and returns them, or [ErrClosed] at the end of the stream. Only the goroutine waits, and no thread.
// One goroutine at a time may call it; the batches may go to others.
func (s *Subscription) Next() (*Batch, error) {
	// A look that finds nothing has armed the descriptor, so no event is missed between the look and the wait.
	if err := s.wait.Read(s.look); err != nil {
		if s.closed.Load() {
			return nil, ErrClosed
		}
		return nil, err
	}
	batch := s.batch
	s.batch = nil
	return batch, s.err
}

// Look returns a batch if one is ready, and [ErrTimedOut] if none is. Several goroutines may call it at the same time,
// beside one that is in Next.
func (s *Subscription) Look() (*Batch, error) { return s.take() }

// take returns a batch if one is ready, else ErrTimedOut or, at the end of the stream, ErrClosed.
func (s *Subscription) take() (*Batch, error) {
	pointer, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.release()
	taken := C.capi_take(pointer)
	if taken.result != C.COREPROC_OK {
		return nil, check(taken.result, taken.error)
	}
	received()
	return newBatch(taken.batch, taken.events, int(taken.count), int(taken.stride), s.lines), nil
}

// Close ends the stream, discards the events that wait, and gives the handle back. It may be called again, from any
// goroutine. Next then returns [ErrClosed].
func (s *Subscription) Close() {
	// The handle comes first: Next, which the second call wakes, has to find it closed.
	s.handle.Close()
	if s.ready != nil {
		_ = s.ready.Close()
	}
}
