package capi

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNext_waits_in_Go_and_ends_with_the_stream(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	for _, end := range []func(*Subscription){
		func(s *Subscription) { s.Close(); s.Close() },
		func(*Subscription) { assert.NoError(t, service.Shut(CloseLeave)) },
	} {
		subscription := subscribe(t, service, SubscriptionOptions{})
		result := make(chan error)
		go func() {
			_, err := subscription.Next()
			result <- err
		}()
		end(subscription)
		select {
		case err := <-result:
			assert.ErrorIs(t, err, ErrClosed)
		case <-time.After(time.Minute):
			require.FailNow(t, "Next still waits")
		}
		_, err := subscription.Next()
		assert.ErrorIs(t, err, ErrClosed)
	}
}

func TestNext_does_not_end_while_a_batch_is_held(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "cat")
	held, err := subscription.Next()
	require.NoError(t, err)
	require.NoError(t, service.Shut(CloseKill))
	for info, err := process.Info(); info.State != StateClosed; info, err = process.Info() {
		require.NoError(t, err)
		runtime.Gosched()
	}

	// Then there is nothing to take yet, but the stream and its pipe have not ended.
	_, err = subscription.take()
	require.ErrorIs(t, err, ErrTimedOut)
	pipe, err := subscription.ready.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, pipe.Control(func(fd uintptr) {
		n, err := syscall.Read(int(fd), make([]byte, 1))
		assert.Equal(t, []any{-1, syscall.EAGAIN}, []any{n, err})
	}))

	held.Close()
	events := eventsOf(t, subscription, process)

	assert.Equal(t, EventClosed, events[len(events)-1].Kind)
	_, err = subscription.Next()
	assert.ErrorIs(t, err, ErrClosed)
}
