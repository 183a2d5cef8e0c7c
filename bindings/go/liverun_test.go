package process

import (
	"context"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"dappco.re/go/core"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProcessesOfARunAreThoseOfItsService(t *testing.T) {
	service, recorder := newRecordedService(t)
	specs := []RunSpec{
		{Name: "said", Command: "sh", Args: []string{"-c", "echo out; echo err >&2"}, Dir: "/", Env: []string{"A=1"}},
		sh("failed", "exit 3", "said"), sh("killed", "kill -TERM $$", "said"),
		{Name: "unknown", Command: "no-such-program-anywhere"}, sh("skipped", "true", "failed"),
	}
	all, err := NewRunner(service).RunAll(t.Context(), specs)
	require.NoError(t, err)

	processes := make(map[string]*Process)
	for _, process := range service.List() {
		assert.False(t, process.IsRunning(), "RunAll waits for all of them")
		processes[strings.Join(append([]string{process.Command}, process.Args...), " ")] = process
	}
	require.Len(t, processes, 4, "none is skipped")
	said := processes["sh -c echo out; echo err >&2"]
	require.NotNil(t, said)
	info := said.Info()
	assert.Equal(t, []any{StatusExited, 0, "/"}, []any{info.Status, info.ExitCode, info.Dir})
	assert.Equal(t, []string{"A=1"}, said.Env)
	assert.Equal(t, all.Results[0].Output, said.Output())
	messages := recorder.untilExited(t, said.ID)
	assert.Equal(t, ActionProcessStarted{ID: said.ID, Command: "sh", Args: specs[0].Args, Dir: "/", PID: info.PID}, messages[0])
	assert.Equal(t, []string{"out"}, linesOf(messages, StreamStdout))
	assert.Equal(t, []string{"err"}, linesOf(messages, StreamStderr))
	assert.Equal(t, ActionProcessExited{ID: said.ID, Duration: info.Duration}, messages[3])

	failed := processes["sh -c exit 3"]
	assert.EqualError(t, failed.Wait(), "process exited with code 3")
	assert.Len(t, recorder.untilExited(t, failed.ID), 2)
	killed := processes["sh -c kill -TERM $$"]
	assert.Equal(t, StatusKilled, killed.Status)
	assert.Equal(t, ActionProcessKilled{ID: killed.ID, Signal: "SIGTERM"}, recorder.untilExited(t, killed.ID)[1])
	unknown := processes["no-such-program-anywhere"]
	assert.Equal(t, StatusFailed, unknown.Status)
	assert.EqualError(t, unknown.Wait(), all.Results[3].Error.Error())
	assert.ErrorIs(t, unknown.Wait(), exec.ErrNotFound)
	assert.Len(t, recorder.untilExited(t, unknown.ID), 1)

	assert.ErrorIs(t, said.SendInput("x"), ErrProcessNotRunning)
	require.NoError(t, service.Remove(said.ID))
	service.Clear()
	assert.Empty(t, service.List())
}

func TestProcessesOfARunCanBeFoundAndKilledWhileTheyRun(t *testing.T) {
	var service *Service
	service = newListenedService(t, func(message any) {
		if started, ok := message.(ActionProcessStarted); ok && started.Command == "sleep" {
			process, err := service.Get(started.ID)
			assert.NoError(t, err)
			assert.True(t, process.IsRunning())
			assert.ErrorIs(t, process.SendInput("x"), ErrStdinNotAvailable)
			assert.NoError(t, service.KillPID(started.PID))
		}
	})
	all, err := NewRunner(service).RunAll(t.Context(), []RunSpec{
		{Name: "a", Command: "sleep", Args: []string{"1000"}}, sh("b", "true", "a"),
	})
	require.NoError(t, err)
	assert.ErrorContains(t, all.Results[0].Error, "process was killed")
	assert.Equal(t, []int{0, 1, 1}, []int{all.Passed, all.Failed, all.Skipped})
}

func TestProcessesOfARunAreListedWithoutACore(t *testing.T) {
	service := newQuietService(t)
	for round := range 10 {
		_, err := NewRunner(service).RunParallel(t.Context(), []RunSpec{sh("a", "echo a"), sh("b", "echo b")})
		require.NoError(t, err)
		require.Len(t, service.List(), 2*(round+1))
	}
	ids := make(map[string]bool)
	for _, process := range service.List() {
		assert.Len(t, process.Output(), 2)
		ids[process.ID] = true
	}
	assert.Len(t, ids, 20)
}

func TestMessagesOfASpecComeAfterThoseOfWhatItComesAfter(t *testing.T) {
	// Given a handler that is slow with the first process of two,
	recorder := newRecorder()
	ended, release := make(chan string, 2), make(chan struct{})
	var order []string
	service := newListenedService(t, func(message any) {
		switch message := message.(type) {
		case ActionProcessOutput:
			if message.Line == "first" {
				<-release
			}
			order = append(order, message.Line)
		case ActionProcessExited:
			ended <- message.ID
		}
		recorder.record(message)
	})
	marker := t.TempDir() + "/second"
	ran := make(chan *RunAllResult)
	go func() {
		all, err := NewRunner(service).RunAll(t.Context(), []RunSpec{
			sh("b", "echo second; touch "+marker+"; exec sleep 1000", "a"), sh("a", "echo first"),
		})
		assert.NoError(t, err)
		ran <- all
	}()

	// when the second runs and is killed meanwhile,
	waitForFile(t, marker)
	running := func() []*Process {
		return slices.DeleteFunc(service.Running(), func(process *Process) bool { return !process.lives() })
	}
	for len(running()) != 1 {
		runtime.Gosched()
	}
	second := running()[0]
	require.NoError(t, second.Kill())
	assert.Empty(t, recorder.soFar(second.ID), "the handlers have not heard of its start yet")

	// then its messages come after those of the first, in order.
	close(release)
	all := await(t, ran, "the end of the run")
	assert.Equal(t, []int{1, 1, 0}, []int{all.Passed, all.Failed, all.Skipped})
	messages := recorder.untilExited(t, second.ID)
	assert.IsType(t, ActionProcessStarted{}, messages[0])
	assert.Equal(t, 1, killsOf(messages))
	for range 2 {
		await(t, ended, "the end of both")
	}
	assert.Equal(t, []string{"first", "second"}, order)
}

func TestAHandlerMayRunAPipeline(t *testing.T) {
	var service *Service
	ran := make(chan *RunAllResult, 1)
	service = newListenedService(t, func(message any) {
		if output, ok := message.(ActionProcessOutput); ok && output.Line == "outer" {
			all, err := NewRunner(service).RunAll(t.Context(), []RunSpec{sh("a", "echo inner"), sh("b", "true", "a")})
			assert.NoError(t, err)
			ran <- all
		}
	})
	all, err := NewRunner(service).RunAll(t.Context(), []RunSpec{sh("outer", "echo outer")})
	require.NoError(t, err)
	assert.True(t, all.Success())
	assert.Equal(t, 2, await(t, ran, "the inner run").Passed)
}

func TestRunsLeaveNothing(t *testing.T) {
	before := warmUp(t)
	for range count(t, 20) {
		made, err := NewService(Options{})(core.New())
		require.NoError(t, err)
		for range 2 {
			_, err = NewRunner(made.(*Service)).RunAll(t.Context(), []RunSpec{sh("a", "echo a"), sh("b", "true", "a")})
			require.NoError(t, err)
		}
	}
	returnsTo(t, before)
	noChildren(t)
}

func TestShutdownEndsRuns(t *testing.T) {
	service, _ := newTestService(t)
	started := t.TempDir() + "/started"
	go func() {
		waitForFile(t, started)
		assert.NoError(t, service.OnShutdown(context.Background()))
	}()
	all, err := NewRunner(service).RunAll(context.Background(), []RunSpec{sh("a", "touch "+started+"; sleep 1000")})
	require.NoError(t, err)
	assert.Error(t, all.Results[0].Error)
}
