package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"dappco.re/go/core"
	"dappco.re/go/core/process/internal/capi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newTestRunner(t *testing.T) *Runner {
	t.Helper()
	service, _ := newTestService(t)
	return NewRunner(service)
}

func sh(name, script string, after ...string) RunSpec {
	return RunSpec{Name: name, Command: "sh", Args: []string{"-c", script}, After: after}
}

func TestRunAllKeepsTheOrderOfTheSpecsInItsResults(t *testing.T) {
	all, err := newTestRunner(t).RunAll(context.Background(), []RunSpec{
		sh("c", "echo c", "b"), sh("b", "echo b; exit 3", "a"), sh("a", "echo a"), sh("d", "echo d >&2", "a"),
	})
	require.NoError(t, err)
	require.Len(t, all.Results, 4)
	c, b, a, d := all.Results[0], all.Results[1], all.Results[2], all.Results[3]

	assert.True(t, a.Passed())
	assert.Equal(t, "a\n", a.Output)
	assert.True(t, d.Passed())
	assert.Equal(t, "d\n", d.Output)

	assert.False(t, b.Passed())
	assert.Equal(t, 3, b.ExitCode)
	assert.NoError(t, b.Error)
	assert.Equal(t, "b\n", b.Output)
	assert.Positive(t, b.Duration)

	assert.True(t, c.Skipped)
	assert.False(t, c.Passed())
	assert.ErrorContains(t, c.Error, `"b"`)
	assert.Zero(t, c.ExitCode)
	assert.Equal(t, "c", c.Name)
	assert.Equal(t, []string{"b"}, c.Spec.After)

	assert.Equal(t, []int{2, 1, 1}, []int{all.Passed, all.Failed, all.Skipped})
	assert.False(t, all.Success())
	assert.Positive(t, all.Duration)
}

func TestAnAllowedFailureLetsDependentsRunAndCountsAsFailed(t *testing.T) {
	lint := sh("lint", "exit 1")
	lint.AllowFailure = true
	all, err := newTestRunner(t).RunAll(context.Background(), []RunSpec{lint, sh("build", "true", "lint")})
	require.NoError(t, err)
	assert.True(t, all.Results[1].Passed())
	assert.Equal(t, 1, all.Failed)
	assert.False(t, all.Success())
}

func TestTheExitCodeOfASkippedSpecTellsAFailureFromACancel(t *testing.T) {
	for text, code := range map[string]int{
		`skipped: "was cancelled" failed`: 0, `skipped: "a" timed out`: 0, `skipped: "it failed" was cancelled`: 1,
		"skipped: the run was cancelled": 1, "skipped: the service was closed": 1,
	} {
		result := resultOfSpec(RunSpec{}, capi.SpecResult{State: capi.SpecSkipped, ExitCode: -1, Error: text}, nil)
		assert.Equal(t, []any{true, code}, []any{result.Skipped, result.ExitCode}, text)
		assert.EqualError(t, result.Error, text)
	}
}

func TestSkippedIsTransitive(t *testing.T) {
	all, err := newTestRunner(t).RunAll(context.Background(), []RunSpec{
		sh("a", "exit 1"), sh("b", "true", "a"), sh("c", "true", "b"),
	})
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1, 2}, []int{all.Passed, all.Failed, all.Skipped})
}

func TestRunSequentialStopsAtTheFirstFailure(t *testing.T) {
	allowed := sh("allowed", "exit 1")
	allowed.AllowFailure = true
	all, err := newTestRunner(t).RunSequential(context.Background(), []RunSpec{
		sh("a", "true"), allowed, sh("b", "exit 2"), sh("c", "true"),
	})
	require.NoError(t, err)
	assert.True(t, all.Results[0].Passed())
	assert.Equal(t, 1, all.Results[1].ExitCode)
	assert.Equal(t, 2, all.Results[2].ExitCode)
	assert.True(t, all.Results[3].Skipped)
	assert.Error(t, all.Results[3].Error)
}

func TestRunParallelIgnoresDependencies(t *testing.T) {
	all, err := newTestRunner(t).RunParallel(context.Background(), []RunSpec{
		sh("a", "exit 1"), sh("b", "true", "a"), sh("c", "true", "d"), sh("d", "true", "c", "nobody"),
	})
	require.NoError(t, err)
	assert.Equal(t, []int{3, 1, 0}, []int{all.Passed, all.Failed, all.Skipped})
}

// checked are the ways to run specs that look at what comes after what.
func checked(r *Runner) map[string]func(context.Context, []RunSpec) (*RunAllResult, error) {
	return map[string]func(context.Context, []RunSpec) (*RunAllResult, error){"all": r.RunAll, "sequential": r.RunSequential}
}

// outcome is the state, the exit code and the error of a result in a line.
func outcome(result RunResult) string {
	state := "failed"
	switch {
	case result.Skipped:
		state = "skipped"
	case result.Passed():
		state = "passed"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %d %v", result.Name, state, result.ExitCode, cmp.Or(result.Error, errors.New(""))))
}

func outcomes(all *RunAllResult) []string {
	var lines []string
	for _, result := range all.Results {
		lines = append(lines, outcome(result))
	}
	return lines
}

func TestACycleFailsItsSpecsOnceTheRestHasRun(t *testing.T) {
	for name, run := range checked(newTestRunner(t)) {
		t.Run(name, func(t *testing.T) {
			never := t.TempDir() + "/never"
			specs := []RunSpec{
				sh("behind", "touch "+never, "free", "b"), sh("a", "touch "+never, "b"), sh("b", "touch "+never, "a", "free"),
				sh("free", "echo ran"), sh("further", "touch "+never, "behind"), sh("other", "true", "free"),
			}
			all, err := run(t.Context(), specs)
			require.NoError(t, err)
			const cycle = `cycle: "a" -> "b" -> "a", each after the next`
			assert.Equal(t, []string{
				`behind skipped 0 skipped: "b" cannot run`, "a failed 1 " + cycle, "b failed 1 " + cycle, "free passed 0",
				`further skipped 0 skipped: "behind" cannot run`, "other passed 0",
			}, outcomes(all))
			assert.NoFileExists(t, never)
			assert.Equal(t, "ran\n", all.Results[3].Output)
			assert.Equal(t, specs[2], all.Results[2].Spec)
			assert.Equal(t, []int{2, 2, 2}, []int{all.Passed, all.Failed, all.Skipped})
			assert.False(t, all.Success())
		})
	}
}

func TestAnUnknownDependencyFailsItsSpecOnceTheRestHasRun(t *testing.T) {
	for name, run := range checked(newTestRunner(t)) {
		t.Run(name, func(t *testing.T) {
			allowed := sh("allowed", "true", "nobody")
			allowed.AllowFailure = true
			all, err := run(t.Context(), []RunSpec{
				sh("build", "true"), sh("test", "true", "build", "biuld"), allowed, sh("after allowed", "true", "allowed"),
			})
			require.NoError(t, err)
			assert.Equal(t, []string{
				"build passed 0", `test failed 1 unknown spec "biuld", did you mean "build"?`, `allowed failed 1 unknown spec "nobody"`,
				`after allowed skipped 0 skipped: "allowed" cannot run`,
			}, outcomes(all))
			assert.False(t, all.Success())
		})
	}
}

func TestSpecsThatAllCannotRunFail(t *testing.T) {
	for name, run := range checked(newTestRunner(t)) {
		t.Run(name, func(t *testing.T) {
			all, err := run(t.Context(), []RunSpec{sh("a", "true", "nobody")})
			require.NoError(t, err)
			assert.Equal(t, []string{`a failed 1 unknown spec "nobody"`}, outcomes(all))
		})
	}
}

func TestAFailureDoesNotHideThatOtherSpecsCannotRun(t *testing.T) {
	all, err := newTestRunner(t).RunSequential(t.Context(), []RunSpec{
		sh("a", "exit 3"), sh("b", "true"), sh("c", "true", "nobody"), sh("d", "true", "c"),
	})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"a failed 3", `b skipped 0 skipped: "a" failed`, `c failed 1 unknown spec "nobody"`, `d skipped 0 skipped: "c" cannot run`,
	}, outcomes(all))
}

func TestACancelledRunSkipsAlsoWhatCannotRun(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		waitForFile(t, dir+"/started")
		cancel()
	}()
	specs := []RunSpec{
		sh("long", "touch "+dir+"/started; sleep 1000"), sh("later", "true", "long"), sh("unknown", "true", "nobody"),
		sh("after", "true", "unknown"),
	}
	all, err := newTestRunner(t).RunAll(ctx, specs)
	require.NoError(t, err)
	const cancelled = "skipped 1 skipped: the run was cancelled: context canceled"
	assert.ErrorIs(t, all.Results[0].Error, context.Canceled)
	assert.Equal(t, []any{1, true}, []any{all.Results[1].ExitCode, all.Results[1].Skipped})
	assert.Equal(t, []string{"unknown " + cancelled, "after " + cancelled}, outcomes(all)[2:])

	all, err = newTestRunner(t).RunAll(ctx, specs)
	require.NoError(t, err)
	for _, result := range all.Results {
		assert.Equal(t, result.Name+" "+cancelled, outcome(result))
	}
}

func TestBadSpecsAreErrors(t *testing.T) {
	runner := newTestRunner(t)
	for name, test := range map[string]struct {
		specs []RunSpec
		want  error
	}{
		"empty name":                             {[]RunSpec{sh("", "true")}, ErrRunnerInvalidSpecName},
		"duplicate name":                         {[]RunSpec{sh("a", "true"), sh("a", "true")}, ErrRunnerInvalidSpecName},
		"name that is no UTF-8":                  {[]RunSpec{sh("\xff", "true")}, ErrRunnerInvalidSpecName},
		"empty dependency":                       {[]RunSpec{sh("a", "true", "")}, ErrRunnerInvalidDependencyName},
		"duplicate dependency":                   {[]RunSpec{sh("a", "true"), sh("b", "true", "a", "a")}, ErrRunnerInvalidDependencyName},
		"unknown dependency that is named twice": {[]RunSpec{sh("a", "true", "x", "x")}, ErrRunnerInvalidDependencyName},
		"self dependency":                        {[]RunSpec{sh("a", "true", "a")}, ErrRunnerInvalidDependencyName},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			for _, run := range []func(context.Context, []RunSpec) (*RunAllResult, error){
				runner.RunAll, runner.RunSequential, runner.RunParallel,
			} {
				all, err := run(ctx, test.specs)
				assert.Nil(t, all)
				assert.ErrorIs(t, err, test.want)
			}
		})
	}
	_, err := NewRunner(nil).RunAll(context.Background(), nil)
	assert.ErrorIs(t, err, ErrRunnerNoService)
	//lint:ignore SA1012 the mistake is what is tested
	_, err = runner.RunAll(nil, nil)
	assert.ErrorIs(t, err, ErrRunnerContextRequired)
}

func TestNoSpecsSucceed(t *testing.T) {
	all, err := newTestRunner(t).RunAll(context.Background(), nil)
	require.NoError(t, err)
	assert.True(t, all.Success())
	assert.Empty(t, all.Results)
}

func TestAFailedStartHasAnError(t *testing.T) {
	all, err := newTestRunner(t).RunAll(context.Background(), []RunSpec{
		{Name: "unknown", Command: "no-such-program-anywhere"},
		{Name: "empty"},
		{Name: "folder", Command: "true", Dir: "/no/such/folder"},
		sh("after", "true", "unknown"),
	})
	require.NoError(t, err)
	assert.ErrorIs(t, all.Results[0].Error, exec.ErrNotFound)
	assert.ErrorIs(t, all.Results[1].Error, errCommandRequired)
	for _, result := range all.Results[:3] {
		assert.Error(t, result.Error, result.Name)
		assert.False(t, result.Skipped)
		assert.Equal(t, -1, result.ExitCode)
	}
	assert.True(t, all.Results[3].Skipped)
	assert.Equal(t, 3, all.Failed)
}

func TestAKilledSpecHasAnError(t *testing.T) {
	all, err := newTestRunner(t).RunAll(context.Background(), []RunSpec{sh("a", "kill -9 $$")})
	require.NoError(t, err)
	var exit *ExitError
	require.True(t, errors.As(all.Results[0].Error, &exit))
	assert.Equal(t, "process was killed", exit.Error())
	assert.Equal(t, 1, all.Failed)
}

func TestCancellingARunFailsWhatRunsAndSkipsTheRest(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		waitForFile(t, dir+"/started")
		cancel()
	}()
	all, err := newTestRunner(t).RunAll(ctx, []RunSpec{
		sh("long", "touch "+dir+"/started; sleep 1000"), sh("later", "true", "long"),
	})
	require.NoError(t, err)
	assert.False(t, all.Results[0].Skipped)
	assert.ErrorIs(t, all.Results[0].Error, context.Canceled)
	var exit *ExitError
	assert.ErrorAs(t, all.Results[0].Error, &exit)
	assert.True(t, all.Results[1].Skipped)
	assert.ErrorIs(t, all.Results[1].Error, context.Canceled)
	assert.Equal(t, 1, all.Results[1].ExitCode)
	assert.Equal(t, []int{0, 1, 1}, []int{all.Passed, all.Failed, all.Skipped})
	assert.False(t, all.Success())
}

func TestARunWithADoneContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	started := t.TempDir() + "/started"
	all, err := newTestRunner(t).RunAll(ctx, []RunSpec{sh("a", "touch "+started)})
	require.NoError(t, err)
	assert.NoFileExists(t, started)
	assert.True(t, all.Results[0].Skipped)
	assert.ErrorIs(t, all.Results[0].Error, context.Canceled)
	assert.Equal(t, 1, all.Results[0].ExitCode)
	assert.False(t, all.Success())
}

func TestARunOfWhichSomethingWasSkippedIsNoSuccess(t *testing.T) {
	// As OnShutdown leaves one that it finds between two processes: nothing failed.
	all := RunAllResult{Results: []RunResult{{}, {Skipped: true, ExitCode: 1}}}
	all.count()
	assert.Equal(t, []int{1, 0, 1}, []int{all.Passed, all.Failed, all.Skipped})
	assert.False(t, all.Success())
}

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
	// Given a handler that is slow with the first of two,
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
	assert.Empty(t, recorder.soFar(second.ID), "it has not started yet, for who listens")

	// then what is told of it comes after what is told of the first, in order.
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

func TestDirAndEnvReachASpec(t *testing.T) {
	dir := t.TempDir()
	spec := sh("a", `echo "$PWD $EXTRA"`)
	spec.Dir, spec.Env = dir, []string{"EXTRA=x"}
	all, err := newTestRunner(t).RunAll(context.Background(), []RunSpec{spec})
	require.NoError(t, err)
	assert.Equal(t, dir+" x\n", all.Results[0].Output)
}

func TestManySpecsRunAtOnce(t *testing.T) {
	// Each waits for the next one's file: with a limit on how many run, none would end.
	dir := t.TempDir()
	const count = 20
	specs := make([]RunSpec, count)
	for i := range specs {
		name := string(rune('a' + i))
		next := string(rune('a' + (i+1)%count))
		specs[i] = sh(name, "touch "+dir+"/"+name+"; until [ -e "+dir+"/"+next+" ]; do sleep 0.01; done")
	}
	for name, run := range map[string]func(context.Context, []RunSpec) (*RunAllResult, error){
		"all": newTestRunner(t).RunAll, "parallel": newTestRunner(t).RunParallel,
	} {
		t.Run(name, func(t *testing.T) {
			all, err := run(context.Background(), specs)
			require.NoError(t, err)
			assert.Equal(t, count, all.Passed)
		})
	}
}
