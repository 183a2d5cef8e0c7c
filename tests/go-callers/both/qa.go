// Package callers is written like programs that use the binding: a build tool that runs commands and pipelines, and
// a daemon. Its tests are written like theirs, and run with the race detector.
package callers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dappco.re/go/core"
	process "dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
)

// Checks are the steps of a quality run. The user chooses some of them.
var Checks = []process.RunSpec{
	{Name: "fmt", Command: "true"},
	{Name: "vet", Command: "sh", Args: []string{"-c", "echo vetted"}, After: []string{"fmt"}},
	{Name: "test", Command: "sh", Args: []string{"-c", "echo tested"}, After: []string{"vet"}},
	{Name: "audit", Command: "sh", Args: []string{"-c", "echo 2 findings; exit 1"}, AllowFailure: true},
	{Name: "report", Command: "true", After: []string{"test", "audit"}},
}

// RunChecks runs the checks of these names, and returns a line for each.
func RunChecks(ctx context.Context, service *process.Service, names ...string) ([]string, error) {
	var specs []process.RunSpec
	for _, spec := range Checks {
		for _, name := range names {
			if spec.Name == name {
				specs = append(specs, spec)
			}
		}
	}
	all, err := process.NewRunner(service).RunAll(ctx, specs)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, result := range all.Results {
		switch {
		case result.Skipped:
			lines = append(lines, fmt.Sprintf("%s: skipped (%d): %v", result.Name, result.ExitCode, result.Error))
		case result.Passed():
			lines = append(lines, result.Name+": ok")
		case result.Error != nil:
			lines = append(lines, fmt.Sprintf("%s: failed (%d): %v", result.Name, result.ExitCode, result.Error))
		default:
			lines = append(lines, fmt.Sprintf("%s: exit code %d", result.Name, result.ExitCode))
		}
	}
	if !all.Success() {
		return lines, fmt.Errorf("%d of %d checks failed, %d skipped", all.Failed, len(specs), all.Skipped)
	}
	return lines, nil
}

// Git runs a version control command in a directory and returns its output.
func Git(ctx context.Context, dir string, args ...string) (string, error) {
	output, err := exec.Command(ctx, "echo", append([]string{"git"}, args...)...).WithDir(dir).WithEnv([]string{"LC_ALL=C"}).CombinedOutput()
	if err != nil {
		return "", core.E("git", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(output)), nil
}

// ExitCode returns the exit code in an error, or -1.
func ExitCode(err error) int {
	var exit *process.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// Console gathers the output of processes, for a view.
type Console struct {
	Lines  []string
	Killed []string
	Ended  chan process.ActionProcessExited
}

// NewConsole makes a Console that hears the messages of a Core.
func NewConsole(c *core.Core) *Console {
	console := &Console{Ended: make(chan process.ActionProcessExited, 100)}
	c.RegisterAction(console.handle)
	return console
}

func (v *Console) handle(_ *core.Core, message core.Message) core.Result {
	switch message := message.(type) {
	case process.ActionProcessOutput:
		v.Lines = append(v.Lines, message.Line)
	case process.ActionProcessKilled:
		v.Killed = append(v.Killed, message.ID)
	case process.ActionProcessExited:
		v.Ended <- message
	}
	return core.Result{OK: true}
}
