package process

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// pipeline is a pipeline of the library, and the failures that the library could not be told of.
type pipeline struct {
	*capi.Pipeline
	failures []error // why a spec cannot be started, or nil
}

func newPipeline(specs []RunSpec) (*pipeline, error) {
	handle, err := capi.NewPipeline()
	if err != nil {
		return nil, err
	}
	made := &pipeline{handle, make([]error, len(specs))}
	for i, spec := range specs {
		if err := made.add(i, spec); err != nil {
			made.Close()
			return nil, fmt.Errorf("specs[%d]: %w", i, err)
		}
	}
	return made, nil
}

func (p *pipeline) add(index int, spec RunSpec) error {
	command, err := commandOf(spec)
	if err != nil {
		// The spec fails when its turn comes. This error then tells more than that of the library.
		p.failures[index] = err
		command = engine.NewFailingCommand()
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

func commandOf(spec RunSpec) (*capi.Command, error) {
	if spec.Command == "" {
		return nil, errCommandRequired
	}
	return newCommand(optionsOf(spec), capi.ScopeGroup, capi.StdioNull)
}

func optionsOf(spec RunSpec) RunOptions {
	return RunOptions{Command: spec.Command, Args: spec.Args, Dir: spec.Dir, Env: spec.Env}
}

// run runs the pipeline to its end, and returns when everything was broadcast.
func (p *pipeline) run(ctx context.Context, backend *backend, live *liveRun, mode capi.RunMode) (*RunAllResult, error) {
	backend.feed.Begin()
	run, err := backend.runs.start(func() (*capi.Run, error) { return p.Start(backend.service, mode) })
	if err != nil {
		backend.feed.End()
		return nil, err
	}
	defer run.Close()
	defer backend.runs.remove(run)
	backend.feed.Know(run.ID(), live)
	defer backend.feed.Remove(run.ID())
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
		end, err := run.Result(i)
		if err != nil {
			return nil, err
		}
		result := resultOfSpec(spec, end, p.failures[i])
		if err := live.finish(i, end, result.Error); err != nil {
			return nil, err
		}
		if ctx.Err() != nil && (end.State == capi.SpecSkipped || end.State == capi.SpecCancelled) {
			result.Error = fmt.Errorf("%w: %w", result.Error, ctx.Err())
		}
		all.Results[i] = result
	}
	return all, nil
}

// resultOfSpec returns the result of a spec that the library has ended. failure says why it could not be started, if that
// was known before.
func resultOfSpec(spec RunSpec, end capi.SpecResult, failure error) RunResult {
	result := RunResult{Name: spec.Name, Spec: spec, ExitCode: end.ExitCode, Duration: end.Duration, Output: end.Output}
	exit := newExitError(engine.End{Code: end.ExitCode, Signal: end.Signal, TimedOut: end.State == capi.SpecTimedOut})
	switch end.State {
	case capi.SpecPassed:
	case capi.SpecSkipped:
		result.Skipped, result.ExitCode = true, 1
		if byDependency(end) {
			result.ExitCode = 0
		}
		result.Error = errors.New(end.Error)
	case capi.SpecCancelled, capi.SpecTimedOut:
		result.Error = fmt.Errorf("%s: %w", end.Error, exit)
	default:
		switch {
		case failure != nil:
			result.Error = &startError{failure}
		case end.Signal != 0 || end.Flags&capi.FlagStatusUnknown != 0:
			result.Error = exit
		case end.ExitCode < 0:
			result.Error = &startError{errors.New(end.Error)}
		}
	}
	return result
}

// invalidNames returns the error of specs whose names no pipeline can have, or nil.
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

// byDependency reports whether a spec was skipped because one before it failed, and not because the run was cancelled.
func byDependency(skipped capi.SpecResult) bool {
	return strings.HasSuffix(skipped.Error, " failed") || strings.HasSuffix(skipped.Error, " timed out")
}
