package run

import (
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/engine"
)

// Spec says what to run.
type Spec struct {
	Name string   // a path if it has a slash, else looked up in PATH
	Args []string // without the name
	Dir  string   // "" is that of this program
	Env  []string // "KEY=VALUE", added to the inherited environment; the last of a name wins

	// A stream that is nil is null, and one that is an *os.File is the child's own. If both outputs are the same Writer,
	// one goroutine at a time writes to it, in the order in which the output came.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// ExitError makes the error of a command that did not succeed, in a type that the callers of the package know.
	ExitError func(*engine.Exit) error
}

// Keep as an output keeps all of it for Child.Output.
var Keep io.Writer = keep{}

type keep struct{}

func (keep) Write(data []byte) (int, error) { return len(data), nil }

// line returns the command as a line for people.
func (s *Spec) line() string {
	return strings.Join(append([]string{s.Name}, s.Args...), " ")
}

// merged reports whether both outputs go to the same place.
func (s *Spec) merged() bool {
	return s.Stdout != nil && s.Stderr != nil && reflect.TypeOf(s.Stdout) == reflect.TypeOf(s.Stderr) &&
		reflect.TypeOf(s.Stdout).Comparable() && s.Stdout == s.Stderr
}

// command makes the command without its streams. The caller closes it.
func (s *Spec) command() (*capi.Command, error) {
	command, err := engine.NewCommand(s.Name, s.Args, s.Dir, s.Env)
	if err != nil {
		return nil, err
	}
	command.Group(capi.GroupInherit)
	return command, nil
}

// streams gives the command its streams, and the child those that go through Go.
func (s *Spec) streams(command *capi.Command, child *Child) error {
	if err := s.stdin(command, child); err != nil {
		return err
	}
	stderr := s.Stderr
	if s.merged() {
		stderr = nil
	}
	for index, writer := range []io.Writer{s.Stdout, stderr} {
		if err := child.output(command, index, writer); err != nil {
			return err
		}
	}
	if s.merged() {
		command.Stdio(capi.Stderr, capi.StdioMerge)
	}
	// If one output goes to a Writer and the other is kept, both go through Go: the library would keep both as one.
	if child.loud() {
		for index, kept := range child.kept {
			if kept {
				child.outputs[index] = &output{writer: &child.buffer, stream: outputStreams[index]}
			}
		}
	} else if child.kept != [2]bool{} {
		command.Capture(math.MaxInt64)
	}
	return nil
}

func (s *Spec) stdin(command *capi.Command, child *Child) error {
	switch stdin := s.Stdin.(type) {
	case nil:
		command.Stdio(capi.Stdin, capi.StdioNull)
		return nil
	case *os.File:
		return lend(command, capi.Stdin, stdin)
	default:
		read, write, err := pipe()
		if err != nil {
			return err
		}
		defer syscall.Close(read)
		child.input = newInput(write, stdin)
		return command.StdioFd(capi.Stdin, uintptr(read))
	}
}

// output gives the command an output.
func (c *Child) output(command *capi.Command, index int, writer io.Writer) error {
	stream := outputStreams[index]
	switch writer := writer.(type) {
	case nil:
		command.Stdio(stream, capi.StdioNull)
		return nil
	case *os.File:
		return lend(command, stream, writer)
	case keep:
		c.kept[index] = true
	default:
		c.outputs[index] = &output{writer: writer, stream: stream}
	}
	command.Stdio(stream, capi.StdioPipe)
	return nil
}

var outputStreams = [2]capi.Stream{capi.Stdout, capi.Stderr}

var streamNames = map[capi.Stream]string{capi.Stdin: "stdin", capi.Stdout: "stdout", capi.Stderr: "stderr"}

// lend gives the child a file of the caller's. As in os/exec, Fd puts it into blocking mode, which the child
// shares and expects.
func lend(command *capi.Command, stream capi.Stream, file *os.File) error {
	if file == nil {
		return fmt.Errorf("%s: a nil *os.File: %w", streamNames[stream], os.ErrInvalid)
	}
	defer runtime.KeepAlive(file)
	fd := file.Fd()
	if int(fd) < 0 {
		return fmt.Errorf("%s: %q: %w", streamNames[stream], file.Name(), os.ErrClosed)
	}
	return command.StdioFd(stream, fd)
}
