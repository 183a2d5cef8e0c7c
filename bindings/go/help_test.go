package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hang is the time after which a test gives up. It is a guard: nothing takes that long.
const hang = 2 * time.Minute

// count returns how often a test does something: usual times COREPROC_SCALE, at least once.
func count(t *testing.T, usual int) int {
	t.Helper()
	scale := 1.0
	if text := os.Getenv("COREPROC_SCALE"); text != "" {
		var err error
		scale, err = strconv.ParseFloat(text, 64)
		require.NoError(t, err, "COREPROC_SCALE")
	}
	scaled := max(1, int(float64(usual)*scale))
	t.Logf("count %d", scaled)
	return scaled
}

// newTestService makes a service with a small buffer, and its Core.
func newTestService(t *testing.T) (*Service, *core.Core) {
	t.Helper()
	c := core.New()
	return newService(t, Options{BufferSize: 1024}, c), c
}

// newRecordedService makes a service, and a recorder of what it broadcasts.
func newRecordedService(t *testing.T) (*Service, *recorder) {
	t.Helper()
	c := core.New()
	recorder := newRecorder()
	c.RegisterAction(recorder.handle)
	return newService(t, Options{}, c), recorder
}

// newListenedService makes a service whose messages go to a function.
func newListenedService(t *testing.T, listen func(message any)) *Service {
	t.Helper()
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		listen(message)
		return core.Result{OK: true}
	})
	return newService(t, Options{}, c)
}

// newQuietService makes a service without a Core.
func newQuietService(t *testing.T) *Service {
	t.Helper()
	return newService(t, Options{}, nil)
}

func newService(t *testing.T, options Options, c *core.Core) *Service {
	t.Helper()
	made, err := NewService(options)(c)
	require.NoError(t, err)
	service := made.(*Service)
	t.Cleanup(func() { end(t, service) })
	return service
}

// end leaves no process of a service behind.
func end(t *testing.T, service *Service) {
	t.Helper()
	assert.NoError(t, service.OnShutdown(context.Background()))
	for _, process := range service.List() {
		await(t, process.Done(), process.Info().Command)
	}
	assert.Empty(t, service.Running())
}

func wait(t *testing.T, process *Process) error {
	t.Helper()
	await(t, process.Done(), process.Info().Command)
	return process.Wait()
}

func await[T any](t *testing.T, channel <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-channel:
		return value
	case <-time.After(hang):
		require.FailNow(t, "nothing came: "+what)
		panic("unreachable")
	}
}

// recorder is a handler that records the messages of each process.
type recorder struct {
	mu       sync.Mutex
	messages map[string][]any
	changed  chan struct{}
}

func newRecorder() *recorder {
	return &recorder{messages: make(map[string][]any), changed: make(chan struct{})}
}

func (r *recorder) handle(_ *core.Core, message core.Message) core.Result {
	r.record(message)
	return core.Result{OK: true}
}

func (r *recorder) record(message any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := idOf(message)
	r.messages[id] = append(r.messages[id], message)
	close(r.changed)
	r.changed = make(chan struct{})
}

// until waits for a message of the process that is wanted, and returns all messages up to now.
func (r *recorder) until(t *testing.T, id string, wanted func(any) bool) []any {
	t.Helper()
	for {
		r.mu.Lock()
		messages, changed := append([]any(nil), r.messages[id]...), r.changed
		r.mu.Unlock()
		for _, message := range messages {
			if wanted(message) {
				return messages
			}
		}
		await(t, changed, "another message of "+id)
	}
}

// soFar returns the messages of a process up to now.
func (r *recorder) soFar(id string) []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]any(nil), r.messages[id]...)
}

// untilExited waits for the last message of a process, and returns all.
func (r *recorder) untilExited(t *testing.T, id string) []any {
	t.Helper()
	return r.until(t, id, func(message any) bool { _, ok := message.(ActionProcessExited); return ok })
}

// untilLine waits for a line of output.
func (r *recorder) untilLine(t *testing.T, id, line string) {
	t.Helper()
	r.until(t, id, func(message any) bool {
		output, ok := message.(ActionProcessOutput)
		return ok && output.Line == line
	})
}

// firstLine waits for a line of output, and returns it.
func (r *recorder) firstLine(t *testing.T, id string) string {
	t.Helper()
	messages := r.until(t, id, func(message any) bool { _, ok := message.(ActionProcessOutput); return ok })
	return linesOf(messages, StreamStdout)[0]
}

func idOf(message any) string {
	switch message := message.(type) {
	case ActionProcessStarted:
		return message.ID
	case ActionProcessOutput:
		return message.ID
	case ActionProcessKilled:
		return message.ID
	case ActionProcessExited:
		return message.ID
	default:
		panic(fmt.Sprintf("unknown message %T", message))
	}
}

func linesOf(messages []any, stream Stream) []string {
	var lines []string
	for _, message := range messages {
		if output, ok := message.(ActionProcessOutput); ok && output.Stream == stream {
			lines = append(lines, output.Line)
		}
	}
	return lines
}

// usage counts the things of this program that can leak.
type usage struct {
	goroutines, fds, threads int    // threads of the library
	names                    string // names of the threads
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d fds, %d threads of the library:%s", u.goroutines, u.fds, u.threads, u.names)
}

func measure(t *testing.T) usage {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	now := usage{goroutines: runtime.NumGoroutine(), fds: len(fds)}
	for _, thread := range threadsCalled(t, "coreproc-") {
		if !thread.isGos {
			now.threads++
			now.names += " " + thread.name
		}
	}
	return now
}

type thread struct {
	name string
	// Go makes threads of its own on the library's thread for a check, and they get the name of that thread. They stay, and
	// block no signal; the library's threads block all.
	isGos bool
}

func threadsCalled(t *testing.T, prefix string) []thread {
	t.Helper()
	statuses, err := filepath.Glob("/proc/self/task/*/status")
	require.NoError(t, err)
	var found []thread
	for _, path := range statuses {
		// If the thread ends between the listing and the reading, this is empty.
		status, _ := os.ReadFile(path)
		fields := make(map[string]string)
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(line, ":")
			fields[key] = strings.TrimSpace(value)
		}
		if strings.HasPrefix(fields["Name"], prefix) {
			found = append(found, thread{fields["Name"], strings.Trim(fields["SigBlk"], "0") == ""})
		}
	}
	return found
}

// returnsTo waits until this program holds no more than before: goroutines and threads end a moment after their work, and
// the garbage collector frees services.
func returnsTo(t *testing.T, before usage) {
	t.Helper()
	var now usage
	met := func() bool {
		now = measure(t)
		return now.goroutines <= before.goroutines && now.threads <= before.threads && now.fds <= before.fds
	}
	deadline := time.Now().Add(hang)
	for !met() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			require.FailNow(t, fmt.Sprintf("before: %v; now: %v\n%s", before, now, stacks))
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// warmUp makes the things that Go and the library keep for ever, and frees those that earlier tests left.
func warmUp(t *testing.T) usage {
	t.Helper()
	func() {
		made, err := NewService(Options{})(core.New())
		require.NoError(t, err)
		service := made.(*Service)
		_, err = service.Run(context.Background(), "true")
		require.NoError(t, err)
	}()
	return settled(t)
}

// settled returns the usage of this program once that of earlier tests is gone.
func settled(t *testing.T) usage {
	t.Helper()
	last := measure(t)
	for same := 0; same < 50; {
		runtime.GC()
		time.Sleep(time.Millisecond)
		now := measure(t)
		if now == last {
			same++
		} else {
			same, last = 0, now
		}
	}
	return last
}

// noChildren asserts that this program has no child, not even a zombie.
func noChildren(t *testing.T) {
	t.Helper()
	const all = 0x40000000 // __WALL
	pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|all, nil)
	assert.ErrorIs(t, err, syscall.ECHILD, "child %d", pid)
}

// gone waits until no process has the PID, or a zombie of another parent has it.
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(hang)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return
		}
		require.NoError(t, err)
		if _, state, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(state, "Z") {
			return
		}
		require.True(t, time.Now().Before(deadline), "process %d still runs", pid)
		time.Sleep(time.Millisecond)
	}
}

// cancelledByFile returns a context that is cancelled once a child has made the file.
func cancelledByFile(t *testing.T, path string) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		waitForFile(t, path)
		cancel()
	}()
	return ctx
}

// waitForFile waits until a child has made the file.
func waitForFile(t *testing.T, path string) {
	deadline := time.Now().Add(hang)
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s did not come", path)
			return
		}
		time.Sleep(time.Millisecond)
	}
}
