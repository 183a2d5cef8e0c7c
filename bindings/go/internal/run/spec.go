package run

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"syscall"

	"dappco.re/go/core/process/internal/capi"
	"dappco.re/go/core/process/internal/launch"
)

// Spec says what to run.
type Spec struct {
	Name string   // a path if it has a slash, else looked up in PATH
	Args []string // without the name
	Dir  string   // "" is that of this program
	Env  []string // "KEY=VALUE", added to the inherited environment; the last of a name wins

	// A stream that is nil is null, and one that is an *os.File is the child's own. The same Writer twice is
	// written to by one goroutine at a time, both streams as they came.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Keep as an output keeps all of it for Child.Output.
var Keep io.Writer = keep{}

type keep struct{}

func (keep) Write(data []byte) (int, error) { return len(data), nil }

// line is the command as a person writes it.
func (s *Spec) line() string {
	return strings.Join(append([]string{s.Name}, s.Args...), " ")
}

// merged says whether both outputs go to the same place.
func (s *Spec) merged() bool {
	return s.Stdout != nil && s.Stderr != nil && reflect.TypeOf(s.Stdout) == reflect.TypeOf(s.Stderr) &&
		reflect.TypeOf(s.Stdout).Comparable() && s.Stdout == s.Stderr
}

// command is what is asked for in the library's terms, but for the streams.
func (s *Spec) command() (*capi.Command, error) {
	program, err := launch.Program(s.Name)
	if err != nil {
		return nil, err
	}
	env, err := launch.Environment(s.Dir, s.Env)
	if err != nil {
		return nil, err
	}
	command, err := capi.NewCommand(program)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		command.Arg0(s.Name),
		command.Args(s.Args...),
		command.Env(env),
		command.Group(capi.GroupInherit),
	)
	if err == nil && s.Dir != "" {
		err = command.Dir(s.Dir)
	}
	if err != nil {
		command.Close()
		return nil, err
	}
	return command, nil
}

// streams gives the command its streams, and the child what comes through Go.
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
		if err := command.Stdio(capi.Stderr, capi.StdioMerge); err != nil {
			return err
		}
	}
	// Output that is kept beside a Writer's comes through Go as well: the library keeps both as one.
	if child.loud() {
		for index, kept := range child.kept {
			if kept {
				child.outputs[index] = &output{writer: &child.buffer, stream: outputStreams[index]}
			}
		}
	} else if child.kept != [2]bool{} {
		return command.Capture(math.MaxInt64)
	}
	return nil
}

func (s *Spec) stdin(command *capi.Command, child *Child) error {
	switch stdin := s.Stdin.(type) {
	case nil:
		return command.Stdio(capi.Stdin, capi.StdioNull)
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

// output says where an output goes.
func (c *Child) output(command *capi.Command, index int, writer io.Writer) error {
	stream := outputStreams[index]
	switch writer := writer.(type) {
	case nil:
		return command.Stdio(stream, capi.StdioNull)
	case *os.File:
		return lend(command, stream, writer)
	case keep:
		c.kept[index] = true
	default:
		c.outputs[index] = &output{writer: writer, stream: stream}
	}
	return command.Stdio(stream, capi.StdioPipe)
}

var outputStreams = [2]capi.Stream{capi.Stdout, capi.Stderr}

var streamNames = map[capi.Stream]string{capi.Stdin: "stdin", capi.Stdout: "stdout", capi.Stderr: "stderr"}

// lend gives the child a file of the user's. As in os/exec, Fd puts it into blocking mode, which the child
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
