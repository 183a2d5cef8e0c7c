package process

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMessages_come_in_order_and_are_exact(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", `printf 'a\r\n\nb\000\377\r'`)
	require.NoError(t, err)
	require.NoError(t, wait(t, process))
	id := process.ID
	assert.Equal(t, []any{
		ActionProcessStarted{ID: id, Command: "sh", Args: process.Args, PID: process.Info().PID},
		ActionProcessOutput{ID: id, Line: "a", Stream: StreamStdout},
		ActionProcessOutput{ID: id, Line: "", Stream: StreamStdout},
		ActionProcessOutput{ID: id, Line: "b\x00\xff\r", Stream: StreamStdout},
		ActionProcessExited{ID: id, Duration: process.Duration},
	}, recorder.untilExited(t, id))
}

func TestMessages_tell_the_streams_apart(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", `for i in 1 2 3; do echo out$i; echo err$i >&2; done`)
	require.NoError(t, err)
	messages := recorder.untilExited(t, process.ID)
	assert.Equal(t, []string{"out1", "out2", "out3"}, linesOf(messages, StreamStdout))
	assert.Equal(t, []string{"err1", "err2", "err3"}, linesOf(messages, StreamStderr))
}

func TestMessages_of_a_signal_that_kills_come_after_Done(t *testing.T) {
	var process atomic.Pointer[Process]
	recorder := newRecorder()
	service := newListenedService(t, func(message any) {
		recorder.record(message)
		switch message.(type) {
		case ActionProcessKilled, ActionProcessExited:
			select {
			case <-process.Load().Done():
			default:
				assert.Fail(t, "Done is open", "%#v", message)
			}
		}
	})
	started, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	process.Store(started)
	require.NoError(t, started.Signal(syscall.SIGKILL))
	assert.Equal(t, []any{
		ActionProcessStarted{ID: "proc-1", Command: "cat", PID: started.Info().PID},
		ActionProcessKilled{ID: "proc-1", Signal: "SIGKILL"},
		ActionProcessExited{ID: "proc-1", ExitCode: -1, Duration: started.Duration, Error: started.Wait()},
	}, recorder.untilExited(t, started.ID))
}

func TestMessages_of_a_line_that_is_too_long_are_its_pieces(t *testing.T) {
	service, recorder := newRecordedService(t)
	const size = 5<<20 + 1
	process, err := service.Start(t.Context(), "sh", "-c", `head -c `+strconv.Itoa(size)+` /dev/zero | tr '\000' x; echo; echo next`)
	require.NoError(t, err)
	lines := linesOf(recorder.untilExited(t, process.ID), StreamStdout)
	require.Greater(t, len(lines), 2, "4 MiB, the rest, and the next")
	last := len(lines) - 1
	assert.Equal(t, "next", lines[last])
	assert.True(t, strings.Repeat("x", size) == strings.Join(lines[:last], ""), "the pieces make the line")
}

func TestHandler_that_blocks_holds_up_its_own_process_alone(t *testing.T) {
	// Given a handler that blocks at the first line of a process with more output than the queues hold,
	const last = 1_000_000
	var blocked atomic.Pointer[string]
	release, blocking := make(chan struct{}), make(chan struct{})
	var once sync.Once
	next, wrong := 1, 0
	service := newListenedService(t, func(message any) {
		output, ok := message.(ActionProcessOutput)
		if !ok || *blocked.Load() != output.ID {
			return
		}
		once.Do(func() { close(blocking); <-release })
		if output.Line != strconv.Itoa(next) {
			wrong++
		}
		next++
	})
	id := "proc-1"
	blocked.Store(&id)
	slow, err := service.Start(t.Context(), "seq", strconv.Itoa(last))
	require.NoError(t, err)
	await(t, blocking, "the first line")

	// when other processes run,
	for range count(t, 50) {
		output, err := service.Run(t.Context(), "echo", "not held up")
		require.NoError(t, err)
		require.Equal(t, "not held up\n", output)
	}

	// then they end, and the process with the blocked handler waits for it and loses nothing.
	assert.True(t, slow.IsRunning())
	stdout, _ := slow.BytesRead()
	assert.Less(t, stdout, uint64(4<<20), "the rest stays in the process, not in memory")
	close(release)
	require.NoError(t, wait(t, slow))
	assert.Equal(t, []int{last + 1, 0}, []int{next, wrong})
}

func TestProcess_that_is_lost_ends_after_the_events_that_are_being_handled(t *testing.T) {
	// Given a handler that blocks at the first line of two,
	recorder := newRecorder()
	blocking, release := make(chan struct{}), make(chan struct{})
	service := newListenedService(t, func(message any) {
		recorder.record(message)
		if output, ok := message.(ActionProcessOutput); ok && output.Line == "a" {
			close(blocking)
			<-release
		}
	})
	process, err := service.Start(t.Context(), "printf", `a\nb\n`)
	require.NoError(t, err)
	await(t, blocking, "the first line")

	// when no more events will come,
	service.backend.Load().feed.Close()

	// then the process waits for the handler.
	waits := func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return slices.ContainsFunc(strings.Split(string(stacks), "\n\n"), func(stack string) bool {
			return strings.Contains(stack, "(*turn).await(") && strings.Contains(stack, ").lose(")
		})
	}
	for process.IsRunning() && !waits() {
		runtime.Gosched()
	}
	assert.True(t, process.IsRunning())
	close(release)
	messages := recorder.untilExited(t, process.ID)
	assert.Equal(t, []string{"a", "b"}, linesOf(messages, StreamStdout))
	assert.IsType(t, ActionProcessExited{}, messages[len(messages)-1])
	assert.ErrorContains(t, process.Wait(), "process was lost")
}

func TestProcess_that_is_lost_has_no_events_after_its_end(t *testing.T) {
	service, recorder := newRecordedService(t)
	backend := service.backend.Load()
	events, err := backend.service.Subscribe(capi.SubscriptionOptions{EndsOnly: true})
	require.NoError(t, err)
	defer events.Close()
	process, err := service.Start(t.Context(), "echo", "on its way to the handlers")
	require.NoError(t, err)
	batch, err := events.Next()
	require.NoError(t, err)

	lost := newProcess(99, RunOptions{}, capi.ScopeProcess, service.listeners())
	lost.started(process.handle, process.handle.PID())
	lost.lose(capi.ErrPanic)
	lost.deliver(backend.feed, batch, self())

	assert.Zero(t, batch.Left())
	messages := recorder.untilExited(t, lost.ID)
	assert.IsType(t, ActionProcessExited{}, messages[len(messages)-1])
}

func TestHandler_that_blocks_at_the_start_holds_up_that_start_alone(t *testing.T) {
	release, blocking := make(chan struct{}), make(chan struct{})
	recorder := newRecorder()
	service := newListenedService(t, func(message any) {
		recorder.record(message)
		if started, ok := message.(ActionProcessStarted); ok && started.Command == "echo" {
			close(blocking)
			<-release
		}
	})
	started := make(chan *Process)
	go func() {
		process, err := service.Start(t.Context(), "echo", "early")
		assert.NoError(t, err)
		started <- process
	}()
	await(t, blocking, "the start")

	other, err := service.Start(t.Context(), "true")
	require.NoError(t, err)
	require.NoError(t, wait(t, other))

	close(release)
	process := await(t, started, "the process")
	messages := recorder.untilExited(t, process.ID)
	assert.IsType(t, ActionProcessStarted{}, messages[0])
	assert.Equal(t, []string{"early"}, linesOf(messages, StreamStdout))
}

func TestHandler_may_start_and_wait_for_another_process(t *testing.T) {
	outputs := make(chan string, 1)
	var service *Service
	service = newListenedService(t, func(message any) {
		if output, ok := message.(ActionProcessOutput); ok && output.Line == "outer" {
			inner, err := service.Run(t.Context(), "echo", "inner")
			assert.NoError(t, err)
			outputs <- inner
		}
	})
	output, err := service.Run(t.Context(), "echo", "outer")
	require.NoError(t, err)
	assert.Equal(t, "outer\n", output)
	assert.Equal(t, "inner\n", await(t, outputs, "the inner process"))
}

func TestEvents_that_end_too_early_end_every_wait(t *testing.T) {
	// Given a service that gets no more events of its processes, as when the library has failed,
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	service.backend.Load().feed.Close()

	// then waiting for a process ends with the cause,
	err = wait(t, process)
	assert.ErrorContains(t, err, "process was lost")
	assert.ErrorIs(t, err, capi.ErrClosed)
	assert.Equal(t, []any{StatusFailed, -1}, []any{process.Status, process.ExitCode})
	messages := recorder.untilExited(t, process.ID)
	assert.Equal(t, err, messages[len(messages)-1].(ActionProcessExited).Error)

	// also for a process that is started later, and a shutdown leaves none behind.
	late, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	assert.ErrorContains(t, wait(t, late), "process was lost")
	_, err = NewRunner(service).RunAll(t.Context(), []RunSpec{sh("a", "true")})
	assert.ErrorIs(t, err, capi.ErrClosed)
	assert.NoError(t, service.OnShutdown(t.Context()))
	gone(t, process.Info().PID)
	gone(t, late.Info().PID)
}

func TestEvents_go_on_when_a_handler_ends_its_goroutine(t *testing.T) {
	recorder := newRecorder()
	service := newListenedService(t, func(message any) {
		recorder.record(message)
		switch message := message.(type) {
		case ActionProcessOutput:
			if message.Line == "2" {
				runtime.Goexit()
			}
		case ActionProcessKilled:
			runtime.Goexit()
		}
	})
	process, err := service.Start(t.Context(), "sh", "-c", "seq 3; kill $$")
	require.NoError(t, err)
	messages := recorder.untilExited(t, process.ID)
	assert.Equal(t, []string{"1", "2", "3"}, linesOf(messages, StreamStdout))
	assert.Equal(t, ActionProcessKilled{ID: process.ID, Signal: "SIGTERM"}, messages[4])
}

func TestHandler_that_recovers_from_its_panic_leaves_the_service_working(t *testing.T) {
	recorder := newRecorder()
	stacks := make(chan string, 3)
	service := newListenedService(t, func(message any) {
		defer func() {
			if recover() != nil {
				stacks <- string(debug.Stack())
			}
		}()
		recorder.record(message)
		if _, ok := message.(ActionProcessOutput); ok {
			panic("the handler's own")
		}
	})
	output, err := service.Run(t.Context(), "seq", "3")
	require.NoError(t, err)
	assert.Equal(t, "1\n2\n3\n", output)
	for range 3 {
		stack := await(t, stacks, "a panic")
		assert.Contains(t, stack, "TestHandler_that_recovers", "the handler is in its stack")
		assert.NotContains(t, stack, "cgocall", "no C is")
	}
	recorder.untilExited(t, "proc-1")
}

// A panic that is not recovered ends the program, as any other: the test looks at another program.
func TestHandler_that_panics_ends_the_program_with_its_stack(t *testing.T) {
	if os.Getenv("COREPROC_TEST_PANIC") != "" {
		service := newListenedService(t, func(message any) {
			if _, ok := message.(ActionProcessOutput); ok {
				panicInHandler()
			}
		})
		_, _ = service.Run(t.Context(), "echo", "hello")
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	output, err := newQuietService(t).RunWithOptions(t.Context(), RunOptions{
		Command: program, Args: []string{"-test.run=^TestHandler_that_panics_ends_the_program_with_its_stack$"},
		Env: []string{"COREPROC_TEST_PANIC=1"},
	})
	var exit *ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 2, exit.ExitCode())
	assert.Contains(t, output, "panic: the handler's own")
	assert.Contains(t, output, "panicInHandler")
	assert.Contains(t, output, "(*ManagedProcess).deliver")
}

func panicInHandler() { panic("the handler's own") }

func TestHandlers_of_one_process_need_no_lock(t *testing.T) {
	// Given a handler that remembers lines without a lock: the race detector watches.
	var first, second []string
	service := newListenedService(t, func(message any) {
		output, ok := message.(ActionProcessOutput)
		switch {
		case ok && output.ID == "proc-1":
			first = append(first, output.Line)
		case ok && output.ID == "proc-2":
			second = append(second, output.Line)
		}
	})
	var processes []*Process
	for range 2 {
		process, err := service.Start(t.Context(), "seq", "50000")
		require.NoError(t, err)
		processes = append(processes, process)
	}
	for _, process := range processes {
		require.NoError(t, wait(t, process))
	}
	assert.Len(t, first, 50000)
	assert.Len(t, second, 50000)
}

func TestHandlers_stop_at_the_first_that_is_not_OK(t *testing.T) {
	service, c := newTestService(t)
	first, second := newRecorder(), newRecorder()
	c.RegisterAction(func(c *core.Core, message core.Message) core.Result {
		_, isOutput := message.(ActionProcessOutput)
		first.record(message)
		return core.Result{OK: !isOutput}
	})
	c.RegisterAction(second.handle)
	process, err := service.Start(t.Context(), "echo", "hello")
	require.NoError(t, err)
	assert.Len(t, first.untilExited(t, process.ID), 3)
	assert.Len(t, second.untilExited(t, process.ID), 2)
}

func TestMessages_of_a_failed_start_are_Exited_alone(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "no-such-program")
	require.Error(t, err)
	assert.Equal(t, []any{ActionProcessExited{ID: process.ID, ExitCode: -1, Error: err}}, recorder.untilExited(t, process.ID))
}

func TestMessages_go_on_without_capture(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.StartWithOptions(t.Context(), RunOptions{Command: "echo", Args: []string{"heard"}, DisableCapture: true})
	require.NoError(t, err)
	assert.Equal(t, []string{"heard"}, linesOf(recorder.untilExited(t, process.ID), StreamStdout))
	assert.Empty(t, process.Output())
	assert.Nil(t, process.OutputBytes())
}
