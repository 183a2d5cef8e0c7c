package process

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMessages_come_in_order_and_are_exact(t *testing.T) {
	recorder := newRecorder()
	service := newTestService(t, recorder.handle)
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
	recorder := newRecorder()
	service := newTestService(t, recorder.handle)
	process, err := service.Start(t.Context(), "sh", "-c", `for i in 1 2 3; do echo out$i; echo err$i >&2; done`)
	require.NoError(t, err)
	messages := recorder.untilExited(t, process.ID)
	assert.Equal(t, []string{"out1", "out2", "out3"}, linesOf(messages, StreamStdout))
	assert.Equal(t, []string{"err1", "err2", "err3"}, linesOf(messages, StreamStderr))
}

func TestMessages_of_a_kill_come_after_Done(t *testing.T) {
	var process atomic.Pointer[Process]
	recorder := newRecorder()
	service := newTestService(t, func(message any) {
		recorder.handle(message)
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
	require.NoError(t, started.Kill())
	assert.Equal(t, []any{
		ActionProcessStarted{ID: "proc-1", Command: "cat", PID: started.Info().PID},
		ActionProcessKilled{ID: "proc-1", Signal: "SIGKILL"},
		ActionProcessExited{ID: "proc-1", ExitCode: -1, Duration: started.Duration, Error: started.Wait()},
	}, recorder.untilExited(t, started.ID))
}

func TestMessages_of_a_line_that_is_too_long_are_its_pieces(t *testing.T) {
	recorder := newRecorder()
	service := newTestService(t, recorder.handle)
	const size = 5<<20 + 1
	process, err := service.Start(t.Context(), "sh", "-c", `head -c `+strconv.Itoa(size)+` /dev/zero | tr '\000' x; echo; echo next`)
	require.NoError(t, err)
	lines := linesOf(recorder.untilExited(t, process.ID), StreamStdout)
	require.Greater(t, len(lines), 2)
	last := len(lines) - 1
	assert.Equal(t, "next", lines[last])
	assert.True(t, strings.Repeat("x", size) == strings.Join(lines[:last], ""), "the pieces make the line")
}

func TestHandler_that_blocks_holds_up_its_own_process_alone(t *testing.T) {
	// Given a handler that blocks at the first line of a process with more output than queues hold,
	const last = 1_000_000
	var blocked atomic.Pointer[string]
	release, blocking := make(chan struct{}), make(chan struct{})
	var once sync.Once
	next, wrong := 1, 0
	service := newTestService(t, func(message any) {
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

	// when others run,
	for range count(t, 50) {
		output, err := service.Run(t.Context(), "echo", "not held up")
		require.NoError(t, err)
		require.Equal(t, "not held up\n", output)
	}

	// then they end, and the one with the blocked handler waits for it, and loses nothing.
	assert.True(t, slow.IsRunning())
	stdout, _ := slow.BytesRead()
	assert.Less(t, stdout, uint64(4<<20), "the rest stays in the process, not in memory")
	close(release)
	require.NoError(t, wait(t, slow))
	assert.Equal(t, []int{last + 1, 0}, []int{next, wrong})
}

func TestHandler_that_blocks_at_the_start_holds_up_that_start_alone(t *testing.T) {
	release, blocking := make(chan struct{}), make(chan struct{})
	recorder := newRecorder()
	service := newTestService(t, func(message any) {
		recorder.handle(message)
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
	service = newTestService(t, func(message any) {
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
	// Given a service that does not hear of its processes any more, as when the library has failed,
	recorder := newRecorder()
	service, err := Open(Options{}, recorder.handle)
	require.NoError(t, err)
	process, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	service.events.Close()

	// then waiting for one ends with the cause,
	err = wait(t, process)
	assert.ErrorContains(t, err, "process was lost")
	assert.ErrorIs(t, err, capi.ErrClosed)
	assert.Equal(t, []any{StatusFailed, -1}, []any{process.Status, process.ExitCode})
	messages := recorder.untilExited(t, process.ID)
	assert.Equal(t, err, messages[len(messages)-1].(ActionProcessExited).Error)

	// also for one that is started after it, and a shutdown says so, and leaves none behind.
	late, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	assert.ErrorContains(t, wait(t, late), "process was lost")
	assert.ErrorIs(t, service.OnShutdown(t.Context()), capi.ErrClosed)
	gone(t, process.Info().PID)
	gone(t, late.Info().PID)
}
