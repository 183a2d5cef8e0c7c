package process

import (
	"context"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exitOf is how a process ended.
func exitOf(t *testing.T, process *Process) ExitError {
	t.Helper()
	var exit *ExitError
	require.ErrorAs(t, wait(t, process), &exit)
	return *exit
}

func TestTimeout_kills_when_there_is_no_grace_period(t *testing.T) {
	process, err := newTestService(t, nil).StartWithOptions(t.Context(), RunOptions{
		Command: "sleep", Args: []string{"1000"}, Timeout: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	assert.Equal(t, ExitError{code: -1, signal: syscall.SIGKILL, timedOut: true}, exitOf(t, process))
	assert.Equal(t, StatusKilled, process.Status)
}

func TestTimeout_asks_first_when_there_is_a_grace_period(t *testing.T) {
	process, err := newTestService(t, nil).StartWithOptions(t.Context(), RunOptions{
		Command: "sleep", Args: []string{"1000"}, Timeout: 50 * time.Millisecond, GracePeriod: hang,
	})
	require.NoError(t, err)
	assert.Equal(t, ExitError{code: -1, signal: syscall.SIGTERM, timedOut: true}, exitOf(t, process))
	assert.EqualError(t, process.Wait(), "process was killed by SIGTERM after its timeout")
}

func TestTimeout_does_not_touch_a_process_that_ends_in_time(t *testing.T) {
	output, err := newTestService(t, nil).RunWithOptions(t.Context(), RunOptions{
		Command: "echo", Args: []string{"in time"}, Timeout: hang,
	})
	require.NoError(t, err)
	assert.Equal(t, "in time\n", output)
}

func TestShutdown_kills_what_ignores_SIGTERM(t *testing.T) {
	recorder := newRecorder()
	process, err := newTestService(t, recorder.handle).StartWithOptions(t.Context(), RunOptions{
		Command: "sh", Args: []string{"-c", "trap '' TERM; echo ready; read line"}, GracePeriod: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	recorder.untilLine(t, process.ID, "ready")
	require.NoError(t, process.Shutdown())
	assert.Equal(t, ExitError{code: -1, signal: syscall.SIGKILL}, exitOf(t, process))
}

func TestShutdown_lets_a_process_end_by_itself(t *testing.T) {
	recorder := newRecorder()
	process, err := newTestService(t, recorder.handle).StartWithOptions(t.Context(), RunOptions{
		Command: "sh", Args: []string{"-c", "trap 'echo bye; exit 0' TERM; echo ready; read line"}, GracePeriod: hang,
	})
	require.NoError(t, err)
	recorder.untilLine(t, process.ID, "ready")
	require.NoError(t, process.Shutdown())
	require.NoError(t, wait(t, process), "a code of 0 is a success, whoever asked for it")
	assert.Equal(t, StatusExited, process.Status)
	assert.Equal(t, "ready\nbye\n", process.Output())
}

func TestSignal_reaches_a_running_process_alone(t *testing.T) {
	recorder := newRecorder()
	process, err := newTestService(t, recorder.handle).Start(t.Context(), "sh", "-c", "trap 'echo got it; exit 9' USR1; echo ready; read line")
	require.NoError(t, err)
	recorder.untilLine(t, process.ID, "ready")
	require.NoError(t, process.Signal(syscall.Signal(0)), "0 only looks")
	require.NoError(t, process.Signal(syscall.SIGUSR1))
	assert.Equal(t, ExitError{code: 9}, exitOf(t, process))
	assert.Equal(t, "ready\ngot it\n", process.Output())

	assert.ErrorIs(t, process.Signal(syscall.SIGUSR1), ErrProcessNotRunning)
	assert.ErrorIs(t, process.Signal(syscall.Signal(0)), ErrProcessNotRunning)
	assert.ErrorIs(t, process.Kill(), ErrProcessNotRunning)
}

type foreignSignal struct{}

var _ os.Signal = foreignSignal{}

func (foreignSignal) String() string { return "foreign" }
func (foreignSignal) Signal()        {}

func TestSignal_refuses_what_is_not_of_this_system(t *testing.T) {
	process, err := newTestService(t, nil).Start(t.Context(), "cat")
	require.NoError(t, err)
	assert.ErrorContains(t, process.Signal(foreignSignal{}), "foreign")
	assert.True(t, process.IsRunning())
}

func TestContext_kills_when_it_is_cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, err := newTestService(t, nil).Start(ctx, "sleep", "1000")
	require.NoError(t, err)
	cancel()
	assert.Equal(t, ExitError{code: -1, signal: syscall.SIGKILL}, exitOf(t, process))
	assert.Equal(t, StatusKilled, process.Status)
}

func TestContext_with_a_deadline_kills(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := newTestService(t, nil).Run(ctx, "sleep", "1000")
	assert.Error(t, err)
}

func TestContext_that_is_over_starts_nothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	process, err := newTestService(t, nil).Start(ctx, "sleep", "1000")
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, StatusFailed, process.Status)
	noChildren(t)
}

func TestContext_cancelled_as_the_process_ends_gives_one_end(t *testing.T) {
	recorder := newRecorder()
	service := newTestService(t, recorder.handle)
	for range count(t, 200) {
		ctx, cancel := context.WithCancel(t.Context())
		process, err := service.Start(ctx, "true")
		require.NoError(t, err)
		go cancel()
		if err := wait(t, process); err != nil {
			assert.Equal(t, ExitError{code: -1, signal: syscall.SIGKILL}, exitOf(t, process))
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

func TestOnShutdown_kills_groups_and_refuses_starts(t *testing.T) {
	recorder := newRecorder()
	service := newTestService(t, recorder.handle)
	process, err := service.Start(t.Context(), "sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait")
	require.NoError(t, err)
	messages := recorder.until(t, process.ID, func(message any) bool { _, ok := message.(ActionProcessOutput); return ok })
	grandchild, err := strconv.Atoi(linesOf(messages, StreamStdout)[0])
	require.NoError(t, err)

	shutDown(t, service)

	assert.Equal(t, ExitError{code: -1, signal: syscall.SIGKILL}, exitOf(t, process))
	gone(t, grandchild)
	_, err = service.Start(t.Context(), "true")
	assert.ErrorIs(t, err, errServiceShutDown)
	shutDown(t, service) // twice is fine
	recorder.untilExited(t, process.ID)
}

func TestOnShutdown_gives_up_waiting_with_its_context(t *testing.T) {
	release, handling := make(chan struct{}), make(chan struct{})
	service := newTestService(t, func(message any) {
		if _, ok := message.(ActionProcessOutput); ok {
			close(handling)
			<-release
		}
	})
	process, err := service.Start(t.Context(), "echo", "hello")
	require.NoError(t, err)
	await(t, handling, "a line")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, service.OnShutdown(ctx), context.Canceled)

	assert.True(t, process.IsRunning(), "its line is still handled")
	close(release)
	shutDown(t, service)
	assert.False(t, process.IsRunning())
}

func TestOnShutdown_while_others_start_lets_none_get_away(t *testing.T) {
	for range count(t, 20) {
		service, err := Open(Options{}, nil)
		require.NoError(t, err)
		var starters sync.WaitGroup
		begun := make(chan struct{}, 4)
		for range 4 {
			starters.Go(func() {
				for {
					if _, err := service.Start(t.Context(), "sleep", "1000"); err != nil {
						return
					}
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		await(t, begun, "a start")
		shutDown(t, service)
		starters.Wait()
		noChildren(t)
	}
}

func TestOnShutdown_needs_a_context(t *testing.T) {
	service := newTestService(t, nil)
	//lint:ignore SA1012 the mistake is what is tested
	assert.ErrorIs(t, service.OnShutdown(nil), ErrContextRequired)
}
