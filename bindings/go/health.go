package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// HealthCheck says whether all is well, or what is not. A panic in it is a failure.
type HealthCheck func() error

// HealthServer answers over HTTP whether its program is well: /health "ok" (200) or "unhealthy: " and the error of a
// check (503), /ready "ready" (200) or "not ready" (503). It may be used by several goroutines at once.
type HealthServer struct {
	core    *capi.Health
	broken  error // why there is no core
	address string
}

// NewHealthServer is a server that will listen at an address such as "127.0.0.1:8080", ":8080" (every interface of the
// machine: whoever can reach it can ask), "127.0.0.1:0" (the kernel chooses the port), "unix:/run/it.sock" (a socket
// file, for its owner and, as the umask has it, its group) or "unix:@it" (a name that is no file, for everybody in the
// network namespace). A mistake in it is reported by Start.
func NewHealthServer(addr string) *HealthServer {
	core, err := capi.NewHealth(addr)
	return &HealthServer{core: core, broken: err, address: addr}
}

// AddCheck adds a check, also while the server runs. Checks run side by side, none twice at once; one that takes
// longer than 5 s is a failure.
func (h *HealthServer) AddCheck(check HealthCheck) {
	if h.core != nil && check != nil {
		_ = h.core.AddCheck(capi.Check(check))
	}
}

// SetReady says what /ready answers, which is yes at first.
func (h *HealthServer) SetReady(ready bool) {
	if h.core != nil {
		_ = h.core.SetReady(ready)
	}
}

// Ready says what /ready answers.
func (h *HealthServer) Ready() bool { return h.core != nil && h.core.Ready() }

var errNoHealthServer = errors.New("health server: NewHealthServer makes one")

// Start listens; when it has returned, connections are accepted.
func (h *HealthServer) Start() error {
	if h.core == nil {
		return cmp.Or(h.broken, errNoHealthServer)
	}
	if err := h.core.Start(); err != nil {
		return err
	}
	keep(h)
	return nil
}

// Stop waits for requests under way until ctx is done; then they are cut, which is an error. Stopping what does not
// run is fine.
func (h *HealthServer) Stop(ctx context.Context) error {
	if ctx == nil {
		return ErrDaemonContextRequired
	}
	if h.core == nil {
		return nil
	}
	forget := context.AfterFunc(ctx, func() { _ = h.core.Stop(0) })
	defer forget()
	err := h.core.Stop(-1)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, ctx.Err())
	}
	if running := err != nil && ctx.Err() == nil; !running {
		letGo(h)
	}
	return err
}

// Addr is the bound address, once the server runs; else the given one.
func (h *HealthServer) Addr() string {
	if h.core == nil {
		return h.address
	}
	address, err := h.core.Address()
	if err != nil {
		return h.address
	}
	return address
}

// WaitForHealth asks the health server at an address until /health answers 200, for so many milliseconds.
func WaitForHealth(addr string, timeoutMs int) bool {
	return waitFor(addr, capi.EndpointHealth, timeoutMs)
}

// WaitForReady is WaitForHealth for /ready.
func WaitForReady(addr string, timeoutMs int) bool {
	return waitFor(addr, capi.EndpointReady, timeoutMs)
}

// ProbeHealth asks the health server at an address once. It returns whether /health answered 200, and the body of the
// answer without its newline, such as "ok" or, after another status, "503: unhealthy: ...", or what was in its way.
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

// patience is a time in milliseconds; none if it is negative.
func patience(timeoutMs int) time.Duration {
	const longest = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(min(max(0, int64(timeoutMs)), longest)) * time.Millisecond
}
