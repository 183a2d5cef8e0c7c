package run

import (
	"maps"
	"slices"
	"sync"

	"dappco.re/go/core/process/internal/capi"
)

// engine is the service that runs all commands. It starts with the first, and again should it ever fail.
type engine struct {
	mu      sync.Mutex
	service *capi.Service
	quiet   *feed // of commands whose output does not come through Go
	loud    *feed // of the others
}

var shared engine

// get gives the service and a feed of its events.
func (e *engine) get(loud bool) (*capi.Service, *feed, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quiet.failed() || e.loud.failed() {
		e.service.Close()
		e.service, e.quiet, e.loud = nil, nil, nil
	}
	if e.service == nil {
		service, err := capi.NewService(capi.ServiceOptions{CaptureBytes: capi.Unlimited})
		if err != nil {
			return nil, nil, err
		}
		e.service = service
	}
	chosen, delivery := &e.quiet, capi.DeliveryNone
	if loud {
		chosen, delivery = &e.loud, capi.DeliveryChunks
	}
	if *chosen == nil {
		events, err := e.service.Subscribe(capi.SubscriptionOptions{Named: true, Drive: true, EndsOnly: true, Delivery: delivery})
		if err != nil {
			return nil, nil, err
		}
		*chosen = newFeed(events)
	}
	return e.service, *chosen, nil
}

// feed brings events to their children: one goroutine takes the batches of all of them. The library gives out
// one batch of a child at a time, and goes on when that is closed.
type feed struct {
	events *capi.Subscription

	mu       sync.Mutex
	starting int // starts under way
	known    map[uint64]*Child
	early    map[uint64]*capi.Batch // of children that may become known
	broken   error                  // no more events
}

func newFeed(events *capi.Subscription) *feed {
	f := &feed{
		events: events,
		known:  make(map[uint64]*Child),
		early:  make(map[uint64]*capi.Batch),
	}
	go f.pump()
	return f
}

func (f *feed) failed() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken != nil
}

func (f *feed) pump() {
	for {
		batch, err := f.events.Next()
		if err != nil {
			f.abandon(err)
			return
		}
		f.mu.Lock()
		child := f.known[batch.ProcessID()]
		switch {
		case child != nil:
		case f.starting > 0:
			f.early[batch.ProcessID()] = batch
		default:
			// Of a child whose start has failed.
			batch.Close()
		}
		f.mu.Unlock()
		if child != nil {
			f.hand(child, batch)
		}
	}
}

// begin says that a child is about to start; know or giveUp follows.
func (f *feed) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starting++
}

// giveUp says that it did not start.
func (f *feed) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started()
}

// started ends what begin began, with f locked.
func (f *feed) started() {
	f.starting--
	if f.starting > 0 {
		return
	}
	// A start that failed may have left events, and nobody will ever ask for them.
	for _, batch := range f.early {
		batch.Close()
	}
	clear(f.early)
}

// know lets the events of a child pass.
func (f *feed) know(child *Child) {
	id := child.core.ID()
	f.mu.Lock()
	batch := f.early[id]
	delete(f.early, id)
	f.started()
	broken := f.broken
	if broken == nil {
		f.known[id] = child
	}
	f.mu.Unlock()
	if broken != nil {
		child.abandon(broken)
	} else if batch != nil {
		f.hand(child, batch)
	}
}

// hand has a batch handled, elsewhere if a Reader or Writer of the user's may block.
func (f *feed) hand(child *Child, batch *capi.Batch) {
	if child.loud() || child.input != nil {
		go f.handle(child, batch)
	} else {
		f.handle(child, batch)
	}
}

func (f *feed) handle(child *Child, batch *capi.Batch) {
	defer batch.Close()
	// The batches of a child follow each other anyway, but that happens in the library, where the race detector
	// does not see it.
	child.mu.Lock()
	defer child.mu.Unlock()
	for event := batch.Next(); event != nil; event = batch.Next() {
		if child.handle(event) {
			f.mu.Lock()
			delete(f.known, event.ProcessID)
			f.mu.Unlock()
			child.closed(event)
		}
	}
}

// abandon ends the children that are left when the library has failed: the stream has no end of its own.
func (f *feed) abandon(cause error) {
	f.mu.Lock()
	f.broken = cause
	left := slices.Collect(maps.Values(f.known))
	early := slices.Collect(maps.Values(f.early))
	clear(f.known)
	clear(f.early)
	f.mu.Unlock()
	for _, batch := range early {
		batch.Close()
	}
	for _, child := range left {
		child.abandon(cause)
	}
	f.events.Close()
}
