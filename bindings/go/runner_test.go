package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

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

// outcome returns the state, the exit code and the error of a result in a line.
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
		{Name: "dir", Command: "true", Dir: "/no/such/dir"},
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
	ctx := cancelledByFile(t, dir+"/started")
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
	// OnShutdown leaves such a run if it finds it between two processes: nothing failed.
	all := RunAllResult{Results: []RunResult{{}, {Skipped: true, ExitCode: 1}}}
	all.count()
	assert.Equal(t, []int{1, 0, 1}, []int{all.Passed, all.Failed, all.Skipped})
	assert.False(t, all.Success())
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
	// Each spec waits for the file of the next one: if there were a limit on how many run, none would end.
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
