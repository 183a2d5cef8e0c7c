package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// HealthCheck returns nil if all is well, else an error that says what is wrong. A panic in it counts as a failure.
type HealthCheck func() error

// HealthServer says over HTTP whether its program is well: /health answers "ok" (200) or "unhealthy: " and the error of a
// check (503), /ready answers "ready" (200) or "not ready" (503). It may be used by several goroutines at once.
type HealthServer struct {
	handle  *capi.Health
	broken  error // why there is no handle, or nil
	address string

	bound   atomic.Pointer[string] // address at which it listens, or did last
	stopped atomic.Bool            // it was stopped, and not started since
}

// NewHealthServer makes a server that will listen at an address such as "127.0.0.1:8080", ":8080" (every interface of
// the machine, so that every client that can reach it can ask), "127.0.0.1:0" (the kernel chooses the port),
// "unix:/run/it.sock" (a socket file, for its owner and, if the umask allows it, its group) or "unix:@it" (a name that
// is no file, for every process in the network namespace). Start reports a mistake in the address.
func NewHealthServer(addr string) *HealthServer {
	handle, err := capi.NewHealth(addr)
	return &HealthServer{handle: handle, broken: err, address: addr}
}

// AddCheck adds a check. It may be called while the server runs. Checks run side by side, none of them twice at once; a
// check that takes longer than 5 s counts as a failure.
func (h *HealthServer) AddCheck(check HealthCheck) {
	if h.handle != nil && check != nil {
		_ = h.handle.AddCheck(capi.Check(check))
	}
}

// SetReady sets whether /ready answers "ready"; at first it does.
func (h *HealthServer) SetReady(ready bool) {
	if h.handle != nil {
		_ = h.handle.SetReady(ready)
	}
}

// Ready reports whether /ready answers "ready"; false once the server was stopped.
func (h *HealthServer) Ready() bool { return h.handle != nil && !h.stopped.Load() && h.handle.Ready() }

var errNoHealthServer = errors.New("health server: NewHealthServer makes one")

// Start begins to listen. When it returns, connections are accepted.
func (h *HealthServer) Start() error {
	if h.handle == nil {
		return cmp.Or(h.broken, errNoHealthServer)
	}
	if err := h.handle.Start(); err != nil {
		return err
	}
	if address, err := h.handle.Address(); err == nil {
		h.bound.Store(&address)
	}
	h.stopped.Store(false)
	keep(h)
	return nil
}

// Stop waits for requests under way until ctx is done; then it cuts them and returns an error. Stopping a server that does
// not run is fine.
func (h *HealthServer) Stop(ctx context.Context) error {
	if ctx == nil {
		return ErrDaemonContextRequired
	}
	if h.handle == nil {
		return nil
	}
	forget := context.AfterFunc(ctx, func() { _ = h.handle.Stop(0) })
	defer forget()
	err := h.handle.Stop(-1)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, ctx.Err())
	}
	if running := err != nil && ctx.Err() == nil; !running {
		h.stopped.Store(true)
		letGo(h)
	}
	return err
}

// Addr returns the address that the server has bound, even after Stop; before Start, the address that it was given.
func (h *HealthServer) Addr() string {
	if bound := h.bound.Load(); bound != nil {
		return *bound
	}
	return h.address
}

// WaitForHealth asks the health server at an address until /health answers 200 or timeoutMs milliseconds have passed,
// and reports whether it has answered with 200.
func WaitForHealth(addr string, timeoutMs int) bool {
	return waitFor(addr, capi.EndpointHealth, timeoutMs)
}

// WaitForReady is WaitForHealth for /ready.
func WaitForReady(addr string, timeoutMs int) bool {
	return waitFor(addr, capi.EndpointReady, timeoutMs)
}

// ProbeHealth asks the health server at an address once. It returns whether /health answered 200, and the body of the
// answer without its newline, such as "ok" or, with another status, "503: unhealthy: ...". If there was no answer, it
// returns why.
func ProbeHealth(addr string, timeoutMs int) (bool, string) {
	return probe(addr, capi.EndpointHealth, timeoutMs)
}

// ProbeReady is ProbeHealth for /ready.
func ProbeReady(addr string, timeoutMs int) (bool, string) {
	return probe(addr, capi.EndpointReady, timeoutMs)
}

func waitFor(addr string, endpoint capi.Endpoint, timeoutMs int) bool {
	ok, err := capi.WaitHealth(addr, endpoint, patience(timeoutMs))
	return ok && err == nil
}

func probe(addr string, endpoint capi.Endpoint, timeoutMs int) (bool, string) {
	ok, reason, err := capi.ProbeHealth(addr, endpoint, patience(timeoutMs))
	if err != nil {
		return false, err.Error()
	}
	return ok, reason
}

// patience converts milliseconds to a duration; a negative number means 0.
func patience(timeoutMs int) time.Duration {
	const longest = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(min(max(0, int64(timeoutMs)), longest)) * time.Millisecond
}
