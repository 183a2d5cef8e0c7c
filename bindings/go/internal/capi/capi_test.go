package capi

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
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
	command, err := NewCommand(program)
	require.NoError(t, err)
	defer command.Close()
	require.NoError(t, command.Args(args...))
	require.NoError(t, command.Stdio(Stdin, StdioPipe))
	process, err := command.Spawn(service)
	require.NoError(t, err)
	return process
}

// eventsOf takes the events of a process up to its last.
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

func TestResult_has_the_name_of_its_constant(t *testing.T) {
	for result, name := range map[Result]string{
		ErrInvalidArgument: "COREPROC_INVALID_ARGUMENT", ErrNotFound: "COREPROC_NOT_FOUND",
		ErrPermissionDenied: "COREPROC_PERMISSION_DENIED", ErrSystem: "COREPROC_SYSTEM",
		ErrOutOfMemory: "COREPROC_OUT_OF_MEMORY", ErrNotRunning: "COREPROC_NOT_RUNNING",
		ErrStdinClosed: "COREPROC_STDIN_CLOSED", ErrTimedOut: "COREPROC_TIMED_OUT", ErrClosed: "COREPROC_CLOSED",
		ErrDeadlock: "COREPROC_DEADLOCK", ErrForked: "COREPROC_FORKED", ErrPanic: "COREPROC_PANIC",
		ErrUnsupported: "COREPROC_UNSUPPORTED", Result(-1000): "COREPROC_UNKNOWN",
	} {
		assert.Equal(t, name, result.Error())
	}
}

func TestError_carries_what_the_library_said(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	command, err := NewCommand("/no/such/program")
	require.NoError(t, err)
	defer command.Close()

	_, err = command.Spawn(service)

	var failure *Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, ErrNotFound, failure.Result)
	assert.Equal(t, syscall.ENOENT, failure.Errno)
	assert.Equal(t, "spawn", failure.Op)
	assert.NotEmpty(t, failure.Stage)
	assert.Contains(t, failure.Message, `spawn "/no/such/program"`)
	assert.Equal(t, failure.Message, err.Error())
	assert.ErrorIs(t, err, ErrNotFound)
	assert.ErrorIs(t, err, syscall.ENOENT)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NotErrorIs(t, err, ErrTimedOut)
	count, err := service.Count()
	require.NoError(t, err)
	assert.Equal(t, 0, count, "nothing was spawned")
}

func TestCommand_refuses_mistakes_by_name(t *testing.T) {
	command, err := NewCommand("true")
	require.NoError(t, err)
	defer command.Close()
	_, empty := NewCommand("")
	for name, err := range map[string]error{
		"empty program":      empty,
		"NUL in an argument": command.Args("fine", "a\x00b"),
		"NUL in an entry":    command.Env([]string{"A=1", "B=\x00C=1"}),
		"entry without =":    command.Env([]string{"A"}),
		"NUL in the folder":  command.Dir("/\x00"),
		"unknown stream":     command.Stdio(Stream(99), StdioNull),
		"unknown mode":       command.Stdio(Stdout, StdioMode(99)),
		"stdin cannot merge": command.Stdio(Stdin, StdioMerge),
		"unknown scope":      command.StopBy(StopOptions{Scope: Scope(99)}),
		"unknown signal":     command.StopBy(StopOptions{Signal: 1000}),
	} {
		assert.ErrorIs(t, err, ErrInvalidArgument, name)
		assert.NotEmpty(t, err.Error(), name)
	}
}

func TestCommand_can_be_spawned_again(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	command, err := NewCommand("sh")
	require.NoError(t, err)
	defer command.Close()
	require.NoError(t, command.Args("-c", `echo "$FROM" "$PWD"; echo merged >&2`))
	require.NoError(t, command.Env([]string{"FROM=Go", "PWD=/"}))
	require.NoError(t, command.SearchPath(os.Getenv("PATH")))
	require.NoError(t, command.Dir("/"))
	require.NoError(t, command.Stdio(Stderr, StdioMerge))
	for range 3 {
		process, err := command.Spawn(service)
		require.NoError(t, err)
		eventsOf(t, subscription, process)
		output, err := process.Output()
		require.NoError(t, err)
		assert.Equal(t, "Go /\nmerged\n", string(output))
	}
}

func TestEvents_tell_the_whole_story(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "sh", "-c", `printf 'one\ntwo\r\n\n'; printf '\000\377' ; exit 5`)

	events := eventsOf(t, subscription, process)

	info, err := process.Info()
	require.NoError(t, err)
	var kinds []EventKind
	var lines []string
	for i, event := range events {
		assert.Equal(t, uint64(i+1), event.Sequence)
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
	command, err := NewCommand("true")
	require.NoError(t, err)
	defer command.Close()
	_, err = command.Spawn(service)
	assert.ErrorIs(t, err, ErrClosed)
	assert.ErrorIs(t, service.Shut(CloseMode(99)), ErrInvalidArgument)
}

func TestHandles_that_are_closed_give_ErrClosed(t *testing.T) {
	service := newTestService(t, ServiceOptions{})
	subscription := subscribe(t, service, SubscriptionOptions{})
	process := spawn(t, service, "true")
	eventsOf(t, subscription, process)
	command, err := NewCommand("true")
	require.NoError(t, err)
	for _, close := range []func(){process.Close, command.Close, subscription.Close, service.Close} {
		close()
		close()
	}
	_, infoErr := process.Info()
	_, outputErr := process.Output()
	_, writeErr := process.Write("", 0)
	_, spawnErr := command.Spawn(service)
	_, nextErr := subscription.Next()
	_, subscribeErr := service.Subscribe(SubscriptionOptions{})
	_, countErr := service.Count()
	for _, err := range []error{infoErr, outputErr, writeErr, spawnErr, nextErr, subscribeErr, countErr,
		process.Signal(0, ScopeProcess), process.Kill(ScopeProcess), process.Stop(), process.CloseStdin(),
		command.Args("x"), command.Env(nil), command.Dir("/"), command.SearchPath("/"), command.Stdio(Stdin, StdioNull),
		command.Timeout(0), command.StopBy(StopOptions{}), service.Shut(CloseKill)} {
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
