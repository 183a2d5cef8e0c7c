package capi

import (
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEvents_tell_the_whole_story(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "sh", "-c", `printf 'one\ntwo\r\n\n'; printf '\000\377' ; exit 5`)

	events := eventsOf(t, subscription, process)

	info, err := process.Info()
	require.NoError(t, err)
	var kinds []EventKind
	var lines []string
	last := uint64(0)
	for _, event := range events {
		// Lines that were read together share a number.
		assert.True(t, event.Sequence == last+1 || event.Sequence == last && event.Kind == EventStdout, "%d", event.Sequence)
		last = event.Sequence
		assert.Equal(t, process.PID(), event.PID)
		assert.GreaterOrEqual(t, event.Monotonic, info.StartedMonotonic)
		assert.NotZero(t, event.Realtime)
		kinds = append(kinds, event.Kind)
		if event.Kind == EventStdout {
			lines = append(lines, event.Data)
		}
	}
	assert.Equal(t, []string{"one", "two\r", "", "\x00\xff"}, lines)
	// The exit may be known before the last line is read.
	assert.ElementsMatch(t, []EventKind{EventStarted, EventStdout, EventStdout, EventStdout, EventStdout, EventExited, EventClosed}, kinds)
	assert.Equal(t, EventStarted, kinds[0])
	for _, event := range events {
		switch event.Kind {
		case EventExited, EventClosed:
			assert.Equal(t, []any{5, syscall.Signal(0), CauseNatural}, []any{event.ExitCode, event.Signal, event.Cause})
		case EventStdout:
			assert.Equal(t, event.Data == "\x00\xff", event.Flags&FlagNoNewline != 0)
		}
	}
	assert.Equal(t, Info{
		ID: process.ID(), PID: process.PID(), State: StateClosed, Cause: CauseNatural, ExitCode: 5, StdoutBytes: 12,
		StartedMonotonic: info.StartedMonotonic, StartedRealtime: info.StartedRealtime,
		ExitedMonotonic: info.ExitedMonotonic, ClosedMonotonic: info.ClosedMonotonic,
	}, info)
	assert.Less(t, info.StartedMonotonic, info.ExitedMonotonic)
	assert.LessOrEqual(t, info.ExitedMonotonic, info.ClosedMonotonic)
}

func TestEvents_as_chunks_hold_the_bytes_and_no_more(t *testing.T) {
	service := newTestService(t, ServiceOptions{CaptureBytes: Unlimited})
	subscription := subscribe(t, service, SubscriptionOptions{Delivery: DeliveryChunks})
	process := spawn(t, service, "seq", "50000")
	var got strings.Builder
	for _, event := range eventsOf(t, subscription, process) {
		got.WriteString(event.Data)
	}
	want, err := exec.Command("seq", "50000").Output()
	require.NoError(t, err)
	assert.True(t, string(want) == got.String(), "the same bytes")
	output, err := process.Output()
	require.NoError(t, err)
	assert.Nil(t, output, "nothing is captured")
}

func TestEvents_without_output_are_the_steps_of_life(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{Delivery: DeliveryNone})
	process := spawn(t, service, "echo", "unheard")
	var kinds []EventKind
	for _, event := range eventsOf(t, subscription, process) {
		kinds = append(kinds, event.Kind)
	}
	assert.Equal(t, []EventKind{EventStarted, EventExited, EventClosed}, kinds)
}

func TestEvents_of_a_long_line_are_flagged_pieces(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{MaxLineBytes: 4096})
	process := spawn(t, service, "sh", "-c", `head -c 10000 /dev/zero; echo; echo next`)
	var pieces []string
	var flags []Flags
	for _, event := range eventsOf(t, subscription, process) {
		if event.Kind == EventStdout {
			pieces, flags = append(pieces, event.Data), append(flags, event.Flags)
		}
	}
	last := len(pieces) - 1
	require.GreaterOrEqual(t, last, 3)
	assert.Equal(t, "next", pieces[last])
	assert.Equal(t, strings.Repeat("\x00", 10000), strings.Join(pieces[:last], ""))
	for i, flag := range flags {
		assert.Equal(t, i < last-1, flag&FlagPartial != 0, "piece %d", i)
		assert.LessOrEqual(t, len(pieces[i]), 4096)
	}
}

func TestBatch_outlives_nothing_but_its_strings(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{Delivery: DeliveryChunks})
	process := spawn(t, service, "echo", "kept")
	events := eventsOf(t, subscription, process)
	subscription.Close()
	for range 3 {
		runtime.GC()
	}
	var data string
	for _, event := range events {
		data += event.Data
	}
	assert.Equal(t, "kept\n", data)
}

func TestBatch_that_is_closed_is_empty(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	spawn(t, service, "true")
	batch, err := subscription.Next()
	require.NoError(t, err)
	require.Positive(t, batch.Left())
	batch.Close()
	batch.Close()
	assert.Zero(t, batch.Left())
	assert.Nil(t, batch.Next(), "an event of a closed batch")
}

func TestBatch_that_is_held_holds_up_its_process_alone(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	held := spawn(t, service, "sh", "-c", "read line; echo later")
	batch, err := subscription.Next()
	require.NoError(t, err)
	require.Equal(t, held.ID(), batch.ProcessID())
	require.NoError(t, held.CloseStdin())
	for range 20 {
		eventsOf(t, subscription, spawn(t, service, "true"))
	}
	batch.Close()
	events := eventsOf(t, subscription, held)
	assert.NotEqual(t, EventStarted, events[0].Kind, "that was in the batch that was held")
}

func TestBatch_that_is_forgotten_is_given_back_by_the_garbage_collector(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "sh", "-c", "read line; echo later")
	_, err := subscription.Next()
	require.NoError(t, err)
	require.NoError(t, process.CloseStdin())
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	events := eventsOf(t, subscription, process)
	assert.Equal(t, EventClosed, events[len(events)-1].Kind)
}
