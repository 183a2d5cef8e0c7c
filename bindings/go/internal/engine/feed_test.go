package engine

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dappco.re/go/core/process/internal/capi"
)

// heard is what a feed has told a receiver.
type heard struct {
	receiver string
	process  uint64
	lost     error
}

// newFeed opens a feed whose channel tells which receiver got what.
func newFeed(t *testing.T) (*capi.Service, *Feed[string], <-chan heard) {
	t.Helper()
	service, err := capi.NewService(capi.ServiceOptions{})
	require.NoError(t, err)
	t.Cleanup(service.Close)
	told := make(chan heard, 16)
	feed, err := Open(service, capi.SubscriptionOptions{Delivery: capi.DeliveryNone},
		func(to string, _ *Feed[string], batch *capi.Batch) {
			told <- heard{receiver: to, process: batch.ProcessID()}
			batch.Close()
		},
		func(to string, cause error) { told <- heard{receiver: to, lost: cause} })
	require.NoError(t, err)
	t.Cleanup(feed.Close)
	return service, feed, told
}

// start starts a program with a name for its receiver, as the users of a feed do.
func start(t *testing.T, service *capi.Service, feed *Feed[string], receiver, program string, args ...string) *capi.Process {
	t.Helper()
	command, err := NewCommand(program, args, "", nil)
	require.NoError(t, err)
	defer command.Close()
	feed.Begin()
	process, _, err := command.Spawn(service)
	require.NoError(t, err)
	t.Cleanup(process.Close)
	feed.Know(process.ID(), receiver)
	return process
}

func TestFeed_brings_events_to_the_receiver_of_their_process(t *testing.T) {
	service, feed, told := newFeed(t)
	first := start(t, service, feed, "first", "true")
	assert.Equal(t, heard{receiver: "first", process: first.ID()}, <-told)
	second := start(t, service, feed, "second", "true")
	assert.Equal(t, heard{receiver: "second", process: second.ID()}, <-told)
	assert.Nil(t, feed.More("second"), "there are no more events")
}

func TestFeed_that_ends_too_early_loses_its_receivers_once(t *testing.T) {
	service, feed, told := newFeed(t)
	sleeper := start(t, service, feed, "sleeper", "sleep", "1000")
	defer syscall.Kill(sleeper.PID(), syscall.SIGKILL)
	assert.NoError(t, feed.Err())

	feed.Close()

	assert.Equal(t, heard{receiver: "sleeper", lost: capi.ErrClosed}, <-told)
	assert.False(t, feed.Remove(sleeper.ID()), "it has ended already")
	late := start(t, service, feed, "late", "sleep", "1000")
	defer syscall.Kill(late.PID(), syscall.SIGKILL)
	assert.Equal(t, heard{receiver: "late", lost: capi.ErrClosed}, <-told)
	assert.Equal(t, capi.ErrClosed, feed.Err())
}
