package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode"

	"dappco.re/go/core/process/internal/engine"
	"dappco.re/go/core/process/internal/run"
)

// Program is a program to run to its end, for its output.
type Program struct {
	Name string // looked up in PATH, unless Path leads to the program
	Path string // path of the program; Find sets it
}

// Find sets Path to the absolute path of the program: Path itself if there is an executable file, else what PATH has under
// Name. It returns ErrProgramNotFound if there is neither.
func (p *Program) Find() error {
	if p.Name == "" && p.Path == "" {
		return ErrProgramNameRequired
	}
	path, err := p.locate()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProgramNotFound, err)
	}
	p.Path = path
	return nil
}

func (p *Program) locate() (string, error) {
	var err error
	for _, candidate := range []string{p.Path, p.Name} {
		if candidate == "" {
			continue
		}
		// Path is a path even if it has no slash.
		if candidate == p.Path {
			if candidate, err = filepath.Abs(candidate); err != nil {
				return "", err
			}
		}
		var found string
		if found, err = exec.LookPath(candidate); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", err
}

// Run runs the program as RunDir does, in this program's directory.
func (p *Program) Run(ctx context.Context, args ...string) (string, error) {
	return p.run(ctx, "Program.Run", "", args)
}

// RunDir runs the program in a directory to its end, with nothing on its stdin, and returns what it wrote to stdout and
// stderr, in the order in which it was written, without white space at the end. When ctx is done, it is killed. If it
// failed, the error holds an *ExitError, and the output is returned with it.
func (p *Program) RunDir(ctx context.Context, dir string, args ...string) (string, error) {
	return p.run(ctx, "Program.RunDir", dir, args)
}

func (p *Program) run(ctx context.Context, op, dir string, args []string) (string, error) {
	if ctx == nil {
		return "", fmt.Errorf("%s: %w", op, ErrProgramContextRequired)
	}
	name := p.Path
	if name == "" {
		name = p.Name
	}
	if name == "" {
		return "", fmt.Errorf("%s: %w", op, ErrProgramNameRequired)
	}
	child, err := run.Start(ctx, run.Spec{
		Name: name, Args: args, Dir: dir, Stdout: run.Keep, Stderr: run.Keep,
		ExitError: func(exit *engine.Exit) error { return (*ExitError)(exit) },
	})
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s: %w: %w", op, ErrProgramNotFound, err)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	err = child.Wait()
	output, lost := child.Output()
	if err == nil {
		err = lost
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", op, err)
	}
	return strings.TrimRightFunc(string(output), unicode.IsSpace), err
}
