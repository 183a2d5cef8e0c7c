package process

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core/process/internal/engine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exitOf returns how a process ended.
func exitOf(t *testing.T, process *Process) engine.End {
	t.Helper()
	var exit *ExitError
	require.ErrorAs(t, wait(t, process), &exit)
	return exit.end()
}

func TestTimeout_kills_when_there_is_no_grace_period(t *testing.T) {
	process, err := newQuietService(t).StartWithOptions(t.Context(), RunOptions{
		Command: "sleep", Args: []string{"1000"}, Timeout: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL, TimedOut: true}, exitOf(t, process))
	assert.Equal(t, StatusKilled, process.Status)
}

func TestTimeout_asks_first_when_there_is_a_grace_period(t *testing.T) {
	process, err := newQuietService(t).StartWithOptions(t.Context(), RunOptions{
		Command: "sleep", Args: []string{"1000"}, Timeout: 50 * time.Millisecond, GracePeriod: hang,
	})
	require.NoError(t, err)
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGTERM, TimedOut: true}, exitOf(t, process))
	assert.EqualError(t, process.Wait(), "process was killed")
}

func TestTimeout_does_not_touch_a_process_that_ends_in_time(t *testing.T) {
	output, err := newQuietService(t).RunWithOptions(t.Context(), RunOptions{
		Command: "echo", Args: []string{"in time"}, Timeout: hang,
	})
	require.NoError(t, err)
	assert.Equal(t, "in time\n", output)
}

func TestShutdown_kills_what_ignores_SIGTERM(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.StartWithOptions(t.Context(), RunOptions{
		Command: "sh", Args: []string{"-c", "trap '' TERM; echo ready; read line"}, GracePeriod: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	recorder.untilLine(t, process.ID, "ready")
	require.NoError(t, process.Shutdown())
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
}

func TestShutdown_lets_a_process_end_by_itself(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.StartWithOptions(t.Context(), RunOptions{
		Command: "sh", Args: []string{"-c", "trap 'echo bye; exit 0' TERM; echo ready; read line"}, GracePeriod: hang,
	})
	require.NoError(t, err)
	recorder.untilLine(t, process.ID, "ready")
	require.NoError(t, process.Shutdown())
	require.NoError(t, wait(t, process), "a code of 0 is a success, also after a shutdown")
	assert.Equal(t, StatusExited, process.Status)
	assert.Equal(t, "ready\nbye\n", process.Output())
}

var _ os.Signal = foreignSignal{}

func TestContext_kills_when_it_is_cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, err := newQuietService(t).Start(ctx, "sleep", "1000")
	require.NoError(t, err)
	cancel()
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL, Cause: context.Canceled}, exitOf(t, process))
	assert.Equal(t, StatusKilled, process.Status)
	assert.ErrorIs(t, process.Wait(), context.Canceled)
	assert.EqualError(t, process.Wait(), "process was killed: context canceled")
}

func TestContext_with_a_deadline_kills(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := newQuietService(t).Run(ctx, "sleep", "1000")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestContext_that_is_done_is_not_why_a_process_ended_that_was_killed_before(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, err := newQuietService(t).Start(ctx, "sleep", "1000")
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
	cancel()
	assert.NotErrorIs(t, process.Wait(), context.Canceled)
}

func TestContext_cancelled_as_the_process_ends_gives_one_end(t *testing.T) {
	service, recorder := newRecordedService(t)
	for range count(t, 200) {
		ctx, cancel := context.WithCancel(t.Context())
		process, err := service.Start(ctx, "true")
		require.NoError(t, err)
		go cancel()
		if err := wait(t, process); err != nil {
			assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL, Cause: context.Canceled}, exitOf(t, process))
		}
		exits := 0
		for _, message := range recorder.untilExited(t, process.ID) {
			if _, ok := message.(ActionProcessExited); ok {
				exits++
			}
		}
		assert.Equal(t, 1, exits)
	}
}

func TestContext_does_not_reach_a_detached_process(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, err := newQuietService(t).StartWithOptions(ctx, RunOptions{Command: "cat", Detach: true})
	require.NoError(t, err)
	cancel()
	require.NoError(t, process.SendInput("still here\n"))
	require.NoError(t, process.CloseStdin())
	require.NoError(t, wait(t, process))
	assert.Equal(t, "still here\n", process.Output())
}
