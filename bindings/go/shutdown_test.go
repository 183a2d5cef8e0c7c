package process

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"dappco.re/go/core/process/internal/engine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnShutdown_kills_groups_and_detached_processes_without_grace(t *testing.T) {
	service, recorder := newRecordedService(t)
	plain, child := family(t, service, recorder, RunOptions{GracePeriod: hang})
	detached, other := family(t, service, recorder, RunOptions{Detach: true, GracePeriod: hang})

	require.NoError(t, service.OnShutdown(t.Context()))

	for _, process := range []*Process{plain, detached} {
		assert.False(t, process.IsRunning(), "it is over when OnShutdown returns")
		assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
		messages := recorder.untilExited(t, process.ID)
		assert.Equal(t, ActionProcessKilled{ID: process.ID, Signal: "SIGKILL"}, messages[len(messages)-2])
	}
	gone(t, child)
	gone(t, other)

	// Then the service can still be used.
	output, err := service.Run(t.Context(), "echo", "again")
	require.NoError(t, err)
	assert.Equal(t, "again\n", output)
	assert.NoError(t, service.OnShutdown(t.Context()))
}

func TestOnShutdown_may_be_called_by_a_handler(t *testing.T) {
	var service *Service
	called := make(chan error, 1)
	service = newListenedService(t, func(message any) {
		if _, ok := message.(ActionProcessOutput); ok {
			called <- service.OnShutdown(context.Background())
		}
	})
	process, err := service.Start(t.Context(), "sh", "-c", "echo hello; exec sleep 1000")
	require.NoError(t, err)
	assert.NoError(t, await(t, called, "the return of OnShutdown"))
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
}

func TestOnShutdown_kills_also_when_its_context_is_over(t *testing.T) {
	service, _ := newTestService(t)
	process, err := service.Start(t.Context(), "sleep", "1000")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NoError(t, service.OnShutdown(ctx))
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
}

// meanwhile is a context that calls a function when a start checks whether it is done.
type meanwhile struct {
	context.Context
	do func()
}

func (m meanwhile) Err() error {
	m.do()
	return m.Context.Err()
}

func TestOnShutdown_kills_what_is_on_its_way(t *testing.T) {
	service := newQuietService(t)
	shutDown := func() { assert.NoError(t, service.OnShutdown(context.Background())) }
	process, err := service.Start(meanwhile{context.Background(), shutDown}, "sleep", "1000")
	require.NoError(t, err)
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
}

func TestOnShutdown_while_others_start_and_after_them_leaves_none(t *testing.T) {
	service := newQuietService(t)
	for range count(t, 20) {
		var starters sync.WaitGroup
		begun := make(chan struct{}, 4)
		var over atomic.Bool
		for range 4 {
			starters.Go(func() {
				for !over.Load() {
					_, err := service.Start(context.Background(), "sleep", "1000")
					assert.NoError(t, err)
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		await(t, begun, "a start")
		require.NoError(t, service.OnShutdown(context.Background()))
		over.Store(true)
		starters.Wait()
		end(t, service)
		service.Clear()
		noChildren(t)
	}
}

func TestLifecycle_needs_a_context(t *testing.T) {
	service := newQuietService(t)
	//lint:ignore SA1012 the mistake is what is tested
	assert.ErrorIs(t, service.OnShutdown(nil), ErrContextRequired)
	//lint:ignore SA1012 the mistake is what is tested
	assert.ErrorIs(t, service.OnStartup(nil), ErrContextRequired)
}
