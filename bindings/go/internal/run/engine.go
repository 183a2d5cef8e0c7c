package run

import (
	"sync"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/route"
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
	*route.Table[*Child]
	events *capi.Subscription
}

func newFeed(events *capi.Subscription) *feed {
	f := &feed{route.NewTable[*Child](), events}
	go f.pump()
	return f
}

func (f *feed) failed() bool { return f != nil && f.Broken() != nil }

func (f *feed) pump() {
	for {
		batch, err := f.events.Next()
		if err != nil {
			// The stream has no end of its own: the library has failed.
			for _, left := range f.Break(err) {
				go left.abandon(err)
			}
			f.events.Close()
			return
		}
		if child := f.Route(batch); child != nil {
			f.hand(child, batch)
		}
	}
}

// know ends a start: the events of its child pass from now on.
func (f *feed) know(child *Child) {
	early, err := f.Add(child.core.ID(), child)
	f.End()
	if err != nil {
		child.abandon(err)
	}
	for _, batch := range early {
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
	if child.ended {
		return // abandoned
	}
	for event := batch.Next(); event != nil; event = batch.Next() {
		if child.handle(event) && f.Remove(event.ProcessID) {
			child.closed(event)
		}
	}
}
