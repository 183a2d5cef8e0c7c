package capi

/*
#include <coreproc.h>

typedef struct {
	coreproc_result result;
	int32_t pid;
	uint64_t id;
	coreproc_process *process;
	coreproc_error *error;
} capi_spawned;

// One crossing from Go: pointers to several results would be checked, and moved to the heap, one by one.
static capi_spawned capi_spawn(coreproc_service *service, uint8_t *flat, size_t len, coreproc_subscription *named) {
	capi_spawned spawned = {0};
	coreproc_process_info info = {.struct_size = sizeof info};
	spawned.result = coreproc_service_spawn_flat(service, flat, len, named, &spawned.process, &info, &spawned.error);
	spawned.pid = info.pid;
	spawned.id = info.id;
	return spawned;
}

#cgo noescape capi_spawn
#cgo nocallback capi_spawn
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Command says what to spawn. It is a flat command of coreproc.h, which the library reads when it is spawned or added to a
// pipeline, and refuses then. It belongs to one goroutine at a time.
type Command struct {
	flat  *[]byte       // from buffers; nil once it is closed
	named *Subscription // that of [Command.Subscribe], or nil
	files []int         // descriptors that it owns

	// mistake is an entry of the environment with a NUL, or nil. The block separates entries by NUL, so the library would
	// see two.
	mistake error
}

// buffers hold flat commands, which have an environment of several KiB each.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

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

// NewCommand makes a command that runs a program: a path if it has a slash, else a name to look up. The caller closes it.
func NewCommand(program string) *Command {
	command := &Command{flat: buffers.Get().(*[]byte)}
	*command.flat = binary.LittleEndian.AppendUint32((*command.flat)[:0], C.COREPROC_FLAT_VERSION)
	command.text(C.COREPROC_FLAT_PROGRAM, program)
	return command
}

// option begins an option, whose value has this many bytes.
func (c *Command) option(option, size int) {
	*c.flat = binary.LittleEndian.AppendUint32(*c.flat, uint32(option))
	*c.flat = binary.LittleEndian.AppendUint32(*c.flat, uint32(size))
}

func (c *Command) text(option int, value string) {
	c.option(option, len(value))
	*c.flat = append(*c.flat, value...)
}

func (c *Command) pair(option int, first, second uint32) {
	c.option(option, 8)
	*c.flat = binary.LittleEndian.AppendUint32(*c.flat, first)
	*c.flat = binary.LittleEndian.AppendUint32(*c.flat, second)
}

func (c *Command) number(option int, value uint64) {
	c.option(option, 8)
	*c.flat = binary.LittleEndian.AppendUint64(*c.flat, value)
}

// Args adds arguments.
func (c *Command) Args(args ...string) {
	for _, arg := range args {
		c.text(C.COREPROC_FLAT_ARG, arg)
	}
}

// Arg0 sets the name under which the program sees itself; by default the name of the program in NewCommand.
func (c *Command) Arg0(name string) { c.text(C.COREPROC_FLAT_ARG0, name) }

// Env sets the child's whole environment, each entry "KEY=VALUE"; nothing is inherited.
func (c *Command) Env(entries []string) {
	size := 0
	for _, entry := range entries {
		if strings.IndexByte(entry, 0) >= 0 {
			const op = "set command"
			c.mistake = &Error{Result: ErrInvalidArgument, Op: op,
				Message: fmt.Sprintf("%s: environment: %q has a NUL byte", op, entry)}
		}
		size += len(entry) + 1
	}
	c.option(C.COREPROC_FLAT_ENV_WHOLE, size)
	for _, entry := range entries {
		*c.flat = append(append(*c.flat, entry...), 0)
	}
}

// Dir sets the child's working directory.
func (c *Command) Dir(path string) { c.text(C.COREPROC_FLAT_CWD, path) }

// SearchPath sets the directories in which the program is looked up, instead of the child's PATH.
func (c *Command) SearchPath(path string) { c.text(C.COREPROC_FLAT_SEARCH_PATH, path) }

// Capture sets how many bytes of the output are kept; 0 means the default of the service, [Unlimited] means none.
func (c *Command) Capture(bytes uint64) { c.number(C.COREPROC_FLAT_CAPTURE, bytes) }

// Detach lets the child outlive this program: it gets a session of its own, and its outputs are files that the library
// follows.
func (c *Command) Detach() { c.option(C.COREPROC_FLAT_DETACH, 0) }

// Timeout sets how long the child may run until it is stopped; 0 means for ever.
func (c *Command) Timeout(timeout time.Duration) {
	c.number(C.COREPROC_FLAT_TIMEOUT, uint64(milliseconds(timeout)))
}

// StopBy sets how its timeout, its service and [Process.Stop] stop the child.
func (c *Command) StopBy(options StopOptions) {
	c.option(C.COREPROC_FLAT_STOP, 16)
	*c.flat = binary.LittleEndian.AppendUint32(*c.flat, uint32(options.Scope))
	*c.flat = binary.LittleEndian.AppendUint32(*c.flat, uint32(options.Signal))
	*c.flat = binary.LittleEndian.AppendUint64(*c.flat, uint64(milliseconds(options.Grace)))
}

// Spawn starts a process, and returns its PID as well. The command can be spawned again.
func (c *Command) Spawn(service *Service) (*Process, int, error) {
	if c.flat == nil || c.mistake != nil {
		_, err := c.build()
		return nil, 0, err
	}
	pointer, err := service.acquire()
	if err != nil {
		return nil, 0, err
	}
	defer service.release()
	var named *C.coreproc_subscription
	if c.named != nil {
		if named, err = c.named.acquire(); err != nil {
			return nil, 0, err
		}
		defer c.named.release()
	}
	flat := *c.flat
	spawned := C.capi_spawn(pointer, (*C.uint8_t)(unsafe.SliceData(flat)), C.size_t(len(flat)), named)
	if err := check(spawned.result, spawned.error); err != nil {
		return nil, 0, err
	}
	return newProcess(spawned.process, uint64(spawned.id)), int(spawned.pid), nil
}

// build makes a command of the library. The caller frees it.
func (c *Command) build() (*C.coreproc_command, error) {
	if c.flat == nil {
		return nil, ErrClosed
	}
	flat := *c.flat
	var command *C.coreproc_command
	var cerr *C.coreproc_error
	result := C.coreproc_command_from_flat((*C.uint8_t)(unsafe.SliceData(flat)), C.size_t(len(flat)), &command, &cerr)
	err := check(result, cerr)
	if c.mistake != nil {
		C.coreproc_command_free(command)
		return nil, errors.Join(err, c.mistake)
	}
	return command, err
}

// Close gives back what the command holds. It may be called again.
func (c *Command) Close() {
	if c.flat == nil {
		return
	}
	buffers.Put(c.flat)
	c.flat = nil
	for _, fd := range c.files {
		_ = syscall.Close(fd)
	}
	c.files = nil
}
