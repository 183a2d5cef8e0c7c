package capi

import (
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newTestService(t *testing.T, options ServiceOptions) *Service {
	t.Helper()
	service, err := NewService(options)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := service.Shut(CloseKill); !errors.Is(err, ErrClosed) {
			assert.NoError(t, err)
		}
		service.Close()
	})
	return service
}

func subscribe(t *testing.T, service *Service, options SubscriptionOptions) *Subscription {
	t.Helper()
	subscription, err := service.Subscribe(options)
	require.NoError(t, err)
	t.Cleanup(subscription.Close)
	return subscription
}

func spawn(t *testing.T, service *Service, program string, args ...string) *Process {
	t.Helper()
	command := NewCommand(program)
	defer command.Close()
	command.Args(args...)
	command.Stdio(Stdin, StdioPipe)
	process, _, err := command.Spawn(service)
	require.NoError(t, err)
	return process
}

// eventsOf takes the events of a process up to its last one.
func eventsOf(t *testing.T, subscription *Subscription, process *Process) []Event {
	t.Helper()
	var events []Event
	for {
		batch, err := subscription.Next()
		require.NoError(t, err)
		ended := false
		for event := batch.Next(); event != nil; event = batch.Next() {
			require.Equal(t, batch.ProcessID(), event.ProcessID)
			if event.ProcessID == process.ID() {
				events = append(events, *event)
				ended = event.Kind == EventClosed
			}
		}
		batch.Close()
		if ended {
			return events
		}
	}
}

func TestProcess_is_controlled_until_it_ends(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "cat")
	require.NoError(t, process.Signal(0, ScopeProcess))
	written, err := process.Write("hello\n", -1)
	require.NoError(t, err)
	assert.Equal(t, 6, written)
	count, err := service.Count()
	require.NoError(t, err)
	assert.Equal(t, 1, count)
	require.NoError(t, process.Stop())

	events := eventsOf(t, subscription, process)

	last := events[len(events)-1]
	assert.Equal(t, []any{-1, syscall.SIGTERM, CauseStopped}, []any{last.ExitCode, last.Signal, last.Cause})
	assert.ErrorIs(t, process.Signal(syscall.SIGTERM, ScopeProcess), ErrNotRunning)
	assert.ErrorIs(t, process.Kill(ScopeProcess), ErrNotRunning)
	_, err = process.Write("late", -1)
	assert.Error(t, err)
	assert.NoError(t, process.CloseStdin())
}

func TestProcess_that_does_not_read_lets_a_write_time_out(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	process := spawn(t, service, "sleep", "1000")
	total := 0
	for {
		written, err := process.Write(strings.Repeat("x", 1<<20), 0)
		if err != nil {
			assert.ErrorIs(t, err, ErrTimedOut)
			break
		}
		require.Positive(t, written)
		total += written
	}
	assert.Positive(t, total, "what the pipe holds")
	_, err := process.Write("x", time.Millisecond)
	assert.ErrorIs(t, err, ErrTimedOut)
}

func TestService_that_is_shut_refuses_spawns(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "sleep", "1000")
	require.NoError(t, service.Shut(CloseKill))
	require.NoError(t, service.Shut(CloseKill))
	assert.Equal(t, syscall.SIGKILL, eventsOf(t, subscription, process)[2].Signal)
	command := NewCommand("true")
	defer command.Close()
	_, _, err := command.Spawn(service)
	assert.ErrorIs(t, err, ErrClosed)
	assert.ErrorIs(t, service.Shut(CloseMode(99)), ErrInvalidArgument)
}

func TestHandles_that_are_closed_give_ErrClosed(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "true")
	eventsOf(t, subscription, process)
	command := NewCommand("true")
	for _, close := range []func(){process.Close, command.Close, subscription.Close, service.Close} {
		close()
		close()
	}
	_, infoErr := process.Info()
	_, outputErr := process.Output()
	_, writeErr := process.Write("", 0)
	_, _, spawnErr := command.Spawn(service)
	_, nextErr := subscription.Next()
	_, subscribeErr := service.Subscribe(SubscriptionOptions{})
	_, countErr := service.Count()
	for _, err := range []error{infoErr, outputErr, writeErr, spawnErr, nextErr, subscribeErr, countErr,
		process.Signal(0, ScopeProcess), process.Kill(ScopeProcess), process.Stop(), process.CloseStdin(),
		service.Shut(CloseKill)} {
		assert.ErrorIs(t, err, ErrClosed)
	}
	assert.NotZero(t, process.ID(), "an id stays known")
}

func TestHandles_closed_while_others_use_them_do_no_harm(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	for range 50 {
		process := spawn(t, service, "cat")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					if _, err := process.Info(); err != nil {
						assert.ErrorIs(t, err, ErrClosed)
						return
					}
					_, _ = process.Output()
					_ = process.Signal(0, ScopeProcess)
				}
			})
		}
		all.Go(func() { _ = process.Kill(ScopeGroup); process.Close() })
		all.Wait()
	}
}
