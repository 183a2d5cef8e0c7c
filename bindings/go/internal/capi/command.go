package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Command says what to spawn. A setter that returns an error has changed nothing.
type Command struct {
	handle[*C.coreproc_command]
}

// Stream is one of the three standard streams of a child.
type Stream uint32

// The standard streams.
const (
	Stdin  Stream = C.COREPROC_STREAM_STDIN
	Stdout Stream = C.COREPROC_STREAM_STDOUT
	Stderr Stream = C.COREPROC_STREAM_STDERR
)

// StdioMode says where a standard stream of a child goes.
type StdioMode uint32

// Where a standard stream can go. By default stdin is null and the outputs are pipes.
const (
	StdioNull    StdioMode = C.COREPROC_STDIO_NULL
	StdioPipe    StdioMode = C.COREPROC_STDIO_PIPE
	StdioInherit StdioMode = C.COREPROC_STDIO_INHERIT
	StdioMerge   StdioMode = C.COREPROC_STDIO_MERGE // stderr alone
)

// Scope says which processes a signal reaches.
type Scope uint8

// Which processes a signal reaches. The default depends on the verb, see coreproc.h.
const (
	ScopeDefault Scope = C.COREPROC_SCOPE_DEFAULT
	ScopeProcess Scope = C.COREPROC_SCOPE_PROCESS
	ScopeGroup   Scope = C.COREPROC_SCOPE_GROUP
)

// StopOptions are a way to stop a process: a signal, and SIGKILL if it still runs after the grace.
type StopOptions struct {
	Signal syscall.Signal // 0 means SIGTERM
	Scope  Scope
	Grace  time.Duration // 0 means 5 s
}

func (o StopOptions) toC() C.coreproc_stop_options {
	return C.coreproc_stop_options{
		struct_size: C.uint32_t(unsafe.Sizeof(C.coreproc_stop_options{})),
		scope:       C.uint32_t(o.Scope),
		signal:      C.int32_t(o.Signal),
		grace_ms:    milliseconds(o.Grace),
	}
}

// NewCommand makes a command that runs a program: a path if it has a slash, else a name to look up.
func NewCommand(program string) (*Command, error) {
	data, size := text(program)
	var pointer *C.coreproc_command
	var cerr *C.coreproc_error
	if err := check(C.coreproc_command_new(data, size, &pointer, &cerr), cerr); err != nil {
		return nil, err
	}
	command := new(Command)
	command.own(pointer, func(p *C.coreproc_command) { C.coreproc_command_free(p) })
	return command, nil
}

// Args adds arguments.
func (c *Command) Args(args ...string) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	var cerr *C.coreproc_error
	for _, arg := range args {
		data, size := text(arg)
		if err := check(C.coreproc_command_arg(pointer, data, size, &cerr), cerr); err != nil {
			return err
		}
	}
	return nil
}

// Arg0 sets the name under which the program sees itself; by default the name of the program in NewCommand.
func (c *Command) Arg0(name string) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	data, size := text(name)
	var cerr *C.coreproc_error
	return check(C.coreproc_command_arg0(pointer, data, size, &cerr), cerr)
}

// blocks hold environments on their way to the library, which copies them: several KiB for each spawn.
var blocks = sync.Pool{New: func() any { return new([]byte) }}

// Env sets the child's whole environment, each entry "KEY=VALUE"; nothing is inherited.
func (c *Command) Env(entries []string) error {
	shared := blocks.Get().(*[]byte)
	defer blocks.Put(shared)
	block := (*shared)[:0]
	for _, entry := range entries {
		// The block separates entries by NUL, so the library would see two.
		if strings.IndexByte(entry, 0) >= 0 {
			const op = "set command"
			return &Error{Result: ErrInvalidArgument, Op: op,
				Message: fmt.Sprintf("%s: environment: %q has a NUL byte", op, entry)}
		}
		block = append(append(block, entry...), 0)
	}
	*shared = block
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	data, length := text(unsafe.String(unsafe.SliceData(block), len(block)))
	var cerr *C.coreproc_error
	return check(C.coreproc_command_env_whole(pointer, data, length, &cerr), cerr)
}

// Dir sets the child's working directory.
func (c *Command) Dir(path string) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	data, size := text(path)
	var cerr *C.coreproc_error
	return check(C.coreproc_command_cwd(pointer, data, size, &cerr), cerr)
}

// SearchPath sets the directories in which the program is looked up, instead of the child's PATH.
func (c *Command) SearchPath(path string) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	data, size := text(path)
	var cerr *C.coreproc_error
	return check(C.coreproc_command_search_path(pointer, data, size, &cerr), cerr)
}

// Stdio sets where a standard stream goes.
func (c *Command) Stdio(stream Stream, mode StdioMode) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_stdio(pointer, C.uint32_t(stream), C.uint32_t(mode), &cerr), cerr)
}

// Capture sets how many bytes of the output are kept; 0 means the default of the service, [Unlimited] means none.
func (c *Command) Capture(bytes uint64) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_capture(pointer, C.uint64_t(bytes), &cerr), cerr)
}

// Detach lets the child outlive this program: it gets a session of its own, and its outputs are files that the library
// follows.
func (c *Command) Detach() error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_detach(pointer, &cerr), cerr)
}

// Timeout sets how long the child may run until it is stopped; 0 means for ever.
func (c *Command) Timeout(timeout time.Duration) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_timeout(pointer, milliseconds(timeout), &cerr), cerr)
}

// StopBy sets how its timeout, its service and [Process.Stop] stop the child.
func (c *Command) StopBy(options StopOptions) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	coptions := options.toC()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_stop_options(pointer, &coptions, &cerr), cerr)
}

// Spawn starts a process. The command can be spawned again.
func (c *Command) Spawn(service *Service) (*Process, error) {
	pointer, err := c.acquire()
	if err != nil {
		return nil, err
	}
	defer c.release()
	servicePointer, err := service.acquire()
	if err != nil {
		return nil, err
	}
	defer service.release()
	var spawned *C.coreproc_process
	var cerr *C.coreproc_error
	if err := check(C.coreproc_command_spawn(pointer, servicePointer, &spawned, &cerr), cerr); err != nil {
		return nil, err
	}
	return newProcess(spawned), nil
}
