package process

import (
	"context"
	"time"

	"dappco.re/go/core/process/internal/capi"
)

// RunSpec is a process of a pipeline, with the specs that it comes after.
type RunSpec struct {
	Name    string // unique in the pipeline
	Command string
	Args    []string
	Dir     string
	Env     []string // as in RunOptions
	After   []string // names of the specs that end before this one starts
	// AllowFailure lets the specs after this one run although it failed; it counts as failed all the same.
	AllowFailure bool
}

// RunResult is the result of a spec.
type RunResult struct {
	Name string
	Spec RunSpec
	// ExitCode is -1 if a signal ended the process or it could not be started. If no start was tried, ExitCode is 0 if the
	// reason is a spec that it comes after, and 1 if the run was cancelled or the spec itself has a mistake.
	ExitCode int
	Duration time.Duration
	// Output holds both streams in the order in which they came, the newest part if it was more than the service's BufferSize.
	Output  string
	Error   error // nil for a process that exited by itself, whatever its code
	Skipped bool  // it was not started; Error says why
}

// Passed reports whether the spec ran and exited with code 0.
func (r RunResult) Passed() bool { return !r.Skipped && r.Error == nil && r.ExitCode == 0 }

// RunAllResult is the result of a pipeline.
type RunAllResult struct {
	Results  []RunResult // in the order of the specs
	Duration time.Duration
	Passed   int
	Failed   int
	Skipped  int

	incomplete bool // a spec was skipped
}

// Success reports whether no spec failed and none was skipped.
func (r RunAllResult) Success() bool { return r.Failed == 0 && !r.incomplete }

// count counts the results.
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

// Runner runs pipelines of processes. They are processes of the service, which lists and broadcasts them like those that
// Start starts; their stdin is empty, and Kill reaches their group. A Runner may be used by several goroutines at once.
type Runner struct {
	service *Service
}

// NewRunner makes a Runner whose processes belong to this service.
func NewRunner(service *Service) *Runner { return &Runner{service} }

// RunAll starts each spec the moment the last one that it comes after has ended, as many at a time as there are. A
// failure skips the specs after it. When ctx is done, the processes that run are killed with their groups, and the rest
// is skipped.
//
// A spec that comes after an unknown one, or after itself by way of others, fails once the rest has run, and the specs
// after it are skipped. Nothing starts, and the error says why, if a name of a spec is empty or used twice, or if After
// holds an empty name, the same name twice or the spec's own name.
func (r *Runner) RunAll(ctx context.Context, specs []RunSpec) (*RunAllResult, error) {
	return r.run(ctx, specs, capi.RunAll)
}

// RunSequential runs one spec at a time, in their order, but none before those that it comes after. A failure that
// is not allowed skips all that is left. Otherwise it is like RunAll.
func (r *Runner) RunSequential(ctx context.Context, specs []RunSpec) (*RunAllResult, error) {
	return r.run(ctx, specs, capi.RunSequential)
}

// RunParallel runs all specs at once, whatever they come after. Otherwise it is like RunAll.
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
		problems = nil // it ignores what specs come after
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

// runSome runs the specs that can run. RunParallel ignores what they come after.
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
	backend, err := r.service.open()
	if err != nil {
		return nil, err
	}
	live := newLiveRun(r.service, specs, mode)
	for i, failure := range p.failures {
		if failure != nil {
			live.lack(i)
		}
	}
	return p.run(ctx, backend, live, mode)
}

// neverRan returns the results of a pipeline whose context was done before it began.
func neverRan(specs []RunSpec, cause error) *RunAllResult {
	all := &RunAllResult{Results: make([]RunResult, len(specs))}
	for i, spec := range specs {
		all.Results[i] = RunResult{Name: spec.Name, Spec: spec, ExitCode: 1, Error: skippedBy(cause), Skipped: true}
	}
	return all
}

func withoutAfter(specs []RunSpec) []RunSpec {
	free := make([]RunSpec, len(specs))
	copy(free, specs)
	for i := range free {
		free[i].After = nil
	}
	return free
}
