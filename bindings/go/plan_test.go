package process

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checked returns the ways to run specs that respect dependencies.
func checked(r *Runner) map[string]func(context.Context, []RunSpec) (*RunAllResult, error) {
	return map[string]func(context.Context, []RunSpec) (*RunAllResult, error){"all": r.RunAll, "sequential": r.RunSequential}
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
	ctx := cancelledByFile(t, dir+"/started")
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
