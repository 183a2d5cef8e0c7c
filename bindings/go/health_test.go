package process

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ask gets a page of a health server.
func ask(t *testing.T, address, path string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: hang, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + path)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(body)
}

func TestHealthServer_answers_for_its_checks(t *testing.T) {
	server := NewHealthServer("127.0.0.1:0")
	var mu sync.Mutex
	var failure error
	server.AddCheck(func() error { mu.Lock(); defer mu.Unlock(); return failure })
	server.AddCheck(nil)
	assert.True(t, server.Ready())
	require.NoError(t, server.Start())
	assert.Error(t, server.Start(), "twice")
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.Background())) })
	address := server.Addr()
	set := func(err error) { mu.Lock(); defer mu.Unlock(); failure = err }

	require.True(t, WaitForHealth(address, 10_000))
	require.True(t, WaitForReady(address, 10_000))
	for _, c := range []struct {
		failure error
		status  int
		body    string
	}{{nil, 200, "ok\n"}, {errors.New("no database"), 503, "unhealthy: no database\n"}, {nil, 200, "ok\n"}} {
		set(c.failure)
		status, body := ask(t, address, "/health")
		assert.Equal(t, []any{c.status, c.body}, []any{status, body})
		ok, reason := ProbeHealth(address, 10_000)
		assert.Equal(t, c.failure == nil, ok)
		assert.Contains(t, reason, strings.TrimSpace(c.body))
	}
	server.SetReady(false)
	assert.False(t, server.Ready())
	status, body := ask(t, address, "/ready")
	assert.Equal(t, []any{503, "not ready\n"}, []any{status, body})
	ok, reason := ProbeReady(address, 10_000)
	assert.False(t, ok)
	assert.Contains(t, reason, "not ready")
	assert.False(t, WaitForReady(address, 10))
	server.SetReady(true)
	ok, _ = ProbeReady(address, 10_000)
	assert.True(t, ok)
}

func TestHealthServer_survives_checks_that_panic_or_end_their_goroutine(t *testing.T) {
	for name, c := range map[string]struct {
		check HealthCheck
		says  string
	}{
		"panic":  {func() error { panic("the check's own") }, "unhealthy: panicked: the check's own\n"},
		"goexit": {func() error { runtime.Goexit(); return nil }, "unhealthy: the check ended its goroutine\n"},
	} {
		t.Run(name, func(t *testing.T) {
			server := NewHealthServer("127.0.0.1:0")
			server.AddCheck(c.check)
			require.NoError(t, server.Start())
			for range 3 {
				status, body := ask(t, server.Addr(), "/health")
				assert.Equal(t, []any{503, c.says}, []any{status, body})
			}
			assert.NoError(t, server.Stop(t.Context()))
		})
	}
}

func TestHealthServer_stops_with_its_context(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	server := NewHealthServer("127.0.0.1:0")
	server.AddCheck(func() error { close(asked); <-release; return nil })
	require.NoError(t, server.Start())
	address := server.Addr()
	answered := make(chan bool)
	go func() {
		ok, _ := ProbeHealth(address, int(hang/time.Millisecond))
		answered <- ok
	}()
	await(t, asked, "the question")

	//lint:ignore SA1012 the mistake is what is tested
	assert.ErrorIs(t, server.Stop(nil), ErrContextRequired)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := server.Stop(ctx)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, capi.ErrTimedOut)
	assert.False(t, await(t, answered, "the answer"))
	close(release)
	assert.NoError(t, server.Stop(t.Context()), "stopping what does not run is fine")
	require.NoError(t, server.Start(), "it can be started again")
	assert.NoError(t, server.Stop(t.Context()))
}

func TestHealthServer_reports_a_bad_address_at_its_start(t *testing.T) {
	for _, address := range []string{"nonsense", "127.0.0.1:99999", "a\x00b", ""} {
		server := NewHealthServer(address)
		assert.Error(t, server.Start(), address)
		server.AddCheck(func() error { return nil })
		server.SetReady(false)
		assert.NoError(t, server.Stop(t.Context()))
		assert.Equal(t, address, server.Addr())
	}
}

func TestProbes_of_nobody_say_why(t *testing.T) {
	server := NewHealthServer("127.0.0.1:0")
	require.NoError(t, server.Start())
	address := server.Addr()
	require.NoError(t, server.Stop(t.Context()))
	ok, reason := ProbeHealth(address, 10_000)
	assert.False(t, ok)
	assert.Contains(t, reason, "refused")
	assert.False(t, WaitForHealth(address, 20))
	assert.False(t, WaitForHealth(address, 0))
	assert.False(t, WaitForHealth(address, -1), "a negative time is none")
	ok, reason = ProbeReady("nonsense", 100)
	assert.False(t, ok)
	assert.NotEmpty(t, reason)
}
