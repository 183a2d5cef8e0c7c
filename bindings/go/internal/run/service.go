package run

import (
	"sync"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// feed brings the events of commands to their children.
type feed = engine.Feed[*Child]

// service is the service of the library that runs all commands. It starts with the first command, and again if it fails.
type service struct {
	mu     sync.Mutex
	handle *capi.Service
	quiet  *feed // of commands whose output does not come through Go
	loud   *feed // of the other commands
}

var shared service

// get returns the service of the library and a feed of its events.
func (s *service) get(loud bool) (*capi.Service, *feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed(s.quiet) || failed(s.loud) {
		s.handle.Close()
		s.handle, s.quiet, s.loud = nil, nil, nil
	}
	if s.handle == nil {
		handle, err := capi.NewService(capi.ServiceOptions{CaptureBytes: capi.Unlimited})
		if err != nil {
			return nil, nil, err
		}
		s.handle = handle
	}
	chosen, delivery := &s.quiet, capi.DeliveryNone
	if loud {
		chosen, delivery = &s.loud, capi.DeliveryChunks
	}
	if *chosen == nil {
		wanted := capi.SubscriptionOptions{Named: true, Delivery: delivery}
		opened, err := engine.Open(s.handle, wanted, (*Child).receive, (*Child).abandon)
		if err != nil {
			return nil, nil, err
		}
		*chosen = opened
	}
	return s.handle, *chosen, nil
}

func failed(feed *feed) bool { return feed != nil && feed.Err() != nil }
