package process

import (
	"errors"
	"fmt"

	"dappco.re/go/core/process/internal/capi"
)

// plan says which specs of a pipeline can run although something is wrong with others: all specs that do not come after
// one of those, by index.
type plan []planned

// planned is the outcome of a spec as far as it is known before a process runs.
type planned struct {
	failure error  // what is wrong with the spec, or nil
	behind  string // name of a spec that it comes after and that cannot run, or ""
}

func (p planned) runs() bool { return p.failure == nil && p.behind == "" }

// newPlan makes a plan from the problems of specs, whose names are known to be valid.
func newPlan(specs []RunSpec, problems []capi.Problem) plan {
	made := make(plan, len(specs))
	var stuck []int
	for _, problem := range problems {
		for _, index := range problem.Specs {
			if made[index].failure == nil {
				made[index].failure = errors.New(problem.Message)
				stuck = append(stuck, index)
			}
		}
	}
	if len(stuck) == 0 {
		return made
	}
	followers := make(map[string][]int)
	for index, spec := range specs {
		for _, name := range spec.After {
			followers[name] = append(followers[name], index)
		}
	}
	for len(stuck) > 0 {
		name := specs[stuck[0]].Name
		stuck = stuck[1:]
		for _, follower := range followers[name] {
			if made[follower].runs() {
				made[follower].behind = name
				stuck = append(stuck, follower)
			}
		}
	}
	return made
}

// runnable returns the specs that can run.
func (p plan) runnable(specs []RunSpec) []RunSpec {
	var some []RunSpec
	for index, spec := range specs {
		if p[index].runs() {
			some = append(some, spec)
		}
	}
	return some
}

// complete adds the results of the specs that could not run to those of the others, in the order of the specs. If the
// run was cancelled, the specs that could not run count as skipped.
func (p plan) complete(specs []RunSpec, ran []RunResult, cancelled error) []RunResult {
	results := make([]RunResult, 0, len(specs))
	for index, spec := range specs {
		result := RunResult{Name: spec.Name, Spec: spec}
		switch known := p[index]; {
		case known.runs():
			result, ran = ran[0], ran[1:]
		case cancelled != nil:
			result.Skipped, result.ExitCode, result.Error = true, 1, skippedBy(cancelled)
		case known.failure != nil:
			result.ExitCode, result.Error = 1, known.failure
		default:
			result.Skipped, result.Error = true, fmt.Errorf("skipped: %q cannot run", known.behind)
		}
		results = append(results, result)
	}
	return results
}

// skippedBy returns why a spec of a cancelled run was skipped.
func skippedBy(cause error) error { return fmt.Errorf("skipped: the run was cancelled: %w", cause) }
