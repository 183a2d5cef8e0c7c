package process

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/launch"
)

// RunSpec is a process of a pipeline, and what it comes after.
type RunSpec struct {
	Name    string // of its own in the pipeline
	Command string
	Args    []string
	Dir     string
	Env     []string // as in RunOptions
	After   []string // the names of those that end before it starts
	// AllowFailure lets those that come after it run although it failed; it counts as failed all the same.
	AllowFailure bool
}

// RunResult is what became of a spec.
type RunResult struct {
	Name string
	Spec RunSpec
	// ExitCode is -1 if a signal ended it or it could not be started; of one that was not even tried 0 if that is because
	// of what it comes after, and 1 if it is because the run was cancelled, or of a mistake of its own.
	ExitCode int
	Duration time.Duration
	Output   string // both streams as they came, the newest if it was more than the service's BufferSize
	Error    error  // nil for a process that exited by itself, whatever its code
	Skipped  bool   // it was not started; Error says why
}

// Passed says whether the spec ran and exited with code 0.
func (r RunResult) Passed() bool { return !r.Skipped && r.Error == nil && r.ExitCode == 0 }

// RunAllResult is what became of a pipeline.
type RunAllResult struct {
	Results  []RunResult // in the order of the specs
	Duration time.Duration
	Passed   int
	Failed   int
	Skipped  int

	incomplete bool // something of it was skipped
}

// Success says whether nothing failed. A pipeline that could not run, or was cancelled, is no success.
func (r RunAllResult) Success() bool { return r.Failed == 0 && !r.incomplete }

// Runner runs pipelines of processes. They are processes of the service, which lists and broadcasts them as those that
// Start starts; their stdin is empty, and Kill reaches their group. A Runner may be used by several goroutines at once.
type Runner struct {
	service *Service
}

// NewRunner is a Runner whose processes live with this service.
func NewRunner(service *Service) *Runner { return &Runner{service} }

// RunAll starts each spec the moment the last one that it comes after has ended, as many at a time as there are. A
// failure skips what comes after it. When ctx is done, what runs is killed with its group, and the rest skipped.
//
// A spec that comes after an unknown one, or after itself by way of others, fails once the rest has run, with what comes
// after it skipped. A spec with an empty or a second name is an error, and so are empty, doubled and own names in After:
// then nothing starts.
func (r *Runner) RunAll(ctx context.Context, specs []RunSpec) (*RunAllResult, error) {
	return r.run(ctx, specs, capi.RunAll)
}

// RunSequential runs one spec at a time, in their order, but none before those that it comes after. A failure that
// is not allowed skips all that is left. Otherwise it is as RunAll.
func (r *Runner) RunSequential(ctx context.Context, specs []RunSpec) (*RunAllResult, error) {
	return r.run(ctx, specs, capi.RunSequential)
}

// RunParallel runs all specs at once, whatever they come after. Otherwise it is as RunAll.
func (r *Runner) RunParallel(ctx context.Context, specs []RunSpec) (*RunAllResult, error) {
	return r.run(ctx, specs, capi.RunParallel)
}

func (r *Runner) run(ctx context.Context, specs []RunSpec, mode capi.RunMode) (*RunAllResult, error) {
	if r == nil || r.service == nil {
		return nil, ErrRunnerNoService
	}
	if ctx == nil {
		return nil, ErrRunnerContextRequired
	}
	whole, err := newPipeline(specs)
	if err != nil {
		return nil, err
	}
	defer whole.Close()
	problems, err := whole.Problems()
	if err != nil {
		return nil, err
	}
	if err := invalidNames(problems); err != nil {
		return nil, err
	}
	if mode == capi.RunParallel {
		problems = nil // it ignores what may be wrong
	}
	plan := newPlan(specs, problems)
	some := plan.runnable(specs)
	var all *RunAllResult
	switch cancelled := ctx.Err(); {
	case cancelled != nil:
		all = neverRan(some, cancelled)
	case len(some) == len(specs) && mode != capi.RunParallel:
		all, err = r.runPipeline(ctx, whole, some, mode)
	default:
		all, err = r.runSome(ctx, some, mode)
	}
	if err != nil {
		return nil, err
	}
	all.Results = plan.complete(specs, all.Results, ctx.Err())
	all.count()
	return all, nil
}

// runSome runs the specs that can run, of which mode may ignore what they come after.
func (r *Runner) runSome(ctx context.Context, specs []RunSpec, mode capi.RunMode) (*RunAllResult, error) {
	runs := specs
	if mode == capi.RunParallel {
		runs = withoutAfter(specs)
	}
	pipeline, err := newPipeline(runs)
	if err != nil {
		return nil, err
	}
	defer pipeline.Close()
	return r.runPipeline(ctx, pipeline, specs, mode)
}

func (r *Runner) runPipeline(ctx context.Context, p *pipeline, specs []RunSpec, mode capi.RunMode) (*RunAllResult, error) {
	engine, err := r.service.open()
	if err != nil {
		return nil, err
	}
	live := newLiveRun(r.service, specs, mode)
	for i, failure := range p.failures {
		if failure != nil {
			live.lack(i)
		}
	}
	return p.run(ctx, engine, live, mode)
}

// pipeline is a pipeline of the library, and what it could not be told.
type pipeline struct {
	*capi.Pipeline
	failures []error // why a spec cannot be started, or nil
}

func newPipeline(specs []RunSpec) (*pipeline, error) {
	core, err := capi.NewPipeline()
	if err != nil {
		return nil, err
	}
	made := &pipeline{core, make([]error, len(specs))}
	for i, spec := range specs {
		if err := made.add(i, spec); err != nil {
			made.Close()
			return nil, fmt.Errorf("specs[%d]: %w", i, err)
		}
	}
	return made, nil
}

func commandOf(spec RunSpec) (*capi.Command, error) {
	if spec.Command == "" {
		return nil, errCommandRequired
	}
	return newCommand(optionsOf(spec), capi.ScopeGroup, capi.StdioNull)
}

func (p *pipeline) add(index int, spec RunSpec) error {
	command, err := commandOf(spec)
	if err != nil {
		// It fails when its turn comes, and this error tells more than that of the library then.
		p.failures[index] = err
		if command, err = capi.NewCommand(launch.Nowhere); err != nil {
			return err
		}
	}
	defer command.Close()
	if _, err := p.Add(spec.Name, command); err != nil {
		return fmt.Errorf("%w: %w", ErrRunnerInvalidSpecName, err)
	}
	if err := p.After(index, spec.After...); err != nil {
		return fmt.Errorf("%w: %w", ErrRunnerInvalidDependencyName, err)
	}
	if spec.AllowFailure {
		return p.AllowFailure(index)
	}
	return nil
}

func optionsOf(spec RunSpec) RunOptions {
	return RunOptions{Command: spec.Command, Args: spec.Args, Dir: spec.Dir, Env: spec.Env}
}

func (p *pipeline) run(ctx context.Context, engine *engine, live *liveRun, mode capi.RunMode) (*RunAllResult, error) {
	engine.hub.Begin()
	run, err := engine.runs.start(func() (*capi.Run, error) { return p.Start(engine.service, mode) })
	if err != nil {
		engine.hub.End()
		return nil, err
	}
	defer run.Close()
	defer engine.runs.remove(run)
	engine.hub.know(run.ID(), live)
	defer engine.hub.Remove(run.ID())
	forget := context.AfterFunc(ctx, func() { _ = run.Cancel() })
	defer forget()
	if err := run.Wait(); err != nil {
		return nil, err
	}
	all := &RunAllResult{Results: make([]RunResult, len(live.specs))}
	if all.Duration, _, err = run.Outcome(); err != nil {
		return nil, err
	}
	for i, spec := range live.specs {
		core, err := run.Result(i)
		if err != nil {
			return nil, err
		}
		result := resultOfSpec(spec, core, p.failures[i])
		if err := live.finish(i, core, result.Error); err != nil {
			return nil, err
		}
		if ctx.Err() != nil && (core.State == capi.SpecSkipped || core.State == capi.SpecCancelled) {
			result.Error = fmt.Errorf("%w: %w", result.Error, ctx.Err())
		}
		all.Results[i] = result
	}
	return all, nil
}

func resultOfSpec(spec RunSpec, core capi.SpecResult, failure error) RunResult {
	result := RunResult{Name: spec.Name, Spec: spec, ExitCode: core.ExitCode, Duration: core.Duration, Output: core.Output}
	exit := &ExitError{code: core.ExitCode, signal: core.Signal, timedOut: core.State == capi.SpecTimedOut}
	switch core.State {
	case capi.SpecPassed:
	case capi.SpecSkipped:
		result.Skipped, result.ExitCode = true, 1
		if byDependency(core) {
			result.ExitCode = 0
		}
		result.Error = errors.New(core.Error)
	case capi.SpecCancelled, capi.SpecTimedOut:
		result.Error = fmt.Errorf("%s: %w", core.Error, exit)
	default:
		switch {
		case failure != nil:
			result.Error = &startError{failure}
		case core.Signal != 0 || core.Flags&capi.FlagStatusUnknown != 0:
			result.Error = exit
		case core.ExitCode < 0:
			result.Error = &startError{errors.New(core.Error)}
		}
	}
	return result
}

// invalidNames is the error of specs that have no place in any pipeline, or nil.
func invalidNames(problems []capi.Problem) error {
	var found []error
	for _, problem := range problems {
		switch problem.Kind {
		case capi.ProblemEmptyName, capi.ProblemDuplicateName:
			found = append(found, fmt.Errorf("%w: %w", ErrRunnerInvalidSpecName, problem))
		case capi.ProblemEmptyDependency, capi.ProblemDuplicateDependency, capi.ProblemSelfDependency:
			found = append(found, fmt.Errorf("%w: %w", ErrRunnerInvalidDependencyName, problem))
		}
	}
	return errors.Join(found...)
}

// byDependency tells a spec that was skipped for what came before it from one that a cancelled run did not come to.
func byDependency(skipped capi.SpecResult) bool {
	return strings.HasSuffix(skipped.Error, " failed") || strings.HasSuffix(skipped.Error, " timed out")
}

// neverRan is what becomes of a pipeline whose context was done before it began.
func neverRan(specs []RunSpec, cause error) *RunAllResult {
	all := &RunAllResult{Results: make([]RunResult, len(specs))}
	for i, spec := range specs {
		all.Results[i] = RunResult{Name: spec.Name, Spec: spec, ExitCode: 1, Error: skippedBy(cause), Skipped: true}
	}
	return all
}

// count counts the results. Without a failure only a cancelled run skips anything.
func (r *RunAllResult) count() {
	for _, result := range r.Results {
		switch {
		case result.Skipped:
			r.Skipped++
		case result.Passed():
			r.Passed++
		default:
			r.Failed++
		}
	}
	r.incomplete = r.Skipped > 0
}

func withoutAfter(specs []RunSpec) []RunSpec {
	free := make([]RunSpec, len(specs))
	copy(free, specs)
	for i := range free {
		free[i].After = nil
	}
	return free
}
