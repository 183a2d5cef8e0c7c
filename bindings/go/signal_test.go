package process

import (
	"context"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core/process/internal/engine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSignal_reaches_a_running_process_alone(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", "trap 'echo got it; exit 9' USR1; echo ready; read line")
	require.NoError(t, err)
	recorder.untilLine(t, process.ID, "ready")
	require.NoError(t, process.Signal(syscall.Signal(0)), "0 only looks")
	require.NoError(t, process.Signal(syscall.SIGUSR1))
	assert.Equal(t, engine.End{Code: 9}, exitOf(t, process))
	assert.Equal(t, "ready\ngot it\n", process.Output())

	assert.ErrorIs(t, process.Signal(syscall.SIGUSR1), ErrProcessNotRunning)
	assert.EqualError(t, process.Signal(syscall.SIGUSR1), process.ID+": process is not running")
	assert.ErrorIs(t, process.Signal(syscall.Signal(0)), ErrProcessNotRunning)
	assert.NoError(t, process.Kill(), "killing what has ended is fine")
	assert.NoError(t, process.Shutdown())
}

type foreignSignal struct{}

func (foreignSignal) String() string { return "foreign" }

func (foreignSignal) Signal() {}

func TestSignal_refuses_what_is_not_of_this_system(t *testing.T) {
	process, err := newQuietService(t).Start(t.Context(), "cat")
	require.NoError(t, err)
	assert.ErrorContains(t, process.Signal(foreignSignal{}), "foreign")
	assert.True(t, process.IsRunning())
}

// family starts a shell that ignores SIGTERM, and a child of it, and returns the child's PID.
func family(t *testing.T, service *Service, recorder *recorder, options RunOptions) (*Process, int) {
	t.Helper()
	options.Command, options.Args = "sh", []string{"-c", "trap '' TERM; sleep 1000 & echo $!; wait"}
	process, err := service.StartWithOptions(t.Context(), options)
	require.NoError(t, err)
	child, err := strconv.Atoi(recorder.firstLine(t, process.ID))
	require.NoError(t, err)
	return process, child
}

func TestKillGroup_has_signals_reach_the_group(t *testing.T) {
	for name, stop := range map[string]func(*Process) error{
		"Kill":     (*Process).Kill,
		"Shutdown": (*Process).Shutdown,
		"Signal":   func(p *Process) error { return p.Signal(syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			service, recorder := newRecordedService(t)
			process, child := family(t, service, recorder, RunOptions{Detach: true, KillGroup: true, GracePeriod: 20 * time.Millisecond})
			require.NoError(t, stop(process))
			assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
			gone(t, child)
		})
	}
}

func TestKillGroup_has_the_timeout_reach_the_group(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, child := family(t, service, recorder, RunOptions{Detach: true, KillGroup: true, Timeout: 300 * time.Millisecond})
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL, TimedOut: true}, exitOf(t, process))
	gone(t, child)
}

func TestStartGroup_has_the_context_reach_the_group(t *testing.T) {
	for name, end := range map[string]func(*Process, context.CancelFunc){
		"context": func(_ *Process, cancel context.CancelFunc) { cancel() },
		"Kill":    func(process *Process, _ context.CancelFunc) { _ = process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			service, recorder := newRecordedService(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			process, err := service.StartGroup(ctx, RunOptions{
				Command: "sh", Args: []string{"-c", "trap '' TERM; sleep 1000 & echo $!; wait"},
			})
			require.NoError(t, err)
			child, err := strconv.Atoi(recorder.firstLine(t, process.ID))
			require.NoError(t, err)
			end(process, cancel)
			assert.Equal(t, syscall.SIGKILL, exitOf(t, process).Signal)
			gone(t, child)
		})
	}
}

func TestKill_without_KillGroup_reaches_the_process_alone(t *testing.T) {
	service, recorder := newRecordedService(t)
	process, err := service.Start(t.Context(), "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!; wait")
	require.NoError(t, err)
	child, err := strconv.Atoi(recorder.firstLine(t, process.ID))
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
	assert.NoError(t, syscall.Kill(child, 0), "its child lives on")
	require.NoError(t, service.KillPID(child))
	gone(t, child)
}

func TestGroup_whose_leader_has_ended_can_be_killed_but_not_signalled(t *testing.T) {
	// Given a leader that has ended, and a member that holds its output,
	service, recorder := newRecordedService(t)
	process, err := service.StartWithOptions(t.Context(), RunOptions{
		Command: "sh", Args: []string{"-c", "sh -c 'echo $$; read line' & read line"}, Detach: true, KillGroup: true, GracePeriod: hang,
	})
	require.NoError(t, err)
	child, err := strconv.Atoi(recorder.firstLine(t, process.ID))
	require.NoError(t, err)
	require.NoError(t, process.Shutdown(), "a stop of the group holds back Done")
	require.Error(t, wait(t, process))
	gone(t, child)
	assert.ErrorIs(t, process.Signal(syscall.SIGTERM), ErrProcessNotRunning)
	assert.NoError(t, process.Kill())
}

// lingering starts a process that ends while a child which has left its group holds its output: the service reports it as
// running until the drain bound.
func lingering(t *testing.T, service *Service, recorder *recorder) *Process {
	t.Helper()
	process, err := service.Start(t.Context(), "sh", "-c", "setsid sleep 1000 & echo $!; exit 3")
	require.NoError(t, err)
	child, err := strconv.Atoi(recorder.firstLine(t, process.ID))
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Kill(child, syscall.SIGKILL); gone(t, child) })
	for process.lives() {
		time.Sleep(time.Millisecond)
	}
	return process
}

func TestProcess_that_has_ended_runs_until_its_output_was_read(t *testing.T) {
	service, recorder := newRecordedService(t)
	process := lingering(t, service, recorder)

	require.True(t, process.IsRunning())
	early := process.Info()
	assert.Equal(t, []any{true, StatusRunning}, []any{early.Running, early.Status})
	assert.ErrorIs(t, process.Signal(syscall.SIGTERM), ErrProcessNotRunning)
	assert.ErrorIs(t, process.Signal(syscall.Signal(0)), ErrProcessNotRunning)
	assert.ErrorIs(t, process.SendInput("x"), ErrProcessNotRunning)
	assert.NoError(t, process.Kill())
	assert.ErrorIs(t, service.Remove(process.ID), errStillRunning)

	assert.Equal(t, engine.End{Code: 3}, exitOf(t, process))
	assert.Equal(t, early.Duration, process.Duration, "it ends with the process")
	assert.GreaterOrEqual(t, time.Since(process.StartedAt), process.Duration+500*time.Millisecond, "the drain bound")
}

func TestSignal_by_id_and_by_pid(t *testing.T) {
	service, recorder := newRecordedService(t)
	for name, send := range map[string]func(*Process) error{
		"id":  func(p *Process) error { return service.Signal(p.ID, syscall.SIGTERM) },
		"pid": func(p *Process) error { return service.SignalPID(p.Info().PID, syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			process, err := service.Start(t.Context(), "sleep", "1000")
			require.NoError(t, err)
			require.NoError(t, send(process))
			assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGTERM}, exitOf(t, process))
			messages := recorder.untilExited(t, process.ID)
			assert.Equal(t, ActionProcessKilled{ID: process.ID, Signal: "SIGTERM"}, messages[1])
			// Not by its PID, which may be that of any other process now.
			assert.ErrorIs(t, service.Signal(process.ID, syscall.SIGTERM), ErrProcessNotRunning)
		})
	}
}

func TestKill_by_id_and_by_pid_is_broadcast_once(t *testing.T) {
	service, recorder := newRecordedService(t)
	for name, kill := range map[string]func(*Process) error{
		"id":  func(p *Process) error { return service.Kill(p.ID) },
		"pid": func(p *Process) error { return service.KillPID(p.Info().PID) },
	} {
		t.Run(name, func(t *testing.T) {
			process, err := service.Start(t.Context(), "sleep", "1000")
			require.NoError(t, err)
			require.NoError(t, kill(process))
			assert.Equal(t, engine.End{Code: -1, Signal: syscall.SIGKILL}, exitOf(t, process))
			assert.Equal(t, []any{
				ActionProcessStarted{ID: process.ID, Command: "sleep", Args: []string{"1000"}, PID: process.Info().PID},
				ActionProcessKilled{ID: process.ID, Signal: "SIGKILL"},
				ActionProcessExited{ID: process.ID, ExitCode: -1, Duration: process.Duration, Error: process.Wait()},
			}, recorder.untilExited(t, process.ID))
		})
	}
}

func TestPIDs_that_are_not_ours_or_none(t *testing.T) {
	service, _ := newTestService(t)
	for _, pid := range []int{0, -1} {
		assert.ErrorContains(t, service.KillPID(pid), "pid")
		assert.ErrorContains(t, service.SignalPID(pid, syscall.SIGTERM), "pid")
	}
	const unused = 1<<22 + 1 // above the PIDs that the kernel gives out
	assert.ErrorIs(t, service.KillPID(unused), ErrProcessNotFound)
	assert.ErrorIs(t, service.SignalPID(unused, syscall.SIGTERM), syscall.ESRCH)
	assert.ErrorIs(t, service.SignalPID(unused, syscall.SIGTERM), ErrProcessNotRunning)
	assert.ErrorContains(t, service.SignalPID(unused, foreignSignal{}), "foreign")

	stranger := exec.Command("sleep", "1000")
	require.NoError(t, stranger.Start())
	require.NoError(t, service.SignalPID(stranger.Process.Pid, syscall.Signal(0)))
	require.NoError(t, service.KillPID(stranger.Process.Pid))
	assert.Error(t, stranger.Wait())
}

func TestPIDs_and_signals_above_32_bits_are_not_cut(t *testing.T) {
	service := newQuietService(t)
	process, err := service.Start(t.Context(), "sleep", "1000")
	require.NoError(t, err)
	// The kernel would take these for the process, for the group of this program, and for all processes.
	const beyond = 1 << 32
	for _, pid := range []int{beyond + process.Info().PID, beyond, beyond - 1} {
		assert.ErrorIs(t, service.SignalPID(pid, syscall.Signal(0)), ErrProcessNotFound, pid)
	}
	assert.ErrorIs(t, service.KillPID(beyond+process.Info().PID), ErrProcessNotFound)
	kill := syscall.Signal(beyond) + syscall.SIGKILL
	assert.ErrorContains(t, process.Signal(kill), "not a signal")
	assert.ErrorContains(t, service.SignalPID(process.Info().PID, kill), "not a signal")
	assert.NoError(t, process.Signal(syscall.SIGTERM))
	var exit *ExitError
	require.ErrorAs(t, wait(t, process), &exit)
	assert.Equal(t, syscall.SIGTERM, exit.Signal())
}
