package engine

import "dappco.re/go/core/process/internal/capi"

// Feed brings the events of a subscription to their receivers, which are of type R. One goroutine, the pump, takes the
// batches; in doing so it does the work of the library: it reads pipes, reaps children and runs timeouts. So it calls
// nothing that may block. The library gives out one batch of a process at a time, and the next one when that is closed:
// the events of a process stay in order, and a slow receiver holds up its own process alone.
//
// A Feed knows the processes that run, and nothing of what started them, so that an unreachable service can be freed.
// That ends the stream of events after those of its last process, and the pump with it.
type Feed[R comparable] struct {
	table[R]
	events  *capi.Subscription
	receive func(R, *Feed[R], *capi.Batch)
	lose    func(R, error)
}

// Open subscribes to the ends of processes, and to their output as the options say, and starts the pump. The pump calls
// receive with each batch that has a receiver; receive must not block, and has the batch closed when it is handled. It
// starts a goroutine that calls lose for each receiver that is left when no more events will come.
func Open[R comparable](
	service *capi.Service, options capi.SubscriptionOptions, receive func(R, *Feed[R], *capi.Batch), lose func(R, error),
) (*Feed[R], error) {
	options.Drive, options.EndsOnly = true, true
	events, err := service.Subscribe(options)
	if err != nil {
		return nil, err
	}
	feed := &Feed[R]{table: newTable[R](), events: events, receive: receive, lose: lose}
	go feed.pump()
	return feed, nil
}

func (f *Feed[R]) pump() {
	for {
		batch, err := f.events.Next()
		if err != nil {
			// No receiver is left at the regular end of the stream. If one is, the library has failed.
			for _, left := range f.fail(err) {
				go f.lose(left, err)
			}
			f.events.Close()
			return
		}
		if to, known := f.route(batch); known {
			f.receive(to, f, batch)
		}
	}
}

// Name has a subscription to named processes see those of the command.
func (f *Feed[R]) Name(command *capi.Command) { command.Subscribe(f.events) }

// Know ends a start that succeeded: the events of what was started go to the receiver from now on, beginning with those
// that came before.
func (f *Feed[R]) Know(id uint64, to R) {
	early, err := f.Add(id, to)
	f.End()
	if err != nil {
		f.lose(to, err)
	}
	for _, batch := range early {
		f.receive(to, f, batch)
	}
}

// More returns the next batch if there is one at once and it belongs to the receiver: the receiver then goes on without
// a detour by the pump. If the batch belongs to another receiver, More brings it there and returns nil.
func (f *Feed[R]) More(of R) *capi.Batch {
	batch, err := f.events.Look()
	if err != nil {
		return nil // There is none, or the pump finds the same error.
	}
	to, known := f.route(batch)
	switch {
	case !known:
		return nil
	case to == of:
		return batch
	default:
		f.receive(to, f, batch)
		return nil
	}
}

// Close ends the stream of events. Events that are left are lost.
func (f *Feed[R]) Close() { f.events.Close() }
