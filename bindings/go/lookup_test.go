package process

import (
	"encoding/json"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnknown_ids_are_not_found(t *testing.T) {
	service, _ := newTestService(t)
	for _, id := range []string{"", "proc-1", "nonsense"} {
		process, getErr := service.Get(id)
		assert.Nil(t, process)
		info, waitErr := service.Wait(id)
		assert.Equal(t, Info{}, info)
		_, outputErr := service.Output(id)
		for name, err := range map[string]error{
			"Get": getErr, "Wait": waitErr, "Output": outputErr, "Kill": service.Kill(id),
			"Signal": service.Signal(id, syscall.SIGTERM), "Input": service.Input(id, "x"),
			"CloseStdin": service.CloseStdin(id), "Remove": service.Remove(id),
		} {
			assert.ErrorIs(t, err, ErrProcessNotFound, name)
		}
	}
}

func TestList_is_in_the_order_of_starts_then_of_ids(t *testing.T) {
	service, _ := newTestService(t)
	var want []*Process
	for range 12 {
		process, err := service.Start(t.Context(), "true")
		require.NoError(t, err)
		require.NoError(t, wait(t, process))
		want = append(want, process)
	}
	assert.Equal(t, want, service.List())

	same := want[0].facts.startedAt
	for _, process := range want {
		process.facts.startedAt = same
	}
	assert.Equal(t, want, service.List(), "proc-2 comes before proc-10")
	want[11].facts.startedAt = same.Add(-time.Second)
	assert.Same(t, want[11], service.List()[0])
}

func TestRunning_gives_those_that_run(t *testing.T) {
	service, _ := newTestService(t)
	assert.Equal(t, []*Process{}, service.Running())
	ended, err := service.Start(t.Context(), "true")
	require.NoError(t, err)
	require.NoError(t, wait(t, ended))
	running, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	assert.Equal(t, []*Process{running}, service.Running())
	assert.Equal(t, []*Process{ended, running}, service.List())
}

func TestRemove_and_Clear_forget_what_has_ended_alone(t *testing.T) {
	service, _ := newTestService(t)
	running, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	ended, err := service.Start(t.Context(), "true")
	require.NoError(t, err)
	require.NoError(t, wait(t, ended))
	failed, err := service.Start(t.Context(), "no-such-program")
	require.Error(t, err)

	assert.ErrorContains(t, service.Remove(running.ID), "running")
	require.NoError(t, service.Remove(ended.ID))
	assert.ErrorIs(t, service.Remove(ended.ID), ErrProcessNotFound)
	assert.Equal(t, []*Process{running, failed}, service.List())
	service.Clear()
	assert.Equal(t, []*Process{running}, service.List())

	require.NoError(t, running.Kill())
	require.Error(t, wait(t, running))
	service.Clear()
	assert.Empty(t, service.List())
	assert.Equal(t, StatusKilled, running.Info().Status, "a process that was removed can still be used")
}

func TestWait_gives_the_final_state_with_the_error(t *testing.T) {
	service, _ := newTestService(t)
	for _, c := range []struct {
		script string
		status Status
		code   int
		says   string
	}{
		{"exit 0", StatusExited, 0, ""},
		{"exit 42", StatusExited, 42, "process exited with code 42"},
		{"kill -9 $$", StatusKilled, -1, "process was killed"},
	} {
		process, err := service.Start(t.Context(), "sh", "-c", c.script)
		require.NoError(t, err)
		info, err := service.Wait(process.ID)
		if c.says == "" {
			assert.NoError(t, err)
		} else {
			assert.EqualError(t, err, c.says)
		}
		assert.Equal(t, err, process.Wait())
		assert.Equal(t, []any{c.status, c.code, false}, []any{info.Status, info.ExitCode, info.Running})
		assert.Equal(t, process.Info(), info)
	}
	failed, startErr := service.Start(t.Context(), "no-such-program")
	info, err := service.Wait(failed.ID)
	assert.Equal(t, startErr, err)
	assert.ErrorContains(t, err, "process failed to start")
	assert.Equal(t, []any{StatusFailed, -1}, []any{info.Status, info.ExitCode})
}

func TestWait_serves_many_at_once(t *testing.T) {
	service, _ := newTestService(t)
	process, err := service.Start(t.Context(), "sh", "-c", "read line; exit 3")
	require.NoError(t, err)
	var waiters sync.WaitGroup
	for range 20 {
		waiters.Go(func() {
			assert.EqualError(t, process.Wait(), "process exited with code 3")
			// They are final, and may be read without a lock: the race detector watches.
			assert.Equal(t, []any{StatusExited, 3}, []any{process.Status, process.ExitCode})
			assert.Positive(t, process.Duration)
		})
	}
	require.NoError(t, service.CloseStdin(process.ID))
	waiters.Wait()
}

func TestInfo_as_JSON(t *testing.T) {
	info := Info{
		ID: "proc-1", Command: "echo", Args: []string{"a"}, Dir: "/", StartedAt: time.Unix(0, 0).UTC(), Running: true,
		Status: StatusRunning, ExitCode: -1, Duration: 5, PID: 7,
	}
	text, err := json.Marshal(info)
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":"proc-1","command":"echo","args":["a"],"dir":"/","startedAt":"1970-01-01T00:00:00Z",
		"running":true,"status":"running","exitCode":-1,"duration":5,"pid":7}`, string(text))
}

func TestFields_that_callers_write_change_nothing_else(t *testing.T) {
	service, _ := newTestService(t)
	args, env := []string{"-c", "read line; printf %s $X"}, []string{"X=1"}
	process, err := service.StartWithOptions(t.Context(), RunOptions{Command: "sh", Args: args, Env: env})
	require.NoError(t, err)
	args[0], env[0] = "changed", "changed"
	assert.Equal(t, "-c", process.Args[0], "Args is a copy")
	assert.Equal(t, "X=1", process.Env[0], "Env is a copy")
	process.Args[0] = "changed"
	assert.Equal(t, "-c", process.Info().Args[0])
	process.Info().Args[0] = "changed"
	assert.Equal(t, "-c", process.Info().Args[0])

	id := process.ID
	process.ID, process.Command, process.Status, process.ExitCode = "changed", "changed", StatusFailed, 99
	assert.True(t, process.IsRunning())
	assert.Equal(t, []any{id, "sh", StatusRunning, 0},
		[]any{process.Info().ID, process.Info().Command, process.Info().Status, process.Info().ExitCode})
	require.NoError(t, service.CloseStdin(id))
	require.NoError(t, wait(t, process))
	assert.Equal(t, "1", process.Output())
}

func TestProcess_that_no_service_made_does_not_run_and_is_what_its_fields_say(t *testing.T) {
	process := &Process{ID: "x", Command: "echo", Args: []string{"a"}, Dir: "/", Status: StatusExited, ExitCode: 3, Duration: 5}
	assert.Equal(t, Info{
		ID: "x", Command: "echo", Args: []string{"a"}, Dir: "/", Status: StatusExited, ExitCode: 3, Duration: 5,
	}, process.Info())
	assert.False(t, process.IsRunning())
	await(t, process.Done(), "the end of what never began")
	assert.ErrorIs(t, process.Wait(), ErrProcessNotRunning)
	assert.NoError(t, process.Kill())
	assert.NoError(t, process.Shutdown())
	assert.NoError(t, process.CloseStdin())
	assert.ErrorIs(t, process.Signal(syscall.SIGTERM), ErrProcessNotRunning)
	assert.ErrorIs(t, process.SendInput("x"), ErrProcessNotRunning)
	assert.Empty(t, process.Output())
	assert.Nil(t, process.OutputBytes())
}

func TestInfo_counts_the_time_while_it_runs(t *testing.T) {
	service, _ := newTestService(t)
	process, err := service.Start(t.Context(), "cat")
	require.NoError(t, err)
	first := process.Info().Duration
	for process.Info().Duration <= first {
		time.Sleep(time.Millisecond)
	}
	assert.LessOrEqual(t, process.Info().Duration, time.Since(process.StartedAt))
}

func TestOutput_of_one_that_runs_is_what_there_is(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", "echo early; read line; echo late")
	require.NoError(t, err)
	recorder.untilLine(t, process.ID, "early")
	output, err := service.Output(process.ID)
	require.NoError(t, err)
	assert.Equal(t, "early\n", output)
	assert.Equal(t, []byte("early\n"), process.OutputBytes())
	require.NoError(t, service.Input(process.ID, "\n"))
	require.NoError(t, wait(t, process))
	assert.Equal(t, "early\nlate\n", process.Output())
}

func TestOutput_is_the_newest_that_fits(t *testing.T) {
	service, _ := newTestService(t)
	output, err := service.Run(t.Context(), "seq", "10000")
	require.NoError(t, err)
	var whole string
	for i := 1; i <= 10000; i++ {
		whole += fmt.Sprintln(i)
	}
	assert.Equal(t, whole[len(whole)-1024:], output)
}

func TestService_used_by_many_at_once(t *testing.T) {
	service, _ := newTestService(t)
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for range count(t, 20) {
				process, err := service.Start(t.Context(), "cat")
				if !assert.NoError(t, err) {
					return
				}
				found, err := service.Get(process.ID)
				assert.NoError(t, err)
				assert.Same(t, process, found)
				assert.NoError(t, service.Input(process.ID, process.ID))
				service.List()
				service.Running()
				process.Info()
				assert.NoError(t, service.CloseStdin(process.ID))
				_, err = service.Wait(process.ID)
				assert.NoError(t, err)
				output, err := service.Output(process.ID)
				assert.NoError(t, err)
				assert.Equal(t, process.ID, output)
				assert.NoError(t, service.Remove(process.ID))
			}
		})
		users.Go(func() {
			for range count(t, 20) {
				_, err := service.Start(t.Context(), "no-such-program")
				assert.Error(t, err)
				_, err = service.Run(t.Context(), "true")
				assert.NoError(t, err)
			}
		})
	}
	users.Wait()
	service.Clear()
	assert.Empty(t, service.List())
}
